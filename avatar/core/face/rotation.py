"""Rotations as matrices and as vectors (axis times angle)."""

from __future__ import annotations

import math

import numpy as np

from avatar.frames import Float32


def rotation_from_vector(vector: Float32) -> Float32:
    """Return the rotation, float32 (3, 3), of a rotation vector in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3, dtype=np.float32)
    x, y, z = (vector / angle).tolist()
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)
    return np.asarray(matrix, np.float32)


def vector_from_rotation(rotation: Float32) -> Float32:
    """Return the rotation vector, float32 (3,), radians; the angle is below π."""
    cosine = (float(np.trace(rotation)) - 1) / 2
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    axis = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ],
        np.float64,
    )
    norm = float(np.linalg.norm(axis))
    if norm < 1e-9:
        # No turn, or exactly half a turn, which no head makes.
        return np.zeros(3, np.float32)
    return (axis * (angle / norm)).astype(np.float32)
