"""Expressions and templates that keys, pages and programs ask for while an avatar runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.core.home import Home
from avatar.core.messages import Message, words_of
from avatar.core.options import Options
from avatar.core.stages import Retargeter
from avatar.sessions.choreographies import ChoreographyStore
from avatar.sessions.engines import find_engine
from avatar.sessions.template import builtin_shape, open_template
from avatar.stages.motion.acting import ActedRetargeter, Acting, Play
from avatar.stages.motion.plays import ChoreographyPlay, RecordedPlay

EXPRESSION_KEYS = {
    "smile": "s", "surprise": "u", "wink": "w", "laugh": "a",
    "shy": "y", "sad": "e", "angry": "g", "sleepy": "z",
}  # fmt: skip
"""The preview's key of each expression."""
HOLD_KEY, PLAY_KEY = "h", "v"
_USUAL = "wave"


def described_acting(config: Options, home: Home) -> dict[str, Any]:
    """Return what can be asked for, ready for JSON: names, and whether the engine can show it."""
    return {
        "expressions": list(EXPRESSION_KEYS),
        "templates": ChoreographyStore(home).names(),
        "usable": not find_engine(config.engine).sees_driver,
    }


class LiveActing:
    """What a live session shows over its driver.

    ``engine``: asked for the name of the engine that draws at present. ``usual``: what the key
    plays: a template's name, or a motion template; it is looked for at once. Raises ``UsageError``
    where that is not there.
    """

    def __init__(
        self, home: Home, engine: Callable[[], str], say: Callable[[str], None], usual: str | None
    ) -> None:
        self._store, self._engine, self._say = ChoreographyStore(home), engine, say
        self._home = home
        self._acting = Acting()
        self._usual = usual or _USUAL
        if usual is not None:
            self.play(usual)
        self.keys: dict[str, Callable[[], object]] = {
            **{key: self._shows(name) for name, key in EXPRESSION_KEYS.items()},
            HOLD_KEY: self._acting.hold,
            PLAY_KEY: self._said(self._play_or_stop),
        }

    def express(self, name: str, held: bool | None = None) -> None:
        """Show an expression; see ``Acting.express``. Raises ``UsageError``."""
        self._check()
        self._acting.express(name, held)

    def play(self, template: str | None) -> None:
        """Play a template once, a name or a motion template's path; None: hand back now.

        Raises ``UsageError``.
        """
        if template is None:
            self._acting.stop_playing()
            return
        self._check()
        self._acting.play(self._found(template))

    def over(self, retargeter: Retargeter, shape: Float32) -> Retargeter:
        """Return ``retargeter`` with what is asked for over it; ``shape``: the avatar's own."""
        return ActedRetargeter(retargeter, self._acting, shape)

    def _found(self, template: str) -> Play:
        recorded = open_template(Path(template), self._engine(), self._shape)
        if recorded is not None:
            return RecordedPlay(recorded)
        return ChoreographyPlay(self._store.load(template))

    def _shape(self) -> Float32:
        return builtin_shape(None, self._home)

    def _check(self) -> None:
        engine = self._engine()
        if find_engine(engine).sees_driver:
            raise UsageError(
                Message(
                    "error.actingEngine",
                    "expressions and templates in a call need an engine that draws from landmarks: "
                    "{engine} looks at your own picture. Take --engine portrait or neural",
                    engine=engine,
                )
            )

    def _play_or_stop(self) -> None:
        self.play(None if self._acting.is_playing else self._usual)

    def _shows(self, name: str) -> Callable[[], object]:
        return self._said(lambda: self.express(name))

    def _said(self, act: Callable[[], None]) -> Callable[[], object]:
        """Return ``act`` for a key, which has nobody to raise to."""

        def pressed() -> None:
            try:
                act()
            except UsageError as error:
                self._say(words_of(error))

        return pressed
