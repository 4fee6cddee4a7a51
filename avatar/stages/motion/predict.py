"""Prediction: where a signal will be when its picture is seen, without shooting past its goal."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32

Floats = NDArray[np.floating]

# A camera slower than this is not predicted: its last difference is old news.
_LONGEST_STEP_S = 0.13
# How long a look back tells how the signal goes on.
_MEMORY_S = 10.0
# What is believed before anything was learnt: of the newest speed so much goes on, of older ones
# nothing, and what the filter still lags is made up for; and how firmly: in squared noise, and as
# a share of the largest movement that taught anything. From one or two large steps nearly any five
# weights could be learnt.
_STEPS = 4
_PRIOR = np.array([0.75, 0.0, 0.0, 0.0, 1.0])
_FIRMNESS, _FIRM_SHARE = 50.0, 0.03
# At so many times the speed of noise a movement counts half.
_CERTAIN = 2.0
# A speed counts up to so many times the one before: what begins at once may end at once, too.
_SUDDEN = 3.0
# No part is carried on faster than so many times the fastest it just was: a movement that gathers
# speed teaches that every speed doubles.
_FASTER = 1.5
# Larger than so many times the noise is a jump of the tracker's; it teaches no more than that.
_MOST = 100.0


class Predictor:
    """Carries an array on by what its own past teaches.

    A linear predictor by recursive least squares with forgetting (Haykin, "Adaptive Filter
    Theory"): from the last four speeds and from what the filter lags behind, it learns where the
    unfiltered signal was, each time, when the horizon had passed. A turn goes on; a head that
    nods with every syllable comes back; a tremble is not predicted.

    - What begins from one frame to the next is no movement that goes on.
    - At speeds that noise has as well nothing is predicted: a still head stays still.
    - Nothing goes further than ``limit``, in the array's unit.

    ``groups``: lengths of the consecutive parts that share what is learnt.
    """

    def __init__(self, groups: tuple[int, ...], limit: float) -> None:
        ends = np.cumsum(groups)
        self._parts = [slice(end - n, end) for n, end in zip(groups, ends, strict=True)]
        self._limit = np.float32(limit)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next values are not carried on."""
        self._value: Float32 | None = None
        self._raw: Floats = np.zeros(0)
        self._time_s = 0.0
        self._speeds: deque[Floats] = deque(maxlen=_STEPS)
        self._waiting: deque[tuple[float, Floats, Floats]] = deque()
        self._squares = [np.zeros((_STEPS + 1, _STEPS + 1)) for _ in self._parts]
        self._products = [np.zeros(_STEPS + 1) for _ in self._parts]
        self._largest = [0.0 for _ in self._parts]

    def __call__(
        self, value: Float32, raw: Float32, elapsed_s: float, horizon_s: float,
        noise_speed: Float32,
    ) -> Float32:  # fmt: skip
        """Return ``value`` carried on by ``horizon_s``; ``elapsed_s`` since the last call.

        ``raw``: the same before any filter. ``noise_speed``: float32, like the array: what noise
        alone shows as speed, units a second.
        """
        last, self._value = self._value, value
        raw_before, self._raw = self._raw, np.asarray(raw, np.float64)
        if last is None or not 0 < elapsed_s <= _LONGEST_STEP_S:
            self._speeds.clear()
            self._waiting.clear()
            return value
        self._time_s += elapsed_s
        self._speeds.appendleft((self._raw - raw_before) / elapsed_s)
        noise = np.maximum(noise_speed * elapsed_s, 1e-9).astype(np.float64)
        self._learn(raw_before, elapsed_s, noise)
        if horizon_s <= 0 or len(self._speeds) < _STEPS:
            return value
        known = np.stack([*(speed * horizon_s for speed in self._speeds), self._raw - value])
        for part in self._parts:
            now, before = (float(np.linalg.norm(known[age, part])) for age in (0, 1))
            most = _SUDDEN * before + float(np.linalg.norm(noise_speed[part])) * horizon_s
            known[0, part] *= min(1.0, most / max(now, 1e-12))
        self._waiting.append((self._time_s + horizon_s, known, value.astype(np.float64)))
        speed = (value - last) / np.float32(elapsed_s)
        step = np.concatenate(
            [
                _certain(speed[part], noise_speed[part]) * self._step(k, known[:, part])
                for k, part in enumerate(self._parts)
            ]
        )
        carried = value + np.clip(step, -self._limit, self._limit)
        return np.asarray(carried, np.float32)

    def _step(self, k: int, known: Floats) -> Floats:
        """Return how far a part goes; ``known``: (5, n), its speeds by the horizon, and its lag."""
        *speeds, lag = np.linalg.norm(known, axis=1)
        step = np.asarray(self._weights(k) @ known)
        most = _FASTER * max(speeds) + lag
        share = min(1.0, most / max(float(np.linalg.norm(step)), 1e-12))
        return np.asarray(share * step)

    def _weights(self, k: int) -> Floats:
        """Return what a part has learnt, or believes."""
        firm = _FIRMNESS + _FIRM_SHARE * self._largest[k]
        return np.asarray(
            np.linalg.solve(
                self._squares[k] + firm * np.eye(_STEPS + 1), self._products[k] + firm * _PRIOR
            )
        )

    def _learn(self, raw_before: Floats, elapsed_s: float, noise: Floats) -> None:
        """Compare the predictions whose time has come with where the signal was."""
        keep = math.exp(-elapsed_s / _MEMORY_S)
        while self._waiting and self._waiting[0][0] <= self._time_s:
            due_s, known, value = self._waiting.popleft()
            share = min(max(1 - (self._time_s - due_s) / elapsed_s, 0.0), 1.0)
            came = raw_before + share * (self._raw - raw_before) - value
            both = np.vstack([known, came]) / noise
            both *= np.minimum(1, _MOST / np.maximum(np.abs(both).max(axis=0), 1e-9))
            x, y = both[:-1], both[-1]
            for k, part in enumerate(self._parts):
                square = x[:, part] @ x[:, part].T
                self._largest[k] = max(keep * self._largest[k], float(np.trace(square)))
                self._squares[k] = keep * self._squares[k] + square
                self._products[k] = keep * self._products[k] + x[:, part] @ y[part]


def _certain(speed: Float32, noise_speed: Float32) -> float:
    """Return how much of a part's movement is none of noise's, 0 to 1."""
    square, noise = float(speed @ speed), _CERTAIN**2 * float(noise_speed @ noise_speed)
    return square / (square + noise + 1e-12)
