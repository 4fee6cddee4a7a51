"""Ways from one value to another: smooth ones, t²·(3 − 2t) (Hermite), and cut off at limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32


def smooth_step(t: NDArray[np.floating]) -> Float32:
    """Return 0 below 0, 1 above 1, and a smooth way between; float32 of the shape of ``t``."""
    t = np.clip(t, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def eased(share: float) -> float:
    """Return how far a change has come when ``share`` of its time, 0 to 1, has passed."""
    return share * share * (3 - 2 * share)


def clamped(value: float, low: float, high: float) -> float:
    """Return ``value`` within ``low`` and ``high``: ``np.clip`` of one number, in a tenth."""
    return float(min(max(value, low), high))
