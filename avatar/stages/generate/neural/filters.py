"""Smoothing: the 1€ filter (Casiez, Roussel, Vogel 2012) over whole arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from avatar.core.frames import Float32


@dataclass(frozen=True)
class OneEuro:
    """Parameters of a 1€ filter.

    ``min_cutoff_hz``: the cut-off while still; lower is steadier. ``beta``: how much the
    cut-off rises with speed, in Hz per unit a second; higher follows faster.
    ``speed_cutoff_hz``: the cut-off of the speed estimate itself.
    """

    min_cutoff_hz: float
    beta: float
    speed_cutoff_hz: float = 1.0


class OneEuroFilter:
    """A 1€ filter over an array of any fixed shape; each element adapts by itself."""

    def __init__(self, parameters: OneEuro) -> None:
        self._parameters = parameters
        self._value: Float32 | None = None
        self._speed: Float32 | None = None
        self._last_ns = 0

    def reset(self) -> None:
        """Forget the past: the next value passes unchanged."""
        self._value = None

    def __call__(self, value: Float32, now_ns: int) -> Float32:
        """Return the smoothed value at ``now_ns``; time must not run backwards."""
        elapsed_s = (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        if self._value is None or self._speed is None or elapsed_s <= 0 or elapsed_s > 1:
            self._value, self._speed = value, np.zeros_like(value)
            return value
        p = self._parameters
        speed = (value - self._value) / np.float32(elapsed_s)
        self._speed = self._speed + np.float32(_alpha(p.speed_cutoff_hz, elapsed_s)) * (
            speed - self._speed
        )
        cutoff = p.min_cutoff_hz + p.beta * np.abs(self._speed)
        tau_ratio = 2 * math.pi * cutoff * elapsed_s
        alpha = tau_ratio / (tau_ratio + 1)
        self._value = (self._value + alpha * (value - self._value)).astype(np.float32)
        return self._value


def _alpha(cutoff_hz: float, elapsed_s: float) -> float:
    """Return the weight of a new sample in an exponential low pass."""
    ratio = 2 * math.pi * cutoff_hz * elapsed_s
    return ratio / (ratio + 1)


# For shapes in head units; these keep blinks (0.1 s) whole. A tracked head has a filter of its own,
# `avatar.stages.motion.smooth`.
SHAPE = {"light": OneEuro(4.0, 6.0), "strong": OneEuro(1.5, 3.0)}
