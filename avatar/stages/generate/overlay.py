"""Blending a small drawn patch into the picture through an antialiased polygon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.bounds import bounds_of
from avatar.core.frames import Float32, UInt8Image

Box = tuple[int, int, int, int]
_SUBPIXEL_BITS = 4


def box_around(points_px: Float32, margin_px: float, image: UInt8Image) -> Box | None:
    """Return (left, top, right, bottom) of the points with a margin, clipped to the image.

    None when nothing of it is inside.
    """
    height, width = image.shape[:2]
    low, high = bounds_of(points_px)
    low, high = low - margin_px, high + margin_px
    x0, y0 = max(0, int(np.floor(low[0]))), max(0, int(np.floor(low[1])))
    x1, y1 = min(width, int(np.ceil(high[0]))), min(height, int(np.ceil(high[1])))
    return (x0, y0, x1, y1) if x1 - x0 >= 2 and y1 - y0 >= 2 else None


def polygon_mask(points_px: Float32, box: Box, feather_px: float = 0.0) -> NDArray[np.uint8]:
    """Return the polygon's coverage of the box's pixels, uint8 (h, w), antialiased."""
    import cv2

    x0, y0, x1, y1 = box
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    # OpenCV counts from pixel centres.
    local = (points_px[:, :2] - np.array([x0, y0], np.float32) - 0.5) * (1 << _SUBPIXEL_BITS)
    cv2.fillPoly(mask, [np.round(local).astype(np.int32)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    if feather_px > 0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), feather_px), np.uint8)
    return mask


def blend_into(image: UInt8Image, box: Box, patch: UInt8Image, mask: NDArray[np.uint8]) -> None:
    """Lay ``patch`` over the box of ``image``, in place, as opaque as ``mask`` says."""
    import cv2

    x0, y0, x1, y1 = box
    below = image[y0:y1, x0:x1]
    # Of one shape, and in place: several times as fast as by broadcasting.
    share = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB)
    mixed = np.multiply(patch, share, dtype=np.uint16)
    mixed += np.multiply(below, cv2.bitwise_not(share), dtype=np.uint16)
    mixed += 127
    mixed //= 255
    image[y0:y1, x0:x1] = mixed
