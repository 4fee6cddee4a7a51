"""How sharp a picture is, so that what is laid into it is no sharper."""

from __future__ import annotations

import numpy as np

from avatar.core.face.topology import EYES, MOUTH_CORNERS
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.overlay import box_around

_PROBE = 1.0
_EDGES = 96
# What the difference of neighbouring pixels blurs itself, px².
_OPERATOR = 0.5
_BLUREST = 4.0
# What resampling alone blurs; less than the second is not worth a filter. Pixels.
_RESAMPLED, _LEAST = 0.5, 0.35
_EVERY = 61


class Softness:
    """Makes what comes from another picture as soft as the avatar's, ``blur_px``, pixels."""

    def __init__(self, blur_px: float) -> None:
        self._own = blur_px
        self._theirs: float | None = None
        self._calls = 0

    def apply(
        self, patch: UInt8Image, source: UInt8Image, landmarks_px: Float32, ratio: float
    ) -> UInt8Image:
        """Return ``patch``, uint8 (h, w, 3), softened where its source is sharper as drawn.

        ``source``: uint8 (H, W, 3) with its face's landmarks; ``ratio``: pixels drawn for one of
        its own.
        """
        import cv2

        if self._theirs is None or self._calls % _EVERY == 0:
            now = blur_px(source, landmarks_px)
            # A head in motion is blurred for once: the sharpest look counts.
            self._theirs = now if self._theirs is None else min(self._theirs, now)
        self._calls += 1
        lacking = self._own**2 - max(self._theirs * ratio, _RESAMPLED) ** 2
        if lacking < _LEAST**2:
            return patch
        return np.asarray(cv2.GaussianBlur(patch, (0, 0), lacking**0.5), np.uint8)


def blur_px(image: UInt8Image, landmarks_px: Float32) -> float:
    """Return the standard deviation of the blur of a face's edges, pixels, 0 to 4.

    A step blurred by s and once more by t is less steep by R = √(s² + t²) / s, hence
    s = t / √(R² - 1) (Zhuo and Sim 2011); at the steepest edges of eyes and mouth.
    """
    import cv2

    points = [k for eye in EYES for k in eye] + [*MOUTH_CORNERS, 0, 17]
    box = box_around(landmarks_px[points], 4, image)
    if box is None:
        return 0.0
    part = np.ascontiguousarray(image[box[1] : box[3], box[0] : box[2]])
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sharp = _slopes(grey)
    softened = _slopes(np.asarray(cv2.GaussianBlur(grey, (0, 0), _PROBE), np.float32))
    count = min(_EDGES, sharp.size)
    steepest = np.argpartition(sharp.ravel(), -count)[-count:]
    ratio = sharp.ravel()[steepest] / np.maximum(softened.ravel()[steepest], 1e-3)
    typical = float(np.median(ratio))
    squared = _PROBE**2 / max(typical**2 - 1, 1e-3) - _OPERATOR
    return float(min(max(squared, 0.0) ** 0.5, _BLUREST))


def _slopes(grey: Float32) -> Float32:
    import cv2

    x, y = cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(x, y), np.float32)
