"""Numbers for movement: jitter, lag, overshoot, and how much of a blink is left.

Signals are float64 (N,), one number a frame.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

_WINDOW = 9
_LAG_FRAMES = 6
_NEAR_FRAMES = 3
# A landmark that stays within so many pixels of 512² for nine frames counts as still.
STILL_PX = 3.0


def still_jitter_px(landmarks_px: NDArray[np.floating]) -> float:
    """Return how far landmarks of somebody who is still wander about their mean: RMS, pixels.

    ``landmarks_px``: (N, L, 2).
    """
    away = landmarks_px - landmarks_px.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(away**2, axis=-1))))


def roughness_px(landmarks_px: NDArray[np.floating]) -> Signal:
    """Return each frame's jitter where people move slowly, pixels; its ends are left out.

    The distance from a parabola through nine frames (Savitzky and Golay 1964), enlarged so that
    white noise gives its own standard deviation. (N, L, 2) gives (N − 8,).
    """
    places = np.vander(np.arange(_WINDOW) - _WINDOW // 2, 3)
    weights = (np.eye(_WINDOW) - places @ np.linalg.pinv(places))[_WINDOW // 2]
    count = len(landmarks_px) - _WINDOW + 1
    away = sum(w * landmarks_px[k : k + count] for k, w in enumerate(weights))
    square = np.mean(np.sum(np.asarray(away) ** 2, axis=-1), axis=-1)
    return np.asarray(np.sqrt(square / weights[_WINDOW // 2]), np.float64)


def still_frames(landmarks_px: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which frames of ``roughness_px`` belong to stretches where nothing moves.

    Nothing: neither the head, nor the lids, nor the lips. All but two in a hundred landmarks stay
    within ``STILL_PX`` over the nine frames.
    """
    windows = np.lib.stride_tricks.sliding_window_view(landmarks_px, _WINDOW, axis=0)
    range_px = np.ptp(windows, axis=-1).max(axis=-1)
    return np.asarray(np.percentile(range_px, 98, axis=1) < STILL_PX)


def lag_ms(signal: Signal, reference: Signal, fps: float) -> float:
    """Return how much later ``signal`` is than ``reference``: where they correlate best.

    The frame of the greatest cross-correlation, then the least squares' time shift about it by
    the slope of ``reference`` (the first order of the correlation's own maximum).
    """
    a, b = reference - reference.mean(), signal - signal.mean()
    inner = slice(_LAG_FRAMES, -_LAG_FRAMES)
    scores = [
        float(np.dot(np.roll(a, k)[inner], b[inner]) / (np.linalg.norm(np.roll(a, k)[inner])))
        for k in range(-_LAG_FRAMES, _LAG_FRAMES + 1)
    ]
    whole = int(np.argmax(scores)) - _LAG_FRAMES
    near = np.roll(a, whole)[inner]
    slope = np.gradient(np.roll(a, whole))[inner]
    part = -float(np.dot(b[inner] - near, slope) / max(float(np.dot(slope, slope)), 1e-12))
    return (whole + part) * 1000 / fps


def overshoots(signal: Signal, reference: Signal, least: float) -> list[float]:
    """Return by what share of each movement ``signal`` goes beyond where it ends.

    Movements are those of ``reference`` between two turning points that are ``least`` apart.
    """
    ends = _turning_points(reference, least)
    shares = []
    for (start, _), (end, direction) in pairwise(ends):
        length = abs(reference[end] - reference[start])
        around = signal[max(end - _NEAR_FRAMES, 0) : end + _NEAR_FRAMES + 2]
        shares.append(max(0.0, float(((around - reference[end]) * direction).max())) / length)
    return shares


def _turning_points(signal: Signal, least: float) -> list[tuple[int, int]]:
    """Return (frame, 1 for a high or −1 for a low) of turns at least ``least`` apart."""
    found: list[tuple[int, int]] = []
    direction, low, high = 0, 0, 0
    for k, value in enumerate(signal):
        if direction >= 0 and value > signal[high]:
            high = k
        if direction <= 0 and value < signal[low]:
            low = k
        if direction >= 0 and signal[high] - value > least:
            found.append((high, 1))
            direction, low = -1, k
        elif direction <= 0 and value - signal[low] > least:
            found.append((low, -1))
            direction, high = 1, k
    return found


def dips_kept(signal: Signal, reference: Signal, least: float) -> list[float]:
    """Return for each dip of ``reference`` the share of its depth that ``signal`` reaches.

    A dip is a low with a rise of ``least`` on both sides; depth counts from the lower side.
    """
    ends = _turning_points(reference, least)
    kept = []
    for before, low, after in zip(ends, ends[1:], ends[2:], strict=False):
        if low[1] > 0:
            continue
        rim = min(reference[before[0]], reference[after[0]])
        near = signal[max(low[0] - 2, 0) : low[0] + 4]
        kept.append(float((rim - near.min()) / (rim - reference[low[0]])))
    return kept
