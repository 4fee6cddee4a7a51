"""The map that a mesh draws: for each pixel of a canvas, where in the photograph it comes from.

It is drawn in cells of a few pixels and enlarged, box by box, where anything moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import FACE_OVAL
from avatar.core.frames import Float32
from avatar.stages.generate.contour import Contour, ContourFinder
from avatar.stages.generate.median import median_of
from avatar.stages.generate.raster import Planes, draw_triangles, sample_planes

Box = tuple[int, int, int, int]

# Where nothing moves more than this the photograph stays: less cannot be seen.
_STILL_PX = 0.2
# A head is narrower than its shoulders: each of so many bands is drawn as wide as it needs.
_BANDS = 6


@dataclass(frozen=True, eq=False)
class MovedPart:
    """A box of the canvas that moves, and where its pixels come from.

    ``box``: (left, top, right, bottom), canvas pixels. ``source``: x and y, float32 (h, w) each,
    pixel indices as ``cv2.remap`` takes them (the first pixel's centre at 0).
    """

    box: Box
    source: Planes


class BackwardMap:
    """Draws source coordinates as colours, coarsely, and refines them.

    ``rest``: float32 (N, 3), the vertices in the photograph, canvas pixels; from ``seam`` on they
    begin with the face's oval once more. ``triangles``: int32 (M, 3). ``size_px``: the canvas's.
    ``step``: output pixels of one cell. ``alpha``: uint8 (H, W), where on the canvas the person is.
    ``origin_px``: columns and rows that the person's layer has left of the canvas and above it.
    """

    def __init__(
        self,
        rest: Float32,
        triangles: NDArray[np.int32],
        seam: int,
        size_px: tuple[int, int],
        step: int,
        alpha: NDArray[np.uint8],
        origin_px: tuple[int, int],
    ) -> None:
        width, height = size_px
        self._step = step
        low, high = rest[:, :2].min(axis=0), rest[:, :2].max(axis=0)
        x0, y0 = (int(v) // step * step for v in np.clip(low, 0, (width - 1, height - 1)))
        x1, y1 = (int(v) for v in np.clip(np.ceil(high), (1, 1), (width, height)))
        self._limits = (x0, y0, x1, y1)
        # One cell beyond each border, so that refining never runs into the edge.
        self._cells = (-(-(x1 - x0) // step) + 2, -(-(y1 - y0) // step) + 2)
        self._origin = np.array([x0 - step, y0 - step], np.float32)
        self._layer_px = np.array(origin_px, np.float32)
        extent = np.array(self._cells, np.float32) * step
        # Colours must lie in [0, 1]: the canvas with a margin for rings outside it.
        self._low = np.minimum(low, self._origin) - 1
        self._span = np.maximum(high, self._origin + extent) + 1 - self._low
        self._colours = np.ones((len(rest), 3), np.float32)
        self._colours[:, :2] = (rest[:, :2] - self._low) / self._span
        self._triangles = np.ascontiguousarray(triangles)
        same = np.arange(len(rest))
        same[seam : seam + len(FACE_OVAL)] = FACE_OVAL
        self._contours = ContourFinder(self._triangles, same, FACE_OVAL, step)
        self._identity = self._at_rest()
        self._still_px = self._in_pixels(self._identity)
        self._person = self._occupied(alpha)
        self._colour = np.empty_like(self._identity)

    def _at_rest(self) -> Float32:
        cells_w, cells_h = self._cells
        x = (np.arange(cells_w, dtype=np.float32) + 0.5) * self._step + self._origin[0]
        y = (np.arange(cells_h, dtype=np.float32) + 0.5) * self._step + self._origin[1]
        grid = np.ones((cells_h, cells_w, 3), np.float32)
        grid[..., 0] = ((x - self._low[0]) / self._span[0])[None, :]
        grid[..., 1] = ((y - self._low[1]) / self._span[1])[:, None]
        return grid

    def _in_pixels(self, colour: Float32) -> Planes:
        """Return where in the person's layer a colour, float32 (h, w, 3), says that cells lie."""
        import cv2

        x, y = (np.asarray(cv2.extractChannel(colour, k), np.float32) for k in (0, 1))
        for plane, factor, added in zip(
            (x, y), self._span, self._low - 0.5 + self._layer_px, strict=True
        ):
            plane *= factor
            plane += added
        return x, y

    def _in_cells(self, source: Planes) -> Planes:
        """Return pixel indices in the person's layer as indices of cells."""
        first = self._layer_px + self._origin + np.float32(0.5 * self._step - 0.5)
        x, y = (
            (plane - begin) * np.float32(1 / self._step)
            for plane, begin in zip(source, first, strict=True)
        )
        return x, y

    def _occupied(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return 255 in the cells that hold a part of the person, and their neighbours."""
        import cv2

        x0, y0 = (int(v) for v in self._origin)
        padded = np.zeros((self._cells[1] * self._step, self._cells[0] * self._step), np.uint8)
        left, top = max(0, -x0), max(0, -y0)
        part = alpha[max(0, y0) :, max(0, x0) :][: padded.shape[0] - top, : padded.shape[1] - left]
        padded[top : top + part.shape[0], left : left + part.shape[1]] = part
        cells = cv2.resize(padded, self._cells, interpolation=cv2.INTER_AREA)
        held = (cells > 0).astype(np.uint8) * 255
        return np.asarray(cv2.dilate(held, np.ones((3, 3), np.uint8)), np.uint8)

    def recolour(self, which: NDArray[np.intp], source_px: Float32) -> None:
        """Let the vertices ``which``, (K,), have the colours at ``source_px``, float32 (K, 2)."""
        if len(which):
            self._colours[which, :2] = (source_px - self._low) / self._span

    def draw(
        self, vertices: Float32, painted: Sequence[Box] = ()
    ) -> tuple[Iterator[MovedPart], Contour | None]:
        """Return the parts that change, and the contours; ``vertices`` are canvas pixels.

        ``painted``: boxes of the canvas whose colours changed in the person's layer: they are to
        be drawn even where they stay in place. Each part is refined when it is asked for, and can
        be drawn while it is in the cache.
        """
        np.copyto(self._colour, self._identity)
        points = (vertices[:, :2] - self._origin) / np.float32(self._step)
        far = vertices[:, 2]
        depth = draw_triangles(self._colour, points, self._triangles, self._colours, far)
        source = self._in_pixels(self._colour)
        changed = self._changed(source)
        for box in painted:
            x0, y0, x1, y1 = self._cells_of(box)
            changed[y0:y1, x0:x1] = self._person[y0:y1, x0:x1]
        bands = np.linspace(0, self._cells[1], _BANDS + 1).astype(int).tolist()
        parts = (self._part(source, changed, first, last) for first, last in pairwise(bands))
        share = (far - far.min()) / max(float(np.ptp(far)), 1e-3)
        contour = self._contours.find(source, depth, points, share)
        if contour is not None:
            contour = contour.moved(self._origin, self._limits)
        return (part for part in parts if part is not None), contour

    def _cells_of(self, box: Box) -> tuple[int, int, int, int]:
        """Return the cells that a box of the canvas touches, (left, top, right, bottom)."""
        left, top = (int(v) for v in self._origin)
        x0, y0, x1, y1 = box[0] - left, box[1] - top, box[2] - left, box[3] - top
        step = self._step
        return max(x0 // step, 0), max(y0 // step, 0), -(-x1 // step), -(-y1 // step)

    def _changed(self, source: Planes) -> NDArray[Any]:
        """Return 255 in the cells that change, uint8 (h, w); closes pinholes of ``source``."""
        import cv2

        off = [cv2.absdiff(*planes) for planes in zip(source, self._still_px, strict=True)]
        still = np.asarray(cv2.inRange(cv2.max(*off), 0.0, _STILL_PX), np.uint8)
        _close_pinholes(source, still)
        # Where nobody was and nobody comes, background moves onto the same background.
        comes = sample_planes(self._person, self._in_cells(source))
        return cv2.bitwise_and(cv2.bitwise_or(self._person, comes), cv2.bitwise_not(still))

    def _part(
        self, source: Planes, changed: NDArray[Any], first: int, last: int
    ) -> MovedPart | None:
        """Return what changes between two rows of cells; None where nothing does."""
        import cv2

        left, top, cells_w, cells_h = cv2.boundingRect(changed[first:last])
        if cells_w == 0:
            return None
        # One cell around, within the grid, so that refining has neighbours.
        c0, r0 = max(left - 1, 0), max(first + top - 1, 0)
        c1 = min(left + cells_w + 1, self._cells[0])
        r1 = min(first + top + cells_h + 1, self._cells[1])
        step = self._step
        size = ((c1 - c0) * step, (r1 - r0) * step)
        at_x, at_y = int(self._origin[0]) + c0 * step, int(self._origin[1]) + r0 * step
        # Bands meet where their cells do: what lies beyond is the neighbour's. And beyond the
        # outermost cells' centres refining has nothing to go towards: it would stand still there,
        # and draw a rim of displaced pixels.
        rows, rim = (self._row_px(first), self._row_px(last)), (step + 1) // 2
        x0, y0 = max(at_x + rim, self._limits[0]), max(at_y + rim, self._limits[1], rows[0])
        x1 = min(at_x + size[0] - rim, self._limits[2])
        y1 = min(at_y + size[1] - rim, self._limits[3], rows[1])
        if x1 <= x0 or y1 <= y0:
            return None
        fine_x, fine_y = (
            cv2.resize(plane[r0:r1, c0:c1], size, interpolation=cv2.INTER_LINEAR)[
                y0 - at_y : y1 - at_y, x0 - at_x : x1 - at_x
            ]
            for plane in source
        )
        return MovedPart((x0, y0, x1, y1), (fine_x, fine_y))  # type: ignore[arg-type]

    def _row_px(self, row: int) -> int:
        return int(self._origin[1]) + row * self._step


def _close_pinholes(source: Planes, still: NDArray[np.uint8]) -> None:
    """Give single cells that are ``still``, uint8 (h, w), what their neighbours have, in place.

    Where many triangles meet in one point, rounding leaves a cell to none of them.
    """
    import cv2

    wide = cv2.morphologyEx(still, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    alone = cv2.subtract(still, wide)[1:-1, 1:-1]
    if not cv2.countNonZero(alone):
        return
    x, y = cv2.findNonZero(alone).reshape(-1, 2).T + 1
    for plane in source:
        around = [plane[y - 1, x], plane[y + 1, x], plane[y, x - 1], plane[y, x + 1]]
        plane[y, x] = median_of(np.array(around))
    still[y, x] = 0
