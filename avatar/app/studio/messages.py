"""What a page is sent of the driver: points, and only where asked for, a small picture."""

from __future__ import annotations

import numpy as np

from avatar.core.frames import LANDMARK_COUNT, CameraFrame, FaceTrack
from avatar.core.pictures import jpeg

POINTS, PICTURE = 1, 2
"""The first byte of a message."""

_FULL = 65_535
_PICTURE_WIDTH_PX = 320


def landmarks_message(track: FaceTrack, aspect: float) -> bytes:
    """Return the face's landmarks as bytes; none where nobody is seen.

    ``POINTS``, a zero, then little-endian uint16: the picture's width to height in thousandths,
    and for each landmark x and y, 0 to 65535 from the left and the top edge.
    """
    head = np.array([round(1000 * aspect)], "<u2").tobytes()
    if track.face is None:
        return bytes([POINTS, 0]) + head
    width, height = track.face.image_size_px
    shares = track.face.landmarks_px[:LANDMARK_COUNT, :2] / np.array([width, height], np.float32)
    whole = np.clip(np.nan_to_num(shares), 0, 1) * _FULL
    return bytes([POINTS, 0]) + head + whole.astype("<u2").tobytes()


def picture_message(frame: CameraFrame) -> bytes:
    """Return the driver's picture as ``PICTURE``, a zero, and a small JPEG."""
    import cv2

    height, width = frame.image.shape[:2]
    size = _PICTURE_WIDTH_PX, max(1, round(_PICTURE_WIDTH_PX * height / width))
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    return bytes([PICTURE, 0]) + jpeg(np.asarray(small, np.uint8), 70)
