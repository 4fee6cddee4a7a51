"""Steadying of landmarks in a video: the one-euro filter with MediaPipe's numbers.

Casiez, Roussel, Vogel 2012, "1 € filter": a low pass whose cutoff rises with speed. MediaPipe
steadies the landmarks of a single followed face with it (``face_landmarks_detector_graph.cc``,
``one_euro_filter.cc``; Apache-2.0), and measures speed in sizes of the face.
"""

from __future__ import annotations

from math import pi

import numpy as np

from avatar.core.face.bounds import bounds_of
from avatar.core.frames import Float32

_LEAST_CUTOFF_HZ = np.float32(0.05)
_SPEED_WEIGHT = np.float32(80)
_SPEED_CUTOFF_HZ = np.float32(1)
_LEAST_FACE_PX = 1e-6
_FIRST_HZ = 30.0


class Steadying:
    """Steadies one face's landmarks from frame to frame; a new one for each face."""

    def __init__(self) -> None:
        self._last_ns = 0
        self._raw: Float32 | None = None
        self._steady = np.zeros((0, 3), np.float32)
        self._speed = np.zeros((0, 3), np.float32)

    def apply(self, landmarks_px: Float32, timestamp_ns: int) -> Float32:
        """Return the steadied landmarks, float32 (N, 3). Timestamps rise from call to call."""
        low, high = bounds_of(landmarks_px)
        size = float((high - low).mean())
        if size < _LEAST_FACE_PX:
            return landmarks_px
        if self._raw is None:
            self._steady, self._speed = landmarks_px, np.zeros_like(landmarks_px)
        elif timestamp_ns > self._last_ns:
            hertz = 1e9 / (timestamp_ns - self._last_ns)
            speed = (landmarks_px - self._raw) * np.float32(hertz / size)
            self._speed = _towards(self._speed, speed, _SPEED_CUTOFF_HZ, hertz)
            cutoff_hz = _LEAST_CUTOFF_HZ + _SPEED_WEIGHT * np.abs(self._speed)
            self._steady = _towards(self._steady, landmarks_px, cutoff_hz, hertz)
        self._raw, self._last_ns = landmarks_px, timestamp_ns
        return self._steady


def _towards(old: Float32, new: Float32, cutoff_hz: Float32 | np.float32, hertz: float) -> Float32:
    """Return a step of an exponential low pass of first order."""
    share = np.float32(1) / (np.float32(1) + np.float32(hertz / (2 * pi)) / cutoff_hz)
    moved: Float32 = old + share * (new - old)
    return moved
