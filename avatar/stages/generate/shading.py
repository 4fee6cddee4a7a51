"""Fine shading: the creases that an expression makes, carried from the driver to the avatar.

An expression ratio image (Liu, Shan, Zhang 2001): the driver's skin now, divided by the same skin
at the reference, says where it grew darker or lighter; the avatar's skin is multiplied by it. Both
are compared on the avatar's own face at rest, where every place of skin has its fixed cell, so
that neither face's colour, nor its make-up, nor its wrinkles at rest are carried over.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.rotation import vector_from_rotation
from avatar.core.face.topology import (
    EYE_RINGS,
    FACE_OVAL,
    INNER_LIPS,
    SURFACE_COUNT,
    surface_triangles,
)
from avatar.core.frames import Float32, Motion
from avatar.stages.generate.overlay import Box, polygon_mask
from avatar.stages.generate.raster import sample

# Cells across the face: where its own driver's creases are reproduced, and where they are a hint.
_FINE_CELLS, _COARSE_CELLS = 128, 64
_LIMITS = (0.62, 1.45)
# Light on skin changes by no more than these; twice as far (in logarithms) it is no skin any more:
# a fringe, the rim of glasses, a hand that came or went.
_NOT_SKIN = 2.0
# How far around such a place nothing is believed, shares of the cells: what is half hair, too.
_BESIDE = 0.03
# The newest frame's share: camera noise averages out, a crease still comes within 0.1 s.
_NEW_SHARE = 0.9
_EVERY = 3
_SOFT_SHARE = 0.012  # of the face's width: how softly skin ends
_DARK = 10.0  # levels added to both pictures, so that noise in shadows is not amplified
_RELATIVE_SHARE = 0.4
_UNITY = 128  # a ratio of 1 in 8 bits
# Skin that turns away is seen at too few pixels; radians.
_TURN_FULL, _TURN_NONE = math.radians(30), math.radians(60)


class FineShading:
    """Shades one avatar's person layer.

    ``person``: uint8 (H, W, 4) premultiplied, the layer at rest; ``origin_px``: its columns and
    rows left of the canvas and above it. ``landmarks_px``: float32 (478, 3), canvas pixels.
    ``strength``: 0 none, 1 the driver's own.
    """

    def __init__(
        self,
        person: NDArray[np.uint8],
        origin_px: tuple[int, int],
        landmarks_px: Float32,
        strength: float,
    ) -> None:
        self._person, self._strength = person, strength
        self._shaded = person.copy()
        # From here on all is in the layer's pixels.
        placed = landmarks_px + np.array([*origin_px, 0], np.float32)
        surface = placed[:SURFACE_COUNT, :2]
        height, width = person.shape[:2]
        low = np.clip(np.floor(surface[FACE_OVAL].min(axis=0)), 0, (width - 2, height - 2))
        high = np.clip(np.ceil(surface[FACE_OVAL].max(axis=0)), low + 2, (width, height))
        self._box: Box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        self._rows = slice(self._box[1], self._box[3])
        self._columns = slice(self._box[0], self._box[2])
        self._places = ((surface - low) / (high - low)).astype(np.float32)
        self._landmarks_px = placed
        self._cells = 0
        self._reference: Float32 | None = None
        self._reference_shape: Float32 | None = None
        self._plain = True
        self._calls = 0

    def _divide(self, cells: int) -> None:
        """Divide the face into ``cells`` × ``cells``; nothing is kept of other cells."""
        self._cells = cells
        self._corners, self._shares = _anchors(self._places * np.float32(cells), cells)
        self._skin = self._skin_weight(self._landmarks_px)
        weights = self._skin + np.float32(1e-6)
        self._weights = weights / weights.sum()
        self._ratio = np.ones((cells, cells), np.float32)
        self._reference_shape = None

    def _skin_weight(self, landmarks_px: Float32) -> Float32:
        """Return where there is skin and nothing that moves over it, float32 (cells, cells)."""
        import cv2

        def covered(ring: NDArray[np.intp], grow: float) -> NDArray[np.uint8]:
            points = landmarks_px[ring, :2]
            middle = points.mean(axis=0)
            return polygon_mask(middle + (points - middle) * np.float32(grow), self._box)

        # Lips count as skin: light on them changes with their shape.
        skin = covered(FACE_OVAL, 0.97)
        for ring in (*EYE_RINGS, INNER_LIPS):
            skin = np.minimum(skin, 255 - covered(ring, 1.15))
        cells = cv2.resize(skin, (self._cells, self._cells), interpolation=cv2.INTER_AREA)
        reach = _SOFT_SHARE * self._cells
        soft = cv2.GaussianBlur(cells.astype(np.float32) / 255, (0, 0), reach)
        return np.asarray(np.clip(soft * 2 - 1, 0, 1), np.float32)

    def apply(self, motion: Motion) -> NDArray[np.uint8]:
        """Return the person layer shaded for ``motion``; it is reused by the next call."""
        import cv2

        # Where creases are a hint, every third frame is enough; where the driver's own face is
        # reproduced, every frame counts.
        self._calls += 1
        if not motion.absolute and self._calls % _EVERY != 1:
            return self._person if self._plain else self._shaded
        cells = _FINE_CELLS if motion.absolute else _COARSE_CELLS
        if cells != self._cells:
            self._divide(cells)
        wanted = self._wanted(motion)
        if wanted is None and self._plain:
            return self._person
        target = np.float32(1) if wanted is None else wanted
        self._ratio += np.float32(_NEW_SHARE) * (target - self._ratio)
        self._plain = wanted is None and float(np.abs(self._ratio - 1).max()) < 0.01
        size = (self._box[2] - self._box[0], self._box[3] - self._box[1])
        eight = cv2.convertScaleAbs(self._ratio, alpha=_UNITY)
        fine = cv2.resize(eight, size, interpolation=cv2.INTER_LINEAR)
        alpha = np.full_like(fine, _UNITY)
        part = self._person[self._rows, self._columns]
        into = self._shaded[self._rows, self._columns]
        cv2.multiply(part, cv2.merge([fine, fine, fine, alpha]), dst=into, scale=1 / _UNITY)
        return self._shaded

    def _wanted(self, motion: Motion) -> Float32 | None:
        """Return the ratio for this frame, float32 (cells, cells); None without a driver's skin."""
        import cv2

        track = motion.track
        if self._strength <= 0 or track is None or track.face is None or track.camera is None:
            return None
        now = self._unwrapped(track.camera.image, track.face.landmarks_px)
        if motion.neutral is not self._reference_shape:
            then = motion.reference
            self._reference_shape, self._reference = motion.neutral, now
            # The first frame may differ from the reference, where that was looked for before.
            if then is not None and then.face is not None and then.camera is not None:
                self._reference = self._unwrapped(then.camera.image, then.face.landmarks_px)
        assert self._reference is not None
        ratio = np.asarray(cv2.divide(now, self._reference), np.float32)
        # The room's light and the camera's exposure change too; a face as a whole does not.
        ratio /= max(float(np.vdot(ratio, self._weights)), 0.1)
        skin, share = self._skin, self._strength * _facing(motion)
        if not motion.absolute:
            # Relative motion keeps the photograph's own face: creases as a hint, not as a mask, and
            # nothing of what is not skin.
            share *= _RELATIVE_SHARE
            skin = skin * _believed(ratio)
        np.clip(ratio, *_LIMITS, out=ratio)
        return np.asarray(1 + (ratio - 1) * (skin * np.float32(share)), np.float32)

    def _unwrapped(self, image: NDArray[np.uint8], landmarks_px: Float32) -> Float32:
        """Return the driver's luminance on the avatar's face at rest, float32 (cells, cells)."""
        import cv2

        height, width = image.shape[:2]
        points = landmarks_px[:SURFACE_COUNT, :2]
        low = np.clip(points.min(axis=0).astype(int) - 2, 0, (width - 2, height - 2))
        high = np.clip(points.max(axis=0).astype(int) + 3, low + 2, (width, height))
        grey = cv2.cvtColor(image[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY)
        span = (high - low).astype(np.float32)
        # A cell covers several pixels of a near face; averaging them is free of aliasing.
        small = cv2.resize(grey, (self._cells, self._cells), interpolation=cv2.INTER_AREA)
        # Each cell stands at fixed shares of three landmarks, so it follows them wherever they are.
        cells = ((points - low) * (self._cells / span)).astype(np.float32)
        at = np.einsum("nk,nkc->nc", self._shares, cells.take(self._corners, axis=0))
        at = at.reshape(self._cells, self._cells, 2) - np.float32(0.5)
        taken = sample(small, at)
        smooth = cv2.GaussianBlur(taken.astype(np.float32), (0, 0), 0.9)
        return np.asarray(smooth + np.float32(_DARK), np.float32)


def _believed(ratio: Float32) -> Float32:
    """Return 1 where ``ratio``, float32 (cells, cells), may be light on skin, 0 where it is not."""
    import cv2

    logs = np.log(np.maximum(ratio, 1e-3))
    beyond = logs / np.where(logs < 0, *np.log(np.array(_LIMITS, np.float32)))
    other = np.clip((beyond - 1) / (_NOT_SKIN - 1), 0, 1)
    reach = max(1, round(_BESIDE * len(ratio)))
    wide = cv2.dilate(other, np.ones((2 * reach + 1,) * 2, np.uint8))
    return np.asarray(1 - cv2.GaussianBlur(wide, (0, 0), reach / 2), np.float32)


def _anchors(points: Float32, cells: int) -> tuple[NDArray[np.intp], Float32]:
    """Return which three landmarks hold each cell, and with which shares.

    ``points``: float32 (468, 2), the landmarks in cells. Returns intp (cells², 3) and float32
    (cells², 3), barycentric; cells outside the face are held by landmark 0.
    """
    corners = np.zeros((cells, cells, 3), np.intp)
    shares = np.zeros((cells, cells, 3), np.float32)
    shares[..., 0] = 1
    for triangle in surface_triangles().astype(np.intp):
        a, b, c = points[triangle].astype(np.float64)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        low = np.maximum(np.floor(np.minimum(np.minimum(a, b), c) - 0.5).astype(int), 0)
        high = np.minimum(np.ceil(np.maximum(np.maximum(a, b), c) + 0.5).astype(int), cells)
        if abs(area) < 1e-9 or (high <= low).any():
            continue
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        second = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        third = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        weights = np.stack([1 - second - third, second, third], axis=-1)
        inside = (weights >= -1e-6).all(axis=-1)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        corners[window][inside] = triangle
        shares[window][inside] = weights[inside]
    return corners.reshape(-1, 3), shares.reshape(-1, 3)


def _facing(motion: Motion) -> float:
    """Return 1 while the head faces as at the reference, falling to 0 where it turned far."""
    turned = float(np.linalg.norm(vector_from_rotation(motion.rotation)[:2]))
    return min(1.0, max(0.0, (_TURN_NONE - turned) / (_TURN_NONE - _TURN_FULL)))
