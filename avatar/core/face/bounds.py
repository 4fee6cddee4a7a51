"""Where a face lies in its picture: boxes in pixels, as corners (x, y) or as four sides."""

from __future__ import annotations

from avatar.core.face.topology import SURFACE_COUNT
from avatar.core.frames import Face, Float32

Corners = tuple[Float32, Float32]


def bounds_of(points: Float32) -> Corners:
    """Return (left, top) and (right, bottom), float32 (2,), of points, float32 (N, 2 or 3)."""
    return points[:, :2].min(axis=0), points[:, :2].max(axis=0)


def surface_bounds(face: Face) -> Corners:
    """Return (left, top) and (right, bottom), float32 (2,), of a face's surface, pixels."""
    return bounds_of(face.landmarks_px[:SURFACE_COUNT])


def face_box(face: Face) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) of a face's surface, pixels of its picture."""
    low, high = surface_bounds(face)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def face_px(face: Face) -> float:
    """Return the longer side of a face's surface, pixels of its picture."""
    left, top, right, bottom = face_box(face)
    return max(right - left, bottom - top)
