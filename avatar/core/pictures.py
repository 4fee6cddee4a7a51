"""Pictures as the bytes of a file."""

from __future__ import annotations

import numpy as np

from avatar.core.frames import UInt8Image


def jpeg(image: UInt8Image, quality: int = 85) -> bytes:
    """Return a picture, uint8 (H, W, 3) RGB, as JPEG; ``quality``: 0 to 100."""
    import cv2

    return _encoded(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def png(image: UInt8Image) -> bytes:
    """Return a picture, uint8 (H, W, 3) RGB, as PNG, which keeps every value."""
    return _encoded(image, ".png", [])


def _encoded(image: UInt8Image, suffix: str, options: list[int]) -> bytes:
    import cv2

    done, data = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]), options)
    assert done, f"{image.shape} cannot be a picture"
    return data.tobytes()
