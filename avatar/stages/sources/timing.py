"""At which constant rate a film's frames can be written again, told from its own timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from avatar.stages.sources.containers import local_address, pictures_of, stores_no_times
from avatar.stages.sources.parts import PartFinder, join

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# What cameras and editors use; a measured rate this near to one of them is meant to be it.
_USUAL = tuple(
    Fraction(rate)
    for rate in ("10", "12", "15", "20", "24000/1001", "24", "25", "30000/1001", "30", "48", "50",
                 "60000/1001", "60", "100", "120000/1001", "120")
)  # fmt: skip
_LOWEST, _HIGHEST_MADE_UP = Fraction(1), Fraction(60)
# A frame may stand this far from its place, in frames: beyond half a frame it would change place.
_MAX_SHIFT = Fraction(1, 4)
# What a film says it lasts is rounded, and its tracks end one before the other.
_CUT_S = 1.0


@dataclass(frozen=True)
class FilmTiming:
    """``rate``: frames a second. ``constant``: every frame stands at its place k/rate.

    ``frames``: how many the film has; a damaged one may decode to fewer. ``shifts_s``: by how much
    later each of its parts is shown than its times say, where they fall back or jump (``parts``).
    ``missing_s``: how much of what the film says it lasts is not there.
    """

    rate: Fraction
    constant: bool
    frames: int
    shifts_s: tuple[Fraction, ...] = ()
    missing_s: float = 0.0


def film_timing(path: Path) -> FilmTiming:
    """Read the timestamps of the film at ``path``, which must be one; nothing is decoded."""
    import av

    with av.open(local_address(path), metadata_errors="replace") as container:
        stream = pictures_of(container)
        assert stream is not None
        rate = stream.average_rate or stream.guessed_rate or Fraction(30)
        parts, end_s, count = _packet_times(container, stream)
        missing_s = _missing_s(container, end_s)
        if stream.frames > count:  # AVI says how many, not how long
            missing_s = max(missing_s, _cut(float((stream.frames - count) / rate)))
    if not any(parts):
        return FilmTiming(rate, True, count)  # a film without times: evenly, as it says
    shifts_s = join(parts, 1 / rate)
    times = [time + shift for part, shift in zip(parts, shifts_s, strict=True) for time in part]
    return replace(plan_rate(times), shifts_s=shifts_s, missing_s=missing_s)


def _packet_times(
    container: InputContainer, stream: VideoStream
) -> tuple[list[list[Fraction]], Fraction, int]:
    """Return the pictures' times in each part, the end of all, and the number of packets."""
    import av

    finder, parts, end_s, count = PartFinder(), [list[Fraction]()], Fraction(0), 0
    has_only_dts = stores_no_times(container)
    with suppress(av.FFmpegError):  # a film that is cut off has the timestamps up to there
        for packet in container.demux([stream, *container.streams.audio]):
            if packet.dts is None and packet.pts is None:
                count += packet.stream is stream and packet.size > 0
                continue
            base = Fraction(packet.time_base)
            ticks = packet.pts if packet.dts is None else packet.dts
            order = Fraction(ticks or 0) * base
            end_s = max(end_s, order + (packet.duration or 0) * base)
            if packet.stream is not stream:
                finder.hear(order)
                continue
            count += 1
            if packet.is_discard:
                continue
            if finder.begins_part(order):
                parts.append([])
            known = packet.pts is not None and not has_only_dts
            parts[-1].append((packet.pts or 0) * base if known else order)
    return [sorted(part) for part in parts if part], end_s, count


def _missing_s(container: InputContainer, end_s: Fraction) -> float:
    """Return how much shorter the film is than it says, 0 where it is not cut off."""
    said_us = container.duration
    if said_us is None or said_us <= 0:
        return 0.0
    start_s = Fraction(container.start_time or 0, 1_000_000)
    return _cut(float(Fraction(said_us, 1_000_000) + start_s - end_s))


def _cut(missing_s: float) -> float:
    return missing_s if missing_s > _CUT_S else 0.0


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
