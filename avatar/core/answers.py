"""HTTP answers within a time, whatever the server does: one that sends a byte a second, too.

The time-outs of the standard library count from byte to byte. Here a clock beside it ends the
connection.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def answer_within(
    request: urllib.request.Request | str,
    *,
    timeout_s: float,
    within_s: float,
    context: ssl.SSLContext | None = None,
    follows: bool = True,
) -> Iterator[http.client.HTTPResponse]:
    """Give the answer to ``request``, which can be read until ``within_s`` from now.

    ``timeout_s``: from byte to byte. ``context``: for TLS. ``follows``: go where the server says
    instead; else that is an ``HTTPError``. Raises what ``urllib.request`` does, and
    ``TimeoutError``.
    """
    watched = _Watched()
    handlers: list[urllib.request.BaseHandler] = [_Plain(watched), _Secure(watched, context)]
    if not follows:
        handlers.append(_NoRedirect())
    opener = urllib.request.build_opener(*handlers)
    clock = threading.Timer(within_s, watched.end)
    clock.daemon = True
    clock.start()
    try:
        with opener.open(request, timeout=timeout_s) as response:
            yield response
    except Exception as error:
        if watched.ended.is_set():
            raise TimeoutError(f"no whole answer within {within_s:g} s") from error
        raise
    finally:
        clock.cancel()
        watched.close()
    if watched.ended.is_set():
        raise TimeoutError(f"no whole answer within {within_s:g} s")


class _Watched:
    """The connections of one request, as copies that stay valid inside TLS."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._copies: list[socket.socket] = []

    def connect(self, *given: Any, **named: Any) -> socket.socket:
        made = socket.create_connection(*given, **named)
        self._copies.append(made.dup())
        return made

    def end(self) -> None:
        self.ended.set()
        for copy in list(self._copies):
            with suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for copy in self._copies:
            copy.close()


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, watched: _Watched) -> None:
        super().__init__()
        self._watched = watched

    def http_open(self, req: urllib.request.Request) -> Any:
        def connection(host: str, **named: Any) -> http.client.HTTPConnection:
            made = http.client.HTTPConnection(host, **named)
            made._create_connection = self._watched.connect  # type: ignore[attr-defined]
            return made

        return self.do_open(connection, req)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, watched: _Watched, context: ssl.SSLContext | None) -> None:
        super().__init__()
        self._watched, self._tls = watched, context or ssl.create_default_context()

    def https_open(self, req: urllib.request.Request) -> Any:
        def connection(host: str, **named: Any) -> http.client.HTTPSConnection:
            made = http.client.HTTPSConnection(host, context=self._tls, **named)
            made._create_connection = self._watched.connect  # type: ignore[attr-defined]
            return made

        return self.do_open(connection, req)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""
