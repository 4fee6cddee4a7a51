"""Putting a drawn square back into the photograph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.framing import Canvas
from avatar.stages.generate.neural.crop import Crop

# How much of the square's side fades into the photograph at each edge.
_FEATHER = 0.12


class PasteBack:
    """Lays squares of one size over a canvas, fading towards their edges.

    ``canvas``: the photograph as it is shown. ``crop``: the square of the photograph.
    ``size_px``: the side of the drawn squares.
    """

    def __init__(self, canvas: Canvas, crop: Crop, size_px: int) -> None:
        self._image = canvas.image
        step = crop.side * canvas.scale / size_px
        # A warp reads four pixels: a square shown much smaller than drawn is averaged first.
        self._inner_px = size_px if step > 0.6 else max(8, round(1.5 * size_px * step))
        matrix = crop.matrix(self._inner_px, canvas.scale, canvas.offset_px)
        corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], np.float64)
        corners[:, :2] *= self._inner_px
        placed = corners @ matrix.T
        left, top, right, bottom = canvas.photo_rect
        # What the photograph does not reach stays the canvas's own filling.
        self._x0 = int(np.clip(np.floor(placed[:, 0].min()), left, right))
        self._y0 = int(np.clip(np.floor(placed[:, 1].min()), top, bottom))
        self._x1 = int(np.clip(np.ceil(placed[:, 0].max()) + 1, left, right))
        self._y1 = int(np.clip(np.ceil(placed[:, 1].max()) + 1, top, bottom))
        matrix[:, 2] -= (self._x0, self._y0)
        self._matrix = matrix
        if self.visible:
            self._weight = np.asarray(self._warped(_feather(size_px)), np.float32)
            self._rest = 1 - self._weight

    @property
    def visible(self) -> bool:
        """Return whether any of the square is on the canvas."""
        return self._x1 > self._x0 and self._y1 > self._y0

    def paste(self, square: UInt8Image) -> UInt8Image:
        """Return the canvas with ``square``, uint8 (size, size, 3), in its place; a new picture."""
        import cv2

        image = self._image.copy()
        if self.visible:
            box = (slice(self._y0, self._y1), slice(self._x0, self._x1))
            drawn = self._warped(square)
            image[box] = cv2.blendLinear(drawn, image[box], self._weight, self._rest)
        return image

    def _warped(self, square: NDArray[Any]) -> NDArray[Any]:
        import cv2

        if self._inner_px != len(square):
            size = (self._inner_px, self._inner_px)
            square = cv2.resize(square, size, interpolation=cv2.INTER_AREA)
        size = (self._x1 - self._x0, self._y1 - self._y0)
        return cv2.warpAffine(square, self._matrix, size, flags=cv2.INTER_LINEAR)


def _feather(size_px: int) -> Float32:
    """Return 1 in the middle, falling smoothly to 0 at the edges, float32 (size, size)."""
    at = (np.arange(size_px, dtype=np.float32) + np.float32(0.5)) / size_px
    smooth = smooth_step(np.minimum(at, 1 - at) / _FEATHER)
    return np.asarray(np.outer(smooth, smooth), np.float32)
