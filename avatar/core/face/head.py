"""The head frame: a face's shape without its pose, place and size.

Convention: the head frame has x to the right of the picture, y up and z towards the viewer;
its origin is the centre of the rigid landmarks and its unit, the head unit, is their root mean
square distance from it. Pixels are y down with z away from the viewer, so both flip.

A landmark p (head frame) stands in the picture at ``flip(scale · rotation · p) + centre``:
weak perspective, in which MediaPipe's landmarks are given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.rotation import proper_rotation, turn_of
from avatar.core.face.topology import EYES, LIPS_MIDDLE, MOUTH_CORNERS
from avatar.core.frames import Face, Float32

# Bridge and sides of the nose, eye corners, temples, forehead: what expressions move least.
RIGID: NDArray[np.intp] = np.array(
    [168, 6, 197, 195, 5, 4, 1, 33, 133, 362, 263, 10, 151, 109, 338, 67, 297, 103, 332, 54, 284,
     21, 251, 162, 389, 127, 356, 234, 454]
)  # fmt: skip
FLIP = np.array([1, -1, -1], np.float32)
"""Pixels' directions (x right, y down, z away) times these are the head frame's, and back."""


@dataclass(frozen=True, eq=False)
class HeadShape:
    """A face taken apart.

    ``shape``: float32 (478, 3), head frame, head units. ``rotation``: float32 (3, 3), head frame
    to camera. ``centre_px``: float32 (3,), pixels. ``scale_px``: pixels of a head unit.
    """

    shape: Float32
    rotation: Float32
    centre_px: Float32
    scale_px: float


def decompose(face: Face) -> HeadShape:
    """Take ``face`` apart with the tracker's own head pose."""
    return _apart(face.landmarks_px * FLIP, head_rotation(face))


def decompose_like(face: Face, reference: Float32) -> HeadShape:
    """Take ``face`` apart with the pose that lays its rigid landmarks best onto ``reference``.

    ``reference``: float32 (478, 3), a shape of the same person in the head frame. Steadier than
    the tracker's pose, since the person's own proportions are known. Kabsch 1976.
    """
    points = face.landmarks_px * FLIP
    rigid = points[RIGID] - points[RIGID].mean(axis=0)
    model = reference[RIGID] - reference[RIGID].mean(axis=0)
    return _apart(points, proper_rotation(rigid.T @ model))


def _apart(points: Float32, rotation: Float32) -> HeadShape:
    centre = points[RIGID].mean(axis=0)
    centred = points - centre
    scale = float(np.sqrt(np.mean(np.sum(centred[RIGID] ** 2, axis=1))))
    # A collapsed face has no size; one pixel keeps every later division finite.
    scale = max(scale, 1.0)
    shape = (centred @ rotation) / np.float32(scale)
    return HeadShape(shape.astype(np.float32), rotation, centre * FLIP, scale)


def compose(shape: Float32, rotation: Float32, centre_px: Float32, scale_px: float) -> Float32:
    """Return the landmarks in pixels, float32 (N, 3), of ``shape`` posed and placed."""
    posed = (shape @ rotation.T) * np.float32(scale_px)
    return (posed * FLIP + centre_px).astype(np.float32)


def shape_of(points_px: Float32, rotation: Float32, centre_px: Float32, scale_px: float) -> Float32:
    """Return points in pixels, float32 (N, 3), in the head frame: what ``compose`` takes back."""
    centred = (points_px - centre_px) * FLIP
    return (centred @ rotation / np.float32(scale_px)).astype(np.float32)


def eye_opening(shape: Float32) -> Float32:
    """Return the lids' distance in eye widths, float32 (2,) (left, right)."""
    return np.array(
        [
            (shape[upper, 1] - shape[lower, 1])
            / max(float(np.linalg.norm(shape[outer] - shape[inner])), 1e-3)
            for outer, inner, upper, lower, _ in EYES
        ],
        np.float32,
    )


def iris_offset(shape: Float32) -> Float32:
    """Return the iris centre from the middle of the eye's corners.

    float32 (2, 2): rows (left, right), columns (x right, y down) in eye widths.
    """
    rows = []
    for outer, inner, _, _, iris in EYES:
        width = max(float(np.linalg.norm(shape[outer] - shape[inner])), 1e-3)
        offset = (shape[iris] - (shape[outer] + shape[inner]) / 2) / width
        rows.append((offset[0], -offset[1]))
    return np.array(rows, np.float32)


def lips_gap(shape: Float32) -> float:
    """Return how far the lips' inner edges are apart at their middle, upwards, head units.

    Negative where they cross. ``shape``: float32 (478, 3), head frame, or displacements of one.
    """
    upper, lower = LIPS_MIDDLE
    return float(shape[upper, 1] - shape[lower, 1])


def mouth_width(shape: Float32) -> float:
    """Return the distance between the mouth's corners, in the unit of ``shape``."""
    right, left = MOUTH_CORNERS
    return math.dist(shape[right], shape[left])


def head_rotation(face: Face) -> Float32:
    """Return the tracker's own head pose as a rotation, float32 (3, 3), head frame to camera."""
    return proper_rotation(face.pose[:3, :3])


def head_turn_deg(face: Face) -> tuple[float, float, float]:
    """Return (yaw, pitch, roll) of a face in degrees; see ``turn_of``."""
    yaw, pitch, roll = (math.degrees(angle) for angle in turn_of(head_rotation(face)))
    return yaw, pitch, roll
