"""What a tracked face has to be before it moves anything: possible, and of one picture size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.frames import Face

# Landmarks farther away than so many pictures, or a smaller face, are the tracker's error.
_FARTHEST, _LEAST_FACE_PX = 10, 4.0


def in_size(face: Face, size_px: tuple[int, int]) -> Face:
    """Return ``face`` in a picture of (width, height) ``size_px`` instead of its own.

    A camera that changes its size moves nothing: its pictures show the same middle, and as much
    along their shorter side.
    """
    if face.image_size_px == size_px:
        return face
    scale = np.float32(min(size_px) / max(min(face.image_size_px), 1))
    before, after = (
        np.array([*sides, 0], np.float32) / np.float32(2) for sides in (face.image_size_px, size_px)
    )
    landmarks_px = (face.landmarks_px - before) * scale + after
    return replace(face, landmarks_px=landmarks_px.astype(np.float32), image_size_px=size_px)


def plausible(face: Face) -> bool:
    """Return whether all numbers are finite and the landmarks lie where a camera sees a face."""
    width, height = face.image_size_px
    points = face.landmarks_px
    if not np.abs(points).max() < _FARTHEST * max(width, height):  # false for NaN as well
        return False
    if float(np.ptp(points[:, :2], axis=0).max()) < _LEAST_FACE_PX:
        return False
    return bool(np.isfinite(face.blendshapes).all() and np.isfinite(face.pose).all())
