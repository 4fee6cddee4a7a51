"""Expressions and templates in a running session: by key, by name, from a file, and refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.frames import BLENDSHAPE_INDEX, GeneratedFrame, Motion
from avatar.core.home import Home
from avatar.core.options import PUBLISHED, Options
from avatar.core.stages import Generator
from avatar.sessions.acting import EXPRESSION_KEYS, HOLD_KEY, PLAY_KEY, LiveActing, described_acting
from avatar.sessions.hotkeys import ACTIONS
from avatar.sessions.live import LiveHandle, LiveSession
from avatar.stages.motion.keyed import KEYED
from avatar.stages.sinks.preview import key_name

PATIENCE_S = 30.0


class Watched:
    """A generator that keeps the motions it draws, and tells who waits for one."""

    def __init__(self, inner: Generator) -> None:
        self._inner = inner
        self._drawn = threading.Condition()
        self._last: Motion | None = None

    def __enter__(self) -> Watched:
        self._inner.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._inner.__exit__(*raised)

    @property
    def size_px(self) -> tuple[int, int]:
        return self._inner.size_px

    def generate(self, motion: Motion) -> GeneratedFrame:
        with self._drawn:
            self._last = motion
            self._drawn.notify_all()
        return self._inner.generate(motion)

    def wait_for(self, is_wanted: Callable[[Motion], bool]) -> bool:
        with self._drawn:
            return self._drawn.wait_for(
                lambda: self._last is not None and is_wanted(self._last), PATIENCE_S
            )


def smiles(motion: Motion) -> bool:
    return bool(motion.blendshapes[BLENDSHAPE_INDEX["cheekSquintLeft"]] > 0.35)


def test_keys_and_calls_move_the_avatar_of_a_running_session(home: Home) -> None:
    lines: list[str] = []
    watched: list[Watched] = []

    def watch(generator: Generator) -> Generator:
        watched.append(Watched(generator))
        return watched[0]

    config = Options(camera="demo", out=("none",), size="320x240")
    session = LiveSession(config, lines.append, home=home, wrap_generator=watch)
    with LiveHandle(session):
        (shown,) = watched
        session.express("smile", held=True)
        assert shown.wait_for(smiles)
        session.express("smile", held=False)
        assert shown.wait_for(lambda motion: not smiles(motion))
        session.press("s")
        assert shown.wait_for(smiles)
        session.press(PLAY_KEY)
        assert shown.wait_for(lambda motion: motion.track is None or motion.track.camera is None)
        session.play(None)
        assert shown.wait_for(
            lambda motion: motion.track is not None and motion.track.camera is not None
        )
        with pytest.raises(UsageError, match="Did you mean `nod`"):
            session.play("nood")
        with pytest.raises(UsageError, match="Did you mean `sleepy`"):
            session.express("sleep")


def test_a_template_at_the_start_is_looked_for_before_anything_opens(home: Home) -> None:
    with pytest.raises(UsageError, match="expected a template or its file, found none"):
        LiveSession(Options(camera="demo", out=("none",), play="nowhere"), print, home=home)
    with pytest.raises(UsageError, match=r"expected a motion template at gone\.npz"):
        LiveSession(Options(camera="demo", out=("none",), play="gone.npz"), print, home=home)


@pytest.mark.parametrize("engine", PUBLISHED)
def test_networks_that_see_the_driver_say_why_they_do_not(home: Home, engine: str) -> None:
    lines: list[str] = []
    acting = LiveActing(home, lambda: engine, lines.append, None)
    with pytest.raises(UsageError, match=f"{engine} looks at your own picture.*--engine portrait"):
        acting.express("smile")
    acting.keys["s"]()
    assert engine in lines[0]
    assert not described_acting(Options(engine=engine), home)["usable"]


def test_each_expression_has_a_key_in_the_preview_and_a_hotkey() -> None:
    assert list(EXPRESSION_KEYS) == list(KEYED)
    keys = [*EXPRESSION_KEYS.values(), HOLD_KEY, PLAY_KEY]
    assert len(set(ACTIONS.values())) == len(ACTIONS), "no key means two things"
    for key in keys:
        assert key in ACTIONS.values()
        assert key_name(ord(key)) == key


def test_what_a_page_can_ask_for(home: Home) -> None:
    told = described_acting(Options(), home)
    assert told["usable"] and "wave" in told["templates"] and "wink" in told["expressions"]
    assert np.all([isinstance(name, str) for name in told["templates"]])
