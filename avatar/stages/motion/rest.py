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
from avatar.core.frames import BLENDSHAPE_INDEX, Face

_SMILES = [BLENDSHAPE_INDEX["mouthSmileLeft"], BLENDSHAPE_INDEX["mouthSmileRight"]]
_PUCKERS = [BLENDSHAPE_INDEX["mouthPucker"]]
_BROWS = [BLENDSHAPE_INDEX[name] for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
# Scores of faces at rest: up to here nothing is done. Those of brows depend on whose they are.
_AT_REST_SMILE, _AT_REST_PUCKER, _AT_REST_BROWS = 0.15, 0.15, 0.55


def relaxed(head: HeadShape, face: Face) -> tuple[HeadShape, Face]:
    """Return ``head`` and ``face``, which it is of, without a smile, a pout or raised brows."""
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
    if not moved.any():
        return head, face
    return replace(head, shape=(shape - moved).astype(np.float32)), replace(
        face, blendshapes=scores
    )
