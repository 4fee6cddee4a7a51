"""Laying people over what is behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.stages.generate.backward_map import MovedPart
from avatar.stages.generate.matte import Layers
from avatar.stages.generate.raster import sample_planes

# The least of a pixel, read as a whole number, that hides everything behind it.
_WHOLE = 255 << 24
# uint8 (H, W, 3) RGB, or (H, W, 4) RGBA, premultiplied, where the background is transparent.
Picture = NDArray[np.uint8]


def lay_part(image: Picture, plate: Picture, person: NDArray[np.uint8], part: MovedPart) -> None:
    """Write a part of ``image`` that moves: ``person`` over ``plate``.

    ``person``: uint8 (h, w, 4) premultiplied. ``image`` and ``plate`` have the canvas's size. Where
    all of it is person, as most of a head is, nothing is mixed.
    """
    x0, y0, x1, y1 = part.box
    drawn = np.asarray(sample_planes(person, part.source), np.uint8)
    into, below = image[y0:y1, x0:x1], plate[y0:y1, x0:x1]
    first, last = _whole_columns(drawn)
    for columns in (slice(0, first), slice(last, x1 - x0)):
        if columns.start < columns.stop:
            lay_over(into[:, columns], below[:, columns], drawn[:, columns])
    if first < last:
        _put(into[:, first:last], drawn[:, first:last])


def _whole_columns(person: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the longest run of columns in which ``person``, uint8 (h, w, 4), hides everything."""
    # As whole numbers pixels are ordered by their alpha, the last and most significant byte.
    lowest = person.view("<u4")[..., 0].min(axis=0)
    mixed = np.concatenate([[-1], np.flatnonzero(lowest < _WHOLE), [len(lowest)]])
    widest = int(np.diff(mixed).argmax())
    return int(mixed[widest]) + 1, int(mixed[widest + 1])


def _put(image: Picture, person: NDArray[np.uint8]) -> None:
    """Write ``person``, uint8 (h, w, 4), which hides everything, into ``image``."""
    import cv2

    if image.shape[2] == 4:
        image[:] = person
    else:
        cv2.cvtColor(person, cv2.COLOR_RGBA2RGB, dst=image)


def lay_over(image: Picture, plate: Picture, person: NDArray[np.uint8]) -> None:
    """Write ``person``, uint8 (h, w, 4) premultiplied, over ``plate`` into ``image``."""
    import cv2

    through = cv2.bitwise_not(cv2.extractChannel(person, 3))
    if plate.shape[2] == 4:
        behind = cv2.multiply(plate, cv2.merge([through] * 4), scale=1 / 255)
        cv2.add(person, behind, dst=image)
        return
    behind = cv2.multiply(plate, cv2.cvtColor(through, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    cv2.add(cv2.cvtColor(person, cv2.COLOR_RGBA2RGB), behind, dst=image)


def at_rest(behind: Picture, layers: Layers) -> Picture:
    """Return the person of ``layers`` as photographed, over ``behind``."""
    rest = behind.copy()
    lay_over(rest, behind, np.ascontiguousarray(layers.shown))
    return rest
