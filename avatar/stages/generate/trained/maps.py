"""What a network is told of the driver: masks drawn from the avatar's posed landmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import (
    BROW_RINGS,
    CHIN,
    CROWN,
    EYE_RINGS,
    FACE_OVAL,
    INNER_LIPS,
    IRISES,
    LIPS_MIDDLE,
    OUTER_LIPS,
    Indices,
)
from avatar.core.frames import Float32
from avatar.stages.generate.overlay import polygon_mask
from avatar.stages.generate.trained.placement import PatchPlace
from engines.patches import Patch

Mask = NDArray[np.uint8]
INNER_MOUTH = "inner mouth"

# Its ridge and its wings.
_NOSE: Indices = np.array([168, 6, 195, 1, 2, 98, 327])

_EYES = tuple(np.concatenate([ring, iris]) for ring, iris in zip(EYE_RINGS, IRISES, strict=True))
_LIPS: Indices = np.concatenate([OUTER_LIPS, INNER_LIPS])
# By what moments of a patch are compared, by its name and side. Each of several parts may look as
# at other moments; the first is the face, the others lie over it.
_TELLING: Mapping[tuple[str, int | None], tuple[Indices, ...]] = {
    ("mouth", None): (_LIPS,),
    ("eye", 0): (np.concatenate([_EYES[0], BROW_RINGS[0]]),),
    ("eye", 1): (np.concatenate([_EYES[1], BROW_RINGS[1]]),),
    ("head", None): (np.concatenate([FACE_OVAL, _NOSE]), np.concatenate(BROW_RINGS), *_EYES, _LIPS),
}


def mouth_opening(landmarks_px: Float32) -> float:
    """Return how far the lips are apart, as a share of the face's height.

    ``landmarks_px``: float32 (478, 3), a pose's.
    """
    upper, lower = landmarks_px[list(LIPS_MIDDLE)]
    top, bottom = landmarks_px[[CROWN, CHIN]]
    return float(np.linalg.norm(upper - lower) / np.linalg.norm(top - bottom))


def draw_maps(
    place: PatchPlace,
    matrix: NDArray[np.float64],
    landmarks_px: Float32,
    photo_rect: tuple[int, int, int, int],
) -> Mask:
    """Return the maps of a patch, uint8 (cells, cells, maps), in the order that it names them.

    ``matrix``: the place's, at this pose. ``landmarks_px``: float32 (478, 3), on the canvas.
    ``photo_rect``: what of the canvas is the photograph: (left, top, right, bottom).
    """
    cells = place.patch.cells
    inverse = np.linalg.inv(matrix[:, :2]) / place.patch.fold
    points = _in_patch(landmarks_px, matrix) / np.float32(place.patch.fold)
    out = np.empty((cells, cells, len(place.patch.maps)), np.uint8)
    for index, name in enumerate(place.patch.maps):
        if name == "valid":
            left, top, right, bottom = photo_rect
            rect = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            out[..., index] = _filled((rect - matrix[:, 2]) @ inverse.T, cells)
        else:
            out[..., index] = _DRAWN[name](points, place.side, cells)
    return out


def telling_points(
    place: PatchPlace, matrix: NDArray[np.float64], landmarks_px: Float32
) -> Float32:
    """Return the landmarks by which moments of a patch are compared, float32 (P, 2).

    In sides of the patch; ``matrix`` and ``landmarks_px`` as in ``draw_maps``.
    """
    which = np.concatenate(_TELLING[place.patch.name, place.side])
    return _in_patch(landmarks_px[which], matrix) / np.float32(place.patch.side_px)


def telling_parts(patch: Patch) -> tuple[int, ...]:
    """Return how many of a patch's telling points belong to each of its parts, in their order."""
    side = 0 if patch.count > 1 else None
    return tuple(len(part) for part in _TELLING[patch.name, side])


def _in_patch(landmarks_px: Float32, matrix: NDArray[np.float64]) -> Float32:
    """Return points of the canvas in pixels of the patch, float32 (n, 2)."""
    inverse = np.linalg.inv(matrix[:, :2])
    return ((landmarks_px[:, :2] - matrix[:, 2]) @ inverse.T).astype(np.float32)


def _filled(points: Float32 | NDArray[np.float64], cells: int) -> Mask:
    # Far outside, OpenCV's fixed-point numbers overflow.
    near = np.clip(points, -8 * cells, 9 * cells).astype(np.float32)
    return polygon_mask(near, (0, 0, cells, cells))


def _of_sides(
    draw: Callable[[Float32, int, int], Mask],
) -> Callable[[Float32, int | None, int], Mask]:
    """Return what draws one eye's mask, or both where the patch has no side."""

    def drawn(points: Float32, side: int | None, cells: int) -> Mask:
        if side is not None:
            return draw(points, side, cells)
        return np.maximum(draw(points, 0, cells), draw(points, 1, cells))

    return drawn


def _lids(points: Float32, side: int, cells: int) -> Mask:
    return _filled(points[EYE_RINGS[side]], cells)


def _brow(points: Float32, side: int, cells: int) -> Mask:
    return _filled(points[BROW_RINGS[side]], cells)


def _iris(points: Float32, side: int, cells: int) -> Mask:
    """The iris as far as the lids leave it open."""
    import cv2

    iris = points[IRISES[side]]
    radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
    disc = np.zeros((cells, cells), np.uint8)
    middle = np.clip(iris[0] - 0.5, -cells, 2 * cells)
    at = (round(float(middle[0]) * 16), round(float(middle[1]) * 16))
    size = round(min(radius, cells) * 16)
    cv2.circle(disc, at, size, (255,), -1, cv2.LINE_AA, 4)
    return np.minimum(disc, _lids(points, side, cells))


_DRAWN: Mapping[str, Callable[[Float32, int | None, int], Mask]] = {
    "lips": lambda points, _side, cells: _filled(points[OUTER_LIPS], cells),
    INNER_MOUTH: lambda points, _side, cells: _filled(points[INNER_LIPS], cells),
    "oval": lambda points, _side, cells: _filled(points[FACE_OVAL], cells),
    "lids": _of_sides(_lids),
    "iris": _of_sides(_iris),
    "brow": _of_sides(_brow),
}
