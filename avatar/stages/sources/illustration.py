"""The drawn person of the demo: a head with depth, painted anew for every performance.

Convention of this file: face units of about a centimetre, x to the right of the picture, y down,
z towards the viewer; the origin lies inside the head, behind the root of the nose. Contours are
float64 (N, 2) in face units; each is lifted onto the head's depth, turned and projected
orthographically, so that everything moves together as on a real head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import UInt8Image

Points = NDArray[np.float64]
Colour = tuple[int, int, int]

# Where the head turns: the top of the neck, below and behind the eyes.
_PIVOT = np.array([0.0, 5.0, -1.0])
_JAW_DROP = 3.0
_MOUTH_Y = 4.6
_EYE_X, _EYE_Y = 3.15, -2.4
_SUBPIXEL_BITS = 4

_SKIN = (238, 194, 164)
_SKIN_SHADE = (186, 124, 98)
_SKIN_LIGHT = (255, 226, 200)
_OUTLINE = (146, 88, 68)
_HAIR = (74, 46, 36)
_HAIR_DARK = (48, 29, 24)
_HAIR_LIGHT = (122, 80, 58)
_IRIS = (86, 116, 84)
_EYE_WHITE = (250, 246, 240)
_LIP = (196, 98, 92)
_LIP_DARK = (150, 66, 64)
_MOUTH_INSIDE = (84, 26, 32)
_TONGUE = (190, 92, 94)
_TEETH = (248, 244, 236)
_SWEATER = (52, 116, 122)
_SWEATER_DARK = (38, 88, 96)


@dataclass(frozen=True)
class Performance:
    """What the drawn person does at one moment.

    ``jaw_open``, ``smile``, ``blink``, ``brow_raise``, ``pucker``: range [0, 1]. ``gaze_x`` and
    ``gaze_y``: [-1, 1], to the right of the picture and down. ``yaw_deg`` turns the nose to the
    right of the picture, ``pitch_deg`` lifts it, ``roll_deg`` tilts the head clockwise in the
    picture.
    """

    jaw_open: float = 0.0
    smile: float = 0.0
    blink: float = 0.0
    brow_raise: float = 0.0
    pucker: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0


def _gauss(x: Points, y: Points, cx: float, cy: float, sx: float, sy: float) -> Points:
    """Return a bell of height 1 at (cx, cy)."""
    bell: Points = np.exp(-(((x - cx) / sx) ** 2) - ((y - cy) / sy) ** 2)
    return bell


def _depth(x: Points, y: Points) -> Points:
    """Return the head's depth in face units, largest at the tip of the nose."""
    skull = 7.4 - 0.095 * x**2 - 0.036 * (y + 0.5) ** 2
    eyes = _gauss(x, y, _EYE_X, _EYE_Y, 1.9, 1.5) + _gauss(x, y, -_EYE_X, _EYE_Y, 1.9, 1.5)
    nose = 1.3 * _gauss(x, y, 0, -0.8, 1.0, 2.4) + 2.0 * _gauss(x, y, 0, 1.2, 1.3, 1.5)
    mouth = 0.9 * _gauss(x, y, 0, _MOUTH_Y, 2.6, 2.2) + 0.8 * _gauss(x, y, 0, 8.4, 2.4, 1.6)
    depth: Points = skull - 0.7 * eyes + nose + mouth
    return depth


def _smooth(points: list[tuple[float, float]], closed: bool, steps: int = 8) -> Points:
    """Return a Catmull-Rom curve through ``points``."""
    p = np.array(points)
    ring = np.vstack([p[-1], p, p[:2]]) if closed else np.vstack([p[0], p, p[-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * b - a - 3 * c + d)))
        for a, b, c, d in zip(ring[:-3], ring[1:-2], ring[2:-1], ring[3:], strict=True)
    ]
    return np.vstack(pieces if closed else [*pieces, p[-1:]])


def _mirror(half: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Close a right half, given from top to bottom, with its mirror image."""
    return half + [(-x, y) for x, y in reversed(half) if x != 0]


_FACE = _smooth(
    _mirror([(0, -12.4), (4.2, -11.6), (7.0, -8.8), (7.9, -4.8), (7.7, -0.6), (7.1, 3.2),
             (5.8, 6.4), (3.7, 8.9), (1.6, 10.0), (0, 10.2)]), closed=True,
)  # fmt: skip
_HAIR_BACK = _smooth(
    _mirror([(0, -14.6), (4.6, -14.1), (8.2, -11.4), (9.5, -6.6), (9.4, -2.2), (8.7, 1.4),
             (7.6, 2.4)]), closed=True,
)  # fmt: skip
_HAIR_FRONT = _smooth(
    [(-8.5, -1.2), (-9.4, -5.4), (-8.9, -9.6), (-6.4, -13.0), (-2.2, -14.8), (2.6, -14.7),
     (6.6, -12.9), (8.9, -9.6), (9.4, -5.4), (8.5, -1.2), (7.7, -3.6), (7.3, -6.2), (6.0, -8.2),
     (3.4, -9.3), (0.2, -9.0), (-3.2, -7.6), (-5.6, -7.0), (-7.1, -5.6), (-7.6, -3.6)],
    closed=True,
)  # fmt: skip
_HAIR_SHINE = _smooth(
    [(-5.8, -11.4), (-2.6, -12.9), (1.6, -13.0), (4.8, -11.9), (1.8, -12.0), (-2.2, -11.7)],
    closed=True,
)
_STRANDS = [
    _smooth([(-3.2, -14.2), (-5.4, -11.4), (-6.8, -7.6)], closed=False),
    _smooth([(-2.6, -14.4), (-2.2, -11.6), (-4.2, -8.2)], closed=False),
    _smooth([(-2.4, -14.5), (2.6, -12.6), (4.6, -9.4)], closed=False),
    _smooth([(-1.2, -14.6), (5.2, -12.8), (7.8, -8.0)], closed=False),
]
_EAR = _smooth(
    [(7.3, -3.0), (8.6, -3.5), (9.2, -2.2), (8.8, 0.0), (8.1, 1.6), (7.3, 1.4)], closed=True
)
_BROW = _smooth(
    [(1.4, -4.5), (2.7, -5.0), (4.2, -5.2), (5.8, -4.35), (4.2, -4.7), (2.7, -4.45), (1.5, -4.15)],
    closed=True,
)

_NOSE_WING = _smooth([(1.25, 0.7), (1.62, 1.5), (1.35, 2.1)], closed=False)
_NOSTRIL = _smooth([(0.4, 2.1), (0.75, 1.92), (1.1, 2.1), (0.75, 2.25)], closed=True)

_LID_CREASE = np.column_stack([np.zeros(15), 0.42 * np.sin(np.pi * np.linspace(0, 1, 15)) + 0.05])


class _DepthTable:
    """The head's depth sampled once: looking it up costs a tenth of computing it."""

    _CELLS = 8
    _LEFT, _TOP = 13.0, 17.0

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        y, x = np.mgrid[-self._TOP : 17 : 1 / self._CELLS, -self._LEFT : 13 : 1 / self._CELLS]
        self._table = _depth(x, np.minimum(y, 11.0)).astype(np.float32)

    def __call__(self, xy: Points) -> Points:
        """Return the depth (N, M) at face coordinates (N, M, 2)."""
        cv2 = self._cv2
        cells = ((xy + np.array([self._LEFT, self._TOP])) * self._CELLS).astype(np.float32)
        z = cv2.remap(self._table, cells, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        return np.asarray(z, np.float64)


@dataclass(frozen=True)
class _View:
    """The head's pose in the picture: rotation, then scale and place in pixels."""

    depth: _DepthTable

    rotation: Points
    scale_px: float
    centre_px: Points
    jaw_drop: float

    def lower_jaw(self, xy: Points) -> Points:
        """Return the contour after the jaw has dropped: all below the mouth follows it."""
        share = np.clip((xy[:, 1] - _MOUTH_Y + 1.0) / 4.0, 0, 1)
        return np.column_stack([xy[:, 0] * (1 - 0.025 * self.jaw_drop * share),
                                xy[:, 1] + self.jaw_drop * share * 0.8])  # fmt: skip

    def project(self, xy: Points, z: Points) -> Points:
        """Return pixels (N, 2) of contour points at depth ``z``."""
        turned = (np.column_stack([xy, z]) - _PIVOT) @ self.rotation.T + _PIVOT
        pixels: Points = turned[:, :2] * self.scale_px + self.centre_px
        return pixels

    def on_face(self, xy: Points) -> Points:
        """Return pixels of points that lie on the face."""
        return self.project(xy, self.depth(xy[:, None])[:, 0])


def _rotation(performance: Performance) -> Points:
    """Return head to camera, yaw first, then pitch, then roll, in this file's axes."""
    yaw, pitch, roll = (
        math.radians(a) for a in (performance.yaw_deg, performance.pitch_deg, performance.roll_deg)
    )
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rotation: Points = about_z @ about_x @ about_y
    return rotation


def _pixels(points: Points) -> NDArray[np.int32]:
    """Return OpenCV's fixed-point coordinates; its pixel centres are whole numbers."""
    return np.round((points - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


class Illustrator:
    """Draws performances as pictures of one size; holds the layers that never change.

    Constructing it paints those layers, which takes some tens of milliseconds.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        import cv2

        self._cv2 = cv2
        self._width, self._height = size_px
        self._scale_px = min(self._width / 640, self._height / 480) * 14.2
        self._centre_px = np.array([self._width * 0.5, self._height * 0.49])
        self._depth = _DepthTable()
        self._backdrop = self._paint_backdrop()
        self._skin = self._paint_skin()

    def draw(self, performance: Performance) -> UInt8Image:
        """Return a new picture, uint8 (height, width, 3) RGB."""
        view = _View(self._depth, _rotation(performance), self._scale_px, self._centre_px,
                     _JAW_DROP * performance.jaw_open)  # fmt: skip
        image = self._backdrop.copy()
        self._draw_behind(image, view)
        self._draw_skin(image, view)
        for side in (-1, 1):
            self._draw_eye(image, view, performance, side)
            self._draw_brow(image, view, performance, side)
        self._draw_nose(image, view)
        self._draw_mouth(image, view, performance)
        self._draw_hair(image, view)
        return image

    # -- primitives

    def _fill(self, image: UInt8Image, points_px: Points, colour: Colour) -> None:
        cv2 = self._cv2
        cv2.fillPoly(image, [_pixels(points_px)], colour, cv2.LINE_AA, _SUBPIXEL_BITS)

    def _stroke(self, image: UInt8Image, points_px: Points, colour: Colour, width: float,
                closed: bool = False) -> None:  # fmt: skip
        cv2 = self._cv2
        width_px = max(1, round(width * self._scale_px))
        cv2.polylines(image, [_pixels(points_px)], closed, colour, width_px, cv2.LINE_AA,
                      _SUBPIXEL_BITS)  # fmt: skip

    def _disc(self, image: UInt8Image, centre_px: Points, radius: float, colour: Colour) -> None:
        cv2 = self._cv2
        x, y = (int(v) for v in _pixels(centre_px))
        radius_fixed = round(radius * self._scale_px * (1 << _SUBPIXEL_BITS))
        cv2.circle(image, (x, y), radius_fixed, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)

    @contextmanager
    def _clipped(
        self, image: UInt8Image, contour_px: Points, colour: Colour
    ) -> Iterator[tuple[UInt8Image, Points]]:
        """Give a patch of ``colour`` and its origin; what is drawn there shows inside a contour."""
        cv2 = self._cv2
        size_px = (self._width, self._height)
        x0, y0 = np.clip(np.floor(contour_px.min(0)).astype(int) - 2, 0, size_px)
        x1, y1 = np.clip(np.ceil(contour_px.max(0)).astype(int) + 2, 0, size_px)
        region, origin_px = image[y0:y1, x0:x1], np.array([x0, y0], float)
        patch = np.full_like(region, colour)
        yield patch, origin_px
        mask = np.zeros(region.shape[:2], np.uint8)
        cv2.fillPoly(mask, [_pixels(contour_px - origin_px)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        weight = mask[..., None].astype(np.uint16)
        region[:] = (region * (255 - weight) + patch * weight) // 255

    # -- layers painted once

    def _paint_backdrop(self) -> UInt8Image:
        """Return a soft room with neck and shoulders."""
        cv2 = self._cv2
        h, w, s = self._height, self._width, self._scale_px
        y, x = np.mgrid[0:h, 0:w]
        glow = np.exp(-(((x / w - 0.42) / 0.55) ** 2) - ((y / h - 0.35) / 0.6) ** 2)[..., None]
        room = np.array([176, 190, 198]) * (1 - glow) + np.array([232, 232, 224]) * glow
        image = np.ascontiguousarray(np.clip(room, 0, 255).astype(np.uint8))

        def at(points: list[tuple[float, float]]) -> Points:
            pixels: Points = _smooth(points, closed=True) * s + self._centre_px
            return pixels

        self._fill(image, at(_mirror([(0, 12.6), (4.4, 12.6), (9.5, 14.0),
                                      (15.5, 16.2), (18.5, 21.0), (19.5, 30.0), (0, 32.0)])),
                   _SWEATER)  # fmt: skip
        self._fill(image, at(_mirror([(0, 2.0), (4.5, 2.0), (4.3, 9.0), (4.6, 12.6),
                                      (2.9, 14.6), (0, 15.4)])), (214, 160, 132))  # fmt: skip
        self._fill(image, at(_mirror([(0, 2.0), (4.4, 3.0), (4.2, 9.6), (2.6, 12.2), (0, 13.0)])),
                   (190, 132, 106))  # fmt: skip
        collar = _smooth([(-4.9, 12.0), (-3.2, 14.6), (0, 15.7), (3.2, 14.6), (4.9, 12.0)], False)
        self._stroke(image, collar * s + self._centre_px, _SWEATER_DARK, 1.0)
        for side in (-1, 1):
            fold = _smooth([(side * 12.2, 17.4), (side * 11.4, 19.6), (side * 11.2, 24.0)], False)
            self._stroke(image, fold * s + self._centre_px, _SWEATER_DARK, 0.18)
        soft = cv2.GaussianBlur(image, (0, 0), 0.06 * s)
        return np.asarray(soft, np.uint8)

    def _paint_skin(self) -> UInt8Image:
        """Return the face's shaded skin as seen from the front, on the texture's own grid."""
        s = self._scale_px
        y, x = np.mgrid[-15 : 15 : 1 / s, -11 : 11 : 1 / s]
        normal_x, normal_y = 0.19 * x * 0.9, 0.11 * (y + 1)
        light = 0.30 - 0.16 * normal_x - 0.16 * normal_y - 0.105 * (x / 4) ** 2 * 1.15
        light -= 0.30 * _gauss(x, y, 0, 13, 6, 3.4)
        for side in (-1, 1):
            light -= 0.30 * _gauss(x, y, side * _EYE_X, _EYE_Y - 1.1, 1.9, 1.0)
            light -= 0.26 * _gauss(x, y, side * 1.45, -2.0, 0.55, 1.5)
            light -= 0.12 * _gauss(x, y, side * 3.0, _EYE_Y + 1.5, 1.7, 0.5)
            light -= 0.22 * _gauss(x, y, side * 1.7, 1.6, 0.5, 0.8)
            light -= 0.10 * _gauss(x, y, side * 3.4, 3.2, 0.6, 1.5)
            light += 0.16 * _gauss(x, y, side * 4.4, 0.6, 1.9, 1.3)
        light += 0.26 * _gauss(x, y, -0.1, -0.9, 0.5, 2.4) + 0.28 * _gauss(
            x, y, -0.2, 1.0, 0.7, 0.6
        )
        light -= 0.32 * _gauss(x, y, 0, 2.5, 1.5, 0.45)
        light -= 0.10 * _gauss(x, y, 0, 3.0, 0.4, 0.5)
        light -= 0.24 * _gauss(x, y, 0, 6.7, 1.7, 0.5)
        light += 0.14 * _gauss(x, y, 0, 8.3, 1.5, 0.9) + 0.10 * _gauss(x, y, 0, -7, 4, 2.4)
        light -= 0.30 * _gauss(x, y, 0, -10.4, 9, 1.7)
        skin, shade, bright = (np.array(c, float) for c in (_SKIN, _SKIN_SHADE, _SKIN_LIGHT))
        down, up = np.clip(-light, 0, 1)[..., None], np.clip(light, 0, 1)[..., None]
        colour = skin + (shade - skin) * down * 1.5 + (bright - skin) * up * 1.2
        blush = _gauss(x, y, 4.6, 1.6, 1.9, 1.4) + _gauss(x, y, -4.6, 1.6, 1.9, 1.4)
        blush += 0.5 * _gauss(x, y, 0, 1.4, 1.2, 0.8)
        colour += np.array([4, -20, -17]) * blush[..., None]
        return np.ascontiguousarray(np.clip(colour, 0, 255).astype(np.uint8))

    # -- layers of each picture

    def _draw_behind(self, image: UInt8Image, view: _View) -> None:
        back = view.project(_HAIR_BACK, np.full(len(_HAIR_BACK), -3.0))
        self._fill(image, back, _HAIR_DARK)
        for side in (-1, 1):
            ear = _EAR * (side, 1)
            points = view.project(ear, np.full(len(ear), -1.0))
            self._fill(image, points, (222, 168, 140))
            self._stroke(image, points, _OUTLINE, 0.1, closed=True)
            inner = (ear - (side * 8.2, -1.0)) * 0.5 + (side * 8.3, -1.0)
            self._fill(image, view.project(inner, np.full(len(inner), -1.0)), (190, 124, 102))

    def _face_outline(self, view: _View) -> Points:
        """Return the silhouette in pixels: a turned head shows another rim, not a narrower one."""
        xy = view.lower_jaw(_FACE)
        z = np.interp(xy[:, 1], [-6, 2, 10, 13], [0.0, 1.5, 4.6, 4.6])
        z -= np.clip(np.abs(xy[:, 0]) / 8, 0, 1) * z * 0.6
        return view.project(xy, z)

    def _draw_skin(self, image: UInt8Image, view: _View) -> None:
        """Lay the shaded skin over the head: a backward map, solved coarsely and enlarged."""
        cv2 = self._cv2
        outline = self._face_outline(view)
        x0, y0 = np.maximum(np.floor(outline.min(0)).astype(int) - 2, 0)
        x1, y1 = np.minimum(np.ceil(outline.max(0)).astype(int) + 2, (self._width, self._height))
        w, h = int(x1 - x0), int(y1 - y0)
        cols, rows = 36, 48
        px = x0 + (np.arange(cols) + 0.5) * w / cols
        py = y0 + (np.arange(rows) + 0.5) * h / rows
        grid = self._unproject(view, np.stack(np.meshgrid(px, py), -1))
        texture = ((grid + np.array([11, 15])) * self._scale_px).astype(np.float32)
        map_xy = cv2.resize(texture, (w, h), interpolation=cv2.INTER_LINEAR)
        skin = cv2.remap(self._skin, map_xy, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        mask = np.zeros((h, w), np.uint8)
        cv2.fillPoly(mask, [_pixels(outline - (x0, y0))], 255, cv2.LINE_8, _SUBPIXEL_BITS)
        region = image[y0:y1, x0:x1]
        cv2.copyTo(skin, mask, region)
        self._stroke(image, outline, _OUTLINE, 0.12, closed=True)

    def _unproject(self, view: _View, pixels: Points) -> Points:
        """Return face coordinates at rest of ``pixels`` (…, 2): project, jaw and all, undone.

        Solves q = A·xy + b·z(xy) by fixed-point iteration, which converges because the head's
        slopes are gentle at the angles a head turns to.
        """
        A, b = view.rotation[:2, :2], view.rotation[:2, 2]
        inverse = np.linalg.inv(A)
        q = (pixels - view.centre_px) / view.scale_px - _PIVOT[:2]
        xy: Points = q + _PIVOT[:2]
        for _ in range(5):
            z = view.depth(xy) - _PIVOT[2]
            xy = (q - z[..., None] * b) @ inverse.T + _PIVOT[:2]
        drop = view.jaw_drop * 0.8
        start = _MOUTH_Y - 1.0
        slope = 1 + drop / 4.0
        below = np.maximum(xy[..., 1] - start, 0)
        rest = np.minimum(below / slope, 4.0) + np.maximum(below - 4.0 * slope, 0)
        xy[..., 1] = np.where(below > 0, start + rest, xy[..., 1])
        return xy

    def _eye_lids(self, performance: Performance, side: int) -> tuple[Points, Points]:
        """Return upper and lower lid from the inner to the outer corner, face units."""
        t = np.linspace(0, 1, 15)
        x = 1.62 + 3.05 * t
        corner = _EYE_Y + 0.18 - 0.22 * t
        arch = np.sin(np.pi * t**0.88) ** 0.85
        lower = corner + (0.68 - 0.12 * performance.smile - 0.12 * performance.blink) * arch
        opening = (
            corner
            - (1.05 + 0.12 * performance.brow_raise - 0.25 * max(performance.gaze_y, 0)) * arch
        )
        upper = opening + (lower - opening) * performance.blink
        return np.column_stack([side * x, upper]), np.column_stack([side * x, lower])

    def _draw_eye(
        self, image: UInt8Image, view: _View, performance: Performance, side: int
    ) -> None:
        upper, lower = self._eye_lids(performance, side)
        upper_px, lower_px = view.on_face(upper), view.on_face(lower)
        if performance.blink < 0.97:
            centre = np.array([[side * _EYE_X + 0.75 * performance.gaze_x,
                                _EYE_Y - 0.12 + 0.42 * performance.gaze_y]])  # fmt: skip
            iris_px = view.on_face(centre)[0]
            almond = np.vstack([upper_px, lower_px[::-1]])
            with self._clipped(image, almond, _EYE_WHITE) as (eyeball, origin_px):
                self._draw_eyeball(eyeball, iris_px - origin_px, upper_px - origin_px)
        self._stroke(image, lower_px, (166, 104, 86), 0.09)
        if performance.blink < 0.5:
            self._stroke(image, view.on_face(upper - _LID_CREASE), (176, 116, 94), 0.09)
        self._stroke(image, upper_px, (58, 34, 30), 0.2)

    def _draw_eyeball(self, eyeball: UInt8Image, iris_px: Points, upper_px: Points) -> None:
        """Draw iris, pupil, the upper lid's shadow and the reflection of a window."""
        unit = self._scale_px
        self._disc(eyeball, iris_px, 0.86, (48, 62, 50))
        self._disc(eyeball, iris_px, 0.76, _IRIS)
        self._disc(eyeball, iris_px + np.array([0, 0.2]) * unit, 0.5, (124, 152, 112))
        self._disc(eyeball, iris_px, 0.37, (22, 18, 18))
        self._stroke(eyeball, upper_px + np.array([0, 0.14]) * unit, (196, 180, 172), 0.22)
        self._disc(eyeball, iris_px - np.array([0.27, 0.3]) * unit, 0.18, (255, 255, 255))

    def _draw_brow(
        self, image: UInt8Image, view: _View, performance: Performance, side: int
    ) -> None:
        brow = _BROW * (side, 1) - (0, 0.9 * performance.brow_raise)
        self._fill(image, view.on_face(brow), _HAIR)

    def _draw_nose(self, image: UInt8Image, view: _View) -> None:
        for side in (-1, 1):
            self._stroke(image, view.on_face(_NOSE_WING * (side, 1)), (186, 122, 98), 0.1)
            self._fill(image, view.on_face(_NOSTRIL * (side, 1)), (126, 66, 54))

    def _lips(self, performance: Performance) -> tuple[Points, Points, Points, Points]:
        """Return upper lip's top and bottom, lower lip's top and bottom, face units."""
        t = np.linspace(-1, 1, 25)
        jaw, pucker = performance.jaw_open, performance.pucker
        smile = 0.12 + 0.88 * performance.smile
        half_width = (2.35 + 0.75 * smile - 0.30 * jaw) * (1 - 0.28 * pucker)
        thickness = 1 - 0.22 * smile + 0.25 * pucker
        dome = 1 - np.abs(t) ** 2.2
        cupid = 0.14 * np.cos(np.pi * np.clip(t / 0.36, -1, 1))
        gap = 2.7 * jaw + 0.42 * performance.smile**2
        rest = _MOUTH_Y - 0.75 * smile + 0.45 * jaw + 0.42 * smile * dome
        inner_top = rest - (0.04 + 0.42 * jaw) * dome
        inner_bottom = rest + 0.04 * dome + gap * np.sqrt(1 - t**2)
        top = inner_top - (0.72 - cupid) * dome * thickness
        bottom = inner_bottom + 0.98 * (1 - np.abs(t) ** 2.4) * thickness
        x = half_width * t
        return (
            np.column_stack([x, top]),
            np.column_stack([x, inner_top]),
            np.column_stack([x, inner_bottom]),
            np.column_stack([x, bottom]),
        )

    def _draw_mouth(self, image: UInt8Image, view: _View, performance: Performance) -> None:
        top, inner_top, inner_bottom, bottom = (view.on_face(c) for c in self._lips(performance))
        self._fill(image, np.vstack([top, inner_top[::-1]]), _LIP_DARK)
        self._fill(image, np.vstack([inner_bottom, bottom[::-1]]), _LIP)
        if performance.jaw_open > 0.04 or performance.smile > 0.3:
            down = view.rotation[:2, 1] * view.scale_px
            opening = np.vstack([inner_top, inner_bottom[::-1]])
            with self._clipped(image, opening, _MOUTH_INSIDE) as (inside, origin_px):
                tongue, teeth = inner_bottom[5:-5] - origin_px, inner_top[2:-2] - origin_px
                tongue_tip = tongue - 0.75 * performance.jaw_open * down
                self._fill(inside, np.vstack([tongue_tip, tongue[::-1] + down]), _TONGUE)
                self._fill(inside, np.vstack([teeth - down, teeth[::-1] + 0.55 * down]), _TEETH)
        self._stroke(image, inner_top, (110, 44, 46), 0.12)
        shine = 0.5 * (inner_bottom + bottom)[8:15]
        self._stroke(image, shine, (222, 138, 128), 0.2)

    def _draw_hair(self, image: UInt8Image, view: _View) -> None:
        def lifted(xy: Points) -> Points:
            rim = np.clip((xy[:, 0] / 9.6) ** 2 + (xy[:, 1] / 15) ** 2, 0, 1)
            return view.project(xy, 6.6 * (1 - rim))

        self._fill(image, lifted(_HAIR_FRONT), _HAIR)
        self._fill(image, lifted(_HAIR_SHINE), (98, 62, 46))
        for strand in _STRANDS:
            self._stroke(image, lifted(strand), _HAIR_DARK, 0.12)
