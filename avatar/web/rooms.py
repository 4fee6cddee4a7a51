"""The studio's rooms *Still* and *Clips*: what their pages ask for, behind the studio's door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from avatar.core.errors import UsageError
from avatar.core.messages import Message, for_json
from avatar.web.bodies import bounded, file_name, json_values
from avatar.web.upload import MAX_SONG_BYTES, MAX_UPLOAD_BYTES, UPLOAD_KINDS

# Of stills that are drawn at a time, for all pages: each takes a processor.
_AT_A_TIME = 2
_STILL_KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
_PREVIEW_KINDS = {"png": "image/png", "mp4": "video/mp4"}


class Stills(Protocol):
    """Draws stills. Every method may be called from any thread and may block."""

    def picture(self, values: dict[str, Any]) -> bytes:
        """Return a photograph with its sliders as JPEG. Raises ``AvatarError``."""
        ...

    def saved(self, values: dict[str, Any]) -> tuple[bytes, str]:
        """Return a file to keep, and its suffix. Raises ``AvatarError``."""
        ...

    def like(self, photo: Path) -> str:
        """Return what stands for an uploaded face's expression. Raises ``AvatarError``."""
        ...


class Clips(Protocol):
    """Makes clips. Every method may be called from any thread and may block."""

    def describe(self) -> dict[str, Any]:
        """Return all that the room shows."""
        ...

    def job(self) -> dict[str, Any] | None:
        """Return how far the clip is that is being made; None before the first one."""
        ...

    def beats(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return a song as it is drawn. Raises ``AvatarError``."""
        ...

    def make(self, values: dict[str, Any]) -> None:
        """Begin a clip. Raises ``AvatarError``."""
        ...

    def cancel(self) -> None:
        """Stop the clip that is being made."""
        ...

    def delete(self, name: str) -> None:
        """Delete a finished clip. Raises ``AvatarError``."""
        ...

    def add_song(self, file: Path, name: str) -> str:
        """Keep an uploaded song; return what to call it by. Raises ``AvatarError``."""
        ...

    def film(self, name: str) -> tuple[Path, str]:
        """Return a finished clip's file and its kind. Raises ``AvatarError``."""
        ...

    def preview(self, name: str, kind: str) -> Path | None:
        """Return the file of a template's preview; None until it is made."""
        ...

    def make_previews(self) -> None:
        """Have missing previews made, and return at once."""
        ...


@dataclass(frozen=True)
class Rooms:
    """What stands behind both rooms; ``sliders``: as the page shows them."""

    stills: Stills
    clips: Clips
    sliders: list[dict[str, Any]]


def room_routes(rooms: Rooms) -> list[Any]:
    """Return what the pages of the rooms ask for; called in the server's loop."""
    return _Requests(rooms).routes()


class _Requests:
    """The requests of both rooms."""

    def __init__(self, rooms: Rooms) -> None:
        self._stills, self._clips, self._sliders = rooms.stills, rooms.clips, rooms.sliders
        self._drawing = asyncio.Semaphore(_AT_A_TIME)
        self._decoding = asyncio.Semaphore(1)
        self._cancelling = ThreadPoolExecutor(1, "cancel")

    def routes(self) -> list[Any]:
        from starlette.routing import Route

        return [
            Route("/api/still/sliders", self.sliders),
            Route("/api/still/picture", self.picture, methods=["POST"]),
            Route("/api/still/file", self.still_file, methods=["POST"]),
            Route("/api/still/like", self.like, methods=["POST"]),
            Route("/api/clips", self.clips),
            Route("/api/clips/job", self.job),
            Route("/api/clips/beats", self.beats, methods=["POST"]),
            Route("/api/clips/make", self.make, methods=["POST"]),
            Route("/api/clips/cancel", self.cancel, methods=["POST"]),
            Route("/api/clips/delete", self.delete, methods=["POST"]),
            Route("/api/clips/song", self.song, methods=["POST"]),
            Route("/api/clips/previews", self.previews, methods=["POST"]),
            Route("/api/clips/film/{name}", self.film),
            Route("/api/clips/preview/{name}.{kind}", self.preview),
        ]

    async def sliders(self, request: Any) -> Any:
        return _answer(self._sliders)

    async def picture(self, request: Any) -> Any:
        from starlette.responses import Response

        values = await json_values(request)
        async with self._drawing:
            data = await asyncio.to_thread(self._stills.picture, values)
        return Response(data, media_type="image/jpeg")

    async def still_file(self, request: Any) -> Any:
        from starlette.responses import Response

        values = await json_values(request)
        async with self._drawing:
            data, suffix = await asyncio.to_thread(self._stills.saved, values)
        return Response(data, media_type=_STILL_KINDS[suffix])

    async def like(self, request: Any) -> Any:
        kind = kind_of_photo(request)
        async with _received(request, MAX_UPLOAD_BYTES, UPLOAD_KINDS[kind]) as path, self._decoding:
            key = await asyncio.to_thread(self._stills.like, path)
        return _answer({"like": key})

    async def clips(self, request: Any) -> Any:
        return _answer(await asyncio.to_thread(self._clips.describe))

    async def job(self, request: Any) -> Any:
        return _answer(await asyncio.to_thread(self._clips.job))

    async def beats(self, request: Any) -> Any:
        return _answer(await asyncio.to_thread(self._clips.beats, await json_values(request)))

    async def make(self, request: Any) -> Any:
        return await self._done(self._clips.make, await json_values(request))

    async def delete(self, request: Any) -> Any:
        name = (await json_values(request)).get("name")
        return await self._done(self._clips.delete, str(name))

    async def previews(self, request: Any) -> Any:
        return await self._done(self._clips.make_previews)

    async def cancel(self, request: Any) -> Any:
        # In no line behind anything else that is being done.
        await asyncio.get_running_loop().run_in_executor(self._cancelling, self._clips.cancel)
        return _answer({})

    async def song(self, request: Any) -> Any:
        async with _received(request, MAX_SONG_BYTES, "") as path:
            key = await asyncio.to_thread(self._clips.add_song, path, _name(request))
        return _answer({"music": key})

    async def film(self, request: Any) -> Any:
        from starlette.responses import FileResponse

        path, kind = await asyncio.to_thread(self._clips.film, request.path_params["name"])
        name = path.name if "download" in request.query_params else None
        return FileResponse(path, media_type=kind, filename=name)

    async def preview(self, request: Any) -> Any:
        from starlette.responses import FileResponse, Response

        kind = request.path_params["kind"]
        if kind not in _PREVIEW_KINDS:
            return Response("There is no such file.", 404)
        path = await asyncio.to_thread(self._clips.preview, request.path_params["name"], kind)
        if path is None:
            return Response("It is not made yet.", 404)
        return FileResponse(path, media_type=_PREVIEW_KINDS[kind])

    async def _done(self, what: Callable[..., None], *given: Any) -> Any:
        await asyncio.to_thread(what, *given)
        return _answer({})


def kind_of_photo(request: Any) -> str:
    """Return the kind that a sent photograph says it has. Raises ``UsageError`` for others."""
    kind = str(request.headers.get("content-type", "")).partition(";")[0].strip().lower()
    if kind not in UPLOAD_KINDS:
        raise UsageError(
            Message(
                "error.uploadKind",
                "expected a JPEG, PNG, WebP, AVIF or HEIC photograph, found {found}",
                found=kind or "no type",
            )
        )
    return kind


@asynccontextmanager
async def _received(request: Any, limit: int, suffix: str) -> AsyncIterator[Path]:
    """Keep a request's body in a file, named as the user knows it, until it was looked at."""
    with TemporaryDirectory(prefix="webcam-avatar-") as folder:
        path = Path(folder) / f"{file_name(_name(request))}{suffix}"
        with path.open("wb") as file:
            async for part in bounded(request, limit):
                file.write(part)
        yield path


def _name(request: Any) -> str:
    return str(request.query_params.get("name", ""))[:80]


def _answer(value: Any) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse(for_json(value))
