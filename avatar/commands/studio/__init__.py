"""``avatar studio``: the control page in the browser; ``/view`` for programs such as OBS."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from avatar.commands.profiles import default_profiles
from avatar.commands.run import ended_by_signals
from avatar.commands.store import default_store
from avatar.commands.studio.runtime import Studio
from avatar.commands.terminal import say
from avatar.config import LiveConfig
from avatar.sinks.page import Audience
from avatar.sources.page import PageInbox
from avatar.studio.app import make_app
from avatar.studio.control import Control
from avatar.studio.listening import LOOPBACK, Place, place_at
from avatar.studio.peers import Peers
from avatar.studio.security import App, Role, Rules
from avatar.studio.server import DEFAULT_PORT, PageServer, Tls, need_studio_extra
from avatar.studio.tokens import lasting_token, new_token

__all__ = ["Pages", "studio"]


class Pages:
    """The web server with its addresses: the studio with ``control``, else ``/view`` alone.

    ``size_px``: of the pictures, without what is stacked below them. ``folder``: where the lasting
    token and the certificate are kept. A context manager.
    """

    def __init__(
        self,
        audience: Audience,
        size_px: tuple[int, int],
        *,
        control: Control | None = None,
        inbox: PageInbox | None = None,
        place: Place | None = None,
        port: int = DEFAULT_PORT,
        folder: Path | None = None,
    ) -> None:
        need_studio_extra()
        self._control, self._size_px = control, size_px
        self._place = place or place_at(LOOPBACK)
        folder = folder or _own_folder()
        self._tokens: dict[Role, str] = {}
        if control is not None:
            self._tokens["studio"] = new_token()
        self._tokens["view"] = lasting_token(folder / "view-token")
        self.fingerprint: str | None = None
        tls: Tls | None = None
        if self._place.beyond:
            from avatar.studio.certificates import own_certificate

            tls, self.fingerprint = own_certificate(folder / "tls", self._place.names)
        self._scheme = "https" if tls is not None else "http"
        self._peers = Peers(audience, inbox, self._place.addresses, say)
        self._server = PageServer(
            self._app, self._place.address, port, tls=tls, at_end=self._peers.close
        )

    def _app(self) -> App:
        port = self._server.port
        rules = Rules(
            self._place.hosts(port), "https" if self._place.beyond else "http", self._tokens, port
        )
        return make_app(self._peers, rules, self._control, {"size": list(self._size_px)})

    def address(self, role: Role) -> str:
        """Return the address, with its token, that opens the studio or the view."""
        path = "/view" if role == "view" else "/"
        where = f"{self._scheme}://{self._place.shown}:{self._server.port}"
        return f"{where}{path}?token={self._tokens[role]}"

    def __enter__(self) -> Pages:
        self._server.__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        self._server.__exit__(*why)


def _own_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("webcam-avatar") / "studio"


def _films() -> Path:
    from platformdirs import user_videos_path

    return user_videos_path() / "webcam-avatar"


def studio(
    config: LiveConfig,
    *,
    port: int = DEFAULT_PORT,
    listen: str = LOOPBACK,
    browser: bool = False,
    start: bool = False,
) -> int:
    """Serve the control page until Ctrl-C; return the exit status.

    ``listen``: beyond loopback only with TLS, which is arranged. ``browser``: open the page.
    ``start``: begin at once, without the page's button. Raises ``UsageError`` and
    ``MissingDependencyError``.
    """
    place = place_at(listen)
    audience = Audience()
    need_studio_extra()
    runtime = Studio(
        config, audience, store=default_store(), profiles=default_profiles(), films=_films(),
        log=say,
    )  # fmt: skip
    ended = threading.Event()
    with (
        ended_by_signals(ended.set),
        Pages(
            audience, config.size_px, control=runtime, inbox=runtime.inbox, place=place, port=port
        ) as pages,
    ):  # fmt: skip
        _announce(pages, place)
        if browser:
            _open(pages.address("studio"))
        try:
            if start:
                runtime.act("start", {})
            while not ended.wait(0.5):  # a bounded wait keeps signals answered on every system
                pass
        finally:
            runtime.close()
    return 0


def _announce(pages: Pages, place: Place) -> None:
    say(f"studio: {pages.address('studio')}")
    say(f"avatar alone, for OBS: {pages.address('view')}")
    if place.beyond:
        say(
            f"everybody who reaches {place.address} and has an address above can see the avatar, "
            "switch cameras and outputs of this machine, and add photographs. Give the addresses "
            "to nobody else. The browser will warn of the certificate, which this machine made "
            f"itself; compare its SHA-256 fingerprint: {pages.fingerprint}"
        )
    say("Ctrl-C ends")


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        say("no browser could be opened: open the address above in one")
