"""Filling the unknown part of a picture smoothly from the known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image

# Differences of one thing's light stay about within this, 8-bit levels.
_LIT_APART = 14.0


def fill_unknown(image: UInt8Image, known: Float32) -> UInt8Image:
    """Fill what is not ``known``, float32 (H, W), 0 to 1, smoothly from what is.

    Pull-push (Gortler et al. 1996): weighted averages at ever coarser scales, laid under each
    other.
    """
    import cv2

    pixels, weight = image.astype(np.float32) * known[..., None], known
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
    filled = image * known[..., None] + result * (1 - known[..., None])
    return np.asarray(np.clip(filled + 0.5, 0, 255), np.uint8)


def with_light_of(
    textured: UInt8Image, smooth: UInt8Image, filled: NDArray[np.bool_], scale_px: float
) -> UInt8Image:
    """Return ``textured``, uint8 (H, W, 3), lit as ``smooth`` is where it is ``filled``.

    ``filled``: bool (H, W). Texture goes on as it is elsewhere, light as it is beside: what is
    wider than about ``scale_px`` is taken from ``smooth``, and nothing changes at the rim. Where
    both differ much, other things stand there, not other light, and it stays as it is.
    """
    import cv2

    if not filled.any():
        return textured
    step = max(1, int(scale_px / 6))
    height, width = filled.shape
    size = max(1, width // step), max(1, height // step)
    off = (smooth.astype(np.float32) - textured) * filled[..., None]
    few = cv2.resize(off, size, interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(few, (0, 0), scale_px / step)
    light *= np.exp(-np.square(light).mean(axis=2, keepdims=True) / (2 * _LIT_APART**2))
    wide = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    lit = np.clip(textured + wide + 0.5, 0, 255).astype(np.uint8)
    return np.where(filled[..., None], lit, textured)
