"""Beats as a straight line where the tempo is steady, and as they were followed where it is not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from avatar.stages.music.follow import Indices, follow
from avatar.stages.music.onsets import smoothed

Frames = NDArray[np.float64]

# A tempo is steady when a line meets as much as beats do that may each be where they like.
_AS_GOOD = 0.9
# So far from a beat, in frames, what begins still belongs to it.
_REACH, _NEAR = 2, 4
_OFF_BY = 0.02
_PHASES = 12
# What counts as an onset, in deviations.
_CLEAR = 1.0
_TEMPO_BEATS = 12


class Line(NamedTuple):
    """Beats at ``first`` + k ``period``, in frames."""

    first: float
    period: float

    def over(self, begin: float, end: float) -> Frames:
        """Return the beats from ``begin`` to before ``end``."""
        low = np.ceil((begin - self.first) / self.period - 1e-6)
        high = np.ceil((end - self.first) / self.period - 1e-6)
        return np.asarray(self.first + self.period * np.arange(low, max(low, high)))


def steady_line(pulse: Float32, strength: Float32, beats: Indices) -> Line | None:
    """Return the line through beats, or None where their tempo changes.

    ``pulse``: what beats are to meet. ``strength``: when exactly it begins.
    """
    through = _line_through(strength, beats)
    line = polished(strength, _best_phase(pulse, through))
    on_line = _met(pulse, line.over(beats[0] - _NEAR, beats[-1] + _NEAR))
    return line if on_line >= _AS_GOOD * _met(pulse, beats.astype(np.float64)) else None


def line_at(pulse: Float32, strength: Float32, period: float) -> Line:
    """Return the line of a known tempo that meets most."""
    shifts = np.arange(0, period, 0.5)
    found = [_met(pulse, Line(float(shift), period).over(0, len(pulse))) for shift in shifts]
    first = float(shifts[int(np.argmax(found))])
    return polished(strength, Line(first, period), keep_period=True)


def polished(strength: Float32, line: Line, *, keep_period: bool = False) -> Line:
    """Return the line through the onsets that lie near the beats of ``line``."""
    for _ in range(2):
        beats = line.over(0, len(strength))
        at, clear = _peaks(strength, np.round(beats).astype(np.int64))
        if clear.sum() < 4:
            return line
        numbers = np.round((beats - line.first) / line.period)[clear]
        off = (at - beats)[clear]
        keep = np.abs(off - np.median(off)) <= _REACH
        if keep_period or keep.sum() < 4:
            return Line(line.first + float(off[keep].mean()), line.period)
        slope, shift = np.polyfit(numbers[keep], off[keep], 1)
        line = Line(line.first + float(shift), line.period + float(slope))
    return line


def followed_closely(pulse: Float32, strength: Float32, beats: Indices) -> Frames:
    """Return beats of a changing tempo, to parts of a frame: followed again at its own pace."""
    gaps = smoothed(np.diff(beats).astype(np.float32), _TEMPO_BEATS)
    periods = np.interp(np.arange(len(pulse)), (beats[1:] + beats[:-1]) / 2, gaps)
    again = follow(pulse, periods.astype(np.float32))
    at, clear = _peaks(strength, again)
    return np.where(clear, at, again)


def extended(beats: Frames, begin: float, end: float) -> Frames:
    """Return beats that go on, as far apart as the last ones, from ``begin`` to before ``end``."""
    first, last = np.diff(beats[:5]).mean(), np.diff(beats[-5:]).mean()
    before = np.arange(beats[0] - first, begin - 1e-6, -first)[::-1]
    after = np.arange(beats[-1] + last, end, last)
    return np.concatenate([before, beats[(beats >= begin) & (beats < end)], after])


def _line_through(strength: Float32, beats: Indices) -> Line:
    """Return the tempo at which most beats are in step, and their phase.

    Beats that were followed half a beat off for a while count as well: in step are those that fall
    on the beat or between two.
    """
    at, _ = _peaks(strength, beats)
    gaps = np.diff(at)
    usual = float(np.median(gaps))
    steps = round(8 * _OFF_BY * usual * len(beats)) + 16
    periods = usual * np.linspace(1 - _OFF_BY, 1 + _OFF_BY, steps)
    halves = np.array([np.exp(4j * np.pi * at / period).mean() for period in periods])
    best = int(np.abs(halves).argmax())
    return Line(float(np.angle(halves[best]) / (4 * np.pi) * periods[best]), float(periods[best]))


def _best_phase(pulse: Float32, line: Line) -> Line:
    """Return the line, shifted by the part of a beat with which it meets most."""
    lines = [Line(line.first + line.period * k / _PHASES, line.period) for k in range(_PHASES)]
    found = [_met(pulse, each.over(0, len(pulse))) for each in lines]
    return lines[int(np.argmax(found))]


def _met(pulse: Float32, beats: Frames) -> float:
    """Return how much begins on beats, on average."""
    return float(strongest(pulse, np.round(beats).astype(np.int64), _REACH).mean())


def strongest(values: Float32, at: Indices, reach: int) -> Float32:
    """Return the largest of the values around each place."""
    places = np.clip(at[:, None] + np.arange(-reach, reach + 1), 0, len(values) - 1)
    return np.asarray(values[places].max(1))


def _peaks(strength: Float32, at: Indices) -> tuple[Frames, NDArray[np.bool_]]:
    """Return where the onset near each place is, to parts of a frame, and whether it is clear."""
    places = np.clip(at[:, None] + np.arange(-_NEAR, _NEAR + 1), 1, len(strength) - 2)
    top = places[np.arange(len(at)), strength[places].argmax(1)]
    left, middle, right = strength[top - 1], strength[top], strength[top + 1]
    # The vertex of the parabola through three values.
    bend = left - 2 * middle + right
    aside = np.where(bend < -1e-6, 0.5 * (left - right) / np.where(bend < -1e-6, bend, 1), 0)
    return top + np.clip(aside, -0.5, 0.5), np.asarray(middle > _CLEAR)
