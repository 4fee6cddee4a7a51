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
from avatar.stages.generate.contour_sides import continued, evened, faded, lasting
from avatar.stages.generate.raster import Planes, depth_share, sample

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
# Cells looked at around the crossed ones: what is known of these comes from no farther away.
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
        height, width, channels = plate.shape
        # Rows of whole pixels are found faster by one number than by two.
        at = self.y * width + self.x
        below = plate.reshape(height * width, channels).take(at, axis=0) * through
        below += front[..., :channels]
        below += np.float32(0.5)
        image[self.y, self.x] = below.astype(np.uint8)


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
        self, source: Planes, depth: Float32, points: Float32, point_depth: Float32
    ) -> Contour | None:
        """Return the contours of a map, x and y from its first cell's corner; None without any.

        ``source``: x and y, float32 (h, w) each, the map, pixel indices. ``depth``: float32
        (h, w), its depth buffer. ``points``: float32 (V, 2), the mesh's vertices in cells.
        ``point_depth``: float32 (V,), theirs, from the nearest one's 0 to the farthest one's 1.
        """
        front, behind = _sides(source, depth, _APART * self._step)
        if not front.size:
            return None
        corner, shape = _box_around(np.concatenate([front, behind], axis=1), depth.shape)
        layers = _Layers.around(source, depth, front, behind, corner, shape)
        layers.put_into(source, corner)
        ends = self._silhouette(points)
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

    ``source``: float32 (h, w, 2). ``depth``: float32 (h, w), in shares. ``front``, ``behind``:
    uint8 (h, w), 255 in the cells before another surface and in those behind one.
    """

    def __init__(
        self, source: Float32, depth: Float32, front: NDArray[Any], behind: NDArray[Any]
    ) -> None:
        import cv2

        self._depth = depth
        self.crossed = cv2.bitwise_or(front, behind) > 0
        self._nearer, self._farther = _around(depth, front), _around(depth, behind)
        near = cv2.absdiff(depth, self._nearer) < cv2.absdiff(depth, self._farther)
        self._in_front = np.where(self.crossed, front > 0, near)
        held = self._in_front.astype(np.uint8) * np.uint8(255)
        source = evened(source, self._in_front, self.crossed)
        self.source = source
        kept = lasting(front)
        self.front = faded(source, continued(source, held), kept)
        self.behind = faded(source, continued(source, cv2.bitwise_not(held)), kept)

    @staticmethod
    def around(
        source: Planes,
        depth: Float32,
        front: NDArray[np.intp],
        behind: NDArray[np.intp],
        corner: tuple[int, int],
        shape: tuple[int, int],
    ) -> _Layers:
        """Return the layers of a part of a map, which begins at ``corner``, (x, y).

        ``source``, ``depth``: as for ``ContourFinder.find``. ``front``, ``behind``: int (2, K), x
        and y of the crossed cells. ``shape``: rows and columns of the part.
        """
        import cv2

        part = np.s_[corner[1] : corner[1] + shape[0], corner[0] : corner[0] + shape[1]]
        marked = []
        for columns, rows in (behind, front):
            cells = np.zeros(shape, np.uint8)
            cells[rows - corner[1], columns - corner[0]] = 255
            marked.append(cells)
        # A cell between two others is the front's.
        marked[0][marked[1] > 0] = 0
        both = np.asarray(cv2.merge([plane[part] for plane in source]), np.float32)
        return _Layers(both, depth_share(depth[part]), marked[1], marked[0])

    def put_into(self, source: Planes, corner: tuple[int, int]) -> None:
        """Write the evened map of this part, which begins at ``corner``, over the whole one's."""
        height, width = self._depth.shape
        part = np.s_[corner[1] : corner[1] + height, corner[0] : corner[0] + width]
        for k, plane in enumerate(source):
            plane[part] = self.source[..., k]

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


def _box_around(
    cells: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the corner (x, y), and rows and columns, of what lies around ``cells``, (2, K)."""
    x0, y0 = np.maximum(cells.min(axis=1) - _MARGIN, 0).tolist()
    x1, y1 = np.minimum(cells.max(axis=1) + _MARGIN + 1, shape[::-1]).tolist()
    return (x0, y0), (y1 - y0, x1 - x0)


def _sides(
    source: Planes, depth: Float32, apart_px: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells before another surface and those behind one, x and y, int (2, K) each.

    ``apart_px``: neighbouring cells that come from farther apart may lie on two surfaces.
    """
    front, behind = [np.zeros((2, 0), np.intp)], [np.zeros((2, 0), np.intp)]
    for step in (np.array([[1], [0]]), np.array([[0], [1]])):
        this = _far_apart(source, step, apart_px)
        that = this + step
        deeper = depth_share(depth[that[1], that[0]]) - depth_share(depth[this[1], this[0]])
        before, after = deeper >= _BEHIND, deeper <= -_BEHIND
        front += [this[:, before], that[:, after]]
        behind += [that[:, before], this[:, after]]
    return np.concatenate(front, axis=1), np.concatenate(behind, axis=1)


def _far_apart(source: Planes, step: NDArray[np.intp], apart_px: float) -> NDArray[np.intp]:
    """Return the cells, x and y, int (2, K), whose neighbour a ``step`` on is ``apart_px`` off."""
    import cv2

    height, width = source[0].shape
    dx, dy = step[:, 0].tolist()
    this, that = np.s_[: height - dy, : width - dx], np.s_[dy:, dx:]
    off = cv2.max(*(cv2.absdiff(plane[this], plane[that]) for plane in source))
    rows, columns = np.divmod(np.flatnonzero(np.asarray(off) > apart_px), width - dx)
    return np.stack([columns, rows])


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
