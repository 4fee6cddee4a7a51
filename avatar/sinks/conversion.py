"""RGB to I420, the layout that virtual cameras and H.264 take."""

from __future__ import annotations

import numpy as np

from avatar.frames import UInt8Image


class I420Converter:
    """Converts pictures of one even size into one buffer that each call overwrites.

    OpenCV computes BT.601 with limited range (16 to 235): whoever stores the result must tag it so.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        import cv2

        width, height = size_px
        self._cv2 = cv2
        self._planes = np.empty((height * 3 // 2, width), np.uint8)

    def convert(self, image: UInt8Image) -> UInt8Image:
        """Return ``image``, uint8 (H, W, 3) RGB, as I420: uint8 (H·3/2, W).

        The array is the converter's own and is overwritten by the next call.
        """
        self._cv2.cvtColor(
            np.ascontiguousarray(image), self._cv2.COLOR_RGB2YUV_I420, dst=self._planes
        )
        return self._planes
