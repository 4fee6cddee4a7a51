"""Folds: triangles that a motion turns inside out, how they are counted and how they are smoothed.

A triangle that faced the viewer at rest folds when it faces away although the head's turning alone
would leave it facing. Where a head hides its own far side nothing folds, and what folds behind
the face is not seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import FLIP, HeadShape
from avatar.core.frames import Float32
from avatar.stages.generate.deform import Pose

# Smaller triangles have no side, px²: at rest, and when turned over.
_FLAT_AT_REST, _FLAT_TURNED = 1.0, 0.5
# A triangle that the turning alone leaves less of its area than this is seen edge-on: which side
# it shows is the turning's doing.
_FACING = 0.15
# Rounds in all; before a fold's neighbours help; before the face gives up expression.
_ROUNDS, _ALONE_ROUNDS, _AVERAGED = 30, 3, 9
_YIELD = 0.7
# How often corners are pushed apart, how far beyond what is needed, and to which area, px².
_PUSHES, _PUSHED, _LEAST_AREA = 24, 1.3, 0.4


class Folds:
    """Counts the folds of one mesh.

    ``rest``: float32 (N, 3), its vertices in the photograph, pixels. ``triangles``: int32 (M, 3).
    ``head``: the photograph's head. ``face``: how many of the first vertices are the face itself,
    which hides what lies behind it.
    """

    def __init__(
        self, rest: Float32, triangles: NDArray[np.int32], head: HeadShape, face: int
    ) -> None:
        self._triangles, self._head, self._face = triangles, head, face
        self._corners = tuple(np.ascontiguousarray(triangles[:, k]) for k in range(3))
        self._offset = ((rest - head.centre_px) * FLIP).astype(np.float32)
        area = self._area(rest[:, :2])
        self.side = np.sign(area)
        self._whole = np.abs(area) > _FLAT_AT_REST
        self._facing = np.abs(area) * _FACING

    def of(
        self, vertices: Float32, pose: Pose, facing: NDArray[np.bool_] | None = None
    ) -> NDArray[np.intp]:
        """Return which triangles fold; ``vertices``: float32 (N, 3), pixels, as posed.

        ``facing``: ``facing(pose, …)``, where it is known already.
        """
        area = self._area(vertices[:, :2])
        turned = (area * self.side < -_FLAT_TURNED) & self._whole
        if not turned.any():
            return np.zeros(0, np.intp)
        if facing is None:
            facing = self.facing(pose, self.turned_alone(pose))
        found = np.flatnonzero(turned & facing)
        return found[[not hidden for hidden in self._hidden(vertices, found)]]

    def facing(self, pose: Pose, alone: Float32) -> NDArray[np.bool_]:
        """Return which triangles the turning alone leaves facing the viewer.

        ``alone``: ``turned_alone(pose)``.
        """
        zoom = (pose.scale_px / self._head.scale_px) ** 2
        return np.asarray(self._area(alone) * self.side > self._facing * zoom, np.bool_)

    def _area(self, points: Float32) -> NDArray[np.float64]:
        """Return the triangles' signed areas, px²."""
        # In double precision the square of no float32 overflows.
        x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
        a, b, c = self._corners
        ax, ay = x.take(a), y.take(a)
        return ((x.take(b) - ax) * (y.take(c) - ay) - (y.take(b) - ay) * (x.take(c) - ax)) / 2

    def turned_alone(self, pose: Pose) -> Float32:
        """Return where the vertices were if all of them turned with the head, float32 (N, 2)."""
        turn = pose.rotation @ self._head.rotation.T
        turned = self._offset @ turn[:2].T * np.float32(pose.scale_px / self._head.scale_px)
        return np.asarray(turned * FLIP[:2] + pose.centre_px[:2], np.float32)

    def _hidden(self, vertices: Float32, found: NDArray[np.intp]) -> list[bool]:
        """Return for each triangle whether it lies behind the face."""
        import cv2

        corners = self._triangles[found]
        behind = np.any(corners >= self._face, axis=1).tolist()
        if not self._face or not any(behind):
            return [False] * len(found)
        face = cv2.convexHull(np.ascontiguousarray(vertices[: self._face, :2]))
        middles = vertices[corners, :2].mean(axis=1).tolist()
        return [
            back and cv2.pointPolygonTest(face, (x, y), False) >= 0
            for back, (x, y) in zip(behind, middles, strict=True)
        ]


class FaceUntangler:
    """Eases the skin where an expression folds it, as a lowered brow does on lids.

    ``triangles``: int32 (M, 3), the face's. ``fixed``: vertices that keep their places, such as
    the eyes' edges, since what is drawn inside ends there.
    """

    def __init__(
        self, folds: Folds, triangles: NDArray[np.int32], fixed: NDArray[np.integer]
    ) -> None:
        self._folds, self._triangles = folds, triangles
        count = int(triangles.max()) + 1
        near: list[set[int]] = [set() for _ in range(count)]
        for a, b, c in triangles.tolist():
            near[a] |= {b, c}
            near[b] |= {a, c}
            near[c] |= {a, b}
        self._degree = np.array([max(len(around), 1) for around in near], np.float32)
        widest = max(len(around) for around in near)
        # Short rows point to a vertex beyond the last, which never moves.
        self._near = np.full((count, widest), count, np.intp)
        for vertex, around in enumerate(near):
            self._near[vertex, : len(around)] = sorted(around)
        self._free = np.ones(count, bool)
        self._free[fixed] = False

    def smooth(self, vertices: Float32, pose: Pose) -> None:
        """Unfold ``vertices``, float32 (N, 3), in place; what does not unfold stays as it is.

        Slivers, which fold first, come straight by the least movement of their corners. What is
        left takes the mean of its neighbours' displacements from where the head's turning alone
        would put it.
        """
        folded = self._folds.of(vertices, pose)
        if not len(folded):
            return
        everything_alone = self._folds.turned_alone(pose)
        facing = self._folds.facing(pose, everything_alone)
        folded = self._pushed_apart(vertices, pose, facing, folded)
        if len(folded):
            self._averaged(vertices, pose, facing, everything_alone[: len(self._free)], folded)

    def _pushed_apart(
        self,
        vertices: Float32,
        pose: Pose,
        facing: NDArray[np.bool_],
        folded: NDArray[np.intp],
    ) -> NDArray[np.intp]:
        """Move the corners of what folds just over each other; return what still folds.

        Each triangle's corners go along the gradient of its area until it has a side again
        (position-based dynamics, Müller 2007); a corner of several goes the mean of their ways.
        """
        count = len(self._free)
        held: NDArray[np.intp] = folded
        for _ in range(_PUSHES):
            corners = self._triangles[held]
            places = vertices[corners, :2].astype(np.float64)
            side = self._folds.side[held]
            edges = np.roll(places, -2, axis=1) - np.roll(places, -1, axis=1)
            ways = np.stack([-edges[..., 1], edges[..., 0]], axis=-1) / 2
            ways *= self._free[corners][..., None]
            first, second = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
            area = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2 * side
            lacking = np.maximum(_LEAST_AREA - area, 0)
            size = np.maximum((ways**2).sum(axis=(1, 2)), 1e-6)
            steps = ways * (lacking * side / size)[:, None, None]
            moving = np.repeat(lacking > 0, 3)
            at = corners.ravel()[moving]
            shares = np.maximum(np.bincount(at, minlength=count), 1)
            for axis in (0, 1):
                way = np.bincount(at, steps[..., axis].ravel()[moving], minlength=count)
                vertices[:count, axis] += (_PUSHED * way / shares).astype(np.float32)
            folded = self._folds.of(vertices, pose, facing)
            if not len(folded):
                return folded
            # What was straightened must not be folded again by its neighbours.
            held = np.union1d(held, folded)
        return folded

    def _averaged(
        self,
        vertices: Float32,
        pose: Pose,
        facing: NDArray[np.bool_],
        alone: Float32,
        folded: NDArray[np.intp],
    ) -> None:
        count = len(self._free)
        moved = np.zeros((count + 1, 2), np.float32)
        moving = np.zeros(count + 1, bool)
        for k in range(_ROUNDS):
            stuck = k >= _AVERAGED
            if not stuck:
                moving[:] = False
            moving[np.unique(self._triangles[folded])] = True
            if k >= _ALONE_ROUNDS:
                moving[self._near[moving[:count]]] = True
            moved[:count] = vertices[:count, :2] - alone
            if stuck:
                # What does not come straight by averaging gives up its expression, ever wider.
                chosen = np.flatnonzero(moving[:count])
                vertices[chosen, :2] = alone[chosen] + moved[chosen] * np.float32(_YIELD)
            else:
                chosen = np.flatnonzero(moving[:count] & self._free)
                mean = moved[self._near[chosen]].sum(axis=1) / self._degree[chosen, None]
                vertices[chosen, :2] = alone[chosen] + mean
            folded = self._folds.of(vertices, pose, facing)
            if not len(folded):
                return


class RingUntangler:
    """Smooths the rings around a face where a motion folds them.

    ``rest``: float32 (N, 3), the mesh's vertices in the photograph, pixels; from ``first`` on they
    are rings of ``count`` vertices. ``triangles``: int32 (M, 3), between the rings. The first ring
    keeps its place; the folded part moves towards the mean of its neighbours, by which a net
    between fixed borders comes straight (Tutte 1963).
    """

    def __init__(
        self,
        folds: Folds,
        rest: Float32,
        triangles: NDArray[np.int32],
        first: int,
        count: int,
    ) -> None:
        self._folds, self._triangles = folds, triangles
        self._first, self._count = first, count
        self._border = rest[-count:]

    def smooth(self, vertices: Float32, pose: Pose) -> None:
        """Unfold ``vertices``, float32 (N, 3), in place; what does not unfold stays as it is."""
        grid = vertices[self._first :].reshape(-1, self._count, 3)
        for k in range(_ROUNDS):
            folded = self._folds.of(vertices, pose)
            if not len(folded):
                return
            moving = np.zeros(grid.shape[:2], bool)
            moving.reshape(-1)[np.unique(self._triangles[folded]) - self._first] = True
            if k >= _ALONE_ROUNDS and k % 2 == 0:
                moving = _with_neighbours(moving)
            # The outermost ring belongs where nothing moves.
            back = moving[-1]
            grid[-1, back] = (grid[-1, back] + self._border[back]) / 2
            moving[[0, -1]] = False
            row, column = np.nonzero(moving)
            left, right = (column - 1) % self._count, (column + 1) % self._count
            around = grid[row - 1, column] + grid[row + 1, column]
            grid[row, column] = (around + grid[row, left] + grid[row, right]) / 4


def _with_neighbours(moving: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wide = moving | np.roll(moving, 1, axis=1) | np.roll(moving, -1, axis=1)
    wide[1:] |= moving[:-1]
    wide[:-1] |= moving[1:]
    return wide
