"""Contours: where one surface of the mesh ends in front of another, finer than the map's cells.

A map of cells, enlarged, smears over such a line what lies in the photograph between the two
surfaces, and the line has the cells' steps. Here each side's own map is continued a little beyond
the line, both are drawn, and each pixel takes as much of either as the line leaves it. The line is
the mesh's own: an edge both of whose triangles lie on its one side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from avatar.stages.generate.raster import depth_share, sample

# Neighbouring cells lie on two surfaces if they come from farther apart than this many cells and
# one is behind the other by this share of the mesh's depth.
_APART, _BEHIND = 1.7, 0.002
# A line this much deeper than what is behind, in that share, still is in front of it.
_THICK = 0.02
_NOWHERE = 1e6
# How far from a line its side is told by distance, and a cell can be crossed by it, in cells.
_REACH, _NEAR = 1.5, 2.0
# How far a cell mostly is whose neighbour is crossed.
_BESIDE = 1.1
# Cells looked at around lines.
_MARGIN = 4
# OpenCV samples no more in one row; of a map that is all contours the rest stays as it is.
_MOST = 30_000
# Where on a segment it is asked whether a contour is there.
_ALONG = np.array([0.0, 0.25, 0.5, 0.75, 1.0], np.float32)[:, None, None]


@dataclass(frozen=True, eq=False)
class Contour:
    """The pixels that contours cross, in any arrangement (k, n).

    ``x``, ``y``: int64 (k, n), canvas pixels. ``front``, ``behind``: float32 (k, n, 2), where in
    the photograph either surface's colour comes from, pixel indices. ``share``: float32 (k, n),
    how much of a pixel is the front's, 0 to 1.
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    front: Float32
    behind: Float32
    share: Float32

    def moved(self, origin_px: Float32, limits: tuple[int, int, int, int]) -> Contour:
        """Return it moved by ``origin_px`` and kept to (left, top, right, bottom), pixels."""
        x, y = self.x + int(origin_px[0]), self.y + int(origin_px[1])
        x0, y0, x1, y1 = limits
        kept = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
        if kept.all():
            return replace(self, x=x, y=y)
        front, behind, share = (part[kept][None] for part in (self.front, self.behind, self.share))
        return Contour(x[kept][None], y[kept][None], front, behind, share)

    def draw(self, image: NDArray[np.uint8], plate: NDArray[np.uint8], person: Any) -> None:
        """Write its pixels of ``person``, uint8 (h, w, 4) premultiplied, over ``plate``."""
        if not self.x.size:
            return
        front, behind = (sample(person, at).astype(np.float32) for at in (self.front, self.behind))
        front -= behind
        front *= self.share[..., None]
        front += behind
        through = 1 - front[..., 3:] * np.float32(1 / 255)
        below = plate[self.y, self.x] * through
        below += front[..., : image.shape[2]]
        image[self.y, self.x] = (below + np.float32(0.5)).astype(np.uint8)


class ContourFinder:
    """Finds the contours of one mesh's maps.

    ``triangles``: int32 (M, 3). ``same``: int (V,), for each vertex the first in its place.
    ``seam``: int (R,), a ring of vertices beyond which colours may begin anew. ``step``: output
    pixels of one cell.
    """

    def __init__(
        self,
        triangles: NDArray[np.int32],
        same: NDArray[np.intp],
        seam: NDArray[np.intp],
        step: int,
    ) -> None:
        self._edges = np.ascontiguousarray(_edges(same[triangles]).T)
        self._seam = np.isin(self._edges[:2], seam).all(axis=0)
        self._step = step

    def find(
        self, source: Float32, depth: Float32, points: Float32, point_depth: Float32
    ) -> Contour | None:
        """Return the contours of a map, x and y from its first cell's corner; None without any.

        ``source``: float32 (h, w, 2), the map, pixel indices. ``depth``: float32 (h, w), its depth
        buffer. ``points``: float32 (V, 2), the mesh's vertices in cells. ``point_depth``: float32
        (V,), theirs, from the nearest one's 0 to the farthest one's 1.
        """
        ends = self._silhouette(points)
        box = _box_around(points[ends], depth.shape)
        if box is None:
            return None
        layers = _Layers(source[box], depth_share(depth[box]), _APART * self._step)
        if not layers.crossed.any():
            return None
        corner = (box[1].start, box[0].start)
        lines = points[ends] - np.array(corner, np.float32)
        lines = layers.on_contour(lines, point_depth[ends])
        if not lines.size:
            return None
        side = layers.side(lines)
        # Which cells are crossed is known better now; there may be none left.
        return self._pixels(layers, side, corner) if layers.crossed.any() else None

    def _silhouette(self, points: Float32) -> NDArray[np.intp]:
        """Return the ends of edges that fold over, and of the seam's, int (2, S)."""
        x, y = np.ascontiguousarray(points.T)
        first, second, one, other = self._edges
        ax, ay = x[first], y[first]
        dx, dy = x[second] - ax, y[second] - ay
        left = dx * (y[one] - ay) - dy * (x[one] - ax)
        right = dx * (y[other] - ay) - dy * (x[other] - ax)
        return self._edges[:2, (left * right > 0) | self._seam]

    def _pixels(self, layers: _Layers, side: Float32, corner: tuple[int, int]) -> Contour:
        step = self._step
        rows, columns = (at[:_MOST] for at in np.nonzero(layers.crossed))
        within = np.arange(step)
        y = rows * step + np.repeat(within, step)[:, None]
        x = columns * step + np.tile(within, step)[:, None]
        at = np.stack([x, y], axis=-1).astype(np.float32)
        at = (at + np.float32(0.5)) / np.float32(step) - np.float32(0.5)
        share = np.clip(sample(side, at) * np.float32(step) + np.float32(0.5), 0, 1)
        x, y = x + corner[0] * step, y + corner[1] * step
        return Contour(x, y, sample(layers.front, at), sample(layers.behind, at), share)


class _Layers:
    """The two surfaces around a map's contours, each continued by a cell under or over the other.

    ``source``: float32 (h, w, 2). ``depth``: float32 (h, w). ``apart_px``: neighbouring cells that
    come from farther apart may lie on two surfaces.
    """

    def __init__(self, source: Float32, depth: Float32, apart_px: float) -> None:
        import cv2

        front, behind = _sides(source, depth, apart_px)
        self._depth = depth
        self.crossed = cv2.bitwise_or(front, behind) > 0
        self._nearer, self._farther = _around(depth, front), _around(depth, behind)
        near = cv2.absdiff(depth, self._nearer) < cv2.absdiff(depth, self._farther)
        self._in_front = np.where(self.crossed, front > 0, near)
        held = self._in_front.astype(np.uint8) * np.uint8(255)
        self.front = _continued(source, held)
        self.behind = _continued(source, cv2.bitwise_not(held))

    def on_contour(self, lines: Float32, depth: Float32) -> Float32:
        """Return which of ``lines``, float32 (2, S, 2), in cells, a contour here may follow.

        ``depth``: float32 (2, S), of their ends. What lies behind the front is hidden.
        """
        at = lines[0] + (lines[1] - lines[0]) * _ALONG
        deep = depth[0] + (depth[1] - depth[0]) * _ALONG[..., 0]
        height, width = self._depth.shape
        x, y = at[..., 0].astype(int), at[..., 1].astype(int)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        x, y = x * inside, y * inside
        # Skin that ends edge-on ends about as deep as what is behind it begins.
        seen = inside & (deep < self._farther[y, x] + np.float32(_THICK))
        seen &= self._nearer[y, x] < _NOWHERE
        seen &= self._farther[y, x] < _NOWHERE
        return lines[:, seen.any(axis=0)]

    def side(self, lines: Float32) -> Float32:
        """Return how far each cell's middle is within the front's outline, cells."""
        rows, columns = np.nonzero(self.crossed)
        far = _distances(np.stack([columns, rows]).astype(np.float32) + np.float32(0.5), lines)
        # Without a line there is no contour: skin is stretched there.
        self.crossed[rows, columns] = far < _NEAR
        side = np.full(self._depth.shape, _BESIDE, np.float32)
        side[rows, columns] = np.minimum(far, _REACH)
        return np.where(self._in_front, side, -side).astype(np.float32)


def _edges(triangles: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return each edge of two triangles: its ends and either's third corner, (E, 4)."""
    corners = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    halves = np.concatenate([triangles[:, order] for order in corners])
    halves = halves[(halves[:, 0] != halves[:, 1]) & (halves[:, 2] != halves[:, 0])]
    halves = halves[halves[:, 1] != halves[:, 2]]
    halves[:, :2].sort(axis=1)
    halves = halves[np.lexsort((halves[:, 1], halves[:, 0]))]
    twice = np.flatnonzero((halves[1:, :2] == halves[:-1, :2]).all(axis=1))
    return np.concatenate([halves[twice], halves[twice + 1, 2:]], axis=1)


def _box_around(points: Float32, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return the rows and columns of cells around ``points``, (…, 2), None outside of all."""
    flat = points.reshape(-1, 2)
    if not len(flat):
        return None
    x0, y0 = np.maximum(flat.min(axis=0).astype(int) - _MARGIN, 0).tolist()
    x1, y1 = np.minimum(flat.max(axis=0).astype(int) + _MARGIN, shape[::-1]).tolist()
    return (slice(y0, y1), slice(x0, x1)) if x1 - x0 > _MARGIN and y1 - y0 > _MARGIN else None


def _sides(source: Float32, depth: Float32, apart: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the cells before another surface and those behind one, uint8 (h, w), 0 or 255."""
    import cv2

    front = np.zeros(depth.shape, np.uint8)
    behind = np.zeros(depth.shape, np.uint8)
    for this, that in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
    ):
        near = cv2.inRange(cv2.absdiff(source[this], source[that]), (0.0, 0.0), (apart, apart))
        deeper = cv2.subtract(depth[that], depth[this])
        before = cv2.bitwise_not(near, mask=cv2.inRange(deeper, _BEHIND, np.inf))
        after = cv2.bitwise_not(near, mask=cv2.inRange(deeper, -np.inf, -_BEHIND))
        front[this] |= np.asarray(before, np.uint8)
        behind[that] |= np.asarray(before, np.uint8)
        front[that] |= np.asarray(after, np.uint8)
        behind[this] |= np.asarray(after, np.uint8)
    # A cell between two others is the front's.
    return front, cv2.bitwise_and(behind, cv2.bitwise_not(front))


def _around(depth: Float32, cells: NDArray[Any]) -> Float32:
    """Return the mean depth of ``cells``, uint8 (h, w), near each cell; far where there is none."""
    import cv2

    held = np.multiply(cells, np.float32(1 / 255), dtype=np.float32)
    count = cv2.boxFilter(held, -1, (5, 5))
    total = cv2.boxFilter(cv2.multiply(depth, held), -1, (5, 5))
    # A little in the count keeps what is none finite.
    mean = cv2.divide(total, count + np.float32(1e-9))
    mean[count < 0.02] = _NOWHERE
    return np.asarray(mean, np.float32)


def _continued(source: Float32, held: NDArray[Any]) -> Float32:
    """Return ``source`` with its values in ``held``, uint8 (h, w), continued by one cell."""
    import cv2

    share = np.multiply(held, np.float32(1 / 255), dtype=np.float32)
    total = cv2.boxFilter(cv2.multiply(source, cv2.merge([share, share])), -1, (3, 3))
    count = cv2.boxFilter(share, -1, (3, 3))
    beside = cv2.bitwise_not(held, mask=cv2.inRange(count, 0.05, 2))
    mean = cv2.divide(total, cv2.merge([count, count]))
    return np.asarray(cv2.copyTo(mean, beside, source.copy()), np.float32)


def _distances(points: Float32, lines: Float32) -> Float32:
    """Return how far each point, float32 (2, K), is from the nearest of ``lines``, (2, S, 2)."""
    (ax, ay), (bx, by) = (np.ascontiguousarray(end.T) for end in lines)
    along_x, along_y = bx - ax, by - ay
    length = np.maximum(along_x * along_x + along_y * along_y, np.float32(1e-9))
    off_x, off_y = points[0][:, None] - ax, points[1][:, None] - ay
    t = np.clip(off_x * (along_x / length) + off_y * (along_y / length), 0, 1)
    off_x -= t * along_x
    off_y -= t * along_y
    off_x *= off_x
    off_y *= off_y
    off_x += off_y
    return np.asarray(np.sqrt(off_x.min(axis=1)), np.float32)
