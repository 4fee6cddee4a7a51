"""What is judged in a face: dlib's 68 points give its expression, its mouth's colours the teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image

# Pairs whose driver moves less than this (standard deviation of the signal) have no correlation.
FLOORS = {"opening": 0.02, "smile": 0.008, "brow": 0.006}

# dlib's 68 points: jaw ends, mouth corners, the inner lips' middle, brows above the eyes.
_JAW, _CORNERS, _INNER = (0, 16), (48, 54), (62, 66)
_BROWS = ((19, 37), (24, 44))
_INNER_RING = slice(60, 68)
_INNER_ENDS = (60, 64)
# Skin of the cheeks: halfway between each of these.
_CHEEKS = ((2, 31), (14, 35), (4, 48), (12, 54))
# An inner mouth lower than this, in mouth widths, pixels and pixels in all, is shut.
_OPEN_SHARE, _OPEN_PX, _OPEN_AREA = 0.10, 4.0, 40
# Of the inner mouth's pixels the brightest are teeth, where there are any.
_BRIGHT_PERCENT = 70
_LEAST_SIDE = 8


def expression(points: Float32) -> dict[str, float]:
    """Return how far a mouth is open, how wide it is and how high the brows are.

    ``points``: float32 (68, 2), pixels. The gap of the inner lips over the mouth's width; the
    mouth's width and the brows' height over the eyelids over the width of the face.
    """
    face = _between(points, *_JAW)
    brows = sum(_between(points, *ends) for ends in _BROWS) / 2
    mouth = _between(points, *_CORNERS)
    return {
        "opening": _between(points, *_INNER) / max(mouth, 1e-6),
        "smile": mouth / max(face, 1e-6),
        "brow": brows / max(face, 1e-6),
    }


@dataclass(frozen=True)
class Teeth:
    """The brightest part of an open mouth, in CIE L*a*b*.

    ``light``: its L* over that of the cheeks. ``chroma``: how far its colour is from grey.
    ``sides``: how far the hues of its left and right half lie apart.
    """

    light: float
    chroma: float
    sides: float

    @property
    def values(self) -> tuple[float, float, float]:
        """Return the three figures."""
        return self.light, self.chroma, self.sides


def teeth(image: UInt8Image, points: Float32) -> Teeth | None:
    """Return what shows between the lips of a face, RGB; None where they are shut."""
    import cv2

    gap = _between(points, *_INNER)
    if gap < max(_OPEN_SHARE * _between(points, *_CORNERS), _OPEN_PX):
        return None
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(points[_INNER_RING]).astype(np.int32)], (1,))
    rows, columns = np.nonzero(mask)
    if len(rows) < _OPEN_AREA:
        return None
    shares = (image / 255.0).astype(np.float32)
    lab = np.asarray(cv2.cvtColor(shares, cv2.COLOR_RGB2LAB), np.float32)
    inside = lab[rows, columns]
    bright = inside[:, 0] >= np.percentile(inside[:, 0], _BRIGHT_PERCENT)
    colours, x = inside[bright], columns[bright]
    left = x < points[list(_INNER_ENDS), 0].mean()
    return Teeth(
        float(colours[:, 0].mean() / max(_cheeks(lab, points), 1.0)),
        float(np.linalg.norm(colours[:, 1:].mean(axis=0))),
        _apart(colours[left, 1:], colours[~left, 1:]),
    )


@dataclass(frozen=True, eq=False)
class RealMouths:
    """What the drivers' own mouths show: float64 (3,) each, from which to which figure."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def outside(self, seen: Teeth) -> NDArray[np.bool_]:
        """Return which of the figures lie outside, bool (3,)."""
        values = np.array(seen.values)
        return np.asarray((values < self.low) | (values > self.high), np.bool_)


def real_mouths(seen: list[Teeth]) -> RealMouths | None:
    """Return the range of real mouths, the 2nd to the 98th percentile; None without any.

    Teeth are never too grey nor their halves too alike.
    """
    if not seen:
        return None
    values = np.array([mouth.values for mouth in seen])
    low, high = np.percentile(values, 2, axis=0), np.percentile(values, 98, axis=0)
    low[1:] = 0
    return RealMouths(low, high)


def _between(points: Float32, a: int, b: int) -> float:
    return float(np.linalg.norm(points[a] - points[b]))


def _cheeks(lab: Float32, points: Float32) -> float:
    found = []
    for a, b in _CHEEKS:
        x, y = ((points[a] + points[b]) / 2).astype(int).tolist()
        part = lab[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3, 0]
        if part.size:
            found.append(float(part.mean()))
    return float(np.median(found)) if found else 0.0


def _apart(left: Float32, right: Float32) -> float:
    if min(len(left), len(right)) <= _LEAST_SIDE:
        return 0.0
    return float(np.linalg.norm(left.mean(axis=0) - right.mean(axis=0)))
