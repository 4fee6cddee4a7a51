"""The outputs that the page can start and stop, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from avatar.core.addresses import shown_spec, without_addresses
from avatar.core.errors import AvatarError, SinkUnavailableError, UsageError
from avatar.core.messages import Message, words_of
from avatar.sessions.live import LiveSession
from avatar.stages.sinks import is_stream
from avatar.stages.sinks.checks import ELSEWHERE
from avatar.stages.sinks.streaming.address import parse_address
from avatar.stages.sinks.streaming.network import is_this_machine

OutputId = Literal["virtual", "pipewire", "file", "stream"]
IDS: tuple[OutputId, ...] = ("virtual", "pipewire", "file", "stream")


@dataclass
class _Output:
    """One of the page's outputs. ``sink``: its name in the session while it is on."""

    wanted: bool = False
    address: str = ""
    sink: str | None = None
    problem: str = ""
    detail: str = ""


class Outputs:
    """What is wanted, and what is on. Used from one thread at a time.

    What is wanted before the session runs begins with it. ``films``: the folder for recordings.
    ``is_reached_from_beyond``: pages of other machines ask, which may not have this one send to
    itself.
    """

    def __init__(
        self, films: Path, say: Callable[[str], None], *, is_reached_from_beyond: bool = False
    ) -> None:
        self._films, self._say, self._beyond = films, say, is_reached_from_beyond
        self._outputs: dict[OutputId, _Output] = {name: _Output() for name in IDS}

    @property
    def wanted(self) -> list[str]:
        """Return the outputs that are wanted and can be had again: a stream's key is not kept."""
        return [name for name, one in self._outputs.items() if one.wanted and name != "stream"]

    def want(self, names: Collection[str]) -> None:
        """Want these outputs and no others; while no session runs."""
        self._outputs = {name: _Output(name in names and name != "stream") for name in IDS}

    def describe(self, session: LiveSession | None) -> list[dict[str, Any]]:
        """Return each output with its state: off, waiting, on, lost or failed."""
        open_now = session.outputs if session is not None else {}
        return [
            {"id": name, "state": _state(one, open_now), "detail": one.problem or one.detail}
            for name, one in self._outputs.items()
        ]

    def switch(self, name: str, wanted: bool, address: str, session: LiveSession | None) -> None:
        """Want an output or not, and start or stop it when a session runs.

        Raises ``AvatarError``, which also stands beside the output from then on.
        """
        known = next((one for one in IDS if one == name), None)
        if known is None:
            raise UsageError(f"expected one of {', '.join(IDS)}, found {name!r}")
        output = self._outputs[known]
        if known == "stream" and wanted:
            self._point(output, address or output.address, session)
        output.wanted, output.problem = wanted, ""
        if session is None:
            return
        if wanted:
            self._begin(known, output, session)
        else:
            self._end(output, session)

    def _point(self, output: _Output, address: str, session: LiveSession | None) -> None:
        """Take a stream's address once it was checked; one that is refused forgets the last one.

        A stream that runs goes on where it goes, which is what the page shows of it.
        """
        try:
            checked = _checked_address(address, self._beyond)
        except AvatarError as error:
            output.address = ""
            if output.sink is None:
                output.wanted, output.problem = False, _for_the_page(words_of(error))
            raise
        if output.sink is not None and session is not None and checked != output.address:
            self._end(output, session)
        output.address = checked

    def begin_all(self, session: LiveSession) -> None:
        """Start everything that is wanted; what fails says so and stays off."""
        for name, output in self._outputs.items():
            if output.wanted:
                try:
                    self._begin(name, output, session)
                except AvatarError as error:
                    self._say(
                        Message(
                            "said.outputFailed",
                            "{output}: {why}",
                            output=name, why=words_of(error),
                        )
                    )  # fmt: skip

    def ended(self) -> None:
        """Wait for the next session with what was on: this one is over."""
        for output in self._outputs.values():
            output.sink, output.detail = None, ""

    def states(self, session: LiveSession | None) -> tuple[str, ...]:
        """Return the state of each output, in the order of ``describe``."""
        return tuple(one["state"] for one in self.describe(session))

    def _begin(self, name: OutputId, output: _Output, session: LiveSession) -> None:
        if output.sink is not None:
            return
        try:
            spec, output.detail = self._spec(name, output)
            output.sink = session.attach(spec)
        except AvatarError as error:
            words = _for_the_page(words_of(error))
            output.wanted, output.problem, output.detail = False, words, ""
            raise SinkUnavailableError(words) from error

    def _end(self, output: _Output, session: LiveSession) -> None:
        sink, output.sink, output.detail = output.sink, None, ""
        if sink is not None:
            session.detach(sink)

    def _spec(self, name: OutputId, output: _Output) -> tuple[str, str]:
        """Return what ``--out`` would say, and what the page shows of it: of a stream the host."""
        if name == "file":
            try:
                self._films.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SinkUnavailableError(
                    Message(
                        "error.filmsFolder",
                        "the folder {folder} cannot be made: {why}. Check what stands there, and "
                        "its permissions.",
                        folder=str(self._films), why=error.strerror or str(error),
                    )
                ) from error  # fmt: skip
            path = self._films / f"avatar {datetime.now():%Y-%m-%d %H.%M.%S}.mp4"
            return f"file:{path}", _from_home(path)
        if name == "stream":
            return output.address, shown_spec(output.address)
        return name, ""


def _state(output: _Output, open_now: dict[str, bool]) -> str:
    if output.problem:
        return "failed"
    if output.sink is None:
        return "waiting" if output.wanted else "off"
    if output.sink not in open_now:
        return "off"
    return "on" if open_now[output.sink] else "lost"


def _checked_address(address: str, beyond: bool) -> str:
    """Return a stream's address; a page may not name files or devices of this machine.

    ``beyond``: nor, from another machine, have it ask its own servers by HTTP.
    """
    address = address.strip()
    if not is_stream(address):
        raise UsageError(
            Message(
                "error.streamAddress",
                "expected the address of a stream: rtmp://HOST/APP/KEY, rtmps://…, udp://HOST:PORT "
                "or {whip}",
                whip="whip:https://…",
            )
        )
    kind, _, place = address.partition(":")
    parsed = parse_address(kind, place)
    if beyond and kind == "whip" and is_this_machine(parsed.host):
        raise UsageError(
            Message(
                "error.streamOwnMachine",
                "a page that other machines reach may not have this one ask its own servers: name "
                "another host, or start the studio without --listen",
            )
        )
    return address


def _from_home(path: Path) -> str:
    """Return ``path`` as people know it, ~ for their own folder."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)


def _for_the_page(words: str) -> str:
    """Return an error's words without a stream's key, and without what the command line would do.

    The address is in nobody's logs: it stands in no message either.
    """
    clean = without_addresses(words.removesuffix(ELSEWHERE).strip())
    return words if clean == words else clean  # a Message with nothing to hide stays one
