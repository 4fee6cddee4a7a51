"""The web server, in a thread of its own beside the live loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from avatar.core.errors import AvatarError, MissingDependencyError, UsageError
from avatar.web.door import Door
from avatar.web.one_line import one_line_each
from avatar.web.patient import patient_protocol
from avatar.web.security import App

# The most that browsers send: cookies of other programs on this machine come with ours.
_MOST_HEAD_BYTES = 800_000


@dataclass(frozen=True)
class Tls:
    """The server's certificate and its key, as PEM files."""

    certificate: Path
    key: Path


def need_studio_extra() -> None:
    """Raise ``MissingDependencyError`` unless what the pages need is installed."""
    from importlib.util import find_spec

    names = ("starlette", "uvicorn", "websockets", "aiortc", "cryptography")
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"pages in the browser need {', '.join(missing)}, not found here. Install: "
            "scripts/setup studio, or pip install 'webcam-avatar[studio]'"
        )


class PageServer:
    """Serves ``app`` on a socket that is bound when the server is entered.

    ``address``: a number such as 127.0.0.1. ``port``: 0 takes a free one. ``at_end``: awaited in
    the server's loop before it ends. ``say``: told what goes wrong in it. ``port_option``: how the
    command that runs names another port.
    A second thread-safe way in is ``call``.
    """

    def __init__(
        self,
        make_app: Callable[[], App],
        address: str,
        port: int,
        *,
        tls: Tls | None = None,
        say: Callable[[str], None] = lambda line: None,
        at_end: Callable[[], Awaitable[None]] | None = None,
        port_option: str = "--port ",
    ) -> None:
        self._port_option, self._say = port_option, say
        self._make_app, self._address, self._port = make_app, address, port
        self._tls, self._at_end = tls, at_end
        self._socket: socket.socket | None = None
        self._server: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pages")

    @property
    def port(self) -> int:
        """Return the port that is listened on, once entered."""
        return self._port

    def bind(self) -> int:
        """Take the port and return it: before the app is made, which has to know it.

        Raises ``UsageError`` when another program has it.
        """
        if self._socket is None:
            self._socket = _listening(self._address, self._port, self._port_option)
            self._port = self._socket.getsockname()[1]
        return self._port

    def __enter__(self) -> Self:
        self.bind()
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(timeout=10.0)
        if self._socket is not None:
            self._socket.close()

    def call(self, what: Callable[[], None]) -> None:
        """Have ``what`` called in the server's loop; from any thread, nothing once it has ended."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to whoever entered
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with one_line_each(self._say) as faults:
            self._loop.set_exception_handler(faults.of_loop)
            await self._serve_pages()

    async def _serve_pages(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            self._make_app(),
            http="h11",
            ws="websockets-sansio",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
            timeout_graceful_shutdown=1,
            ws_max_size=65_536,
            ssl_certfile=self._tls.certificate if self._tls else None,
            ssl_keyfile=self._tls.key if self._tls else None,
        )
        self._server = _Server(config, self._socket, self._ready.set)
        try:
            await self._server.serve(sockets=[])
        finally:
            if self._at_end is not None:
                await self._at_end()


def _Server(config: Any, listening: Any, started: Callable[[], None]) -> Any:  # noqa: N802
    """Return uvicorn's server behind a door, which tells when it listens."""
    import uvicorn

    class Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            door = Door(
                listening, lambda visitor: patient_protocol(config, self, visitor), config.ssl
            )
            self._accepting = asyncio.create_task(door.serve())
            started()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            await super().shutdown(sockets=sockets)

    return Server(config)


def _listening(address: str, port: int, port_option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would share the port with another program
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        raise _cannot_listen(address, port, port_option, error) from error
    return listening


def _cannot_listen(address: str, port: int, port_option: str, error: OSError) -> AvatarError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"port {port} of {address} is taken, perhaps by another `avatar studio`. End that one, "
            f"or choose another: {port_option}{port + 1} (0: a free one)."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"{address} is no address of this machine. `ip address` (Windows: ipconfig) shows "
            "them; `avatar studio --listen 0.0.0.0` takes all."
        )
    return UsageError(f"{address}, port {port}, cannot be listened on: {error.strerror or error}.")
