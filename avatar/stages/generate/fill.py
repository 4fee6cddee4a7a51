"""Filling the unknown part of a picture smoothly from the known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image

# Blurring this much of a scale at once loses nothing that is seen.
_STEP = 3
# A pixel that so much of what is around it speaks for has colours of its own.
_SPOKEN_FOR = 0.5


def fill_unknown(image: UInt8Image, known: Float32) -> UInt8Image:
    """Fill what is not ``known``, float32 (H, W), 0 to 1, smoothly from what is.

    Pull-push (Gortler et al. 1996): weighted averages at ever coarser scales, laid under each
    other.
    """
    own = image.astype(np.float32)
    filled = own * known[..., None] + _pulled(own, known) * (1 - known[..., None])
    return np.asarray(np.clip(filled + 0.5, 0, 255), np.uint8)


def _pulled(image: Float32, known: Float32) -> Float32:
    """Return colours, float32 (H, W, 3), that go smoothly from what is ``known`` to the rest."""
    import cv2

    pixels, weight = image * known[..., None], known
    levels = [(pixels, weight)]
    while min(weight.shape) > 2:
        size = (-(-weight.shape[1] // 2), -(-weight.shape[0] // 2))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
        weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
        levels.append((pixels, weight))
    pixels, weight = levels[-1]
    result = pixels / np.maximum(weight, 1e-4)[..., None]
    for pixels, weight in reversed(levels[:-1]):
        size = (weight.shape[1], weight.shape[0])
        wide = cv2.resize(result, size, interpolation=cv2.INTER_LINEAR)
        under = cv2.GaussianBlur(wide, (3, 3), 0)
        sure = np.clip(weight * 2, 0, 1)[..., None]
        own = pixels / np.maximum(weight, 1e-4)[..., None]
        result = own * sure + under * (1 - sure)
    return np.asarray(result, np.float32)


def wide_colours(image: Float32, known: NDArray[np.bool_], scale_px: float) -> Float32:
    """Return the colours of ``image``, float32 (H, W, 3), less what is finer than ``scale_px``.

    Of what is ``known``, bool (H, W), alone; elsewhere they go on smoothly. What a picture has
    beyond these is its texture; these are its light and what stands there at large.
    """
    import cv2

    height, width = known.shape
    step = max(1, int(scale_px / _STEP))
    size = max(1, width // step), max(1, height // step)
    held = known.astype(np.float32)
    few, share = (
        cv2.GaussianBlur(
            cv2.resize(each, size, interpolation=cv2.INTER_AREA), (0, 0), max(scale_px / step, 0.3)
        )
        for each in (image * held[..., None], held)
    )
    means = np.asarray(few / np.maximum(share, 1e-4)[..., None], np.float32)
    sure = np.clip(share / _SPOKEN_FOR, 0, 1).astype(np.float32)
    wide = means * sure[..., None] + _pulled(means, sure) * (1 - sure[..., None])
    drawn = cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(drawn, np.float32)
