"""Several heads in one picture: each is cut as if the others were not there.

Hair and skin are of much the same colours in everybody. Left in, another's would count among the
background's colours, and so would one's own hair.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.face_frame import FaceFrame, pixel_places
from avatar.stages.generate.fill import fill_unknown

# A head with its hair: half its width and height, and where its middle is; half faces.
_HEAD, _MIDDLE = (1.35, 1.6), 0.25


def without_others(image: UInt8Image, frame: FaceFrame, others: Sequence[FaceFrame]) -> UInt8Image:
    """Return ``image``, uint8 (H, W, 3), with other heads painted over by what is between heads.

    ``frame``: the face that stays; ``others``: those that go, as far as they are not behind it.
    """
    if not others:
        return image
    own = _from_head(image.shape, frame)
    nearest = np.min([_from_head(image.shape, other) for other in others], axis=0)
    between = fill_unknown(image, (np.minimum(nearest, own) >= 1).astype(np.float32))
    theirs = (nearest < 1) & (nearest < own)
    return np.where(theirs[..., None], between, image)


def _from_head(shape: tuple[int, ...], frame: FaceFrame) -> Float32:
    """Return how far pixels are from the middle of a head, float32 (H, W); 1 is its edge."""
    uv = frame.coordinates(pixel_places(shape))
    u, v = uv[..., 0] / _HEAD[0], (uv[..., 1] - _MIDDLE) / _HEAD[1]
    return np.asarray(np.hypot(u, v), np.float32)
