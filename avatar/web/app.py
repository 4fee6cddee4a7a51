"""The web application: pages, their files, what they ask for and what they are told (Starlette)."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from avatar.core.errors import AvatarError, UsageError
from avatar.core.messages import for_json, words_of
from avatar.core.options import declared, schema
from avatar.web.bodies import bounded, file_name, json_values
from avatar.web.control import Control, Event
from avatar.web.peers import Peers
from avatar.web.rooms import Rooms, kind_of_photo, room_routes
from avatar.web.security import App, Guard, Rules
from avatar.web.upload import MAX_UPLOAD_BYTES, UPLOAD_KINDS

STATIC = Path(__file__).resolve().parent / "static"
# Said here, since some systems know other kinds for these names, and browsers then refuse them.
_KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_FILMS = {".mp4": "video/mp4"}
FIGURES_EVERY_S = 0.5
# Photographs that are read at a time, each of which may take a gigabyte for a moment.
_AT_A_TIME = 2
# A page that takes nothing for so many messages has gone, or sleeps.
_MAX_BACKLOG = 120


def make_app(
    peers: Peers,
    rules: Rules,
    control: Control | None,
    view: dict[str, Any],
    rooms: Rooms | None = None,
) -> App:
    """Return the guarded application; without ``control`` it is ``/view`` alone.

    ``view``: what the view page is told of the picture. ``rooms``: beside the live one.
    """
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.responses import FileResponse, JSONResponse, Response
    from starlette.routing import Route

    async def watch(request: Any) -> Any:
        offer, wide = await _offer(request)
        role = request.scope["state"]["role"]
        return JSONResponse({"sdp": await peers.watch(offer, role, wide=wide)})

    async def describe(request: Any) -> Any:
        return JSONResponse(view)

    async def view_page(request: Any) -> Any:
        return FileResponse(STATIC / "view.html")

    async def static(request: Any) -> Any:
        path = files.get(request.path_params["name"])
        if path is None:
            return Response("There is no such file.", 404)
        return FileResponse(path, media_type=_KINDS[path.suffix])

    files = {path.name: path for path in STATIC.iterdir() if path.suffix in _KINDS}

    routes: list[Any] = [
        Route("/view", view_page),
        Route("/api/view", describe),
        Route("/api/watch", watch, methods=["POST"]),
        Route("/static/{name}", static),
    ]
    if control is not None:
        routes += _Studio(control, peers).routes()
    if rooms is not None:
        routes += room_routes(rooms)
    app = Starlette(
        routes=routes,
        exception_handlers={
            AvatarError: _in_words,
            ClientDisconnect: _gone,
            Exception: _unexpected,
        },
    )
    return Guard(app, rules)


class _Studio:
    """The control page's own requests."""

    def __init__(self, control: Control, peers: Peers) -> None:
        self._control, self._peers = control, peers
        # They wait here and not in threads, of which there are few.
        self._acting = asyncio.Semaphore(1)
        self._decoding = asyncio.Semaphore(_AT_A_TIME)
        self._drawing = asyncio.Semaphore(_AT_A_TIME)
        self._stopping = ThreadPoolExecutor(_AT_A_TIME, "stop")

    def routes(self) -> list[Any]:
        """Return what the control page asks for."""
        from starlette.routing import Route, WebSocketRoute

        return [
            Route("/", self.page),
            Route("/api/options", self.options),
            Route("/api/act/{action}", self.act, methods=["POST"]),
            Route("/api/camera", self.camera, methods=["POST"]),
            Route("/api/avatars", self.upload, methods=["POST"]),
            Route("/api/avatars/{name:path}", self.thumbnail),
            Route("/api/recordings/{name}", self.recording),
            WebSocketRoute("/api/live", self.live),
        ]

    async def page(self, request: Any) -> Any:
        from starlette.responses import FileResponse

        return FileResponse(STATIC / "index.html")

    async def options(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        return JSONResponse([schema(name) for name in declared()])

    async def act(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        values = await json_values(request)
        action = request.path_params["action"]
        if action == "stop":  # whatever else is being done, in no line behind it
            await asyncio.get_running_loop().run_in_executor(
                self._stopping, self._control.act, action, values
            )
            return JSONResponse({})
        async with self._acting:
            await asyncio.to_thread(self._control.act, action, values)
        return JSONResponse({})

    async def camera(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        offer, wide = await _offer(request)
        return JSONResponse({"sdp": await self._peers.receive(offer, wide=wide)})

    async def upload(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        kind = kind_of_photo(request)
        with TemporaryDirectory(prefix="webcam-avatar-") as folder:
            name = request.query_params.get("name", "")
            # Messages name the file: as the user knows it.
            path = Path(folder) / f"{file_name(name)}{UPLOAD_KINDS[kind]}"
            with path.open("wb") as file:
                async for part in bounded(request, MAX_UPLOAD_BYTES):
                    file.write(part)
            async with self._decoding:
                stored = await asyncio.to_thread(self._control.add_avatar, path, name)
                faces = await asyncio.to_thread(self._control.faces_of, stored)
        return JSONResponse({"name": stored, "faces": faces})

    async def thumbnail(self, request: Any) -> Any:
        from starlette.responses import Response

        face = request.query_params.get("face", "")
        number = int(face) if face.isdecimal() and len(face) < 4 else None
        name = request.path_params["name"]
        async with self._drawing:
            picture = await asyncio.to_thread(self._control.thumbnail, name, number)
        return Response(picture, media_type="image/jpeg")

    async def recording(self, request: Any) -> Any:
        """Send a finished recording: to be seen in the browser, or to be kept."""
        from starlette.responses import FileResponse

        path = await asyncio.to_thread(self._control.recording, request.path_params["name"])
        kept = "attachment" if "download" in request.query_params else "inline"
        return FileResponse(
            path, media_type=_FILMS.get(path.suffix.lower()), filename=path.name,
            content_disposition_type=kept,
        )  # fmt: skip

    async def live(self, socket: Any) -> None:
        """Tell a page what happens, until it goes."""
        from starlette.websockets import WebSocketDisconnect

        await socket.accept()
        channel = _Channel(socket, self._control)
        with suppress(WebSocketDisconnect, RuntimeError):
            await channel.serve()


class _Channel:
    """One page's WebSocket."""

    def __init__(self, socket: Any, control: Control) -> None:
        self._socket, self._control = socket, control
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._shows_driver = False

    async def serve(self) -> None:
        """Send and hear until either side ends."""
        end = self._control.listen(self._hear, pictures=lambda: self._shows_driver)
        tasks = [asyncio.create_task(work()) for work in (self._send, self._figures, self._receive)]
        try:
            self._queue.put_nowait({"type": "changed"})
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, event: Event) -> None:
        with suppress(RuntimeError):  # the server has just ended
            self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: Event) -> None:
        waiting = self._queue.qsize()
        # Points and pictures are soon old; a state is told anew whenever it is told.
        if waiting < _MAX_BACKLOG and (waiting < 4 or not isinstance(event, bytes)):
            self._queue.put_nowait(event)

    async def _send(self) -> None:
        while True:
            event = await self._queue.get()
            if isinstance(event, bytes):
                await self._socket.send_bytes(event)
            elif event["type"] == "changed":
                while not self._queue.empty() and self._queue._queue[0] == event:  # type: ignore[attr-defined]
                    self._queue.get_nowait()
                state = await asyncio.to_thread(self._control.snapshot)
                await self._socket.send_text(json.dumps(for_json({"type": "state", **state})))
            else:
                await self._socket.send_text(json.dumps(for_json(event)))

    async def _figures(self) -> None:
        while True:
            await asyncio.sleep(FIGURES_EVERY_S)
            figures = await asyncio.to_thread(self._control.figures)
            self._take({"type": "figures", **figures})

    async def _receive(self) -> None:
        while True:
            message = await self._heard()
            if message is None:  # of no page of ours
                await self._socket.close(1003, "expected JSON")
                return
            if isinstance(message, dict):
                self._shows_driver = message.get("driver") is True

    async def _heard(self) -> Any:
        """Return what the page says, None for what is no JSON. Raises once it has gone."""
        from starlette.websockets import WebSocketDisconnect

        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        try:
            return json.loads(message.get("text") or "")
        except (ValueError, RecursionError):
            return None


async def _offer(request: Any) -> tuple[str, bool]:
    """Return a page's offer, and whether it reaches none of the usual addresses."""
    values = await json_values(request)
    offer = values.get("sdp")
    if not isinstance(offer, str):
        raise UsageError("expected an offer of a video connection, found none")
    return offer, values.get("wide") is True


async def _in_words(request: Any, error: Exception) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse(for_json({"error": words_of(error)}), status_code=400)


async def _gone(request: Any, error: Exception) -> Any:
    """Answer a page that was left before all of it had come: nobody hears it."""
    from starlette.responses import Response

    return Response(status_code=400)


async def _unexpected(request: Any, error: Exception) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=500)
