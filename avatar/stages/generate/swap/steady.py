"""Landmarks of a whole shot made steady: each frame by those before it and those after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import RIGID
from avatar.core.face.topology import EYE_RINGS, INNER_LIPS, OUTER_LIPS, SURFACE_COUNT
from avatar.core.frames import Float32

# Least-squares parabola over seven equidistant values, at the middle one (Savitzky and Golay 1964):
# it follows what speeds up or slows down, and does not lag.
_POSE = np.array([-2, 3, 6, 7, 6, 3, -2]) / 21
_QUICK = np.array([-3, 12, 17, 12, -3]) / 35
_CALM = np.array([1, 3, 5, 6, 5, 3, 1]) / 24
_MOVABLE = np.unique(
    np.concatenate([*EYE_RINGS, INNER_LIPS, OUTER_LIPS, np.arange(SURFACE_COUNT, 478)])
)


def steady(landmarks_px: Float32) -> Float32:
    """Return landmarks of consecutive frames, float32 (n, 478, 3), without their tremble.

    Place, size and turn in the picture are smoothed as one, what moves against them apart from
    that: lids and lips a little, which are quick, the rest more.
    """
    if len(landmarks_px) < 3:
        return landmarks_px
    points = landmarks_px.astype(np.float64)
    rigid = points[:, RIGID, :2]
    centre = rigid.mean(axis=1)
    flat = (rigid - centre[:, None]) @ np.array([1, 1j])
    # The similarity that lays the first frame's rigid landmarks onto each frame's, as a number.
    turns = (flat @ flat[0].conj()) / np.vdot(flat[0], flat[0])
    place = centre @ np.array([1, 1j])
    within = (points[..., :2] @ np.array([1, 1j]) - place[:, None]) / turns[:, None]
    depth = points[..., 2] / np.abs(turns)[:, None]
    place, turns = _smoothed(place, _POSE), _smoothed(turns, _POSE)
    still = np.setdiff1d(np.arange(points.shape[1]), _MOVABLE)
    for values in (within, depth):
        values[:, still] = _smoothed(values[:, still], _CALM)
        values[:, _MOVABLE] = _smoothed(values[:, _MOVABLE], _QUICK)
    flat = within * turns[:, None] + place[:, None]
    out = np.stack([flat.real, flat.imag, depth * np.abs(turns)[:, None]], axis=-1)
    return out.astype(np.float32)


def _smoothed(values: NDArray[Any], kernel: NDArray[np.float64]) -> NDArray[Any]:
    """Return values of consecutive frames (first axis), smoothed; ends are mirrored in a point."""
    half = min(len(kernel) // 2, len(values) - 1)
    if half < len(kernel) // 2:
        return values
    before = 2 * values[:1] - values[half:0:-1]
    after = 2 * values[-1:] - values[-2 : -half - 2 : -1]
    long = np.concatenate([before, values, after])
    shifted = [share * long[k : k + len(values)] for k, share in enumerate(kernel)]
    return np.asarray(np.sum(shifted, axis=0))
