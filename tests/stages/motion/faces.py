"""Faces for tests, made from a real one by exact geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.face.head import compose, decompose
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import BLENDSHAPE_INDEX, BLENDSHAPE_NAMES, Face, FaceTrack

CAMERA_PX = (640, 480)


def posed(
    face: Face,
    *,
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
    at_px: tuple[float, float] = (320.0, 240.0),
    scale_px: float = 60.0,
    **blendshapes: float,
) -> Face:
    """Return ``face`` frontal, then turned by a rotation vector (radians), placed and sized."""
    head = decompose(face)
    rotation = rotation_from_vector(np.array(turn, np.float32))
    landmarks = compose(head.shape, rotation, np.array([*at_px, 0], np.float32), scale_px)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = rotation
    scores = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
    for name, value in blendshapes.items():
        scores[BLENDSHAPE_INDEX[name]] = value
    return Face(landmarks, scores, pose, CAMERA_PX)


def with_jaw_open(face: Face, by_px: float) -> Face:
    """Return ``face`` with the lower lip and chin lowered in its picture."""
    landmarks = face.landmarks_px.copy()
    landmarks[[14, 87, 317, 178, 402, 17, 84, 314, 152, 148, 377, 200], 1] += by_px
    return replace(face, landmarks_px=landmarks)


def track(face: Face | None, index: int, fps: float = 30.0) -> FaceTrack:
    """Return a track without a picture."""
    return FaceTrack(round(index * 1e9 / fps), index, face)
