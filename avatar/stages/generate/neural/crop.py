"""The squares that the networks see: cut from a photograph, and from the driver's picture.

After the cropping of arXiv 2407.03168 and its release, with MediaPipe's landmarks:
the axis from the middle of the eyes to the mouth gives the roll, a square around the landmarks
without the forehead, in the axis's frame, is enlarged and moved up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import UsageError
from avatar.core.face.topology import (
    BROW_RINGS,
    EYE_RINGS,
    EYES,
    FACE_OVAL,
    LIPS_MIDDLE,
    MOUTH_CORNERS,
    OUTER_LIPS,
)
from avatar.core.frames import BLENDSHAPE_NAMES, LANDMARK_COUNT, Face, Float32, UInt8Image

# The oval from one temple over the chin to the other: the published crops are of landmarks that
# have no forehead.
_JAW = FACE_OVAL[7:30]
_CROPPED = np.concatenate(
    [_JAW, *BROW_RINGS, *EYE_RINGS, OUTER_LIPS, [1, 2, 4, 5, 6, 168, 197, 195]]
)
# (upper lip's inner middle, lower lip's, right corner, left corner)
_LIPS = (*LIPS_MIDDLE, *MOUTH_CORNERS)
USUAL_SCALE = 2.3
"""The side of a photograph's square in lengths of its face, as published."""
_SMALLEST_PX = 8.0
_LARGEST_PX = 1e5
# The driver's square stands still until the face strays this far from its middle (in sides), or
# grows or shrinks by this ratio.
_STRAY, _GROWTH = 0.12, 1.25


@dataclass(frozen=True)
class Crop:
    """A square of a picture.

    ``x``, ``y``: its centre, pixels. ``side``: its length, pixels. ``roll``: radians, positive
    turns it clockwise as seen.
    """

    x: float
    y: float
    side: float
    roll: float = 0.0

    def matrix(
        self, size_px: int, scale: float = 1.0, offset: tuple[float, float] = (0, 0)
    ) -> NDArray[np.float64]:
        """Return what carries the square's pixels to the picture's, float64 (2, 3).

        The square is taken as ``size_px`` × ``size_px`` pixels; the picture may lie in another
        one, ``scale`` times as large with its corner at ``offset``. Both as indices of pixels,
        whose centres are whole numbers, as OpenCV counts.
        """
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        step = self.side / size_px * scale
        turn = np.array([[cos, -sin], [sin, cos]]) * step
        middle = np.array([self.x, self.y]) * scale + np.array(offset)
        shift = middle - turn @ np.full(2, size_px / 2)
        # Indices are half a pixel less than coordinates.
        return np.column_stack([turn, shift + turn @ np.full(2, 0.5) - 0.5])

    def cut(self, image: UInt8Image, size_px: int) -> UInt8Image:
        """Return the square as uint8 (size, size, 3); beyond the picture its edge is repeated."""
        import cv2

        reduced = self.side / size_px
        if reduced > 2:
            # A warp reads four pixels; a square made much smaller has to be averaged first.
            ratio = 1.5 / reduced
            small = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
            zoom = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]])
            image = np.asarray(small, np.uint8)
            matrix = self.matrix(size_px)
            matrix = matrix * zoom[:, None]
            matrix[:, 2] += 0.5 * zoom - 0.5
        else:
            matrix = self.matrix(size_px)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        taken = cv2.warpAffine(
            image, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(taken, np.uint8)

    def placed_in(self, other: Crop) -> tuple[float, Float32]:
        """Return (ratio, offset) that carry this square's coordinates to those of ``other``.

        Coordinates are −1 to 1 across a square; both squares have the same roll. ``offset``:
        float32 (2,).
        """
        offset = np.array([self.x - other.x, self.y - other.y]) * 2 / other.side
        return self.side / other.side, offset.astype(np.float32)

    def numbers(self) -> Float32:
        """Return x, y and side, float32 (3,): a driver's crop has no roll."""
        return np.array([self.x, self.y, self.side], np.float32)


def crop_of_numbers(numbers: Float32) -> Crop:
    """Return the crop that ``Crop.numbers`` described."""
    x, y, side = (float(value) for value in numbers)
    return Crop(x, y, side)


def face_crop(face: Face, scale: float, shift: float, *, upright: bool = False) -> Crop | None:
    """Return the square around a face; None when its landmarks span nothing.

    ``scale``: side in lengths of the landmarks' own square. ``shift``: how far it is moved up the
    face's axis, in sides. ``upright`` keeps the picture's own axes; place and size are the same.
    """
    points = face.landmarks_px[:, :2].astype(np.float64)
    if not np.isfinite(points).all():
        return None
    eyes = np.mean([points[ring].mean(axis=0) for ring in EYE_RINGS], axis=0)
    mouth = points[[_LIPS[2], _LIPS[3]]].mean(axis=0)
    down = mouth - eyes
    length = float(np.linalg.norm(down))
    if not 1e-3 < length < _LARGEST_PX:
        return None
    down /= length
    across = np.array([down[1], -down[0]])
    axes = np.stack([across, down])
    inside = points[_CROPPED] @ axes.T
    low, high = inside.min(axis=0), inside.max(axis=0)
    side = float(max(high - low)) * scale
    if not _SMALLEST_PX <= side <= _LARGEST_PX:
        return None
    centre = ((low + high) / 2 - [0, shift * side]) @ axes
    roll = 0.0 if upright else math.atan2(across[1], across[0])
    return Crop(float(centre[0]), float(centre[1]), side, roll)


class DriverCrop:
    """The square of the driver's picture, steady while the driver sits still.

    A network measures movement against its picture's edges, so a square that followed each
    landmark's jitter would shake what it is to measure. The square therefore stands still until
    the face strays from its middle, and then moves just as far as it must. Keypoints are carried
    back into the reference's square (``Crop.placed_in``), so a step of the square is no step of
    the avatar.
    """

    def __init__(self, scale: float, shift: float) -> None:
        self._scale, self._shift = scale, shift
        self._crop: Crop | None = None

    def reset(self) -> None:
        """Take the next face's own square."""
        self._crop = None

    def follow(self, face: Face) -> Crop | None:
        """Return the square for ``face``; None when its landmarks are of no use."""
        wanted = face_crop(face, self._scale, self._shift, upright=True)
        if wanted is None:
            return None
        self._crop = wanted if self._crop is None else _followed(self._crop, wanted)
        return self._crop


def _followed(crop: Crop, wanted: Crop) -> Crop:
    """Return ``crop`` moved and scaled as little as keeps ``wanted`` near its middle."""
    side = min(max(crop.side, wanted.side / _GROWTH), wanted.side * _GROWTH)
    room = _STRAY * side
    x = min(max(crop.x, wanted.x - room), wanted.x + room)
    y = min(max(crop.y, wanted.y - room), wanted.y + room)
    return replace(crop, x=x, y=y, side=side)


def parse_crop(text: str) -> tuple[float, float, float]:
    """Return (left, top, side) of ``X,Y,SIZE``, pixels. Raises ``UsageError``."""
    parts = text.split(",")
    try:
        left, top, side = (float(part) for part in parts)
    except ValueError:
        left = top = side = math.nan
    if not (
        abs(left) < _LARGEST_PX and abs(top) < _LARGEST_PX and _SMALLEST_PX <= side < _LARGEST_PX
    ):
        raise UsageError(
            "--crop: expected X,Y,SIZE, the left, top and side of a square in the photograph's "
            f"pixels, such as 120,80,400; found {text!r}"
        )
    return left, top, side


def manual_crop(text: str, photo_px: tuple[int, int]) -> Crop:
    """Return the crop ``X,Y,SIZE`` of a photograph of ``photo_px``, (width, height).

    Raises ``UsageError`` when most of the square lies outside the picture.
    """
    left, top, side = parse_crop(text)
    width = min(left + side, photo_px[0]) - max(left, 0)
    height = min(top + side, photo_px[1]) - max(top, 0)
    if min(width, height) < side / 2:
        raise UsageError(
            f"--crop: expected a square that lies in the photograph of {photo_px[0]}×{photo_px[1]} "
            f"pixels by half or more, found {text}"
        )
    return Crop(left + side / 2, top + side / 2, side)


def stand_in_face(crop: Crop, scale: float, photo_px: tuple[int, int]) -> Face:
    """Return a face that only says where one would be: for pictures in which none is found.

    A flat disc of landmarks in the middle of ``crop``, 1/``scale`` of its side wide: enough to lay
    out a portrait, and nothing that anybody may measure.
    """
    angles = np.linspace(0, 2 * np.pi, LANDMARK_COUNT, endpoint=False)
    radius = crop.side / scale / 2
    landmarks = np.zeros((LANDMARK_COUNT, 3), np.float32)
    landmarks[:, 0] = crop.x + radius * np.cos(angles)
    landmarks[:, 1] = crop.y + radius * np.sin(angles)
    blendshapes = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
    return Face(landmarks, blendshapes, np.eye(4, dtype=np.float32), photo_px)


def eye_ratios(face: Face) -> Float32:
    """Return each lids' distance in eye widths, float32 (2,), (left, right)."""
    points = face.landmarks_px[:, :2]
    return np.array(
        [_ratio(points, (upper, lower, outer, inner)) for outer, inner, upper, lower, _ in EYES],
        np.float32,
    )


def lip_ratio(face: Face) -> Float32:
    """Return the lips' distance in mouth widths, float32 (1,)."""
    return np.array([_ratio(face.landmarks_px[:, :2], _LIPS)], np.float32)


def _ratio(points: Float32, ends: tuple[int, int, int, int]) -> float:
    gap = float(np.linalg.norm(points[ends[0]] - points[ends[1]]))
    return gap / max(float(np.linalg.norm(points[ends[2]] - points[ends[3]])), 1e-3)
