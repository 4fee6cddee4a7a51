"""A picture's grain, be it canvas, strokes or film: taken from the skin, laid on what is drawn.

What comes out of a camera or a drawing program is smoother than an old painting; without its grain
a mouth looks pasted in.
"""

from __future__ import annotations

import numpy as np

from avatar.core.face.topology import SURFACE_COUNT
from avatar.core.frames import Float32, UInt8Image

# Both cheeks.
_CHEEKS = (50, 280)
_SIDE_SHARE = 0.16
# Levels below this are a camera's noise, which nobody misses.
_LEAST = 1.2
_HIGHEST = 3.0


class Grain:
    """The grain of one picture's skin, as a tile that repeats without a seam.

    ``image``: uint8 (H, W, 3) RGB. ``landmarks_px``: float32 (478, 3) on it.
    """

    def __init__(self, image: UInt8Image, landmarks_px: Float32) -> None:
        width = float(np.ptp(landmarks_px[:SURFACE_COUNT, 0]))
        half = max(4, round(_SIDE_SHARE * width / 2))
        cheeks = [_fine_structure(image, landmarks_px[k, :2], half) for k in _CHEEKS]
        # A shadow's edge or a beard on one cheek is no grain: the calmer one counts.
        levels = [_level(cheek) for cheek in cheeks]
        calm = int(np.argmin(levels))
        self.level = levels[calm]
        limit = _HIGHEST * max(self.level, 1e-3)
        self._tile = _seamless(np.clip(cheeks[calm], -limit, limit))

    def lay_on(self, patch: UInt8Image, origin: Float32) -> UInt8Image:
        """Return ``patch``, uint8 (h, w, 3), with the grain; ``origin``: (x, y) that carries it."""
        if self.level < _LEAST:
            return patch
        import cv2

        rows = np.arange(patch.shape[0]) - round(float(origin[1]))
        columns = np.arange(patch.shape[1]) - round(float(origin[0]))
        height, width = self._tile.shape
        grain = self._tile[np.ix_(rows % height, columns % width)]
        lightened = cv2.add(patch, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
        return np.asarray(lightened, np.uint8)


def _fine_structure(image: UInt8Image, at: Float32, half: int) -> Float32:
    """Return what varies from pixel to pixel around ``at``, float32 (h, w), levels."""
    import cv2

    height, width = image.shape[:2]
    x = int(np.clip(at[0], half, max(width - half - 1, half)))
    y = int(np.clip(at[1], half, max(height - half - 1, half)))
    part = image[max(0, y - half) : y + half, max(0, x - half) : x + half]
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), 2.0), np.float32)


def _level(structure: Float32) -> float:
    """Return the grain's standard deviation, levels, by the median, which edges do not move."""
    return float(np.median(np.abs(structure - np.median(structure)))) * 1.4826


def _seamless(structure: Float32) -> Float32:
    """Return the structure mirrored at its edges, so that copies of it meet without a seam."""
    doubled = np.concatenate([structure, structure[::-1]])
    return np.concatenate([doubled, doubled[:, ::-1]], axis=1)
