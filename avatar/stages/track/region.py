"""The upright square around a face that the landmark network looks at, and the way back.

As MediaPipe's graphs make it (``detections_to_rects_calculator.cc``,
``rect_transformation_calculator.cc``, ``image_to_tensor_converter_opencv.cc``; Apache-2.0): the
box around the face, half as large again, turned so that the eyes are level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin

import numpy as np

from avatar.core.face.bounds import bounds_of
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.track.detection import Detection

CROP_PX = 256
"""Side of the picture that the landmark network looks at."""
_MARGIN = 1.5
_EYES = (33, 263)
"""The landmarks whose line is level: the person's right eye's outer corner and the left one's."""


@dataclass(frozen=True)
class Region:
    """A turned rectangle in a picture.

    ``x``, ``y``: its centre, ``width`` and ``height``: its sides, pixels of the picture.
    ``angle``: how far it is turned, radians, clockwise as seen.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float

    @property
    def quarters(self) -> int:
        """Return the nearest number of quarter turns, clockwise as seen: 0 to 3."""
        return round(self.angle / (pi / 2)) % 4

    def cut(self, image: UInt8Image, side: int = CROP_PX) -> UInt8Image:
        """Return what is inside as a square picture, uint8 (side, side, 3)."""
        import cv2

        return cv2.warpAffine(  # type: ignore[return-value]
            image,
            self._into(side),
            (side, side),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _into(self, side: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Return the picture-to-square matrix, float64 (2, 3)."""
        c, s = cos(self.angle), sin(self.angle)
        across, down = side / self.width, side / self.height
        turn = np.array([[c * across, s * across], [-s * down, c * down]])
        move = side / 2 - turn @ np.array([self.x, self.y])
        return np.concatenate([turn, move[:, None]], axis=1)

    def back(self, points: Float32, side: int = CROP_PX) -> Float32:
        """Return points of the square, float32 (N, 3), in the picture; z has the scale of x."""
        c, s = cos(self.angle), sin(self.angle)
        across, down = self.width / side, self.height / side
        turn = np.array([[c * across, -s * down, 0], [s * across, c * down, 0], [0, 0, across]])
        middle = np.array([side / 2, side / 2, 0])
        moved = (points - middle) @ turn.T + np.array([self.x, self.y, 0])
        return np.asarray(moved, np.float32)


def around_detection(detection: Detection) -> Region:
    """Return where to look for the landmarks of a face that the detector found."""
    left, top, right, bottom = map(float, detection.box)
    angle = _angle(detection.points[0], detection.points[1])
    width, height = (right - left) * _MARGIN, (bottom - top) * _MARGIN
    return Region((left + right) / 2, (top + bottom) / 2, width, height, angle)


def around_landmarks(landmarks_px: Float32) -> Region:
    """Return where to look for a face whose landmarks, float32 (478, 3), were just there."""
    low, high = bounds_of(landmarks_px)
    side = float(max(high - low)) * _MARGIN
    x, y = map(float, (low + high) / 2)
    return Region(x, y, side, side, _angle(landmarks_px[_EYES[0]], landmarks_px[_EYES[1]]))


def _angle(start: Float32, end: Float32) -> float:
    return atan2(float(end[1] - start[1]), float(end[0] - start[0]))


def distance(one: Region, other: Region) -> float:
    """Return how far two regions' centres lie apart, in sides of the first."""
    return hypot(one.x - other.x, one.y - other.y) / max(one.width, one.height)
