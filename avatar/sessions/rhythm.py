"""When to draw: with every tracked face, and between two of them where the camera is slower."""

from __future__ import annotations

from collections import deque
from statistics import median

STALL_NS = 150_000_000
"""Without a camera frame for this long the avatar moves by itself: two frames at 15 a second."""

_STEPS = 9
# Slower than this is no pace.
_SLOWEST_NS = 400_000_000
# A picture so shortly before the next tracked one, in the output's intervals, is not worth drawing.
_LEAST_GAP = 0.75


class Rhythm:
    """Tells the drawing thread until when to wait for the next tracked face.

    ``interval_ns``: the time between two pictures of the output. Between two tracked faces a
    picture is due after each interval, as long as it is ready before the next face is expected,
    for which the faces' own times tell the camera's pace: no tracked face waits for a predicted
    one. ``between``: False draws none between. Used by one thread, ``between`` by any.
    """

    def __init__(self, interval_ns: int, *, between: bool = True) -> None:
        self._interval_ns, self.between = interval_ns, between
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        """Begin to wait for the first face."""
        self._steps_ns: deque[int] = deque(maxlen=_STEPS)
        self._captured_ns: int | None = None
        self._came_ns = self._drawn_ns = now_ns
        self._took_ns = 0
        self._is_stalled = False

    def due_ns(self) -> int:
        """Return when a picture has to be drawn if no face comes before, clock's nanoseconds."""
        if self._is_stalled:
            return self._drawn_ns + self._interval_ns
        stall_ns = self._came_ns + STALL_NS
        next_ns = self._drawn_ns + self._interval_ns
        return next_ns if self._fits(next_ns) else stall_ns

    def _fits(self, next_ns: int) -> bool:
        """Return whether a picture that is begun at ``next_ns`` is one between two faces."""
        if not self.between or len(self._steps_ns) < _STEPS:
            return False
        expected_ns = self._came_ns + median(self._steps_ns)
        gap_ns = max(_LEAST_GAP * self._interval_ns, self._took_ns)
        return next_ns + gap_ns <= min(expected_ns, self._came_ns + STALL_NS)

    def came(self, captured_ns: int, now_ns: int) -> None:
        """Take note of a face that came at ``now_ns`` and was captured at ``captured_ns``."""
        if self._captured_ns is not None and 0 < captured_ns - self._captured_ns < _SLOWEST_NS:
            self._steps_ns.append(captured_ns - self._captured_ns)
        self._captured_ns, self._came_ns, self._drawn_ns = captured_ns, now_ns, now_ns
        self._is_stalled = False

    def waited(self, now_ns: int) -> int | None:
        """Take note that no face came until ``now_ns``, when a picture was due.

        Returns the moment it stands for in the camera's time, where it is one between two faces;
        None where the camera does not come any more.
        """
        self._drawn_ns = now_ns
        self._is_stalled = self._is_stalled or now_ns - self._came_ns >= STALL_NS
        if self._is_stalled or self._captured_ns is None:
            return None
        return self._captured_ns + now_ns - self._came_ns

    def drew(self, now_ns: int) -> None:
        """Take note that the picture begun last was ready at ``now_ns``."""
        self._took_ns = now_ns - self._drawn_ns
