"""Which of MediaPipe's 478 landmarks is what, and how the first 468 span a surface."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.tessellation import TRIANGLES

Indices = NDArray[np.intp]

FACE_OVAL: Indices = np.array(
    [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
     148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
)  # fmt: skip
# Both lips' inner edge, from the person's right corner over the upper lip to the left corner
# and back along the lower lip.
INNER_LIPS: Indices = np.array(
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
)
OUTER_LIPS: Indices = np.array(
    [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146]
)
# All four rings of each lip, without the corners.
UPPER_LIP: Indices = np.array(
    [0, 11, 12, 13, 37, 38, 39, 40, 41, 42, 72, 73, 74, 80, 81, 82, 183, 184, 185, 191, 267, 268,
     269, 270, 271, 272, 302, 303, 304, 310, 311, 312, 407, 408, 409, 415]
)  # fmt: skip
LOWER_LIP: Indices = np.array(
    [14, 15, 16, 17, 77, 84, 85, 86, 87, 88, 89, 90, 91, 95, 96, 146, 178, 179, 180, 181, 307, 314,
     315, 316, 317, 318, 319, 320, 321, 324, 325, 375, 402, 403, 404, 405]
)  # fmt: skip
UPPER_LIP_RINGS: Indices = np.array(
    [[185, 40, 39, 37, 0, 267, 269, 270, 409], [184, 74, 73, 72, 11, 302, 303, 304, 408],
     [183, 42, 41, 38, 12, 268, 271, 272, 407], [191, 80, 81, 82, 13, 312, 311, 310, 415]]
)  # fmt: skip
"""A lip's rings without the corners, from its outer edge to its inner one, the right first."""
LOWER_LIP_RINGS: Indices = np.array(
    [[146, 91, 181, 84, 17, 314, 405, 321, 375], [77, 90, 180, 85, 16, 315, 404, 320, 307],
     [96, 89, 179, 86, 15, 316, 403, 319, 325], [95, 88, 178, 87, 14, 317, 402, 318, 324]]
)  # fmt: skip
# Each eye's edge from the outer corner over the upper lid to the inner corner and back.
LEFT_EYE: Indices = np.array(
    [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249]
)
RIGHT_EYE: Indices = np.array(
    [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7]
)
LEFT_IRIS: Indices = np.array([473, 474, 475, 476, 477])
RIGHT_IRIS: Indices = np.array([468, 469, 470, 471, 472])
EYE_RINGS: tuple[Indices, Indices] = (LEFT_EYE, RIGHT_EYE)
IRISES: tuple[Indices, Indices] = (LEFT_IRIS, RIGHT_IRIS)
# Each brow's outline: its lower edge from the outside, then the upper edge back.
LEFT_BROW: Indices = np.array([276, 283, 282, 295, 285, 336, 296, 334, 293, 300])
RIGHT_BROW: Indices = np.array([46, 53, 52, 65, 55, 107, 66, 105, 63, 70])
BROW_RINGS: tuple[Indices, Indices] = (LEFT_BROW, RIGHT_BROW)
SURFACE_COUNT = 468
"""The landmarks before this one span the skin; the irises' come after it."""

EYES: tuple[tuple[int, int, int, int, int], ...] = (
    (263, 362, 386, 374, 473),
    (33, 133, 159, 145, 468),
)
"""(outer corner, inner corner, upper lid, lower lid, iris centre) of the left and right eye."""

EYE_CORNERS = (33, 133, 362, 263)
"""The right eye's outer and inner corner, the left eye's inner and outer one."""

MOUTH_CORNERS = (61, 291)
"""The person's right corner of the mouth and the left one."""

LIPS_MIDDLE = (13, 14)
"""The middle of the upper lip's inner edge and of the lower lip's."""

SIDES = (234, 454)
"""Where the face ends before the person's right ear and the left one."""

NOSE_BASE, CROWN, CHIN = 2, 10, 152


@lru_cache(maxsize=1)
def surface_triangles() -> NDArray[np.int32]:
    """Return the face's triangles, int32 (N, 3), with the eyes and the mouth filled in.

    The skin's all run the same way round: seen from the front, their area in a picture (y down)
    is negative.

    MediaPipe's tessellation leaves those holes open.
    """
    triangles = np.array(TRIANGLES.split(), np.int32).reshape(-1, 3)
    holes = [ring[ring_triangles(len(ring))] for ring in (LEFT_EYE, RIGHT_EYE, INNER_LIPS)]
    return np.concatenate([triangles, *holes]).astype(np.int32)


@lru_cache(maxsize=1)
def skin_triangles() -> NDArray[np.int32]:
    """Return ``surface_triangles`` without those that fill the eyes and the mouth."""
    triangles = surface_triangles()
    inside = [np.isin(triangles, ring).all(axis=1) for ring in (*EYE_RINGS, INNER_LIPS)]
    return np.asarray(triangles[~np.any(inside, axis=0)], np.int32)


def ring_triangles(count: int) -> NDArray[np.int32]:
    """Fill a ring of ``count`` points with triangles between its upper and its lower edge.

    Point 0 is one corner, ``count / 2`` the other; returns int32 (count − 2, 3), indices into the
    ring.
    """
    half = count // 2
    upper = np.arange(half + 1)
    lower = np.concatenate([[0], np.arange(count - 1, half - 1, -1)])
    triangles = []
    for k in range(half):
        triangles.append((upper[k], upper[k + 1], lower[k + 1]))
        triangles.append((upper[k], lower[k + 1], lower[k]))
    return np.array([t for t in triangles if len(set(t)) == 3], np.int32)
