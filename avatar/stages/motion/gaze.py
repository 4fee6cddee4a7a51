"""Where a driver looks: both eyes together, from their irises and from the scores of looking."""

from __future__ import annotations

import numpy as np

from avatar.core.face.head import iris_offset
from avatar.core.frames import BLENDSHAPE_INDEX, Face, Float32

_LOOKS_DOWN = [BLENDSHAPE_INDEX["eyeLookDownLeft"], BLENDSHAPE_INDEX["eyeLookDownRight"]]
_LOOKS_UP = [BLENDSHAPE_INDEX["eyeLookUpLeft"], BLENDSHAPE_INDEX["eyeLookUpRight"]]
# An iris looking all the way up or down moves by this share of the eye's width.
_LOOK_REACH = np.float32(0.1)
# Sine of a turn at which one eye alone is believed; what is kept of a difference between the eyes,
# and the most of it, eye widths.
_ASIDE, _APART_SHARE, _MOST_APART = 0.5, 0.3, 0.015


def gaze_change(face: Face, shape: Float32, reference: Float32, looked_down: Float32) -> Float32:
    """Return how far each iris moved since the reference, float32 (2, 2), eye widths.

    ``shape``, ``reference``: float32 (478, 3), head frame, now and then; ``looked_down``: float32
    (2,), ``look_down`` of then.

    Sideways the iris's landmarks are exact. Up and down lids hide it, and the look blendshapes
    know better: each counts half.
    """
    gaze = iris_offset(shape) - iris_offset(reference)
    down = look_down(face) - looked_down
    gaze[:, 1] = 0.5 * gaze[:, 1] + 0.5 * _LOOK_REACH * down
    return gaze.astype(np.float32)


def yoked(gaze: Float32, rotation: Float32, shut: Float32) -> Float32:
    """Return ``gaze`` with both eyes looking the same way.

    Eyes turn together; apart from looking at something near, which a camera never is, what they
    differ by is the tracker's error (the farther eye of a turned head, an eye that is shut). So
    the eye that is seen better counts more, and little of the difference is kept.
    """
    # A head turned to the right of the picture (positive about y) shows its right eye.
    aside = float(np.clip(rotation[0, 2] / _ASIDE, -1, 1))
    seen = np.array([1 - aside, 1 + aside], np.float32) * np.clip(1 - shut, 0, 1) + 1e-3
    both = (seen @ gaze) / seen.sum()
    apart = (gaze - both) * np.array([_APART_SHARE, 0], np.float32)
    return np.asarray(both + np.clip(apart, -_MOST_APART, _MOST_APART), np.float32)


def look_down(face: Face) -> Float32:
    """Return how far each eye looks down, float32 (2,) (left, right), −1 up to 1 down."""
    return np.asarray(face.blendshapes[_LOOKS_DOWN] - face.blendshapes[_LOOKS_UP], np.float32)
