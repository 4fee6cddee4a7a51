"""The head as a mesh over the photograph, drawn as a backward map.

The face's 468 landmarks and rings around them form one surface. Above the chin it turns with the
skull; down the neck its share of the motion falls to nothing, so that the body stays. Drawing
writes, for each output pixel, where in the photograph its colour comes from; a depth buffer hides
what a turned head hides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.face.head import HeadShape, compose, shape_of
from avatar.core.face.topology import (
    EYE_RINGS,
    FACE_OVAL,
    INNER_LIPS,
    SURFACE_COUNT,
    surface_triangles,
)
from avatar.core.frames import Float32
from avatar.stages.generate.backward_map import BackwardMap, Box, MovedPart
from avatar.stages.generate.contour import Contour
from avatar.stages.generate.deform import Pose
from avatar.stages.generate.face_frame import face_frame
from avatar.stages.generate.far_side import FarSide
from avatar.stages.generate.untangle import FaceUntangler, Folds, RingUntangler

# Rings around the oval: size against it, depth behind it in head units, share of the oval's own
# change of shape (a dropping jaw pulls the skin below it).
_RINGS = (
    (1.00, 0.02, 1.0),
    (1.10, 0.25, 0.75),
    (1.25, 0.60, 0.45),
    (1.50, 0.90, 0.15),
    (1.85, 1.05, 0.0),
    (2.45, 1.05, 0.0),
    (3.40, 1.05, 0.0),
)
# A hull that is farther out than the face's oval by less of its radius hides nothing.
_HOLLOW = 0.03
# The neck: where along the face (the chin is at −1) the head's motion begins and ends to fade.
# Beside it that begins higher up: what a tilt moves farther fades over a longer way, or it folds.
_NECK_TOP, _NECK_END = -0.95, -2.1
_SIDE_TOP, _SIDE_FROM, _SIDE_TO = -0.2, 0.8, 1.9
# Far from the face nothing moves, so that what the cut took for the person stays in place.
_FAR_FROM, _FAR_TO = 2.2, 3.3
# Lashes and lid line above the eye's edge, in eye widths.
_LASH_SHARE = 0.10
_LASHED = np.concatenate([ring[1:8] for ring in EYE_RINGS])


class HeadMesh:
    """The mesh of one avatar on its canvas.

    ``landmarks_px``: float32 (478, 3), the photograph's own, canvas pixels. ``head``: the same
    taken apart. ``size_px``: the canvas's size. ``step``: output pixels of one map cell.
    ``alpha``: uint8 (H, W), where on the canvas the person is. ``origin_px``: columns and rows
    that the person's layer has left of the canvas and above it; maps point into that layer.
    """

    def __init__(
        self,
        landmarks_px: Float32,
        head: HeadShape,
        size_px: tuple[int, int],
        step: int,
        alpha: NDArray[np.uint8],
        origin_px: tuple[int, int],
    ) -> None:
        self._head = head
        surface = landmarks_px[:SURFACE_COUNT]
        frame = face_frame(landmarks_px, head)
        outline = _outline(surface)
        self._rings = _rings(outline, head.scale_px)
        self._ring_weight = head_share(frame.coordinates(self._rings[:, :2]))
        # Whatever a face's shape: beyond the last ring nothing moves, so nor does the ring.
        self._ring_weight[-len(FACE_OVAL) :] = 0
        # Each ring vertex in the head frame, so that it turns with the skull.
        self._ring_shape = shape_of(self._rings, head.rotation, head.centre_px, head.scale_px)
        self._lash_shape = _lash_offsets(head.shape)
        lashes = surface[_LASHED] + self._turned(self._lash_shape, head.rotation, head.scale_px)
        self._ring_pull = np.repeat(
            np.array([pull for _, _, pull in _RINGS], np.float32), len(FACE_OVAL)
        )[:, None]
        oval = surface[FACE_OVAL]
        self.rest = np.concatenate([surface, lashes, oval, self._rings]).astype(np.float32)
        # Behind the edge of a face seen from the side there is what lies at that edge.
        source = np.concatenate([surface, lashes, outline, self._rings]).astype(np.float32)
        around = _ring_triangles(len(_RINGS))
        self.triangles = np.concatenate([_lidded_triangles(), around])
        face = SURFACE_COUNT + len(_LASHED)
        self._untangler = RingUntangler(
            Folds(self.rest, around, head, face), self.rest, around, face, len(FACE_OVAL)
        )
        skin = _without_openings(self.triangles[: -len(around)])
        eyes = np.concatenate(EYE_RINGS)
        self._skin_untangler = FaceUntangler(Folds(self.rest, skin, head, face), skin, eyes)
        self._folds = Folds(self.rest, np.concatenate([skin, around]), head, face)
        self._far_side = FarSide(surface, head)
        self._map = BackwardMap(source, self.triangles, face, size_px, step, alpha, origin_px)

    def vertices(self, pose: Pose) -> Float32:
        """Return where the vertices go, float32 (N, 3), canvas pixels."""
        posed = self._posed(self._ring_shape, pose)
        oval = pose.landmarks_px[FACE_OVAL]
        change = oval - self._posed(self._head.shape[FACE_OVAL], pose)
        posed += np.tile(change, (len(_RINGS), 1)) * self._ring_pull
        moved = self._rings + (posed - self._rings) * self._ring_weight
        surface = pose.landmarks_px[:SURFACE_COUNT]
        lashes = surface[_LASHED] + self._turned(self._lash_shape, pose.rotation, pose.scale_px)
        vertices = np.concatenate([surface, lashes, oval, moved]).astype(np.float32)
        self._skin_untangler.smooth(vertices, pose)
        # The oval stands in the mesh twice, with the face's colours and with the outline's.
        around = SURFACE_COUNT + len(_LASHED)
        vertices[around : around + len(FACE_OVAL)] = vertices[FACE_OVAL]
        self._untangler.smooth(vertices, pose)
        return vertices

    def folded(self, pose: Pose) -> int:
        """Return how many triangles ``pose`` turns inside out; see ``Folds``."""
        return len(self._folds.of(self.vertices(pose), pose))

    @staticmethod
    def _turned(offsets: Float32, rotation: Float32, scale_px: float) -> Float32:
        return compose(offsets, rotation, np.zeros(3, np.float32), scale_px)

    @staticmethod
    def _posed(shape: Float32, pose: Pose) -> Float32:
        return compose(shape, pose.rotation, pose.centre_px, pose.scale_px)

    def backward_maps(
        self, pose: Pose, painted: Sequence[Box] = ()
    ) -> tuple[Iterator[MovedPart], Contour | None]:
        """Return the parts of the canvas that change, one after the other, and contours.

        ``painted``: boxes of the canvas in which the person's layer was painted on. Parts
        do not overlap; there are none when all is still. Pixels that a contour crosses are to be
        drawn as it says.
        """
        self._map.recolour(self._far_side.which, self._far_side.source_px(pose.rotation))
        return self._map.draw(self.vertices(pose), painted)


def _outline(surface: Float32) -> Float32:
    """Return the face's edge as the photo shows it, float32 (36, 3), for each point of the oval.

    A turned face hides a part of its oval behind its cheek and nose: there the outline is where
    the ray through that point leaves the hull of all landmarks.
    """
    import cv2

    oval = surface[FACE_OVAL].copy()
    middle = oval[:, :2].mean(axis=0)
    hull = cv2.convexHull(np.ascontiguousarray(surface[:, :2]))[:, 0]
    edges = np.roll(hull, -1, axis=0) - hull
    rays = oval[:, :2] - middle
    # middle + t · ray = corner + s · edge, for every ray and edge.
    across = rays[:, None, 0] * edges[None, :, 1] - rays[:, None, 1] * edges[None, :, 0]
    across = np.where(np.abs(across) < 1e-6, 1e-6, across)
    to_corner = hull[None] - middle
    t = (to_corner[..., 0] * edges[None, :, 1] - to_corner[..., 1] * edges[None, :, 0]) / across
    s = (to_corner[..., 0] * rays[:, None, 1] - to_corner[..., 1] * rays[:, None, 0]) / across
    met = np.where((t > 0) & (s >= 0) & (s <= 1), t, 1.0).max(axis=1)
    # A hull cuts across hollows of a face's edge, too, by a little.
    met = 1 + (met - 1) * smooth_step((met - 1) / _HOLLOW - 1)
    oval[:, :2] = middle + rays * np.clip(met, 1.0, 3.0)[:, None]
    return oval.astype(np.float32)


def _rings(outline: Float32, scale_px: float) -> Float32:
    """Return the rings' vertices, float32 (N, 3), pixels.

    ``outline``: float32 (36, 3), the face's edge as the photo shows it.
    """
    middle = outline.mean(axis=0)
    rings = []
    for ratio, back, _ in _RINGS:
        ring = middle + (outline - middle) * np.float32(ratio)
        ring[:, 2] = outline[:, 2] + np.float32(back * scale_px)
        rings.append(ring)
    return np.concatenate(rings).astype(np.float32)


def head_share(uv: Float32) -> Float32:
    """Return how much of the head's motion points at face coordinates take, float32 (N, 1).

    ``uv``: float32 (N, 2), as ``FaceFrame`` has them. The same whatever part of the body the
    photograph shows: where it ends at the chin, the neck below would go along all the same.
    """
    aside, v, far = np.abs(uv[:, 0]), uv[:, 1], np.linalg.norm(uv, axis=1)
    beside = smooth_step((aside - _SIDE_FROM) / (_SIDE_TO - _SIDE_FROM))
    top = _NECK_TOP + (_SIDE_TOP - _NECK_TOP) * beside
    down = (v - _NECK_END) / (top - _NECK_END)
    near = (_FAR_TO - far) / (_FAR_TO - _FAR_FROM)
    share = smooth_step(down) * smooth_step(near)
    return np.asarray(share[:, None], np.float32)


def _lash_offsets(shape: Float32) -> Float32:
    """Return from each upper lid's edge to where its lashes end, float32 (14, 3), head units.

    The band between moves with the edge, so that a closing lid stretches the skin above it and
    not the lashes.
    """
    offsets = []
    for ring in EYE_RINGS:
        across = shape[ring[1:8]] - shape[ring[15:8:-1]]
        width = np.linalg.norm(shape[ring[0]] - shape[ring[8]])
        length = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-3)
        offsets.append(across / length * np.float32(_LASH_SHARE) * width)
    return np.concatenate(offsets).astype(np.float32)


def _lidded_triangles() -> NDArray[np.int32]:
    """Return the face's triangles with a band of lashes put between each upper lid and its skin."""
    triangles = surface_triangles()
    in_eye = np.zeros(len(triangles), bool)
    bands = []
    replaced = np.arange(SURFACE_COUNT)
    for k, ring in enumerate(EYE_RINGS):
        in_eye |= np.isin(triangles, ring).all(axis=1)
        lashes = SURFACE_COUNT + 7 * k + np.arange(7)
        replaced[ring[1:8]] = lashes
        edge, ends = ring[:9], np.concatenate([ring[:1], lashes, ring[8:9]])
        bands.append(np.stack([edge[:-1], edge[1:], ends[1:]], axis=1))
        bands.append(np.stack([edge[:-1], ends[1:], ends[:-1]], axis=1))
    skin = np.where(in_eye[:, None], triangles, replaced[triangles])
    band = np.concatenate(bands)
    # At the corners a quad is a triangle.
    whole = [len(set(t)) == 3 for t in band.tolist()]
    return np.concatenate([skin, band[whole]]).astype(np.int32)


def _without_openings(triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the triangles without those between lids and between lips.

    They have no sides: shut, they are flat, and what shows in them open is drawn over them.
    """
    inside = np.zeros(len(triangles), bool)
    for ring in (*EYE_RINGS, INNER_LIPS):
        inside |= np.isin(triangles, ring).all(axis=1)
    return triangles[~inside]


def _ring_triangles(rings: int) -> NDArray[np.int32]:
    """Join the oval and the rings around it with two triangles for each quad."""
    count = len(FACE_OVAL)
    first = SURFACE_COUNT + len(_LASHED)
    # The oval once more, whose colours are those of the outline.
    loops = [first + k * count + np.arange(count) for k in range(rings + 1)]
    triangles = []
    for inner, outer in pairwise(loops):
        nxt_in, nxt_out = np.roll(inner, -1), np.roll(outer, -1)
        triangles.append(np.stack([inner, outer, nxt_out], axis=1))
        triangles.append(np.stack([inner, nxt_out, nxt_in], axis=1))
    return np.concatenate(triangles).astype(np.int32)
