"""Rotations as matrices, as vectors (axis times angle) and as a head's angles.

Convention: a matrix carries columns of the head frame to the camera's axes, x to the right, y up,
z towards the viewer; a positive angle turns as a right-handed screw does about its axis.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32


def rotation_from_vector(vector: Float32) -> Float32:
    """Return the rotation, float32 (3, 3), of a rotation vector in radians (Rodrigues 1840)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3, dtype=np.float32)
    x, y, z = (vector / angle).tolist()
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)
    return np.asarray(matrix, np.float32)


def vector_from_rotation(rotation: Float32) -> Float32:
    """Return the rotation vector, float32 (3,), radians; the angle is below π.

    The inverse of ``rotation_from_vector``: axis from the antisymmetric part, angle from the trace.
    """
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


def proper_rotation(matrix: NDArray[np.floating]) -> Float32:
    """Return the rotation nearest to a 3×3 matrix (orthogonal Procrustes, Schönemann 1966)."""
    u, _, vt = np.linalg.svd(matrix.astype(np.float64))
    d = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    return np.asarray(u @ d @ vt, np.float32)


def turn_of(rotation: Float32) -> tuple[float, float, float]:
    """Return (yaw, pitch, roll), radians, of a head's rotation, float32 (3, 3), to the camera.

    Yaw: positive towards the picture's right. Pitch: positive upwards. Roll: positive when the
    crown leans to the picture's left. Yaw and pitch are where the face looks, as a direction.
    """
    right, up, towards = (float(part) for part in rotation[:, 2])
    roll = math.atan2(float(rotation[1, 0]), float(rotation[1, 1]))
    return math.atan2(right, towards), math.atan2(up, math.hypot(right, towards)), roll
