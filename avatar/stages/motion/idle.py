"""What the avatar does when nobody is there: it breathes, sways a little and blinks."""

from __future__ import annotations

import math

import numpy as np

from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Float32

_BREATH_S = 4.2
_BLINK_S = 0.26


def idle_rotation(t_s: float) -> Float32:
    """Return the head's slow sway after ``t_s`` seconds of idling, float32 (3, 3).

    Three incommensurable sines, all zero at the start, so that it never visibly repeats.
    """
    pitch = math.radians(0.8) * math.sin(2 * math.pi * t_s / _BREATH_S)
    yaw = math.radians(1.6) * math.sin(2 * math.pi * t_s / 9.7)
    roll = math.radians(0.5) * math.sin(2 * math.pi * t_s / 7.3)
    return rotation_from_vector(np.array([pitch, yaw, roll], np.float32))


def idle_translation(t_s: float) -> Float32:
    """Return the rise and fall of breathing, float32 (2,), head units, y down."""
    return np.array([0.0, -0.012 * math.sin(2 * math.pi * t_s / _BREATH_S)], np.float32)


def idle_blink(t_s: float) -> float:
    """Return how far the lids are shut, 0 to 1, ``t_s`` seconds into idling.

    Blinks come every 2.5 to 5 seconds; the intervals are irregular but the same every time.
    """
    start_s = 1.2
    k = 0
    while start_s + _BLINK_S < t_s:
        start_s += 2.5 + 2.5 * ((k * 0.61803398875) % 1.0)
        k += 1
    phase = (t_s - start_s) / _BLINK_S
    return math.sin(math.pi * phase) if 0.0 < phase < 1.0 else 0.0
