"""The face laid out flat: one sheet on which every face's forehead, nose and cheeks lie alike.

What belongs to skin (its texture, the light on it, what hides it) is kept on this sheet, so that
it stays in place whichever way a head turns and whoever's face it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import (
    BROW_RINGS,
    EYE_RINGS,
    FACE_OVAL,
    OUTER_LIPS,
    SURFACE_COUNT,
    skin_triangles,
    surface_triangles,
)
from avatar.core.frames import Float32
from avatar.stages.generate.raster import draw_triangles, sample_planes

# The face is unrolled from a cylinder whose axis lies so far behind its hindmost point, cm.
_AXIS_CM = 14.0
_MARGIN = 0.02
_RIM = 0.15
# How far below the eyes rims reach, and half of the nose's width, shares of the sheet.
_RIMS_BELOW, _NOSE_HALF = 0.11, 0.06
_SOCKETS = np.float32(0.2)
NOSTRILS: tuple[NDArray[np.intp], NDArray[np.intp]] = (
    np.array([79, 166, 75, 60, 20, 238, 239]),
    np.array([309, 392, 305, 290, 250, 458, 459]),
)
"""What lies around each nostril, the right one first."""


@dataclass(frozen=True, eq=False)
class Zones:
    """Where on the sheet is what, float32 (S, S) each, 0 to 1.

    ``skin``: what has the skin's own colour, without eyes, brows, lips and nostrils, which have a
    small share: the light in the eyes' hollows is light, too. ``features``: those. ``movable``:
    lids, lips and what is between them, which change with the expression.
    ``glasses``: where their rims, bridge and temples are, without eyes and brows.
    ``rim``: the forehead and a band along the face's edge, where hair may lie.
    """

    skin: Float32
    features: Float32
    movable: Float32
    rim: Float32
    glasses: Float32


class FaceSheet:
    """The sheet.

    ``canonical_cm``: float (3, 468), the canonical face, x right, y up, z to the viewer.
    """

    def __init__(self, canonical_cm: NDArray[np.floating]) -> None:
        x, y, z = np.asarray(canonical_cm, np.float64)
        across = np.arctan2(x, z - z.min() + _AXIS_CM)
        points = np.stack([across / np.ptp(across), -y / np.ptp(y)], axis=1)
        low, high = points.min(axis=0), points.max(axis=0)
        spread = (points - low) / (high - low)
        self.points = (_MARGIN + spread * (1 - 2 * _MARGIN)).astype(np.float32)
        """Where the landmarks lie on the sheet, float32 (468, 2), 0 to 1, y down."""
        self.triangles = surface_triangles()
        self._sheets: dict[int, tuple[NDArray[np.intp], Float32]] = {}
        self._zones: dict[int, Zones] = {}

    def unwrap(self, image: NDArray[np.uint8], landmarks_px: Float32, side: int) -> Float32:
        """Return the face of ``image`` on the sheet, float32 (side, side, 3), levels.

        ``image``: uint8 (H, W, 3), ``landmarks_px``: float32 (478, 2 or 3) on it.
        """
        at = self.places(landmarks_px, side)
        planes = (at[..., 0] - np.float32(0.5), at[..., 1] - np.float32(0.5))
        return np.asarray(sample_planes(image, planes), np.float32)

    def places(self, landmarks: Float32, side: int) -> Float32:
        """Return where each cell of the sheet lies, float32 (side, side, columns of landmarks)."""
        corners, shares = self._sheet(side)
        return np.asarray(np.einsum("ijk,ijkc->ijc", shares, landmarks[corners]), np.float32)

    def facing(self, landmarks_px: Float32, side: int) -> Float32:
        """Return the cosine between skin and line of sight, float32 (side, side), from −1 to 1."""
        surface = landmarks_px[:SURFACE_COUNT]
        triangles = skin_triangles()
        a, b, c = (surface[triangles[:, k]] for k in range(3))
        normals = np.cross(b - a, c - a)
        vertices = np.zeros((SURFACE_COUNT, 3), np.float32)
        for k in range(3):
            np.add.at(vertices, triangles[:, k], normals)
        # The skin's triangles have a negative area seen from the front (see topology).
        cosine = vertices[:, 2] / np.maximum(np.linalg.norm(vertices, axis=1), 1e-6)
        flipped = -cosine if cosine[1] < 0 else cosine
        return self.places(np.asarray(flipped, np.float32)[:, None], side)[..., 0]

    def zones(self, side: int) -> Zones:
        """Return where on a sheet of ``side`` cells is what."""
        if side not in self._zones:
            self._zones[side] = self._made_zones(side)
        return self._zones[side]

    def _made_zones(self, side: int) -> Zones:
        import cv2

        blur = side / 96
        eyes = [self._filled(ring, side, 0.012) for ring in EYE_RINGS]
        brows = [self._filled(ring, side, 0.018) for ring in BROW_RINGS]
        lips = self._filled(OUTER_LIPS, side, 0.012)
        nostrils = [self._filled(ring, side, 0.0) for ring in NOSTRILS]
        features = np.max([*eyes, *brows, *nostrils, lips], axis=0)
        wide_lips = self._filled(OUTER_LIPS, side, 0.03)
        movable = np.max([*(self._filled(r, side, 0.04) for r in EYE_RINGS), wide_lips], axis=0)
        inside = self._filled(FACE_OVAL, side, -0.02)
        brow_line = float(self.points[np.concatenate(BROW_RINGS), 1].min())
        rows = (np.arange(side, dtype=np.float32)[:, None] + 0.5) / side
        forehead = np.broadcast_to((rows < brow_line + 0.01).astype(np.float32), (side, side))

        def soft(mask: Float32) -> Float32:
            return np.asarray(cv2.GaussianBlur(mask, (0, 0), blur), np.float32)

        hard_skin = inside * np.maximum(1 - features, _SOCKETS * (1 - lips))
        rim = np.maximum(1 - self._filled(FACE_OVAL, side, -_RIM), forehead)
        glasses = self._glasses(side) * (1 - features)
        return Zones(hard_skin, soft(features), soft(movable), rim * (1 - features), glasses)

    def _glasses(self, side: int) -> Float32:
        """Return where glasses are worn, 0 or 1: a band at the eyes without the nose below it."""
        eyes = self.points[np.concatenate(EYE_RINGS)]
        brows = self.points[np.concatenate(BROW_RINGS)]
        x, y = np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2)
        band = (y > brows[:, 1].min()) & (y < eyes[:, 1].max() + _RIMS_BELOW)
        nose = (np.abs(x - 0.5) < _NOSE_HALF) & (y > eyes[:, 1].mean())
        return np.asarray(band & ~nose, np.float32)

    def _filled(self, ring: NDArray[np.intp], side: int, grown: float) -> Float32:
        """Return a ring's inside on the sheet, 0 or 1, wider by ``grown`` of the side."""
        import cv2

        mask = np.zeros((side, side), np.uint8)
        corners = np.round(self.points[ring] * side * 16).astype(np.int32)
        corners = cv2.convexHull(corners)[:, 0] if len(ring) < 8 else corners
        cv2.fillPoly(mask, [corners], 1, shift=4)
        cells = round(abs(grown) * side)
        if cells:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * cells + 1,) * 2)
            mask = np.asarray((cv2.dilate if grown > 0 else cv2.erode)(mask, kernel), np.uint8)
        return mask.astype(np.float32)

    def _sheet(self, side: int) -> tuple[NDArray[np.intp], Float32]:
        """Return for each cell the corners of its triangle and their shares of it."""
        if side not in self._sheets:
            self._sheets[side] = _barycentric(self.points * side, self.triangles, side)
        return self._sheets[side]


def drawn(
    layout: FaceSheet,
    landmarks_px: Float32,
    origin: tuple[int, int],
    size_px: tuple[int, int],
    third: Float32,
) -> tuple[Float32, NDArray[np.bool_]]:
    """Return what of the sheet each pixel of a part of a picture shows, and where the face is.

    float32 (h, w, 3): place on the sheet across and down, 0 to 1, and ``third``, float32 (468,),
    0 to 1, between its vertices. ``origin``: (x, y) of the part, ``size_px``: (width, height).
    """
    buffer = np.zeros((size_px[1], size_px[0], 3), np.float32)
    surface = landmarks_px[:SURFACE_COUNT]
    points = surface[:, :2] - np.array(origin, np.float32)
    colours = np.concatenate([layout.points, third[:, None]], axis=1).astype(np.float32)
    depth = draw_triangles(buffer, points, layout.triangles, colours, surface[:, 2])
    return buffer, depth < 2


def _barycentric(
    points: Float32, triangles: NDArray[np.int32], side: int
) -> tuple[NDArray[np.intp], Float32]:
    """Return (side, side, 3) corners and shares; beside the face those of the nearest cell."""
    import cv2

    corners = np.zeros((side, side, 3), np.intp)
    shares = np.zeros((side, side, 3), np.float32)
    known = np.zeros((side, side), bool)
    for triangle in triangles:
        a, b, c = points[triangle].astype(np.float64)
        x0, y0 = np.maximum(np.floor(np.min([a, b, c], axis=0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(np.max([a, b, c], axis=0)).astype(int) + 1, side)
        whole = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(whole) < 1e-9 or x1 <= x0 or y1 <= y0:
            continue
        x, y = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
        v = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / whole
        w = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / whole
        inside = (v >= -1e-6) & (w >= -1e-6) & (v + w <= 1 + 1e-6)
        part = np.s_[y0:y1, x0:x1]
        corners[part][inside] = triangle
        shares[part][inside] = np.stack([1 - v - w, v, w], axis=-1)[inside]
        known[part][inside] = True
    _, label = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(int(label.max()) + 1, np.intp)
    nearest[label[known]] = np.flatnonzero(known)
    source = nearest[label]
    return corners.reshape(-1, 3)[source], shares.reshape(-1, 3)[source]
