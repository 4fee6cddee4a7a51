"""Whose colours a pixel has: histograms of hair, skin, clothes and wall, and what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image

# A colour histogram's bins, along L* and along a* and b*, which are so wide.
_LIGHTS, _TINTS, _TINT_STEP = 10, 32, 4
# How much a colour can say at most, natural logarithms of odds.
_SURE = 3.0
# These many of a histogram's bins are its usual colours; of theirs so few may be wrong.
_USUAL, _WRONG = 0.98, 0.2


def binned(image: UInt8Image) -> NDArray[np.int32]:
    """Return each pixel's bin in a histogram of L*a*b* colours, int32 (h, w)."""
    import cv2

    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.int32)
    light = lab[..., 0] * _LIGHTS // 256
    tint = np.clip((lab[..., 1:] - 128) // _TINT_STEP + _TINTS // 2, 0, _TINTS - 1)
    return np.asarray((light * _TINTS + tint[..., 0]) * _TINTS + tint[..., 1], np.int32)


def histogram(index: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the share of each bin among ``index``, smoothed, never 0."""
    shape = (_LIGHTS, _TINTS, _TINTS)
    counts = np.bincount(index, minlength=int(np.prod(shape))).reshape(shape) / len(index)
    for axis in (0, 1, 2, 0, 1, 2):
        padded = np.pad(counts, [(1, 1) if k == axis else (0, 0) for k in range(3)], mode="edge")
        low, high = (np.take(padded, np.arange(k, k + shape[axis]), axis=axis) for k in (0, 2))
        counts = 0.5 * counts + 0.25 * (low + high)
    return np.asarray(counts.reshape(-1) + 1e-5)


def unmixed(mixed: NDArray[np.float64], part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the histogram ``mixed`` without as much of ``part`` as it may contain."""
    common = part > np.quantile(part, _USUAL)
    share = float(np.clip(np.quantile((mixed / part)[common], _WRONG), 0, 0.95))
    left = np.maximum(mixed - share * part, 0) + 1e-5
    return np.asarray(left / left.sum())


def soft_odds(image: UInt8Image, odds: NDArray[np.float64]) -> Float32:
    """Return ``odds``, logarithms, (h, w), limited and smooth but for the edges of ``image``."""
    import cv2

    clipped = np.clip(odds, -_SURE, _SURE).astype(np.float32)
    guide = image.astype(np.float32) / 255
    return np.asarray(cv2.ximgproc.guidedFilter(guide, clipped, 4, 1e-3), np.float32)
