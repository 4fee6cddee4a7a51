"""No camera at all: the avatar idles, and a voice may move its mouth."""

from __future__ import annotations

import threading
from typing import Self

from avatar.core.clock import Clock
from avatar.core.frames import CameraFrame

_WAIT_NS = 250_000_000


class AbsentSource:
    """A source that never has a frame and never ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stop = threading.Event()

    @property
    def name(self) -> str:
        """Return what the user is told is being watched."""
        return "no camera"

    def __enter__(self) -> Self:
        self._stop.clear()
        return self

    def __exit__(self, *_: object) -> None:
        """End a wait that is under way."""
        self._stop.set()

    def read(self) -> CameraFrame | None:
        """Wait a quarter of a second; there is never a frame."""
        self._clock.wait_until_ns(self._clock.now_ns() + _WAIT_NS, self._stop)
        return None
