"""HTTP that waits only so long for a request's head, and for the rest of one that was refused."""

from __future__ import annotations

from typing import Any

from avatar.web.door import HEAD_S, Visitor


def patient_protocol(config: Any, server: Any, visitor: Visitor) -> Any:
    """Return uvicorn's protocol for one connection, which knows its visitor.

    ``config`` and ``server``: uvicorn's, the latter started.
    """
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):  # type: ignore[misc, unused-ignore]
        """See the module. Trickled bytes do not renew its patience."""

        _giving_up: Any = None

        def connection_made(self, transport: Any) -> None:
            visitor.transport = transport
            super().connection_made(transport)
            self._look()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._be_patient()
            super().connection_lost(exc)

        def _look(self) -> None:
            state = self.conn.their_state
            is_answered = self.cycle is not None and self.cycle.response_complete
            if state is h11.IDLE or (state is h11.SEND_BODY and is_answered):
                if self._giving_up is None:
                    self._giving_up = self.loop.call_later(HEAD_S, visitor.leave)
            else:
                self._be_patient()

        def _be_patient(self) -> None:
            if self._giving_up is not None:
                self._giving_up.cancel()
                self._giving_up = None

    return Patient(config, server.server_state, {"visitor": visitor})
