"""Pictures of a face for int8, which takes its ranges from what the networks make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avatar.core.frames import Float32, UInt8Image
from avatar.core.home import Home
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import open_avatar
from avatar.stages.generate.photo import BUILTIN

SIZE_PX = 256
# (side of the crop in faces, turn in degrees, shift right and down in faces, brightness)
_VIEWS = (
    (2.3, 0.0, 0.0, 0.0, 1.0),  # the source
    (2.2, 0.0, 0.1, 0.0, 1.0),
    (2.2, 8.0, -0.1, 0.1, 0.8),
    (2.0, -8.0, 0.0, -0.1, 1.2),
    (2.6, 15.0, 0.2, 0.0, 0.6),
    (1.8, -15.0, -0.2, 0.1, 1.4),
    (3.0, 0.0, 0.0, 0.2, 1.0),
)


def calibration_pictures(home: Home) -> Sequence[UInt8Image]:
    """Return a source and six driving pictures, uint8 (256, 256, 3) RGB.

    They are the built-in portrait: turned, shifted, nearer and farther, brighter and darker.
    Raises ``FaceModelError``.
    """
    avatar = open_avatar(BUILTIN, find_face_model(None, home), home, say)
    low, high = (f(avatar.face.landmarks_px[:, :2], axis=0) for f in (np.min, np.max))
    extent_px = float(np.max(high - low))
    return [_view(avatar.photo, (low + high) / 2, extent_px, *view) for view in _VIEWS]


def _view(
    photo: UInt8Image,
    center_px: Float32,
    extent_px: float,
    side: float,
    turn_deg: float,
    right: float,
    down: float,
    brightness: float,
) -> UInt8Image:
    import cv2

    x, y = float(center_px[0] + extent_px * right), float(center_px[1] + extent_px * down)
    transform = cv2.getRotationMatrix2D((x, y), turn_deg, SIZE_PX / (side * extent_px))
    transform[0, 2] += SIZE_PX / 2 - x
    transform[1, 2] += SIZE_PX / 2 - y
    view = cv2.warpAffine(
        photo, transform, (SIZE_PX, SIZE_PX), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.convertScaleAbs(view, alpha=brightness)  # type: ignore[return-value]
