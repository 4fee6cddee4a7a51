"""Which part of the face a landmark or a blendshape belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.face.topology import EYES, NOSE_BASE, SURFACE_COUNT
from avatar.core.frames import BLENDSHAPE_NAMES, LANDMARK_COUNT, Float32

MOUTH, EYE_REGION, BROWS = 0, 1, 2
"""Columns of ``region_shares``."""

# Where a part of the face ends, in head units, and how wide its border is.
_EYE_REACH, _EYE_BORDER = 0.62, 0.3
_MOUTH_BORDER, _BROW_BORDER = 0.2, 0.15


def region_shares(shape: Float32) -> Float32:
    """Return how far each landmark belongs to the mouth, the eyes and the brows.

    ``shape``: float32 (478, 3), head frame. Returns float32 (478, 3), columns in that order, each
    in [0, 1], together at most 1; what is left is nose, cheeks and temples. The mouth is all
    below the nose, with the chin; the brows all above the eyes, with the forehead.
    """
    shares = np.zeros((LANDMARK_COUNT, 3), np.float32)
    centres = np.array([(shape[outer] + shape[inner]) / 2 for outer, inner, *_ in EYES])
    widths = [float(np.linalg.norm(shape[outer] - shape[inner])) for outer, inner, *_ in EYES]
    for centre, width in zip(centres, widths, strict=True):
        far = np.linalg.norm(shape[:, :2] - centre[:2], axis=1) / max(width, 1e-3)
        near = 1 - smooth_step((far - _EYE_REACH) / _EYE_BORDER)
        shares[:, EYE_REGION] = np.maximum(shares[:, EYE_REGION], near)
    shares[SURFACE_COUNT:, EYE_REGION] = 1
    rest = 1 - shares[:, EYE_REGION]
    below = (shape[NOSE_BASE, 1] - shape[:, 1]) / _MOUTH_BORDER
    shares[:, MOUTH] = rest * smooth_step(below + 0.5)
    above = (shape[:, 1] - centres[:, 1].mean()) / _BROW_BORDER
    shares[:, BROWS] = rest * smooth_step(above)
    return shares


def blendshape_regions() -> NDArray[np.intp]:
    """Return the region of each blendshape, intp (52,): MOUTH, EYE_REGION or BROWS."""
    return np.array(
        [
            BROWS if name.startswith("brow") else EYE_REGION if name.startswith("eye") else MOUTH
            for name in BLENDSHAPE_NAMES
        ],
        np.intp,
    )


def signal_groups(shape: Float32) -> NDArray[np.intp]:
    """Return the group of each landmark that moves as one, intp (478,), 0 to 5.

    Left eye, right eye, irises, brows, mouth, and the rest, as ``stages.motion.smooth`` has them.
    """
    shares = region_shares(shape)
    main = np.where(shares.max(axis=1) >= 0.5, shares.argmax(axis=1), 3)
    left = shape[:, 0] > (shape[EYES[0][0], 0] + shape[EYES[1][0], 0]) / 2
    groups = np.select(
        [main == EYE_REGION, main == BROWS, main == MOUTH],
        [np.where(left, 0, 1), np.full(LANDMARK_COUNT, 3), np.full(LANDMARK_COUNT, 4)],
        5,
    )
    groups[SURFACE_COUNT:] = 2
    return groups.astype(np.intp)
