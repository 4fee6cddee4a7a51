"""Time as an argument: the real clock, and one that tests move by hand."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time in nanoseconds, and waiting on it."""

    def now_ns(self) -> int:
        """Return monotonic nanoseconds; the origin is arbitrary but fixed for the process."""
        ...

    def wait_until_ns(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Wait until ``deadline_ns`` or until ``stop`` is set.

        Returns True when the deadline was reached, False when ``stop`` ended the wait.
        """
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Return ``time.monotonic_ns()``."""
        return time.monotonic_ns()

    def wait_until_ns(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Wait on ``stop`` with a time-out, so that shutting down never waits for a deadline."""
        remaining_ns = deadline_ns - self.now_ns()
        return not stop.wait(max(remaining_ns, 0) / 1e9)


class ManualClock:
    """A clock that moves only by ``advance_ns``, or when something waits on it.

    Waiting moves it to the deadline at once: a test of one thread runs as fast as it can
    and still sees exact timestamps. It is not meant for several waiting threads.
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the time set by hand."""
        return self._now_ns

    def advance_ns(self, delta_ns: int) -> None:
        """Move forward by ``delta_ns`` (not negative)."""
        if delta_ns < 0:
            raise ValueError(f"a clock moves forward only; expected delta_ns >= 0, got {delta_ns}")
        self._now_ns += delta_ns

    def wait_until_ns(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Move to the deadline at once, unless ``stop`` is already set."""
        if stop.is_set():
            return False
        self._now_ns = max(self._now_ns, deadline_ns)
        return True
