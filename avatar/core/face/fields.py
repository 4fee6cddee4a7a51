"""How single expressions move any face: smooth displacement fields of its landmarks.

MediaPipe's scores are absolute, its landmarks' displacements are not: where a driver already smiles
at the reference, only the score tells. These fields say what a score is in displacements.
"""

from __future__ import annotations

import numpy as np

from avatar.core.face.head import mouth_width
from avatar.core.face.topology import BROW_RINGS, EYES, MOUTH_CORNERS, SURFACE_COUNT
from avatar.core.frames import Float32

_CORNERS = list(MOUTH_CORNERS)
# A full smile moves each corner outwards and up by these shares of the mouth's width. On six
# drivers the width follows the score within 2 %.
_SMILE_OUT, _SMILE_UP, _REACH = 0.125, 0.16, 0.6
# A full pout draws each corner in by this share of the mouth's width, and the lips forward.
_PUCKER_IN, _PUCKER_OUT = 0.13, 0.12
# Fully raised brows rise by this share of the eye's width, with the forehead above them.
_BROW_UP, _BROW_REACH = 0.3, 0.35


def smile_field(shape: Float32) -> Float32:
    """Return how a full smile moves a mouth, float32 (478, 3), head units; lips stay together."""
    width = mouth_width(shape)
    x, near = _around_mouth(shape, width)
    out = np.clip(x, -1, 1)
    field = np.zeros_like(shape)
    field[:, 0] = _SMILE_OUT * width * out * near
    field[:, 1] = _SMILE_UP * width * np.abs(out) ** 1.5 * near
    field[SURFACE_COUNT:] = 0
    return field.astype(np.float32)


def pucker_field(shape: Float32) -> Float32:
    """Return how a full pout moves a mouth, float32 (478, 3), head units; lips stay together."""
    width = mouth_width(shape)
    x, near = _around_mouth(shape, width)
    field = np.zeros_like(shape)
    field[:, 0] = -_PUCKER_IN * width * np.clip(x, -1, 1) * near
    field[:, 2] = _PUCKER_OUT * width * near
    field[SURFACE_COUNT:] = 0
    return field.astype(np.float32)


def brow_field(shape: Float32) -> Float32:
    """Return how fully raised brows move a face, float32 (478, 3), head units; lids stay."""
    field = np.zeros_like(shape)
    for (outer, inner, *_), ring in zip(EYES, BROW_RINGS, strict=True):
        width = float(np.linalg.norm(shape[outer] - shape[inner]))
        far = np.linalg.norm(shape[:, None, :2] - shape[None, ring, :2], axis=-1).min(axis=1)
        near = np.exp(-((far / max(_BROW_REACH * width, 1e-3)) ** 2))
        # The skin between brow and lid gives way, the lid itself does not.
        above = shape[:, 1] - max(float(shape[outer, 1]), float(shape[inner, 1]))
        share = near * np.clip(above / max(0.5 * width, 1e-3), 0, 1)
        field[:, 1] = np.maximum(field[:, 1], _BROW_UP * width * share)
    field[SURFACE_COUNT:] = 0
    return field.astype(np.float32)


def _around_mouth(shape: Float32, width: float) -> tuple[Float32, Float32]:
    """Return where landmarks are across the mouth, −1 to 1 between its corners, and how near."""
    x, y = ((shape[:, :2] - shape[_CORNERS, :2].mean(axis=0)) / max(width / 2, 1e-3)).T
    beyond = np.maximum(np.abs(x) - 1, 0) ** 2 + y**2
    return x, np.asarray(np.exp(-beyond / (2 * _REACH**2)), np.float32)
