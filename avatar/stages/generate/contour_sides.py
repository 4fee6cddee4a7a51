"""What a map of cells says on either side of a contour, evened along it and continued beyond."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32

# A contour is whole with so many cells in front of it among 7 × 7, none with so few.
_WHOLE, _FEW = 5.0, 2.0
# Pairs of opposite cells that even a map, rows and columns.
_PAIRS = np.array([(k * y, k * x) for k in (1, 2) for y, x in ((0, 1), (1, 0), (1, 1), (1, -1))])
_PAIR_REACH = 2


def continued(source: Float32, held: NDArray[Any]) -> Float32:
    """Return ``source`` with its values in ``held``, uint8 (h, w), continued by one cell."""
    import cv2

    share = np.multiply(held, np.float32(1 / 255), dtype=np.float32)
    total = cv2.boxFilter(cv2.multiply(source, cv2.merge([share, share])), -1, (3, 3))
    count = cv2.boxFilter(share, -1, (3, 3))
    beside = cv2.bitwise_not(held, mask=cv2.inRange(count, 0.05, 2))
    mean = cv2.divide(total, cv2.merge([count, count]))
    return np.asarray(cv2.copyTo(mean, beside, source.copy()), np.float32)


def evened(source: Float32, in_front: NDArray[np.bool_], crossed: NDArray[np.bool_]) -> Float32:
    """Return a map, float32 (h, w, 2), without hits and misses beside what is ``crossed``.

    Where a surface is seen nearly edge-on, a strip of it narrower than a cell is met in one row
    and missed in the next. Each cell becomes the mean of itself and those pairs around it that lie
    opposite each other and both on its own side, ``in_front``: mostly along the contour. A map
    that is even stays as it is.
    """
    import cv2

    width = in_front.shape[1]
    near = cv2.dilate(crossed.astype(np.uint8), np.ones((3, 3), np.uint8))
    near[:_PAIR_REACH] = near[-_PAIR_REACH:] = 0
    near[:, :_PAIR_REACH] = near[:, -_PAIR_REACH:] = 0
    cells = np.flatnonzero(near)
    offsets = (_PAIRS @ np.array([width, 1]))[:, None]
    side = in_front.ravel()
    own = side[cells]
    both = ((side[cells + offsets] == own) & (side[cells - offsets] == own)).astype(np.float32)
    flat = source.reshape(-1, 2)
    total = ((flat[cells + offsets] + flat[cells - offsets]) * both[..., None]).sum(axis=0)
    even = source.copy()
    even.reshape(-1, 2)[cells] = (flat[cells] + total) / (1 + 2 * both.sum(axis=0))[:, None]
    return even


def lasting(front: NDArray[Any]) -> Float32:
    """Return how far a contour lasts at each cell, float32 (h, w), 0 to 1.

    ``front``: uint8 (h, w), 255 in the cells before another surface. Where surfaces are about so
    far apart that cells of one row tell and those of the next do not, there is none.
    """
    import cv2

    count = cv2.boxFilter(front, cv2.CV_32F, (7, 7), normalize=False)
    share = np.multiply(count, np.float32(1 / 255 / (_WHOLE - _FEW)), dtype=np.float32)
    share -= np.float32(_FEW / (_WHOLE - _FEW))
    return np.clip(share, 0, 1)[..., None]


def faded(source: Float32, side: Float32, kept: Float32) -> Float32:
    """Return one side's map, (h, w, 2), where its contour lasts; where it ends, the common one."""
    return np.asarray(source + (side - source) * kept, np.float32)
