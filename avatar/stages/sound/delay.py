"""The delay line: samples in, the same samples out some time later, without clicks.

It is a ring that is read at a wished-for place. A wish that moves a little is followed by reading
a block's worth of sound from one sample more or less (at most 2 % faster or slower), one that
moves far by a cross-fade. Every block begins and ends on a whole sample, so that sound whose delay
does not change comes out bit for bit.
"""

from __future__ import annotations

import numpy as np

from avatar.core.frames import Float32

# Deviations up to here are left alone: smaller than anybody hears, larger than clocks tremble.
_CALM_S = 0.002
# Once following, it goes on to here.
_SETTLED_S = 0.0003
# Farther away than this, a cross-fade is kinder than seconds of slightly wrong pitch.
_FAR_S = 0.04
_FASTER = 0.02
# What stays between the newest sample and the reader: at first; what a shortage adds at most; in
# all; and how it shrinks again with each block.
_MARGIN_S, _MARGIN_STEP_S, _MARGIN_LIMIT_S = 0.001, 0.005, 0.06
_MARGIN_SHRINKS = 0.9998
# Blocks over which the least that is to spare is looked at before the reader goes nearer.
_WATCHED = 200
# Interpolation looks one sample back and two ahead.
_BEFORE, _AFTER = 1, 2


class DelayLine:
    """A ring of mono samples with one writer and one reader, each on a thread of its own.

    ``rate_hz``: of both ends. ``seconds``: how much is kept.
    """

    def __init__(self, rate_hz: int, seconds: float = 4.0) -> None:
        self._rate_hz = rate_hz
        self._ring = np.zeros(round(rate_hz * seconds), np.float32)
        self._written = 0
        self._position: int | None = None
        self._margin = _MARGIN_S * rate_hz
        # The least number of samples to spare: in the last watched blocks, and in these.
        self._spare, self._spare_now, self._watched = 0.0, np.inf, 0
        self._following = False
        self._silent = True
        self.gaps = 0
        """How often there was nothing to read; sound fades out and in there."""

    @property
    def written(self) -> int:
        """Return how many samples have come in: the index of the next one."""
        return self._written

    @property
    def position(self) -> int | None:
        """Return the index of the sample that the next block begins with; None at the start."""
        return self._position

    def write(self, samples: Float32) -> None:
        """Take samples in: float32 (N,), copied."""
        samples = samples[-len(self._ring) :]
        at = self._written % len(self._ring)
        first = min(len(samples), len(self._ring) - at)
        self._ring[at : at + first] = samples[:first]
        self._ring[: len(samples) - first] = samples[first:]
        # The reader sees the count only after the samples are there.
        self._written += len(samples)

    def read(self, count: int, wanted: float) -> Float32:
        """Return the next ``count`` samples, float32 (count,); the caller owns them.

        ``wanted``: index of the sample that should be the first of them. What has not come in yet
        cannot be read: the reader then stays as near to it as it can.
        """
        readable = self._written - _AFTER
        oldest = self._written - len(self._ring) + _BEFORE + 4 * count
        goal = self._goal(wanted, readable - count)
        if goal < max(oldest, _BEFORE):
            return self._nothing(count)
        if self._position is None:
            self._position, self._silent = goal, True
        start, stop = self._position, self._next_stop(goal, count)
        if max(stop, start + count) > readable:
            self._widen_margin(stop - readable)
            return self._nothing(count)
        self._watch(readable - (start + count))
        if abs(goal - start) > _FAR_S * self._rate_hz or start < oldest:
            stop, self._following = goal + count, False
            out = _cross_faded(
                self._taken(start, start + count, count, oldest), self._slice(goal, stop)
            )
        else:
            out = self._taken(start, stop, count, oldest)
        self._spare -= stop - start - count
        self._spare_now -= stop - start - count
        self._position = stop
        if self._silent:
            out = out * _rising(count)
            self._silent = False
        return out

    def _goal(self, wanted: float, newest: int) -> int:
        """Return where the block should begin: as wanted, or as near to it as is safe.

        Blocks come in bursts; the reader goes nearer to the newest sample only by what was to
        spare all the time lately, so that it does not run after each burst.
        """
        if self._position is None:
            return round(min(wanted, newest - self._margin))
        nearest = self._position + max(0.0, self._spare - self._margin)
        return round(min(wanted, max(nearest, self._position)))

    def _watch(self, spare: int) -> None:
        self._margin = max(self._margin * _MARGIN_SHRINKS, _MARGIN_S * self._rate_hz)
        self._spare_now = min(self._spare_now, spare)
        self._watched += 1
        if self._watched >= _WATCHED:
            self._spare, self._spare_now, self._watched = self._spare_now, np.inf, 0

    def _widen_margin(self, short: int) -> None:
        step = min(short, _MARGIN_STEP_S * self._rate_hz)
        self._margin = min(self._margin + step, _MARGIN_LIMIT_S * self._rate_hz)
        self._spare, self._spare_now, self._watched = 0.0, np.inf, 0

    def _next_stop(self, goal: int, count: int) -> int:
        """Return where the block from the present position ends, following ``goal``."""
        assert self._position is not None
        away = goal - self._position
        bound = _SETTLED_S if self._following else _CALM_S
        self._following = abs(away) > bound * self._rate_hz
        most = max(1, round(_FASTER * count))
        step = int(np.clip(away, -most, most)) if self._following else 0
        return self._position + count + step

    def _taken(self, start: int, stop: int, count: int, oldest: int) -> Float32:
        """Return the samples from ``start`` to ``stop``, stretched to ``count`` of them."""
        low = max(start, oldest)
        if stop - start == count:
            return self._slice(low, low + count)
        points = self._slice(low - _BEFORE, low + (stop - start) + _AFTER)
        where = np.arange(count, dtype=np.float64) * ((stop - start) / count) + _BEFORE
        return cubic(points, where)

    def _slice(self, start: int, stop: int) -> Float32:
        at = start % len(self._ring)
        first = self._ring[at : at + stop - start]
        if len(first) == stop - start:
            return first.copy()
        return np.concatenate([first, self._ring[: stop - start - len(first)]])

    def _nothing(self, count: int) -> Float32:
        """Return silence, which begins with what there still is, fading away."""
        out: Float32 = np.zeros(count, np.float32)
        if self._silent or self._position is None:
            self._silent = True
            return out
        self.gaps += 1
        left = min(count, self._written - self._position)
        # The last sample is held, so that the fade is as long as a block, however few are left.
        ending = self._slice(self._position - 1, self._position + left)
        out = np.append(ending[1:], np.full(count - left, ending[-1])) * _rising(count)[::-1]
        self._position, self._silent, self._following = None, True, False
        return out


def cubic(points: Float32, where: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Float32:
    """Return ``points`` between its samples, float32, by Catmull and Rom's cubic (1974).

    ``where``: float64, places in ``points``, each with one point before and two after it.
    """
    whole = where.astype(np.intp)
    t = (where - whole).astype(np.float32)
    a, b, c, d = (points[whole + k] for k in (-1, 0, 1, 2))
    slope, bend = c - a, 2 * a - 5 * b + 4 * c - d
    return np.asarray(b + 0.5 * t * (slope + t * (bend + t * (3 * (b - c) + d - a))), np.float32)


def _rising(count: int) -> Float32:
    """Return weights from 0 to 1, a half cosine, float32 (count,)."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 1) / (count + 1))).astype(np.float32)


def _cross_faded(old: Float32, new: Float32) -> Float32:
    share = _rising(len(new))
    return np.asarray(old + (new - old) * share, np.float32)
