"""The line along which shut lids meet, drawn finer than the mesh's map.

Where lids meet, the map jumps from one to the other, in steps as large as its cells. A shut eye has
a line of lashes there: it is drawn in the colour that the upper lid's edge has in the photograph.
"""

from __future__ import annotations

import numpy as np

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.overlay import blend_into, box_around, polygon_mask
from avatar.stages.generate.raster import sample

# How far lids are shut when their line begins to show, and when it is whole.
_BEGINS, _WHOLE = 0.75, 0.95
# Half its height in the middle, eye widths and pixels; towards the corners it grows thin.
_HALF, _LEAST_PX = 0.032, 0.9
# Where along the way from the upper lid's edge upwards its lashes are looked for, eye widths.
_LASHES = np.linspace(-0.02, 0.06, 5, dtype=np.float32)
_FINE = np.linspace(0, 8, 25)


class LidSeam:
    """The seam of one eye.

    ``canvas``: uint8 (H, W, 3) RGB. ``ring_px``: float32 (16, 2 or 3), the eye's outline on it, as
    ``EYE_RINGS`` has it.
    """

    def __init__(self, canvas: UInt8Image, ring_px: Float32) -> None:
        upper, lower = ring_px[1:8, :2], ring_px[15:8:-1, :2]
        width = float(np.linalg.norm(ring_px[0, :2] - ring_px[8, :2]))
        up = (upper - lower).mean(axis=0)
        up /= max(float(np.linalg.norm(up)), 1e-3)
        places = upper[:, None] + _LASHES[:, None] * width * up
        seen = sample(canvas, (places - 0.5).astype(np.float32)).astype(np.float32)
        darkest = seen.mean(axis=-1).argmin(axis=1)
        self._colour = np.median(seen[np.arange(len(seen)), darkest], axis=0)

    def draw(self, image: UInt8Image, ring_px: Float32, closure: float) -> None:
        """Draw the line into ``image``, in place, where lids shut by ``closure`` meet.

        ``ring_px``: float32 (16, 2 or 3), where the outline is in ``image``.
        """
        share = float(np.clip((closure - _BEGINS) / (_WHOLE - _BEGINS), 0, 1))
        box = box_around(ring_px, 2, image)
        if share <= 0 or box is None:
            return
        mask = polygon_mask(_ribbon(ring_px[:, :2]), box, feather_px=0.8)
        x0, y0, x1, y1 = box
        patch = np.broadcast_to(self._colour, (y1 - y0, x1 - x0, 3)).astype(np.uint8)
        blend_into(image, box, patch, (mask * share).astype(np.uint8))


def _ribbon(ring_px: Float32) -> Float32:
    """Return the outline of the line, float32 (50, 2)."""
    upper, lower = ring_px[1:8], ring_px[15:8:-1]
    knots = np.concatenate([ring_px[:1], (upper + lower) / 2, ring_px[8:9]])
    line = np.stack([np.interp(_FINE, np.arange(9), knots[:, k]) for k in (0, 1)], axis=1)
    # Rounded at the knots; the corners stay.
    line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
    across = line[-1] - line[0]
    width = max(float(np.linalg.norm(across)), 1e-3)
    normal = np.array([across[1], -across[0]]) / width
    half = max(_HALF * width, _LEAST_PX) * np.sqrt(np.sin(np.pi * _FINE / 8).clip(0, 1))
    edge = normal * half[:, None]
    return np.concatenate([line + edge, (line - edge)[::-1]]).astype(np.float32)
