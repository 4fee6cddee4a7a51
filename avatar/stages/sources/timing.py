"""At which constant rate a film's frames can be written again, told from its own timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

# What cameras and editors use; a measured rate this near to one of them is meant to be it.
_USUAL = tuple(
    Fraction(rate)
    for rate in ("10", "12", "15", "20", "24000/1001", "24", "25", "30000/1001", "30", "48", "50",
                 "60000/1001", "60", "100", "120000/1001", "120")
)  # fmt: skip
_LOWEST, _HIGHEST_MADE_UP = Fraction(1), Fraction(60)
# A frame may stand this far from its place, in frames: beyond half a frame it would change place.
_MAX_SHIFT = Fraction(1, 4)


@dataclass(frozen=True)
class FilmTiming:
    """``rate``: frames a second. ``constant``: every frame stands at its place k/rate.

    ``frames``: how many the film has; a damaged one may decode to fewer.
    """

    rate: Fraction
    constant: bool
    frames: int


def film_timing(path: Path) -> FilmTiming:
    """Read the timestamps of the film at ``path``, which must be one; nothing is decoded."""
    import av
    from av.stream import Disposition

    times: list[Fraction] = []
    with av.open(str(path)) as container:
        stream = next(
            stream
            for stream in container.streams.video
            if not stream.disposition & Disposition.attached_pic
        )
        try:
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base and not packet.is_discard:
                    times.append(packet.pts * Fraction(packet.time_base))
        except av.FFmpegError:
            pass  # a film that is cut off has the timestamps up to there
    return plan_rate(sorted(times))


def plan_rate(times_s: Sequence[Fraction]) -> FilmTiming:
    """Return the rate of frames at ``times_s``, seconds in rising order.

    Constant films keep their rate. Others get the rate of their median interval, at most 60, so
    that the frames that come at the film's usual pace keep their places.
    """
    count = len(times_s)
    length_s = times_s[-1] - times_s[0] if count > 1 else Fraction(0)
    if length_s <= 0:
        return FilmTiming(Fraction(30), True, count)
    measured = (count - 1) / length_s
    usual = min(_USUAL, key=lambda rate: abs(rate - measured))
    # As exact as a file can say; a rate such as 29.97003 is told by its fraction.
    for rate in (usual, measured.limit_denominator(1001)):
        if rate > 0 and _fits(times_s, rate):
            return FilmTiming(rate, True, count)
    gaps = [b - a for a, b in pairwise(times_s) if b > a]
    typical = 1 / median(gaps)
    usual = min(_USUAL, key=lambda rate: abs(rate - typical))
    rate = usual if abs(usual - typical) < typical / 20 else Fraction(round(typical))
    return FilmTiming(min(max(rate, _LOWEST), _HIGHEST_MADE_UP), False, count)


def _fits(times_s: Sequence[Fraction], rate: Fraction) -> bool:
    start_s = times_s[0]
    return all(abs((time - start_s) * rate - k) < _MAX_SHIFT for k, time in enumerate(times_s))
