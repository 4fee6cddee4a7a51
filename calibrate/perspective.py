"""The camera's field of view, from how a turning head grows and shrinks with depth.

In the weak perspective of the tracker a landmark p stands at ``s·(R p)`` about the head's centre.
A real camera of focal length f (pixels) shows what is nearer larger, by the factor
``1 + s·(R p)_z / f`` to first order, since the head's distance is ``f / s`` head units. The resting
shape was measured under the same perspective and carries its part of it. What is left is linear in
1/f: one least squares over all frames of a turning or nodding head.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from calibrate.samples import Recording

_LEAST_TURN = 0.15
_LEAST_FRAMES = 12
_LIMITS_DEG = (25.0, 130.0)
# How far the halves of the recording may disagree, as a factor, for the estimate to be told.
_AGREEMENT = 1.6


def field_of_view_deg(recording: Recording, neutral: Float32) -> float | None:
    """Return the angle across the picture in degrees; None where it cannot be told.

    It cannot without turns to both sides, or when two halves of the samples disagree. The tracker
    fits a model to what it sees, so this is an estimate, no measurement.
    """
    seen = np.flatnonzero(recording.of("turn", "nod"))
    turned = np.linalg.norm(recording.turns[seen], axis=1)
    seen = seen[turned > _LEAST_TURN]
    if len(seen) < _LEAST_FRAMES:
        return None
    scale_at_rest = float(np.median(recording.scales_px[recording.of("rest")]))
    inverse = [
        _inverse_focal(recording, half, neutral, scale_at_rest)
        for half in (seen, seen[::2], seen[1::2])
    ]
    if min(inverse) <= 0 or max(inverse) > _AGREEMENT * min(inverse):
        return None
    angle = math.degrees(2 * math.atan(recording.image_size_px[0] * inverse[0] / 2))
    return round(angle, 1) if _LIMITS_DEG[0] <= angle <= _LIMITS_DEG[1] else None


def _inverse_focal(
    recording: Recording, frames: NDArray[np.intp], neutral: Float32, scale_at_rest: float
) -> float:
    """Return 1/f in 1/pixels by least squares over ``frames``."""
    rigid = recording.parts == 5
    at_rest = neutral[rigid].astype(np.float64)
    # What the resting shape carries of perspective, for 1/f = 1.
    carried = scale_at_rest * at_rest[:, 2:] * at_rest[:, :2]
    top = bottom = 0.0
    for k in frames:
        rotation = recording.rotations[k].astype(np.float64)
        scale = float(recording.scales_px[k])
        posed = at_rest @ rotation.T
        seen = recording.shapes[k][rigid].astype(np.float64) @ rotation.T
        found = scale * (seen - posed)[:, :2]
        expected = scale * (scale * posed[:, 2:] * posed[:, :2])
        expected -= scale * (carried @ rotation[:2, :2].T)
        found -= found.mean(axis=0)
        expected -= expected.mean(axis=0)
        top += float((found * expected).sum())
        bottom += float((expected * expected).sum())
    return top / max(bottom, 1e-12)
