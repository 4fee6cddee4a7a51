"""What an engine says of itself, and what is checked before it draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from avatar.core.arrays import Shapes
from avatar.core.choices import Framing, TrackerName
from avatar.core.errors import UsageError
from avatar.core.frames import NetworkMotion, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.messages import Message, option_label
from avatar.core.option import Option
from avatar.core.options import PORTRAIT, Options, declared, default_of, flag_of, used_by
from avatar.core.stages import Generator
from avatar.sessions.avatars import AvatarPhoto, FaceChoice, open_avatar
from avatar.stages.generate.deck import ViewedGenerator
from engines.backends import Precision

Say = Callable[[str], None]


class OpenEngine(ABC):
    """An engine with its options: opens photographs, and makes their generators.

    ``frame_s``: what a frame takes, where that is too long for a live picture. ``runs_on``: the
    backend and precision of its networks, None where it has none. ``home``: whose avatars it opens.
    ``tracker``: what finds the faces in them.
    """

    frame_s: float | None = None
    runs_on: tuple[str, Precision] | None = None
    tracker: TrackerName = "auto"

    def __init__(self, engine: Engine, home: Home) -> None:
        self._engine, self._home = engine, home

    def open_avatar(
        self, avatar: str | Path | UInt8Image, face_model: Path, say: Say, number: FaceChoice = 1
    ) -> AvatarPhoto:
        """Return the photograph with its face; see ``avatar.sessions.avatars.open_avatar``."""
        return open_avatar(avatar, face_model, self._home, say, number=number, tracker=self.tracker)

    def make(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> ViewedGenerator:
        """Return the generator of all that is to move in ``avatar``.

        ``size_px``: (width, height) of its pictures; None is the framing's own. Raises
        ``UsageError`` for what the engine does not animate, ``PhotoError`` and ``EngineError``.
        """
        self._engine.check_avatar(avatar)
        return self._make(avatar, framing, size_px)

    @abstractmethod
    def _make(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> ViewedGenerator: ...

    def seen(self, generator: Generator) -> NetworkMotion | None:
        """Return what ``generator``, one of its own, saw of the driver for its last picture."""
        return None

    @property
    def slowness(self) -> str | None:
        """Return what to say before a live picture; None where the engine is fast enough."""
        if self.frame_s is None:
            return None
        return (
            f"{self._engine.name} on a CPU takes about {self.frame_s:g} s a frame (measured with "
            f"OpenVINO on two idle cores): expect {1 / self.frame_s:.1f} fps at most, and less "
            "where the cores have other work. For a call it needs an NVIDIA card; `avatar "
            f"animate` takes its time, and --engine {PORTRAIT} is fast here"
        )


class Engine(ABC):
    """A way to draw an avatar, by its name; which options it uses is said in ``core.options``.

    ``help``: what it does, or needs, in a few words. ``several``: whether it animates all faces of
    a photograph, and several photographs of a person. ``sees_driver``: whether its networks look
    at the driver's own picture, past the retargeter. ``teaches``: whether a small network may
    learn from it. ``extra``: what has to be installed with the program. ``reasons``: why it does
    not use an option, by the option's name, in words that follow the engine's name.
    """

    name: str
    help: str
    several: bool = False
    sees_driver: bool = False
    teaches: bool = False
    extra: str = ""

    @property
    def reasons(self) -> Mapping[str, str]:
        """See the class."""
        return {}

    @property
    def slow_s(self) -> float | None:
        """Return the seconds that a frame takes on a usual CPU; None where it is fast there."""
        return None

    @property
    def seen_shapes(self) -> Shapes | None:
        """Return what a motion template for it holds of a frame; None where none can move it."""
        return None

    @property
    def alpha(self) -> bool:
        """Return whether its people can be cut out of their background."""
        return self.uses("background")

    @property
    def by_voice(self) -> bool:
        """Return whether a voice can move its mouth."""
        return self.uses("drive")

    def uses(self, option: str) -> bool:
        """Return whether it uses the option of this name."""
        return used_by(option, self.name)

    def check(self, options: Options) -> None:
        """Raise ``UsageError`` when an option was given that the engine would not use."""
        for name, option in declared().items():
            value = getattr(options, name)
            if not self.uses(name) and value != default_of(name):
                raise UsageError(self._refusal(name, option, value))

    def _refusal(self, name: str, option: Option, value: Any) -> str:
        engines = " or ".join(option.engines)
        why = self.reasons.get(name)
        reason = Message("error.because", ", which {why}", why=why) if why else ""
        return Message(
            "error.optionUnused",
            "{flag} is for --engine {engines}; found {value} with --engine {engine}{reason}. Leave "
            "it out, or take --engine {engines}",
            flag=option_label(name, flag_of(name)), engines=engines, value=_words(value),
            engine=self.name, reason=reason,
        )  # fmt: skip

    def check_avatar(self, avatar: AvatarPhoto) -> None:
        """Raise ``UsageError`` for more faces or photographs than the engine animates."""
        if self.several:
            return
        if avatar.others:
            raise UsageError(
                f"--engine {self.name} animates one face; found --face all with "
                f"{1 + len(avatar.others)} faces. Choose one, --face N, or take --engine "
                f"{PORTRAIT}"
            )
        if avatar.more:
            raise UsageError(
                f"--engine {self.name} animates one photograph; found {1 + len(avatar.more)} of "
                f"{avatar.name}. Give one of them, or take --engine {PORTRAIT}"
            )

    def open(self, options: Options, say: Say, home: Home, machine: Machine) -> OpenEngine:
        """Return the engine with ``options``; networks are opened when a generator is entered.

        ``say`` is told what was chosen, and why. ``home``: whose avatars, networks and caches.
        ``machine``: with which sessions open networks are shared. Raises ``UsageError`` for options
        that it does not use, ``EngineError`` for networks that are not installed or that nothing
        can run.
        """
        self.check(options)
        opened = self._open(options, say, home, machine)
        opened.tracker = options.tracker
        return opened

    @abstractmethod
    def _open(self, options: Options, say: Say, home: Home, machine: Machine) -> OpenEngine: ...


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "it"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
