"""The web server with its addresses: for ``avatar studio``, and for ``--out page``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from avatar.stages.sinks.page import DEFAULT_PORT, Audience, PageSink
from avatar.stages.sources.page import PageInbox
from avatar.web.app import make_app
from avatar.web.control import Control
from avatar.web.listening import LOOPBACK, ListenAddress, place_at
from avatar.web.peers import Peers
from avatar.web.rooms import Rooms
from avatar.web.security import App, Role, Rules
from avatar.web.server import PageServer, Tls, need_studio_extra
from avatar.web.tokens import Entrance, lasting_token


class Pages:
    """The web server with its addresses: the studio with ``control``, else ``/view`` alone.

    ``size_px``: of the pictures, without what is stacked below them. ``folder``: where the lasting
    token and the certificate are kept. ``rooms``: beside the
    live one. A context manager.
    """

    def __init__(
        self,
        audience: Audience,
        size_px: tuple[int, int],
        say: Callable[[str], None],
        *,
        control: Control | None = None,
        rooms: Rooms | None = None,
        inbox: PageInbox | None = None,
        place: ListenAddress | None = None,
        port: int = DEFAULT_PORT,
        folder: Path,
    ) -> None:
        need_studio_extra()
        self._control, self._rooms, self._size_px = control, rooms, size_px
        self._place = place or place_at(LOOPBACK)
        self._tokens: dict[Role, str] = {}
        self._entrance: Entrance | None = None
        if control is not None:
            self._entrance = Entrance(lambda: say(f"for another browser: {self.address('studio')}"))
            self._tokens["studio"] = self._entrance.secret
        self._tokens["view"] = lasting_token(folder / "view-token")
        self.fingerprint: str | None = None
        tls: Tls | None = None
        if self._place.beyond:
            from avatar.web.certificates import own_certificate

            tls, self.fingerprint = own_certificate(folder / "tls", self._place.names)
        self._scheme = "https" if tls is not None else "http"
        self._peers = Peers(
            audience, inbox, self._place.addresses, say, wider=self._place.wider_addresses
        )
        self._server = PageServer(
            self._app, self._place.address, port, tls=tls, say=say, at_end=self._peers.close,
            port_option="--port " if control is not None else "--out page:",
        )  # fmt: skip

    def _app(self) -> App:
        port = self._server.port
        rules = Rules(
            self._place.hosts(port), "https" if self._place.beyond else "http", self._tokens, port,
            entrance=self._entrance,
        )  # fmt: skip
        view = {"size": list(self._size_px)}
        return make_app(self._peers, rules, self._control, view, self._rooms)

    def address(self, role: Role) -> str:
        """Return the address, with its token, that opens the studio, once, or the view."""
        path = "/view" if role == "view" else "/"
        where = f"{self._scheme}://{self._place.shown}:{self._server.port}"
        token = self._tokens[role]
        if role == "studio" and self._entrance is not None:
            token = self._entrance.current
        return f"{where}{path}?token={token}"

    def __enter__(self) -> Pages:
        self._server.__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        self._server.__exit__(*why)


@contextmanager
def view_pages(
    sinks: Sequence[PageSink],
    size_px: tuple[int, int],
    say: Callable[[str], None],
    folder: Path,
    place: ListenAddress,
) -> Iterator[Callable[[], None]]:
    """Serve ``/view`` for each of ``sinks``; yield what says where. ``folder``: as of ``Pages``."""
    with ExitStack() as serving:
        served = [
            serving.enter_context(
                Pages(sink.audience, size_px, say, port=sink.port, folder=folder, place=place)
            )
            for sink in sinks
        ]

        def announce() -> None:
            for pages in served:
                say(f"the avatar alone, for OBS and other programs: {pages.address('view')}")
            if place.beyond:
                say(
                    f"anybody who reaches {place.address} and has that address sees the avatar. "
                    "Programs will warn of the certificate, which this machine made itself; its "
                    f"SHA-256 fingerprint: {served[0].fingerprint}"
                )

        yield announce
