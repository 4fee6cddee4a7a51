"""Prediction: where a signal will be when its picture is seen, without shooting past its goal."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avatar.frames import Float32

# A camera slower than this is not predicted: its last difference is old news.
_LONGEST_STEP_S = 0.13
# How long a look back tells whether the signal goes on as it went.
_MEMORY_S = 0.7
# The best share of a step in the least squares' sense falls short; this much more keeps up
# better and errs no more (measured on the clips of `avatar bench --motion`).
_EAGERNESS = 1.3


class Predictor:
    """Carries an array on along its own speed for a given time.

    Constant velocity with three dampers, so that it does not overshoot:

    - Predictability: how well each step followed from the one before over the last moments (the
      coefficient of an AR(1) process of the steps, by least squares with forgetting). A turn goes
      on; the tremble of a head that speaks does not, and is not predicted.
    - While the signal slows down, its speed is what is left of it in the middle of the
      prediction, never reversed.
    - At speeds that noise has as well nothing is predicted: a still head stays still.

    ``groups``: lengths of the consecutive parts that share a predictability. ``limit``: the
    furthest that a prediction may go, in the array's unit.
    """

    def __init__(self, groups: tuple[int, ...], limit: float) -> None:
        self._groups = np.repeat(np.arange(len(groups)), groups)
        self._count = len(groups)
        self._limit = np.float32(limit)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next values are not carried on."""
        self._value: Float32 | None = None
        self._speed: Float32 = np.zeros(len(self._groups), np.float32)
        self._follows = np.zeros(self._count)
        self._moves = np.full(self._count, 1e-12)

    def __call__(
        self, value: Float32, elapsed_s: float, horizon_s: float, noise_speed: Float32
    ) -> Float32:
        """Return ``value`` carried on by ``horizon_s``; ``elapsed_s`` since the last call.

        ``noise_speed``: float32, like the array: what noise alone shows as speed, units a second.
        """
        last, self._value = self._value, value
        if last is None or not 0 < elapsed_s <= _LONGEST_STEP_S:
            self._speed = np.zeros_like(value)
            return value
        before, self._speed = self._speed, (value - last) / np.float32(elapsed_s)
        speed = self._speed
        goes_on = self._predictability(speed, before, elapsed_s)
        if horizon_s <= 0:
            return value
        # The speed is that of half a frame ago.
        ahead = np.float32((horizon_s + elapsed_s) / 2 / elapsed_s)
        safe = np.where(speed == 0, np.float32(1), speed)
        remaining = np.clip(1 + (speed - before) / safe * ahead, 0, 1)
        square = speed * speed
        certain = square / (square + noise_speed * noise_speed + np.float32(1e-12))
        step = speed * remaining * certain * goes_on * np.float32(horizon_s)
        return (value + np.clip(step, -self._limit, self._limit)).astype(np.float32)

    def _predictability(
        self, speed: Float32, before: Float32, elapsed_s: float
    ) -> NDArray[np.floating]:
        keep = math.exp(-elapsed_s / _MEMORY_S)
        self._follows = keep * self._follows + self._sum(speed * before)
        self._moves = keep * self._moves + self._sum(before * before)
        return np.clip(_EAGERNESS * self._follows / self._moves, 0, 1)[self._groups]

    def _sum(self, values: Float32) -> NDArray[np.float64]:
        return np.asarray(np.bincount(self._groups, weights=values), np.float64)
