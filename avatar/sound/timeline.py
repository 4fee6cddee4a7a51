"""When a sample was heard or will be: a device's sample count against the clock."""

from __future__ import annotations

# A block counts as this share once it has settled: two seconds of blocks.
_SHARE = 0.0025
# A block that is off by so much is no tremble: the device paused, or lost sound.
_BREAK_S = 0.25
_BREAK_BLOCKS = 20


class Timeline:
    """Maps the index of a sample to monotonic seconds, and back.

    Devices tell the time of each block, but only as exactly as they wake up (± 10 ms with a sound
    server); their sample clock is steady. The average of what all blocks say is exact to under a
    millisecond, and follows a clock that drifts. ``share``: how much a block counts once settled;
    more for times that are averages already.
    """

    def __init__(self, rate_hz: float, share: float = _SHARE) -> None:
        self._rate_hz, self._share = rate_hz, share
        self._blocks = 0
        self._origin_s = 0.0
        self._breaks = 0

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
        self._origin_s += off_s * max(self._share, 1 / self._blocks)

    def time_s(self, index: float) -> float:
        """Return the time of sample ``index``."""
        return self._origin_s + index / self._rate_hz

    def index(self, time_s: float) -> float:
        """Return the sample, with a fraction, at ``time_s``."""
        return (time_s - self._origin_s) * self._rate_hz
