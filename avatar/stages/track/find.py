"""Finding every face of a picture: small ones in overlapping tiles, lying ones by turning.

The detector looks at 128×128 pixels and needs a fifth of their side for a face. What is smaller is
found in tiles of the picture, each half as large as those before and overlapping by half, so that
no face is cut by all of them. Whatever is found counts only when the landmark network sees a face
there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from avatar.core.face.bounds import face_box, face_px
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.track.detection import (
    DETECTOR_PX,
    LEAST_SCORE,
    Detection,
    decode,
    merged,
    overlaps,
    same_place,
)
from avatar.stages.track.networks import FaceNetworks
from avatar.stages.track.region import Region, around_detection, around_landmarks
from avatar.stages.track.turned import quarters, turned_points

LEAST_PRESENCE = 0.5
# A face just found is cut out by the detector, a followed one by its own landmarks, which moves
# them by some pixels. Looking so often at the first picture ends that before it is used.
SETTLING = 3
LEAST_TILE_PX = 256
"""The smallest tile: its faces have fifty pixels."""
_FACES_IN_TILE = 5.0
"""A tile is as wide as so many of the smallest faces found in it."""
_LEAST_SHARE = 1 / 3
"""Faces smaller than this share of the largest are not looked for: they are passers-by."""
_SAME_FACE = 0.4
_ALL_TURNS = (0, 1, 2, 3)
_TURNED_TILES_SHARE = 4
"""Down to this share of the picture, tiles are looked at in the other orientations, too."""
_UPRIGHT_BONUS = 0.1
"""So much surer a lying face must be than an upright one at the same place."""
_MARGIN = 0.5
_NEAR = 3.0
"""A tile around one face is so many of its sizes wide."""


def look(networks: FaceNetworks, image: UInt8Image, region: Region) -> Float32 | None:
    """Return the landmarks, float32 (478, 3), of the face in ``region``; None where none is."""
    points, presence = networks.landmarks(region.cut(image))
    return region.back(points) if presence >= LEAST_PRESENCE else None


def settled(networks: FaceNetworks, image: UInt8Image, region: Region) -> Float32 | None:
    """Return the landmarks of a face just found, as they are of one that is followed."""
    landmarks = look(networks, image, region)
    for _ in range(SETTLING - 1):
        if landmarks is None:
            return None
        landmarks = look(networks, image, around_landmarks(landmarks))
    return landmarks


def face_of(networks: FaceNetworks, landmarks_px: Float32, size_px: tuple[int, int]) -> Face:
    """Return the face that has these landmarks in a picture of (width, height) ``size_px``."""
    # The blendshapes' network was shown upright heads only.
    upright = turned_points(landmarks_px, size_px, -quarters(landmarks_px))
    pose = networks.canonical.pose(landmarks_px, size_px)
    return Face(landmarks_px, networks.blendshapes(upright), pose, size_px)


@dataclass(frozen=True)
class Tile:
    """A square of a picture: left, top and side in its pixels."""

    left: float
    top: float
    side: float


def whole(size_px: tuple[int, int]) -> Tile:
    """Return the smallest square around a picture, as MediaPipe's detector is shown it."""
    width, height = size_px
    side = max(size_px)
    return Tile((width - side) / 2, (height - side) / 2, side)


def tiles(size_px: tuple[int, int], side: float) -> Iterator[Tile]:
    """Yield squares of ``side`` that cover a picture and overlap by half or more."""
    rows = [_starts(length, side) for length in reversed(size_px)]
    for top, left in product(*rows):
        yield Tile(left, top, side)


def _starts(length: int, side: float) -> list[float]:
    if length <= side:
        return [(length - side) / 2]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def levels(size_px: tuple[int, int], least: float = LEAST_TILE_PX) -> Iterator[float]:
    """Yield the sides of tiles to look at after the whole picture, larger ones first."""
    side = float(max(size_px))
    while side > least:
        side = max(side / 2, least)
        yield side


def detect(
    networks: FaceNetworks, image: UInt8Image, tile: Tile | None = None, turns: Sequence[int] = (0,)
) -> list[Detection]:
    """Return the faces that the detector finds in a tile, else in the whole of ``image``.

    ``turns``: by how many quarters clockwise the head may be turned. Surest first.
    """
    tile = tile or whole((image.shape[1], image.shape[0]))
    scale, offset = tile.side, np.array([tile.left, tile.top], np.float32)
    seen = _detectors_picture(image, tile)
    found: list[Detection] = []
    for turn in turns:
        upright = np.ascontiguousarray(np.rot90(seen, turn))
        least = LEAST_SCORE + (_UPRIGHT_BONUS if turn else 0)
        here = [_turned(face, turn) for face in merged(decode(*networks.detect(upright), least))]
        found = distinct([*found, *here])
    return [face.placed(scale, offset) for face in found]


def _detectors_picture(image: UInt8Image, tile: Tile) -> UInt8Image:
    """Return what the detector is shown of a tile, uint8 (128, 128, 3)."""
    import cv2

    scale = DETECTOR_PX / tile.side
    side = round(tile.side)
    left, top = round(tile.left), round(tile.top)
    inside = left >= 0 and top >= 0 and left + side <= image.shape[1]
    if inside and top + side <= image.shape[0] and tile.side > 2 * DETECTOR_PX:
        part = image[top : top + side, left : left + side]
        small = cv2.resize(part, (DETECTOR_PX, DETECTOR_PX), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)
    matrix = np.array([[scale, 0, -tile.left * scale], [0, scale, -tile.top * scale]])
    shown = cv2.warpAffine(image, matrix, (DETECTOR_PX, DETECTOR_PX), flags=cv2.INTER_LINEAR)
    return np.asarray(shown, np.uint8)


def _turned(face: Detection, turn: int) -> Detection:
    """Return a face, in shares of a square that was turned back, where it lies in the square."""
    points = turned_points(face.points, (1, 1), turn)
    corners = turned_points(face.box.reshape(2, 2), (1, 1), turn)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    score = face.score - (_UPRIGHT_BONUS if turn else 0)
    return Detection(box, points, score)


def distinct(found: Iterable[Detection]) -> list[Detection]:
    """Return of faces at the same place the surest one each, surest first."""
    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: face.score, reverse=True):
        boxes = np.array([other.box for other in kept], np.float32).reshape(-1, 4)
        if not same_place(face.box, boxes).any():
            kept.append(face)
    return kept


def find_faces(networks: FaceNetworks, image: UInt8Image) -> list[Face]:
    """Return all faces of a still picture, the largest first, whichever way up they are.

    ``image``: uint8 (H, W, 3) RGB. Landmarks are in its pixels, and may lie outside of it where it
    was cut within the face.
    """
    size_px = (image.shape[1], image.shape[0])
    found = _confirmed(networks, image, detect(networks, image, turns=_ALL_TURNS), [])
    for side in levels(size_px):
        turns: tuple[int, ...] = (0,)
        if found:
            largest = max(found, key=face_px)
            if side < face_px(largest) * _LEAST_SHARE * _FACES_IN_TILE:
                break
            turns = (quarters(largest.landmarks_px),)
        elif side * _TURNED_TILES_SHARE >= max(size_px):
            turns = _ALL_TURNS
        seen: list[Detection] = []
        for tile in tiles(size_px, side):
            seen = distinct([*seen, *detect(networks, image, tile, turns)])
        found = _confirmed(networks, image, seen, found)
    if not found:
        found = _cut_off(networks, image)
    return sorted(found, key=face_px, reverse=True)


def _confirmed(
    networks: FaceNetworks, image: UInt8Image, seen: Sequence[Detection], known: list[Face]
) -> list[Face]:
    """Return the known faces, and those seen that have landmarks and are none of them."""
    faces = list(known)
    for detection in seen:
        if _is_known(detection.box, faces):
            continue
        detection = _nearer(networks, image, detection)
        landmarks = settled(networks, image, around_detection(detection))
        if landmarks is None:
            continue
        face = face_of(networks, landmarks, (image.shape[1], image.shape[0]))
        box = np.array(face_box(face), np.float32)
        # Landmarks that wandered off belong to another face, or to none.
        strayed = overlaps(detection.box, box[None])[0] < _SAME_FACE / 2
        if not strayed and not _is_known(box, faces):
            faces.append(face)
    return faces


def _nearer(networks: FaceNetworks, image: UInt8Image, face: Detection) -> Detection:
    """Return what the detector makes of a face in the middle of a tile of its own.

    Among small faces it takes some for lying ones; from nearby it does not.
    """
    left, top = (face.box[:2] + face.box[2:]) / 2 - face.size * _NEAR / 2
    tile = Tile(float(left), float(top), face.size * _NEAR)
    for nearer in detect(networks, image, tile, _ALL_TURNS):
        if overlaps(face.box, nearer.box[None])[0] > _SAME_FACE:
            return nearer
    return face


def _is_known(box: Float32, faces: Sequence[Face]) -> bool:
    boxes = np.array([face_box(face) for face in faces], np.float32).reshape(-1, 4)
    return bool(same_place(box, boxes).any())


def _cut_off(networks: FaceNetworks, image: UInt8Image) -> list[Face]:
    """Return faces of a picture that was cut within them: with a margin they are found."""
    import cv2

    height, width = image.shape[:2]
    margin = round(_MARGIN * max(width, height))
    wide = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    seen = detect(networks, np.asarray(wide, np.uint8), turns=_ALL_TURNS)
    offset = np.array([-margin, -margin], np.float32)
    return _confirmed(networks, image, [face.placed(1, offset) for face in seen], [])
