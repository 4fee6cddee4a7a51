"""A face that nobody acts: expressions by their ARKit names, turned into an avatar's motion.

What a score such as ``mouthSmileLeft`` does to a face is a smooth displacement of its landmarks,
measured in the face's own mouth and eyes, so that it fits any shape with MediaPipe's landmarks.
Stills with sliders, choreographies and expressions on a key are all made of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.face.fields import brow_field, pucker_field, smile_field
from avatar.core.face.head import mouth_width
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.face.topology import (
    BROW_RINGS,
    CHIN,
    EYES,
    LOWER_LIP,
    LOWER_LIP_RINGS,
    MOUTH_CORNERS,
    SURFACE_COUNT,
    UPPER_LIP,
    UPPER_LIP_RINGS,
)
from avatar.core.frames import (
    BLENDSHAPE_INDEX,
    BLENDSHAPE_NAMES,
    Float32,
    Motion,
    Presence,
    still,
)
from avatar.core.speech import at_rest
from avatar.stages.motion.spoken import MouthBasis

EXPRESSIONS: tuple[str, ...] = tuple(
    name for name in BLENDSHAPE_NAMES if name not in ("_neutral", "jawForward")
)
"""The scores that move something here, by their ARKit names."""

# A jaw that is fully open, of what the widest vowel opens it.
_JAW = 1.35
# Lips are parted from a third of the jaw on; a full smile then raises the upper one so far.
_PARTED, _RAISED = 3.0, 0.9
# A full look moves the iris by so much, eye widths: to the sides, and up or down.
_LOOK = np.array([0.2, 0.1], np.float32)
# Wide eyes open a lid by this share of the eye's opening; a squint shuts as much.
_WIDE, _SQUINT = 0.25, 0.35
_EYE = {
    f"eye{what}{side}": (row, weight)
    for row, side in enumerate(("Left", "Right"))
    for what, weight in (("Blink", 1.0), ("Squint", _SQUINT), ("Wide", -_WIDE))
}
# (row, column, sign) of the gaze: the left eye looks in where the picture is left of it.
_GAZE = {
    "eyeLookOutLeft": (0, 0, 1), "eyeLookInLeft": (0, 0, -1),
    "eyeLookInRight": (1, 0, 1), "eyeLookOutRight": (1, 0, -1),
    "eyeLookDownLeft": (0, 1, 1), "eyeLookUpLeft": (0, 1, -1),
    "eyeLookDownRight": (1, 1, 1), "eyeLookUpRight": (1, 1, -1),
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What a face does at one moment.

    ``scores``: expressions by their ARKit names, 0 to 1. ``yaw_deg``: the nose to the picture's
    right; ``pitch_deg``: the nose down; ``roll_deg``: the crown to the picture's left. ``x`` and
    ``y``: the head's place, head units, right and down. ``zoom``: its size, 1 as photographed.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0

    def weaker(self, share: float) -> Look:
        """Return ``share`` of it, 0 to 1: from the photograph as it is to the whole."""
        return Look(
            {name: score * share for name, score in self.scores.items()},
            self.yaw_deg * share,
            self.pitch_deg * share,
            self.roll_deg * share,
            self.x * share,
            self.y * share,
            1 + (self.zoom - 1) * share,
        )


class ExpressionBasis:
    """The expressions on one shape.

    ``shape``: float32 (478, 3), head frame, head units, at rest: an avatar's own, so that what is
    asked for is what its face does.
    """

    def __init__(self, shape: Float32) -> None:
        self.shape = shape
        self._mouth = MouthBasis(shape)
        self._fields = _fields(shape)

    def displacement(self, scores: Mapping[str, float]) -> Float32:
        """Return where ``scores`` move each landmark, float32 (478, 3), head units.

        Eyes are moved by ``Motion.eye_closure`` and ``gaze`` and are not in it. Raises ``KeyError``
        for an unknown name.
        """
        opening = scores.get("jawOpen", 0.0) * (1 - scores.get("mouthClose", 0.0)) * _JAW
        out = self._mouth.displacement(replace(at_rest(0), jaw=opening))
        for name, score in {**scores, **_shown_teeth(scores)}.items():
            if name in self._fields and score:
                out += self._fields[name] * np.float32(score)
        return out

    def motion(self, look: Look, now_ns: int, index: int) -> Motion:
        """Return the motion that makes the face do ``look``.

        Its displacements are those of ``shape``, so ``Motion.neutral`` is unknown.
        """
        closure, gaze = np.zeros(2, np.float32), np.zeros((2, 2), np.float32)
        scores = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
        for name, score in look.scores.items():
            scores[BLENDSHAPE_INDEX[name]] = np.clip(score, 0, 1)
            if name in _EYE:
                row, weight = _EYE[name]
                closure[row] += np.float32(weight * score)
            if name in _GAZE:
                row, column, sign = _GAZE[name]
                gaze[row, column] += np.float32(sign * score) * _LOOK[column]
        turn = np.radians([look.pitch_deg, look.yaw_deg, look.roll_deg]).astype(np.float32)
        at = still(now_ns, index, Presence.TRACKED)
        return replace(
            at,
            expression=self.displacement(look.scores),
            rotation=rotation_from_vector(turn),
            translation=np.array([look.x, look.y], np.float32),
            scale=look.zoom,
            blendshapes=scores,
            eye_closure=np.clip(closure, -_WIDE, 1),
            gaze=gaze,
        )


def _shown_teeth(scores: Mapping[str, float]) -> dict[str, float]:
    """Return how a smile with parted lips raises the upper one, which shows the teeth."""
    parted = min(_PARTED * scores.get("jawOpen", 0.0), 1.0) * (1 - scores.get("mouthClose", 0.0))
    return {
        f"mouthUpperUp{side}": min(
            scores.get(f"mouthUpperUp{side}", 0.0)
            + _RAISED * parted * scores.get(f"mouthSmile{side}", 0.0),
            1.0,
        )
        for side in ("Left", "Right")
    }


@dataclass(frozen=True)
class _Measures:
    """One face's places: x across the mouth, −1 to 1 between its corners, and so on."""

    shape: Float32
    width: float
    x: Float32
    y: Float32
    left: Float32  # 1 on the person's left half, 0 on the right, soft between


def _measures(shape: Float32) -> _Measures:
    corners = list(MOUTH_CORNERS)
    width = max(mouth_width(shape), 1e-3)
    x, y = ((shape[:, :2] - shape[corners, :2].mean(axis=0)) / (width / 2)).T
    return _Measures(shape, width, x, y, smooth_step(x / 0.7 + 0.5))


def _fields(shape: Float32) -> dict[str, Float32]:
    """Return each expression's displacements at full strength, by name."""
    at = _measures(shape)
    made: dict[str, Float32] = {}
    for name, moves in _pairs(at).items():
        made[f"{name}Left"] = moves * at.left[:, None]
        made[f"{name}Right"] = moves * (1 - at.left[:, None])
    made |= _middle(at)
    for moved in made.values():
        moved[SURFACE_COUNT:] = 0
    return {name: moved.astype(np.float32) for name, moved in made.items()}


def _pairs(at: _Measures) -> dict[str, Float32]:
    """Return what either half of a face does for itself, both halves at once."""
    width, out = at.width, np.clip(at.x, -1, 1)
    corners = _around(at, 1.0, 0.0, 0.45) + _around(at, -1.0, 0.0, 0.45)
    upper, lower = _lip_parts(at)
    brows = brow_field(at.shape)
    return {
        "mouthSmile": smile_field(at.shape),
        "mouthFrown": _moved(at, x=0.03 * out * corners, y=-0.15 * corners),
        "mouthStretch": _moved(at, x=0.11 * out * corners, y=-0.03 * corners),
        "mouthDimple": _moved(at, x=0.05 * out * corners, z=-0.05 * corners),
        "mouthPress": _thinner(at, 0.28),
        "mouthLowerDown": _moved(at, y=-0.09 * lower),
        "mouthUpperUp": _moved(at, y=0.08 * upper),
        "cheekSquint": _moved(at, y=0.10 * _under_eyes(at)),
        "noseSneer": _moved(at, y=0.07 * _beside_nose(at), x=0.02 * out * _beside_nose(at)),
        "browDown": (-0.55 * brows + _drawn_together(at, width)).astype(np.float32),
        "browOuterUp": brows * _outer(at)[:, None],
    }


def _middle(at: _Measures) -> dict[str, Float32]:
    """Return what a face does as a whole."""
    upper, lower = _lip_parts(at)
    near = np.exp(-(np.maximum(np.abs(at.x) - 0.6, 0) ** 2) / 0.5 - at.y**2 / 0.8)
    chin = _around(at, 0.0, float(at.y[CHIN]), 0.9)
    jaw = np.maximum(lower, smooth_step((-at.y - 0.1) / 1.2) * np.exp(-((at.x / 2.2) ** 4)))
    cheeks = _around(at, 1.55, 0.05, 0.55) + _around(at, -1.55, 0.05, 0.55)
    brows = brow_field(at.shape)
    pucker = pucker_field(at.shape)
    parted = _moved(at, y=0.10 * upper - 0.16 * lower)
    return {
        "browInnerUp": brows * (1 - _outer(at))[:, None],
        "cheekPuff": _moved(at, x=0.09 * np.sign(at.x) * cheeks, z=0.12 * cheeks),
        "jawLeft": _moved(at, x=0.14 * jaw),
        "jawRight": _moved(at, x=-0.14 * jaw),
        "mouthLeft": _moved(at, x=0.15 * near),
        "mouthRight": _moved(at, x=-0.15 * near),
        "mouthPucker": pucker * np.float32(1.4),
        "mouthFunnel": pucker + parted,
        "mouthRollUpper": _rolled(at, UPPER_LIP_RINGS),
        "mouthRollLower": _rolled(at, LOWER_LIP_RINGS),
        "mouthShrugLower": _moved(at, y=0.06 * np.maximum(lower, chin), z=0.03 * lower),
        "mouthShrugUpper": _moved(at, y=0.04 * upper),
    }


def _moved(
    at: _Measures,
    x: NDArray[Any] | float = 0.0,
    y: NDArray[Any] | float = 0.0,
    z: NDArray[Any] | float = 0.0,
) -> Float32:
    """Return displacements given in mouth widths, float32 (478, 3), head units."""
    out = np.zeros_like(at.shape)
    out[:, 0], out[:, 1], out[:, 2] = x, y, z
    return np.asarray(out * np.float32(at.width), np.float32)


def _around(at: _Measures, x: float, y: float, reach: float) -> Float32:
    """Return how near landmarks are to a place, half mouth widths; 1 there."""
    far = (at.x - x) ** 2 + (at.y - y) ** 2
    return np.asarray(np.exp(-far / (2 * reach**2)), np.float32)


def _lip_parts(at: _Measures) -> tuple[Float32, Float32]:
    """Return how far landmarks belong to the upper and the lower lip with the skin around it."""
    across = np.sqrt(np.clip(1 - (at.x / 1.02) ** 2, 0, 1))
    fall = np.exp(-((at.y / 0.75) ** 2))
    above = smooth_step(at.y / 0.08 + 0.5)
    above[UPPER_LIP], above[LOWER_LIP] = 1, 0
    return (
        np.asarray(across * fall * above, np.float32),
        np.asarray(across * fall * (1 - above), np.float32),
    )


def _thinner(at: _Measures, share: float) -> Float32:
    """Return how pressed lips lose ``share`` of their height, towards the line between them."""
    out = np.zeros_like(at.shape)
    for rings in (UPPER_LIP_RINGS, LOWER_LIP_RINGS):
        line = at.shape[rings[-1]]
        for ring in rings:
            out[ring] = (line - at.shape[ring]) * np.float32(share)
    out[:, 0] = 0
    return out


def _rolled(at: _Measures, rings: NDArray[np.intp]) -> Float32:
    """Return how a lip that is rolled in goes behind the line between the lips."""
    out = np.zeros_like(at.shape)
    line = at.shape[rings[-1]]
    for ring in rings:
        out[ring] = (line - at.shape[ring]) * np.float32(0.55)
        out[ring, 2] -= np.float32(0.05 * at.width)
    out[:, 0] = 0
    return out


def _under_eyes(at: _Measures) -> Float32:
    near = np.zeros(len(at.shape), np.float32)
    for outer, inner, *_ in EYES:
        width = float(np.linalg.norm(at.shape[outer] - at.shape[inner]))
        middle = (at.shape[outer] + at.shape[inner]) / 2 - np.array([0, 0.55 * width, 0])
        far = ((at.shape - middle)[:, :2] ** 2).sum(axis=1) / (0.45 * width) ** 2
        near = np.maximum(near, np.exp(-far / 2))
    return np.asarray(near, np.float32)


def _beside_nose(at: _Measures) -> Float32:
    wings = at.shape[[129, 358]]
    far = ((at.shape[:, None, :2] - wings[None, :, :2]) ** 2).sum(axis=-1).min(axis=1)
    return np.asarray(np.exp(-far / (2 * (0.22 * at.width) ** 2)), np.float32)


def _outer(at: _Measures) -> Float32:
    """Return 1 at the outer ends of the brows and beyond, 0 at the inner ones."""
    share = np.zeros(len(at.shape), np.float32)
    for side, ring in zip((1, -1), BROW_RINGS, strict=True):
        ends = side * at.shape[ring, 0]
        inner, outer = float(ends.min()), float(ends.max())
        along = (side * at.shape[:, 0] - inner) / max(outer - inner, 1e-3)
        share = np.where(side * at.shape[:, 0] > 0, smooth_step(along), share)
    return np.asarray(share, np.float32)


def _drawn_together(at: _Measures, width: float) -> Float32:
    """Return how brows that come down come nearer to each other."""
    out = np.zeros_like(at.shape)
    lifted = brow_field(at.shape)[:, 1]
    share = lifted / max(float(lifted.max()), 1e-6) * (1 - _outer(at))
    out[:, 0] = -np.sign(at.shape[:, 0]) * 0.05 * width * share
    return out
