"""Where the times of a film fall back or jump: another recording begins there.

Joined broadcasts (`cat a.ts b.ts`) begin again at their own start; cameras whose clock is set jump.
What follows is shown right after what came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

# A fall back by less is a camera's jitter; a longer wait between two pictures is seldom meant.
BACK_S, AHEAD_S = Fraction(1, 4), Fraction(10)
_LONGEST_GAP_S = Fraction(1)


class PartFinder:
    """Is told the times of pictures and of sound in the order of the file, in seconds."""

    def __init__(self) -> None:
        self._last_s: Fraction | None = None
        self._sound_from_s: Fraction | None = None
        self._sound_to_s: Fraction | None = None

    def hear(self, time_s: Fraction) -> None:
        """Take the time of a piece of sound."""
        apart_s = Fraction(0) if self._sound_to_s is None else time_s - self._sound_to_s
        if self._sound_from_s is None or not -BACK_S <= apart_s <= AHEAD_S:
            self._sound_from_s = time_s
        self._sound_to_s = time_s

    def begins_part(self, time_s: Fraction) -> bool:
        """Take the time of the next picture; return whether another part begins with it."""
        last_s, self._last_s = self._last_s, time_s
        if last_s is None:
            return False
        if time_s - last_s > AHEAD_S:
            return not self._sound_goes_on(last_s, time_s)
        return time_s - last_s < -BACK_S

    def _sound_goes_on(self, from_s: Fraction, to_s: Fraction) -> bool:
        """Return whether sound fills the time: then the pictures stand still on purpose."""
        if self._sound_from_s is None or self._sound_to_s is None:
            return False
        return self._sound_from_s <= from_s + AHEAD_S and self._sound_to_s >= to_s - AHEAD_S


def join(parts: Sequence[Sequence[Fraction]], frame_s: Fraction) -> tuple[Fraction, ...]:
    """Return by how much later each part is shown, so that it follows the one before.

    ``parts``: the times of the pictures of each, rising, in seconds; none is empty. ``frame_s``:
    the time between two pictures where a part has one alone.
    """
    shifts: list[Fraction] = []
    next_s: Fraction | None = None
    for times in parts:
        shift_s = Fraction(0) if next_s is None else next_s - times[0]
        shifts.append(shift_s)
        gap_s = times[-1] - times[-2] if len(times) > 1 else frame_s
        next_s = times[-1] + shift_s + min(gap_s or frame_s, _LONGEST_GAP_S)
    return tuple(shifts)
