"""When the pieces of a film's sound are due: falls back, jumps and damaged times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from avatar.core.frames import Float32

# Times that fall back by more, or jump ahead by more, are those of another recording in the file.
BACK_S, AHEAD_S = Fraction(1, 4), Fraction(10)


def without_wild_times(
    pieces: Iterable[tuple[Fraction | None, Float32]],
) -> Iterator[tuple[Fraction | None, Float32]]:
    """Yield pieces and when they are due; one that is due after the next one is due at once.

    Such a time is damaged: waiting for it, all that follows would be silent.
    """
    before: tuple[Fraction | None, Float32] | None = None
    for piece in pieces:
        if before is not None:
            due_s, next_s = before[0], piece[0]
            wild = due_s is not None and next_s is not None and due_s > next_s + BACK_S
            yield (None, before[1]) if wild else before
        before = piece
    if before is not None:
        yield before


class FilmTimes:
    """The times of one stream, without the places where they fall back or jump.

    ``shifts_s``: by how much later the pictures of each part of the film are shown than their
    times say; one part where the times only rise.
    """

    def __init__(self, shifts_s: Sequence[Fraction]) -> None:
        self._shifts_s = shifts_s or (Fraction(0),)
        self._part = 0
        self._last_s: Fraction | None = None

    def shown(self, time_s: Fraction) -> Fraction:
        """Return when the next unit, in the stream's order, is due."""
        if self._last_s is not None:
            apart_s = time_s - self._last_s
            jumps = apart_s < -BACK_S or apart_s > AHEAD_S
            if jumps and self._part + 1 < len(self._shifts_s):
                self._part += 1
        self._last_s = time_s
        return time_s + self._shifts_s[self._part]
