"""Places around one eye: how far along its lids, and how far above the chord of its corners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from avatar.stages.generate.overlay import Box

# Where the lids' landmarks are interpolated, shares of the way from corner to corner.
_FINE = np.linspace(0, 1, 33)


class LidLines:
    """The upper and the lower lid's edge of one eye as curves over the chord of its corners.

    ``ring_px``: float32 (16, 2 or 3), the eye's outline, as ``EYE_RINGS`` has it. ``side``: 1 or
    −1, to which side of the chord 'up' is (``side_of``). Lengths are in eye widths.
    """

    def __init__(self, ring_px: Float32, side: float) -> None:
        points = ring_px[:, :2].astype(np.float64)
        self._begin, chord = points[0], points[8] - points[0]
        self.width_px = max(float(np.linalg.norm(chord)), 1.0)
        """The eye's width, a pixel at least."""
        self._along = chord / self.width_px
        self._up = side * np.array([self._along[1], -self._along[0]])
        self.upper = self._curve(points[:9])
        """Where the upper lid's edge is at 33 equal steps of the chord, float64 (33,)."""
        self.lower = self._curve(points[[0, *range(15, 7, -1)]])
        """The same of the lower lid's edge."""

    @staticmethod
    def side_of(ring_px: Float32) -> float:
        """Return the ``side`` of an open eye; it stays the same when the lids meet."""
        points = ring_px[:, :2].astype(np.float64)
        chord, gap = points[8] - points[0], (points[1:8] - points[15:8:-1]).mean(axis=0)
        return 1.0 if chord[1] * gap[0] - chord[0] * gap[1] >= 0 else -1.0

    def places(self, box: Box) -> tuple[Float32, Float32]:
        """Return each pixel's share of the way from corner to corner and its height, (h, w)."""
        x0, y0, x1, y1 = box
        x = np.arange(x0, x1) + 0.5 - self._begin[0]
        y = np.arange(y0, y1)[:, None] + 0.5 - self._begin[1]
        along, up = self._along / self.width_px, self._up / self.width_px
        share = x * along[0] + y * along[1]
        height = x * up[0] + y * up[1]
        return share.astype(np.float32), height.astype(np.float32)

    @staticmethod
    def at(curve: NDArray[np.float64], share: Float32) -> Float32:
        """Return a curve's height at ``share`` of the way; beyond the corners it is theirs."""
        place = np.clip(share * np.float32(len(_FINE) - 1), 0, len(_FINE) - 1)
        return np.asarray(np.interp(place, np.arange(len(_FINE)), curve), np.float32)

    def pixels(self, share: NDArray[np.float64], height: NDArray[np.float64]) -> Float32:
        """Return where places are in the picture, float32 (…, 2)."""
        at = share[..., None] * self._along + height[..., None] * self._up
        return np.asarray(self._begin + at * self.width_px, np.float32)

    def _curve(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        off = (points - self._begin) / self.width_px
        # Seen from far aside, an edge may run a little backwards: a curve has one height a place.
        along = np.maximum.accumulate(off @ self._along)
        curve = np.interp(_FINE, along, off @ self._up)
        # Rounded at the landmarks; the corners stay.
        for _ in range(2):
            curve[1:-1] = (curve[:-2] + 2 * curve[1:-1] + curve[2:]) / 4
        return np.asarray(curve)
