"""Lips: each keeps its own height, and they part only as far as the driver's really do.

What a tracker says of lips that touch is the least certain of all it says of a face: in a smile
with shut lips MediaPipe's inner edges stand apart by up to a tenth of the mouth's width, and both
lips lose as much of their height. Carried over as displacements, such a smile tears a mouth open
that is shut, and thick lips under a thin-lipped driver's motion vanish. So a mouth is taken apart
into what moves it as a whole (its seam), how far the lips are apart, and how high each of them is;
the first comes from the displacements, the second from what the driver's mouth really shows, the
third in proportion to the avatar's own lips, within what flesh does: it hardly changes its volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import clamped, smooth_step
from avatar.core.face.head import lips_gap, mouth_width
from avatar.core.face.topology import (
    LOWER_LIP,
    LOWER_LIP_RINGS,
    SURFACE_COUNT,
    UPPER_LIP,
    UPPER_LIP_RINGS,
)
from avatar.core.frames import BLENDSHAPE_INDEX, Float32, Motion

_LIPS = (UPPER_LIP_RINGS, LOWER_LIP_RINGS)
# The lips and the mouth's corners, which a seam ends at.
_MEMBERS = np.array([*UPPER_LIP, *LOWER_LIP, 61, 76, 62, 78, 291, 306, 292, 308])
# Scores that only parted lips have, and from which on each of them is sure.
_PARTING = {
    "jawOpen": 0.2,
    "mouthUpperUpLeft": 0.3,
    "mouthUpperUpRight": 0.3,
    "mouthLowerDownLeft": 0.2,
    "mouthLowerDownRight": 0.2,
    "mouthFunnel": 0.3,
}
_PARTING_AT = [BLENDSHAPE_INDEX[name] for name in _PARTING]
_PARTING_SURE = np.array(list(_PARTING.values()), np.float32)
# Gaps in mouth widths from which on lips begin to count as parted, and over which span they come
# to count fully: without and with such a score.
_APART_FROM, _APART_SPAN = (0.06, 0.02), (0.06, 0.04)
# Lips at the reference with a smaller gap are shut: that they come nearer says nothing.
_NOT_QUITE = 0.06
# Rolled and pressed lips show less of their red, and no gap.
_ROLLS = (
    [BLENDSHAPE_INDEX[name] for name in ("mouthRollUpper", "mouthPressLeft", "mouthPressRight")],
    [BLENDSHAPE_INDEX[name] for name in ("mouthRollLower", "mouthPressLeft", "mouthPressRight")],
)
# A lip's height may change by these factors; rolled in, it may lose so much more.
_THINNEST, _THICKEST, _ROLLED = 0.78, 1.3, 0.45
# How far the skin around follows the lips' edge, head units.
_SKIN_NEAR, _SKIN_REACH = 0.1, 0.18


def openness(shape: Float32) -> float:
    """Return the gap between the lips in mouth widths; negative where they cross."""
    return lips_gap(shape) / max(mouth_width(shape), 1e-3)


@dataclass(frozen=True)
class Parting:
    """How the driver's lips stand.

    ``share``: 0 they touch, 1 they are apart. ``more``: how much farther than at the reference,
    in mouth widths; negative where they came together. ``false``: what of the gap between the
    landmarks is none, in head units. ``kept``: what lips that do not quite meet keep of their gap,
    0 where the driver presses his together.
    """

    share: float
    more: float
    false: float
    kept: float = 1.0


def parting(motion: Motion) -> Parting:
    """Return how the driver's lips stand in a relative ``motion`` whose ``neutral`` is known."""
    shape = motion.neutral + motion.expression
    then = _scores_then(motion)
    rest = openness(motion.neutral)
    # Lips that touch at the reference with a gap between their landmarks have that gap always.
    bias = min(max(rest, 0.0) * (1 - _apart(rest, then)), _APART_FROM[0])
    before, seen = rest - bias, openness(shape) - bias
    share = _apart(seen, motion.blendshapes)
    more = share * seen - _apart(before, then) * before
    false = (openness(shape) - share * seen) * mouth_width(shape)
    nearer = max(rest - max(openness(shape), 0.0), 0.0) / max(rest, _NOT_QUITE)
    pressed = max(_rise(motion.blendshapes, then, rolls) for rolls in _ROLLS)
    return Parting(share, more, max(false, 0.0), (1 - min(nearer, 1.0)) * (1 - pressed))


def _apart(gap: float, scores: Float32 | None) -> float:
    """Return 0 for lips that touch, 1 for parted ones; ``gap``: between landmarks, mouth widths."""
    sure = 0.0
    if scores is not None:
        sure = clamped(float((scores[_PARTING_AT] / _PARTING_SURE).max()), 0, 1)
    begin, span = (low + (high - low) * sure for low, high in (_APART_FROM, _APART_SPAN))
    return float(smooth_step(np.array((gap - begin) / span)))


class LipLayout:
    """Lays one avatar's lips around the seam that a motion gives them.

    ``shape``: float32 (478, 3), the avatar's own in the head frame.
    """

    def __init__(self, shape: Float32) -> None:
        self._rest = [shape[rings] for rings in _LIPS]
        self._across = [rest[-1] - rest[0] for rest in self._rest]
        self._height = [_length(across) for across in self._across]
        self._along = [_shares(rest) for rest in self._rest]
        self._bulge = [
            rest - (rest[0] + along * across)
            for rest, along, across in zip(self._rest, self._along, self._across, strict=True)
        ]
        self._gap = self._rest[0][-1, :, 1] - self._rest[1][-1, :, 1]
        self._rest_gap = lips_gap(shape)
        self._skin, self._follow = _followers(shape)

    def __call__(self, shape: Float32, motion: Motion, driver: Parting, gap: float) -> Float32:
        """Return ``shape``, float32 (478, 3), head frame, with the lips laid anew.

        ``motion``: relative, with its ``neutral``. ``gap``: how far the middle of the lips is to
        stand apart, head units.
        """
        heights = self._heights(motion, driver)
        seam = (shape[_LIPS[0][-1]] + shape[_LIPS[1][-1]]) / 2
        half = self._gaps(shape, driver.share, gap)[:, None] / 2
        out = shape.copy()
        moved = []
        for k, (rings, up) in enumerate(zip(_LIPS, (1.0, -1.0), strict=True)):
            across = shape[rings[-1]] - shape[rings[0]]
            # Which way a lip stands, of its own and as it is moved.
            way = self._across[k] / self._height[k] + across / self._height[k]
            way /= np.maximum(_length(way), 1e-6)
            inner = seam + half * np.array([0, up, 0], np.float32)
            across = way * self._height[k] * np.float32(heights[k])
            laid = inner - across + self._along[k] * across + self._bulge[k]
            moved.append(laid[0] - shape[rings[0]])
            out[rings] = laid
        out[self._skin] += self._follow @ np.concatenate(moved)
        return out

    def _heights(self, motion: Motion, driver: Parting) -> list[float]:
        """Return the factor of each lip's height."""
        now = motion.neutral + motion.expression
        then = _scores_then(motion)
        factors = []
        for rings, rolls in zip(_LIPS, _ROLLS, strict=True):
            height = float(_length(now[rings[-1]] - now[rings[0]]).mean()) + driver.false / 2
            before = float(_length(motion.neutral[rings[-1]] - motion.neutral[rings[0]]).mean())
            rolled = _rise(motion.blendshapes, then, rolls)
            thinnest = _THINNEST - _ROLLED * rolled
            factors.append(_within(height / max(before, 1e-3), thinnest, _THICKEST))
        return factors

    def _gaps(self, shape: Float32, share: float, gap: float) -> Float32:
        """Return the gap along the lips, float32 (9,), head units."""
        moved = shape[_LIPS[0][-1], 1] - shape[_LIPS[1][-1], 1]
        closing = clamped(gap / max(self._rest_gap, 1e-3), 0, 1) if self._rest_gap > 0 else 1
        shut = self._gap * np.float32(closing)
        apart = shut + np.float32(share) * np.maximum(moved - shut, 0)
        return np.asarray(apart, np.float32)


def _scores_then(motion: Motion) -> Float32 | None:
    """Return the driver's scores at the reference, where it is known."""
    face = motion.reference.face if motion.reference is not None else None
    return face.blendshapes if face is not None else None


def _rise(now: Float32, then: Float32 | None, scores: list[int]) -> float:
    rise = now[scores] - (then[scores] if then is not None else 0)
    return clamped(float(rise.max()), 0, 1)


def _within(value: float, low: float, high: float) -> float:
    """Return ``value`` where it is near 1, bending towards ``low`` and ``high``."""
    room = high - 1 if value > 1 else 1 - low
    return 1 + room * float(np.tanh((value - 1) / room))


def _length(vectors: Float32) -> Float32:
    return np.asarray(np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-6, np.float32)


def _shares(rest: Float32) -> Float32:
    """Return how far from a lip's outer to its inner edge each ring lies, float32 (4, 9, 1)."""
    across = rest[-1] - rest[0]
    along = ((rest - rest[0]) * across).sum(axis=-1, keepdims=True)
    return np.asarray(
        along / np.maximum((across * across).sum(-1, keepdims=True), 1e-9), np.float32
    )


def _followers(shape: Float32) -> tuple[NDArray[np.intp], Float32]:
    """Return the skin that follows the lips' outer edges, and its shares of their movement."""
    edge = shape[np.concatenate([rings[0] for rings in _LIPS]), :2]
    skin = np.setdiff1d(np.arange(SURFACE_COUNT), _MEMBERS)
    far = np.linalg.norm(shape[skin, None, :2] - edge[None], axis=-1)
    weight = np.exp(-(far**2) / (2 * _SKIN_NEAR**2)) + 1e-12
    near = np.exp(-(far.min(axis=1) ** 2) / (2 * _SKIN_REACH**2))
    share = weight / weight.sum(axis=1, keepdims=True) * near[:, None]
    kept = near > 0.02
    return skin[kept], share[kept].astype(np.float32)
