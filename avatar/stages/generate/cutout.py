"""A person cut out to stand before something else: outline and colours without the old background.

Before the photograph's own background an outline may be generous: what it takes of the wall looks
like the wall. Before another one that is a halo. So near the outline each pixel is explained anew
as a mixture of the person's colour, spread outwards from inside, and the wall's, spread inwards
from outside: the share that explains it best is the coverage (the projection onto the line between
two sampled colours of Wang and Cohen, "Optimized color sampling for robust matting", 2007), and
the person's colour is what is left when the wall's share is taken away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.fill import fill_unknown

Rect = tuple[int, int, int, int]
# How far on either side of the outline pixels are explained anew, in half face heights.
_BAND = 0.05
# Person and wall must differ by so much for their mixture to say anything, and a pixel may lie so
# far from it; distances in 8-bit RGB.
_APART, _OFF_LINE = 45.0, 30.0
# Shares below and above count as none and all: the picture's noise.
_LEAST, _MOST = 0.1, 0.9


def cut_out(
    image: UInt8Image, plate: UInt8Image, alpha: Float32, half_face_px: float, within: Rect
) -> NDArray[np.uint8]:
    """Return the person of ``image`` for another background, uint8 (H, W, 4), premultiplied.

    ``image``, ``plate``: uint8 (H, W, 3), the photograph and its background with the person
    filled in. ``alpha``: float32 (H, W), the coverage that was found. ``within``: (left, top,
    right, bottom) of the photograph in ``image``; what lies outside belongs to nobody.
    """
    reach_px = _BAND * half_face_px
    own = fill_unknown(image, _eroded(alpha, reach_px)).astype(np.float32)
    wall = plate.astype(np.float32)
    share = _explained(image.astype(np.float32), own, wall, alpha)
    outline = _dilated(alpha, reach_px) > 0.01
    fine = np.where(outline, share, 0)
    left, top, right, bottom = within
    inside = np.zeros_like(fine)
    inside[top:bottom, left:right] = fine[top:bottom, left:right]
    cover = inside[..., None]
    rest = np.clip(image - wall * (1 - cover), 0, 255 * cover)
    # Where little of a pixel is the person, what is left over is noise: better the colour beside.
    sure = cover**2
    person = rest * sure + own * cover * (1 - sure)
    return np.asarray(np.concatenate([person, cover * 255], axis=2) + 0.5, np.uint8)


def _explained(image: Float32, own: Float32, wall: Float32, alpha: Float32) -> Float32:
    """Return the share of ``own`` in each pixel where that can be told, else ``alpha``."""
    line = own - wall
    length = np.sum(line * line, axis=-1)
    share = np.clip(np.sum((image - wall) * line, axis=-1) / (length + 1), 0, 1)
    off = image - wall - share[..., None] * line
    trust = length / (length + _APART**2)
    trust *= np.exp(-np.sum(off * off, axis=-1) / (2 * _OFF_LINE**2))
    clear = np.clip((share - _LEAST) / (_MOST - _LEAST), 0, 1)
    return np.asarray(trust * clear + (1 - trust) * alpha, np.float32)


def _eroded(alpha: Float32, by_px: float) -> Float32:
    """Return 1 where a pixel and all within ``by_px`` are the person."""
    import cv2

    return np.asarray(cv2.erode((alpha > 0.98).astype(np.float32), _ball(by_px)), np.float32)


def _dilated(alpha: Float32, by_px: float) -> Float32:
    import cv2

    return np.asarray(cv2.dilate(alpha, _ball(by_px)), np.float32)


def _ball(radius_px: float) -> NDArray[np.uint8]:
    import cv2

    size = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
