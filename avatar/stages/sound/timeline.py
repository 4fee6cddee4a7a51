"""When a sample was heard or will be: a device's sample count against the clock."""

from __future__ import annotations

from collections import deque
from statistics import median

# A block counts as this share once it has settled: two seconds of blocks.
_SHARE = 0.0025
# A block that is off by so much is no tremble: the device paused, or lost sound.
_BREAK_S = 0.25
_BREAK_BLOCKS = 20
# Lost sound moves all that comes after it: where most of the newest blocks are so far away from the
# average, the newer half of them is believed at once. Looked at now and then.
_STEP_S, _NEWEST, _LOOKS_EVERY = 0.008, 40, 10


class Timeline:
    """Maps the index of a sample to monotonic seconds, and back.

    Devices tell the time of each block, but only as exactly as they wake up (± 10 ms with a sound
    server); their sample clock is steady. The average of what all blocks say is exact to under a
    millisecond, and follows a clock that drifts.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._blocks = 0
        self._origin_s = 0.0
        self._breaks = 0
        self._newest: deque[float] = deque(maxlen=_NEWEST)

    @property
    def known(self) -> bool:
        """Return whether anything has been heard of the device."""
        return self._blocks > 0

    def add(self, index: int, time_s: float) -> None:
        """Learn that sample ``index`` has the time ``time_s``."""
        off_s = time_s - index / self._rate_hz - self._origin_s
        self._breaks = self._breaks + 1 if self._blocks and abs(off_s) > _BREAK_S else 0
        if self._breaks >= _BREAK_BLOCKS:
            self._blocks = self._breaks = 0
        if self._breaks:
            return
        self._blocks += 1
        self._origin_s += off_s * max(_SHARE, 1 / self._blocks)
        self._newest.append(time_s - index / self._rate_hz)
        if self._blocks % _LOOKS_EVERY == 0 and len(self._newest) == _NEWEST:
            self._follow_step()

    def _follow_step(self) -> None:
        """Take over a step that the slow average would follow in seconds only."""
        if abs(median(self._newest) - self._origin_s) > _STEP_S:
            newer = list(self._newest)[_NEWEST // 2 :]
            self._origin_s = sum(newer) / len(newer)

    def time_s(self, index: float) -> float:
        """Return the time of sample ``index``."""
        return self._origin_s + index / self._rate_hz

    def index(self, time_s: float) -> float:
        """Return the sample, with a fraction, at ``time_s``."""
        return (time_s - self._origin_s) * self._rate_hz
