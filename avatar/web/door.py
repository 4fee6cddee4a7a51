"""Who stands at the server's door: every connection, from the moment it is accepted.

Whoever has not shown a token yet is a stranger. Strangers are few: one more sends the one away that
has stood there longest, so that the owner, who shows a token with the first request, gets in
however many wait and say nothing. It is counted before TLS, and one at a time is accepted, so that
what has come is read before the next ones come.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

HEAD_S = 10.0
"""How long the head of a request may take, TLS's handshake, and what is left of a refused body."""
MOST_STRANGERS = 32
MOST_GUESTS = 100
"""Connections that showed one token; the longest unused makes room for another one."""
# Without room for another connection; the system says so again at once.
_PAUSE_S = 0.1


class Visitor:
    """One connection. ``transport``: what it is read and written by, once it is set up."""

    def __init__(self, door: Door, connection: socket.socket) -> None:
        self._door, self._connection = door, connection
        self.transport: Any = None
        self.setting_up: asyncio.Task[None] | None = None

    def recognised(self, role: str) -> None:
        """Count this one as a guest from now on, who showed the token of ``role``."""
        self._door.recognise(self, role)

    def leave(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()
        elif self.setting_up is not None:
            self.setting_up.cancel()

    @property
    def is_gone(self) -> bool:
        """Return whether the connection has ended."""
        if self.transport is not None:
            return bool(self.transport.is_closing())
        return self.setting_up is not None and self.setting_up.done()


class Door:
    """Accepts connections and keeps them few. Of one event loop.

    ``listening``: a socket that listens. ``welcome``: makes the protocol of a visitor.
    ``tls``: the context of ``ssl``, None without TLS.
    """

    def __init__(
        self, listening: socket.socket, welcome: Callable[[Visitor], Any], tls: Any = None
    ) -> None:
        self._listening, self._welcome, self._tls = listening, welcome, tls
        self._strangers: dict[Visitor, None] = {}
        self._guests: dict[str, dict[Visitor, None]] = {}
        self._most = min(MOST_STRANGERS, _share_of_files())

    async def serve(self) -> None:
        """Accept until cancelled; then nobody stands at the door any more."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._listening)
                except OSError:  # no file is left to open, or whoever came has gone
                    self._send_away_oldest()
                    await asyncio.sleep(_PAUSE_S)
                    continue
                self._admit(connection)
                await asyncio.sleep(0)
        finally:
            for visitor in list(self._strangers):
                visitor.leave()

    def recognise(self, visitor: Visitor, role: str) -> None:
        """See ``Visitor.recognised``."""
        self._strangers.pop(visitor, None)
        guests = self._guests.setdefault(role, {})
        guests.pop(visitor, None)
        guests[visitor] = None
        if len(guests) > MOST_GUESTS:
            _forget_gone(guests)
        if len(guests) > MOST_GUESTS:
            oldest = next(iter(guests))
            del guests[oldest]
            oldest.leave()

    def _admit(self, connection: socket.socket) -> None:
        if len(self._strangers) >= self._most:
            _forget_gone(self._strangers)
        if len(self._strangers) >= self._most:
            self._send_away_oldest()
        visitor = Visitor(self, connection)
        self._strangers[visitor] = None
        visitor.setting_up = asyncio.create_task(self._set_up(visitor, connection))

    def _send_away_oldest(self) -> None:
        oldest = next(iter(self._strangers), None)
        if oldest is not None:
            del self._strangers[oldest]
            oldest.leave()

    async def _set_up(self, visitor: Visitor, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        patience: dict[str, Any] = {"ssl_handshake_timeout": HEAD_S} if self._tls else {}
        try:
            connection.setblocking(False)
            await loop.connect_accepted_socket(
                lambda: self._welcome(visitor), connection, ssl=self._tls, **patience
            )
        except (OSError, ValueError):  # it has gone, or speaks no TLS
            self._strangers.pop(visitor, None)
            with suppress(OSError):
                connection.close()


def _forget_gone(visitors: dict[Visitor, None]) -> None:
    for visitor in [one for one in visitors if one.is_gone]:
        del visitors[visitor]


def _share_of_files() -> int:
    """Return how many of the files that this process may have open strangers may take."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST_STRANGERS
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_STRANGERS if most == resource.RLIM_INFINITY else max(8, most // 8)
