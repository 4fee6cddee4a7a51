"""``avatar studio``: the control page in the browser; ``/view`` for programs such as OBS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from avatar.app.studio.runtime import Studio
from avatar.core.errors import AvatarError
from avatar.core.files import write_whole
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.options import Options
from avatar.core.terminal import say
from avatar.sessions.engines import find_engine
from avatar.stages.sinks.page import DEFAULT_PORT, Audience
from avatar.web.leading import leading_page
from avatar.web.listening import ListenAddress, place_at
from avatar.web.pages import Pages
from avatar.web.server import need_studio_extra

__all__ = ["studio"]


def studio(
    config: Options,
    home: Home,
    *,
    given: frozenset[str] = frozenset(),
    port: int = DEFAULT_PORT,
    browser: bool = False,
    start: bool = False,
) -> int:
    """Serve the control page until Ctrl-C; return the exit status.

    ``given``: the options that were given, which are stronger than what was chosen on the page last
    time. ``--listen`` beyond loopback is with TLS, which is arranged. ``browser``: open the page.
    ``start``: begin at once, without the page's button. Raises ``UsageError`` and
    ``MissingDependencyError``.
    """
    find_engine(config.engine).check(config)
    place = place_at(config.listen)
    audience = Audience()
    need_studio_extra()
    runtime = Studio(
        config, audience, home=home, log=say, given=given, is_reached_from_beyond=place.beyond
    )
    ended = threading.Event()
    pages = Pages(
        audience, config.size_px, say,
        control=runtime, rooms=runtime.rooms, inbox=runtime.inbox, place=place, port=port,
        folder=home.studio,
    )  # fmt: skip
    with ended_by_signals(ended.set), pages, ExitStack() as kept:
        _announce(pages, place)
        if browser:
            kept.enter_context(opened(pages.address("studio"), home.studio))
        try:
            if start:
                _start(runtime)
            while not ended.wait(0.5):  # a bounded wait keeps signals answered on every system
                pass
        finally:
            runtime.close()
    return 0


def _start(runtime: Studio) -> None:
    """Start at once; what is in the way can be put right on the page."""
    try:
        runtime.act("start", {})
    except AvatarError as error:
        say(f"not started: {error}. Put that right on the page, and press Start there")


def _announce(pages: Pages, place: ListenAddress) -> None:
    say(f"studio: {pages.address('studio')}")
    say(f"avatar alone, for OBS: {pages.address('view')}")
    if place.beyond:
        say(
            f"anybody who reaches {place.address} and has an address above can see the avatar, "
            "switch cameras and outputs of this machine, and add photographs. Do not share the "
            "addresses. The browser will warn of the certificate, which this machine made itself; "
            f"compare its SHA-256 fingerprint: {pages.fingerprint}"
        )
    say("Ctrl-C ends")


@contextmanager
def opened(address: str, folder: Path) -> Iterator[None]:
    """Open ``address`` in the browser by a file that the user alone can read.

    Other users of this machine can read a browser's command line: the token stands in the file,
    which is there until the end. ``folder``: where it is made.
    """
    import webbrowser

    page = folder / "open.html"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(page, leading_page(address))
        if not webbrowser.open(page.absolute().as_uri()):
            say("no browser could be opened: open the address above yourself")
    except OSError as error:
        say(f"{page}: {error.strerror or error}. Open the address above yourself")
    try:
        yield
    finally:
        with suppress(OSError):
            page.unlink(missing_ok=True)
