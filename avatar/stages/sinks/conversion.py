"""RGB to the layouts that virtual cameras and H.264 take."""

from __future__ import annotations

import numpy as np

from avatar.core.frames import UInt8Image


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


class Yuy2Converter:
    """Converts pictures of one size, of even width, into one buffer that each call overwrites.

    The colours are those of ``I420Converter``.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        import cv2

        width, height = size_px
        self._cv2 = cv2
        self._pairs = np.empty((height, width, 2), np.uint8)

    def convert(self, image: UInt8Image) -> UInt8Image:
        """Return ``image``, uint8 (H, W, 3) RGB, as YUY2: uint8 (H, W·2), Y0 U Y1 V.

        The array is the converter's own and is overwritten by the next call.
        """
        self._cv2.cvtColor(
            np.ascontiguousarray(image), self._cv2.COLOR_RGB2YUV_YUY2, dst=self._pairs
        )
        return self._pairs.reshape(len(self._pairs), -1)


class RgbRows:
    """Lays RGB rows out with a length that is a multiple of four bytes, as PipeWire's readers want.

    The buffer is one that each call overwrites.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        width, height = size_px
        self._length = width * 3
        self._rows = np.zeros((height, self._length + -self._length % 4), np.uint8)

    def convert(self, image: UInt8Image) -> UInt8Image:
        """Return ``image``, uint8 (H, W, 3), as uint8 (H, stride) with zeros at the rows' ends."""
        self._rows[:, : self._length] = image.reshape(len(self._rows), -1)
        return self._rows


class Letterbox:
    """Fits pictures into another size, all of them visible: a cut might take off the label.

    ``source_px`` and ``target_px`` are (width, height). What the picture leaves free is black.
    """

    def __init__(self, source_px: tuple[int, int], target_px: tuple[int, int]) -> None:
        import cv2

        self._cv2 = cv2
        self._same = source_px == target_px
        (width, height), (room_x, room_y) = source_px, target_px
        scale = min(room_x / width, room_y / height)
        self._fit = (
            max(1, min(room_x, round(width * scale))),
            max(1, min(room_y, round(height * scale))),
        )
        left, top = (room_x - self._fit[0]) // 2, (room_y - self._fit[1]) // 2
        self._canvas = np.zeros((room_y, room_x, 3), np.uint8)
        self._window = self._canvas[top : top + self._fit[1], left : left + self._fit[0]]

    def fit(self, image: UInt8Image) -> UInt8Image:
        """Return ``image``, uint8 (H, W, 3), in the target's size.

        That is ``image`` itself where both are the same, else an array that the next call
        overwrites.
        """
        if self._same:
            return image
        self._window[:] = self._cv2.resize(image, self._fit, interpolation=self._cv2.INTER_AREA)
        return self._canvas
