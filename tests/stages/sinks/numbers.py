"""Frames that carry their number, so that a reader can tell which ones it got, and in what order.

The number stands in the bottom fifth as black and white blocks, wide enough to outlive scaling and
compression; above it is one colour, and in its corner the label.
"""

from __future__ import annotations

import numpy as np

from avatar.core.frames import GeneratedFrame, LabelledFrame, Presence, UInt8Image
from avatar.stages.label import VisibleLabel

BITS = 10
LAST = (1 << BITS) - 1
COLOUR = (200, 60, 30)
LABEL = VisibleLabel()


def numbered(
    index: int,
    size_px: tuple[int, int],
    timestamp_ns: int | None = None,
    colour: tuple[int, int, int] = COLOUR,
) -> LabelledFrame:
    """Return a labelled frame of ``size_px`` (width, height) that carries ``index``.

    Numbers begin again after ``LAST``.
    """
    width, height = size_px
    image = np.full((height, width, 3), colour, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        image[height * 4 // 5 :, left:right] = 255 * (index >> bit & 1)
    time_ns = index if timestamp_ns is None else timestamp_ns
    return LABEL.label(GeneratedFrame(image, time_ns, index, Presence.TRACKED))


def number(image: UInt8Image) -> int:
    """Return what ``image``, uint8 (H, W, 3), carries."""
    height, width = image.shape[:2]
    row = image[height * 9 // 10]
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if row[x].mean() > 128)


def colour_error(image: UInt8Image) -> int:
    """Return how far the picture's middle is from ``COLOUR``; ``image`` is RGB."""
    height, width = image.shape[:2]
    return int(np.abs(image[height // 2, width // 3].astype(int) - COLOUR).max())
