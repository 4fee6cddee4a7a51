"""A face as coordinates in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar.core.face.head import HeadShape
from avatar.core.face.topology import FACE_OVAL
from avatar.core.frames import Float32

# A neck bends to the side by so much, radians, and turns here, half face heights below the middle.
_NECK_BENDS, _PIVOT = 0.35, -1.3
# A face seen from the front is at least so wide for its height.
_NARROWEST = 0.72


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """The face as coordinates: u to the picture's right along the face, v up, the oval is ±1.

    ``centre_px``: float32 (2,). ``right``, ``up``: unit vectors in pixels. ``half_px``: half the
    oval's width and height.
    """

    centre_px: Float32
    right: Float32
    up: Float32
    half_px: Float32

    @property
    def body(self) -> FaceFrame:
        """Return the frame of the body below: as large, but upright, as far as a neck can bend.

        A face that is seen from the side is narrow; its shoulders are not.
        """
        roll = float(np.arctan2(self.up[0], -self.up[1]))
        lean = np.sign(roll) * max(abs(roll) - _NECK_BENDS, 0.0)
        up = np.array([np.sin(lean), -np.cos(lean)], np.float32)
        right = np.array([-up[1], up[0]], np.float32)
        half = np.maximum(self.half_px, np.array([_NARROWEST, 1.0], np.float32) * self.half_px[1])
        pivot = self.pixels(np.array([0, _PIVOT], np.float32))
        return FaceFrame(pivot - up * np.float32(_PIVOT * half[1]), right, up, half)

    @property
    def arrays(self) -> tuple[Float32, ...]:
        """Return all its numbers."""
        return self.centre_px, self.right, self.up, self.half_px

    def coordinates(self, points_px: Float32) -> Float32:
        """Return (u, v) of points, float32 (..., 2) each."""
        offset = points_px - self.centre_px
        axes = np.stack([self.right, self.up]) / self.half_px[:, None]
        return np.asarray(offset @ axes.T, np.float32)

    def pixels(self, uv: Float32) -> Float32:
        """Return the points, float32 (..., 2) pixels, of coordinates (u, v)."""
        axes = np.stack([self.right, self.up]) * self.half_px[:, None]
        return np.asarray(self.centre_px + uv @ axes, np.float32)

    def scaled(self, ratio: float, origin_px: Float32) -> FaceFrame:
        """Return the same frame in a picture cut at ``origin_px`` and scaled by ``ratio``."""
        factor = np.float32(ratio)
        return FaceFrame(
            (self.centre_px - origin_px) * factor, self.right, self.up, self.half_px * factor
        )


def face_frame(landmarks_px: Float32, head: HeadShape) -> FaceFrame:
    """Return the frame of a face, upright with the head's own roll."""
    up = np.array([head.rotation[0, 1], -head.rotation[1, 1]], np.float32)
    up /= max(float(np.linalg.norm(up)), 1e-6)
    right = np.array([-up[1], up[0]], np.float32)
    oval = landmarks_px[FACE_OVAL, :2]
    middle = oval.mean(axis=0)
    spread = [float(np.ptp((oval - middle) @ axis)) / 2 for axis in (right, up)]
    half = np.maximum(np.array(spread, np.float32), 1.0)
    return FaceFrame(middle.astype(np.float32), right, up, half)


def pixel_places(shape: tuple[int, ...]) -> Float32:
    """Return where the pixels of a picture of ``shape`` are: float32 (H, W, 2), their middles."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) + np.float32(0.5)
    return np.stack([x, y], axis=-1)
