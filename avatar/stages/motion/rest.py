"""A driver's resting face, from one that already does something.

The reference of relative motion stands for the photograph, and few drivers look neutral in the
moment it is taken: whoever smiles then could only smile more, and his avatar would stop smiling
nowhere. What his scores say of the reference is taken out of it: relaxed, he is the photograph;
smiling as at the reference, his avatar smiles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.face.fields import brow_field, pucker_field, smile_field
from avatar.core.face.head import HeadShape
from avatar.core.face.topology import EYES, IRISES
from avatar.core.frames import BLENDSHAPE_INDEX, Face, Float32

_SMILES = [BLENDSHAPE_INDEX["mouthSmileLeft"], BLENDSHAPE_INDEX["mouthSmileRight"]]
_PUCKERS = [BLENDSHAPE_INDEX["mouthPucker"]]
_BROWS = [BLENDSHAPE_INDEX[name] for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
_LOOKS_ASIDE = [
    BLENDSHAPE_INDEX[f"eyeLook{way}"] for way in ("OutLeft", "InLeft", "OutRight", "InRight")
]
# Less than this counts as looking ahead; a full look moves an iris by this share of its eye.
_AHEAD, _LOOK_REACH = 0.25, 0.25
# Scores of faces at rest: up to here nothing is done. Those of brows depend on whose they are.
_AT_REST_SMILE, _AT_REST_PUCKER, _AT_REST_BROWS = 0.15, 0.15, 0.55


def relaxed(head: HeadShape, face: Face) -> tuple[HeadShape, Face]:
    """Return ``head`` and ``face``, which it is of, without a smile, a pout, raised brows or a look
    aside.
    """
    scores = face.blendshapes.copy()
    shape = head.shape
    moved = np.zeros_like(shape)
    for members, rest, field in (
        (_SMILES, _AT_REST_SMILE, smile_field),
        (_PUCKERS, _AT_REST_PUCKER, pucker_field),
        (_BROWS, _AT_REST_BROWS, brow_field),
    ):
        over = max(float(scores[members].mean()) - rest, 0.0)
        if over > 0:
            moved += np.float32(over) * field(shape)
            scores[members] = np.maximum(scores[members] - over, 0)
    moved += _look_aside(shape, scores)
    if not moved.any():
        return head, face
    return replace(head, shape=(shape - moved).astype(np.float32)), replace(
        face, blendshapes=scores
    )


def _look_aside(shape: Float32, scores: Float32) -> Float32:
    """Return how far the irises are from looking ahead, float32 (478, 3), head units.

    Eyes that look aside do so together. Scores tell it better than where an iris lies between
    the corners of its eye, which differs from face to face.
    """
    left_out, left_in, right_out, right_in = scores[_LOOKS_ASIDE]
    aside = float(left_out + right_in - left_in - right_out) / 2
    over = np.sign(aside) * max(abs(aside) - _AHEAD, 0.0)
    moved = np.zeros_like(shape)
    for (outer, inner, *_), iris in zip(EYES, IRISES, strict=True):
        width = np.linalg.norm(shape[outer] - shape[inner])
        moved[iris, 0] = np.float32(over * _LOOK_REACH * width)
    return moved
