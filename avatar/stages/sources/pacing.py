"""When the next frame is due, and how frames are counted: shared by every source."""

from __future__ import annotations

import threading

from avatar.core.clock import Clock
from avatar.core.errors import SourceError
from avatar.core.frames import CameraFrame, UInt8Image

READ_LIMIT_NS = 250_000_000
"""How long one ``read()`` may wait before it returns None."""


class FixedRate:
    """Ticks of a camera: tick n is due n periods after the start; ticks that passed are skipped."""

    def __init__(self, fps: float, clock: Clock) -> None:
        if not fps > 0:
            raise ValueError(f"fps: expected more than 0, got {fps}")
        self._period_ns = 1e9 / fps
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Let tick 0 be due now."""
        self._start_ns = self._clock.now_ns()
        self._next = 0

    def wait(self, stop: threading.Event) -> tuple[int, int] | None:
        """Return (tick, moment it was due in ns), waiting for it; None after ``READ_LIMIT_NS``.

        When the caller is late, the newest tick that is due wins and older ones are gone.
        """
        now_ns = self._clock.now_ns()
        tick = max(self._next, int((now_ns - self._start_ns) / self._period_ns))
        due_ns = self._start_ns + round(tick * self._period_ns)
        if not wait_for(self._clock, due_ns, stop):
            return None
        self._next = tick + 1
        return tick, due_ns


def wait_for(clock: Clock, due_ns: int, stop: threading.Event) -> bool:
    """Wait until ``due_ns``, at most ``READ_LIMIT_NS``; return whether it was reached."""
    limit_ns = clock.now_ns() + READ_LIMIT_NS
    reached = clock.wait_until_ns(min(due_ns, limit_ns), stop)
    return reached and due_ns <= limit_ns


class FrameCounter:
    """Numbers frames from 0 and keeps their timestamps strictly rising, over re-entries too."""

    def __init__(self) -> None:
        self._index = -1
        self._timestamp_ns: int | None = None

    def frame(self, image: UInt8Image, timestamp_ns: int) -> CameraFrame:
        """Return the next frame; a timestamp that does not rise is lifted by the least amount."""
        if self._timestamp_ns is not None:
            timestamp_ns = max(timestamp_ns, self._timestamp_ns + 1)
        self._timestamp_ns = timestamp_ns
        self._index += 1
        return CameraFrame(image, timestamp_ns, self._index)


def not_open(name: str) -> SourceError:
    """Return the error for reading a source outside its ``with`` block."""
    return SourceError(f"{name}: expected an open source, found a closed one; read inside 'with'.")
