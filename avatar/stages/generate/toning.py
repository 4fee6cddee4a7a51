"""Pictures of one tone, grey or sepia: what is drawn into them has to be of the same tone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import SURFACE_COUNT
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.overlay import box_around

_SAMPLES = 64
_BINS = 32
# Colours within the first of one line through all tones, in levels, are of one tone; beyond the
# second (skin, lips, hair and eyes of a colour photograph) they are not.
_ONE_TONE, _COLOURED = 3.8, 6.0
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Toning:
    """One picture's tone. ``image``: uint8 (H, W, 3) RGB; landmarks float32 (478, 3) on it."""

    def __init__(self, image: UInt8Image, landmarks_px: Float32) -> None:
        colours = _face_colours(image, landmarks_px)
        light = colours @ _LUMA
        self._table = _tones(light, colours)
        apart = np.abs(colours - self._table[np.rint(light).astype(int)]).max(axis=1)
        deviation = float(np.percentile(apart, 95))
        self.share = float(np.clip((_COLOURED - deviation) / (_COLOURED - _ONE_TONE), 0, 1))
        self._eight = np.rint(np.clip(self._table, 0, 255)).astype(np.uint8)

    def apply(self, patch: UInt8Image) -> UInt8Image:
        """Return ``patch``, uint8 (h, w, 3), in the picture's tone, if it has but one."""
        if self.share <= 0:
            return patch
        import cv2

        toned = self._eight[cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)]
        if self.share >= 1:
            return np.asarray(toned, np.uint8)
        mixed = cv2.addWeighted(toned, self.share, patch, 1 - self.share, 0)
        return np.asarray(mixed, np.uint8)


def _face_colours(image: UInt8Image, landmarks_px: Float32) -> Float32:
    """Return colours spread over the face, float32 (N, 3).

    Averaged, since compression keeps colours at half the pixels and noise has its own.
    """
    import cv2

    box = box_around(landmarks_px[:SURFACE_COUNT], 0, image)
    if box is None:
        return np.full((_SAMPLES, 3), 128, np.float32)
    part = image[box[1] : box[3], box[0] : box[2]]
    size = (min(_SAMPLES, part.shape[1]), min(_SAMPLES, part.shape[0]))
    small = cv2.resize(cv2.blur(part, (3, 3)), size, interpolation=cv2.INTER_AREA)
    colours: Float32 = small.reshape(-1, 3).astype(np.float32)
    return colours


def _tones(light: Float32, colours: Float32) -> NDArray[np.float32]:
    """Return the colour that belongs to each lightness, float32 (256, 3)."""
    order = np.argsort(light)
    parts = np.array_split(order, _BINS)
    at = np.array([np.median(light[part]) for part in parts])
    tint = np.array([np.median(colours[part] - light[part, None], axis=0) for part in parts])
    levels = np.arange(256)
    # Beyond what the face has, a tint fades towards black and white as it does in prints.
    at, tint = np.array([0, *at, 255]), np.array([0 * tint[0], *tint, 0 * tint[0]])
    tinted = np.stack([np.interp(levels, at, tint[:, k]) for k in range(3)], axis=1)
    return np.asarray(levels[:, None] + tinted, np.float32)
