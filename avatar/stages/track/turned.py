"""Heads in pictures that lie on their side or stand on their head: quarter turns of faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.frames import Face, Float32
from avatar.stages.track.region import around_landmarks


def quarters(landmarks_px: Float32) -> int:
    """Return how many quarter turns, clockwise as seen, a head is away from upright: 0 to 3."""
    return around_landmarks(landmarks_px).quarters


def turned_points(points: Float32, size_px: tuple[int, int], turns: int) -> Float32:
    """Return points, float32 (N, 2 or 3), of a picture that was turned clockwise by quarters.

    ``size_px``: its (width, height) before.
    """
    width, height = size_px
    found = points.copy()
    for _ in range(turns % 4):
        found[:, 0], found[:, 1] = height - found[:, 1], found[:, 0].copy()
        width, height = height, width
    return found


def turned_face(face: Face, turns: int) -> Face:
    """Return a face of a picture that was turned clockwise by quarters."""
    if turns % 4 == 0:
        return face
    width, height = face.image_size_px
    points = turned_points(face.landmarks_px, face.image_size_px, turns)
    angle = -turns * np.pi / 2
    pose = face.pose.copy()
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    pose[:2] = np.array([[c, -s], [s, c]], np.float32) @ face.pose[:2]
    size = (height, width) if turns % 2 else (width, height)
    return replace(face, landmarks_px=points, pose=pose, image_size_px=size)


def moved_face(face: Face, margin: int) -> Face:
    """Return a face of a picture that got ``margin`` pixels more on every side."""
    width, height = face.image_size_px
    moved = face.landmarks_px + np.array([margin, margin, 0], np.float32)
    size = (width + 2 * margin, height + 2 * margin)
    return replace(face, landmarks_px=moved, image_size_px=size)
