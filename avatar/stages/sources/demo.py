"""The built-in driver: a drawn person performs, so that everything runs without a camera.

The performance is a pure function of time; see ``illustration.py`` for how it is drawn.
"""

from __future__ import annotations

import math
import threading
from typing import Self

from avatar.core.clock import Clock
from avatar.core.curves import eased
from avatar.core.frames import CameraFrame
from avatar.stages.sources.illustration import Illustrator, Performance
from avatar.stages.sources.pacing import FixedRate, FrameCounter, not_open

LOOP_S = 12.0
"""The performance repeats after this many seconds, without a seam."""

_BLINKS_S = (1.15, 3.75, 6.1, 8.2, 10.9)
_SPEECH_S = ((1.5, 3.6), (8.5, 10.4))


def _bump(t_s: float, start_s: float, end_s: float, ramp_s: float) -> float:
    """Return 1 between start and end and 0 outside, with smooth ramps inside the interval."""
    u = min((t_s - start_s) / ramp_s, (end_s - t_s) / ramp_s, 1.0)
    return eased(u) if u > 0 else 0.0


def _speech(t_s: float) -> tuple[float, float]:
    """Return (jaw opening, pucker): syllables at about 4 Hz with a slower phrase over them."""
    talking = sum(_bump(t_s, start, end, 0.25) for start, end in _SPEECH_S)
    syllable = 0.5 - 0.5 * math.cos(2 * math.pi * 3.1 * t_s)
    phrase = 0.62 + 0.38 * math.sin(2 * math.pi * 0.9 * t_s + 0.6)
    pucker = 0.5 + 0.5 * math.sin(2 * math.pi * 1.3 * t_s)
    return talking * syllable * phrase, 0.7 * talking * pucker


def performance(t_s: float) -> Performance:
    """Return what the drawn person does ``t_s`` seconds after the start.

    Pure and periodic in ``LOOP_S``; neutral during the first second of each turn.
    """
    t = t_s % LOOP_S
    jaw, pucker = _speech(t)
    alive = _bump(t, 1.0, LOOP_S, 0.6)
    speaking = sum(_bump(t, start, end, 0.4) for start, end in _SPEECH_S)
    return Performance(
        jaw_open=jaw,
        smile=_bump(t, 3.6, 5.3, 0.4) + 0.85 * _bump(t, 10.3, 11.8, 0.4),
        blink=max(_bump(t, at, at + 0.3, 0.12) for at in _BLINKS_S),
        brow_raise=0.5 * _bump(t, 2.2, 3.0, 0.3) + 0.9 * _bump(t, 9.1, 10.0, 0.3),
        pucker=pucker,
        gaze_x=0.9 * _bump(t, 4.9, 5.6, 0.12) - 0.9 * _bump(t, 6.5, 7.3, 0.12),
        gaze_y=0.6 * _bump(t, 7.7, 8.2, 0.12) - 0.4 * _bump(t, 9.2, 9.8, 0.15),
        yaw_deg=19 * _bump(t, 5.0, 6.6, 0.6)
        - 19 * _bump(t, 6.4, 8.0, 0.6)
        + alive * 2.5 * math.sin(2 * math.pi * 0.5 * t),
        pitch_deg=alive * 1.5 * math.sin(2 * math.pi * 0.75 * t)
        + speaking * 3.0 * math.sin(2 * math.pi * 1.5 * t)
        + 12 * _bump(t, 8.9, 10.2, 0.45)
        - 12 * _bump(t, 7.3, 8.7, 0.45),
        roll_deg=9 * _bump(t, 3.8, 5.2, 0.5)
        - 8 * _bump(t, 9.0, 10.6, 0.5)
        + alive * 1.2 * math.sin(2 * math.pi * 0.42 * t),
    )


class DemoSource:
    """The performance as a camera would show it: paced on the clock, never ending.

    ``size_px``: (width, height) of the pictures. Each picture is its receiver's own. A consumer
    that is slow misses frames, as with a camera.
    """

    def __init__(self, size_px: tuple[int, int], fps: float, clock: Clock) -> None:
        if min(size_px) < 64:
            raise ValueError(f"DemoSource.size_px: expected at least 64×64, got {size_px}")
        self._size_px = size_px
        self._fps = fps
        self._rate = FixedRate(fps, clock)
        self._counter = FrameCounter()
        self._stop = threading.Event()
        self._illustrator: Illustrator | None = None

    @property
    def name(self) -> str:
        """Return what the user is told is being watched."""
        return "demo"

    def __enter__(self) -> Self:
        """Paint the layers that never change; the performance starts from its beginning."""
        self._illustrator = Illustrator(self._size_px)
        self._stop.clear()
        self._rate.restart()
        return self

    def __exit__(self, *_: object) -> None:
        """Forget the painted layers."""
        self._stop.set()
        self._illustrator = None

    def read(self) -> CameraFrame | None:
        """Return the frame that is due, drawn for its moment; see ``FrameSource.read``."""
        if self._illustrator is None:
            raise not_open(self.name)
        due = self._rate.wait(self._stop)
        if due is None:
            return None
        tick, due_ns = due
        return self._counter.frame(self._illustrator.draw(performance(tick / self._fps)), due_ns)
