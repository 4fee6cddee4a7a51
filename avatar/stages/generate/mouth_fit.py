"""What the avatar's mouth makes of the driver's: how far it opens, and what it cannot undo.

A driver's displacements, carried over as they are, do not look alike on every mouth. A wide smile
with teeth opens a narrow mouth visibly less than a wide one, and a painted mouth of thin lips less
than a photographed one. So the jaw follows two sources: the displacements, and how open the
driver's mouth looks (MediaPipe's jawOpen); the mouth opens further where it would look less open.

Relative motion also undoes whatever expression the driver had at the reference. A face that did
not smile in its photograph has no smile to undo: relaxing the driver's would turn into a pout.
"""

from __future__ import annotations

import numpy as np

from avatar.core.curves import smooth_step
from avatar.core.face.head import lips_gap, mouth_width
from avatar.core.face.topology import (
    LIPS_MIDDLE,
    LOWER_LIP,
    MOUTH_CORNERS,
    NOSE_BASE,
    SIDES,
    SURFACE_COUNT,
    UPPER_LIP,
)
from avatar.core.frames import BLENDSHAPE_INDEX, Face, Float32, Motion

_JAW_OPEN = BLENDSHAPE_INDEX["jawOpen"]
_SMILES = [BLENDSHAPE_INDEX["mouthSmileLeft"], BLENDSHAPE_INDEX["mouthSmileRight"]]
_CORNERS = list(MOUTH_CORNERS)
_ALL_CORNERS = [*MOUTH_CORNERS, 76, 306, 62, 292, 78, 308]
_EARS, _JAW_JOINTS = [*SIDES, 93, 323], [93, 323]
_UPPER_EDGE = 0

# How jawOpen (its logit) rises with the jaw's drop (head units): on 13 faces, photographed and
# painted, MediaPipe's scores of dropped jaws lie on this one curve, moved along the drop by what
# each face has at rest, within 0.25 logits (median; 0.37 at the most).
_LOGITS = np.array([-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.5])
_DROPS = np.array([-0.136, -0.039, 0.030, 0.061, 0.095, 0.152, 0.254, 0.373, 0.556])
# A mouth widened by one head unit, or an upper lip that much nearer to the nose, looks open as one
# that is opened so much less, and more.
_WIDTH_SHARE, _RAISED_SHARE = 0.5, 1.0
# What is asked for, of the driver's own rise; how much of what lacks is added, and the most of it.
_RISE, _ADDED, _MOST = 1.6, 0.8, 0.2
# Lips nearer than the first, in head units, are shut and stay so; from the second on, all counts.
_SHUT, _PARTED = 0.01, 0.06
# A full smile moves each corner outwards and up by these shares of the mouth's width. On six
# drivers the width follows the score within 2 %.
_SMILE_OUT, _SMILE_UP, _SMILE_REACH = 0.125, 0.16, 0.6


class MouthFit:
    """Fits expressions to one avatar's mouth.

    ``face``: the photograph's face, whose scores tell how it looks at rest. ``shape``: float32
    (478, 3), its shape in the head frame.
    """

    def __init__(self, face: Face, shape: Float32) -> None:
        self._shape = shape
        self._jaw, self._smile = jaw_field(shape), smile_field(shape)
        self._open = float(np.clip(face.blendshapes[_JAW_OPEN], 0, 1))
        self._smiling = _smile_score(face.blendshapes)
        self._rest_drop = _drop(self._open)
        way = self._smile[_CORNERS, :2]
        self._unit = way / max(float((way * way).sum()), 1e-9)

    def __call__(self, expression: Float32, motion: Motion) -> Float32:
        """Return ``expression``, float32 (478, 3), head units, fitted; relative motion only."""
        if motion.reference is None or motion.reference.face is None or not motion.neutral.any():
            return expression
        then = motion.reference.face.blendshapes
        undone = self._undone_smile(expression, motion.blendshapes, then)
        expression = expression + np.float32(undone) * self._smile
        lacking = self._lacking_drop(expression, motion.blendshapes, then)
        added = np.clip(_ADDED * lacking, 0, _MOST) * _parted(motion)
        return (expression + np.float32(added) * self._jaw).astype(np.float32)

    def _undone_smile(self, expression: Float32, now: Float32, then: Float32) -> float:
        """Return how much of a smile the driver lost that the photograph never had, 0 to 1.

        No more than the displacements show: whoever weighs them less wants less of this too.
        """
        lost = _smile_score(then) - max(_smile_score(now), self._smiling)
        shown = -float((expression[_CORNERS, :2] * self._unit).sum())
        return float(np.clip(lost, 0, max(shown, 0)))

    def _lacking_drop(self, expression: Float32, now: Float32, then: Float32) -> float:
        """Return how far the jaw had to drop to look as open as the driver's, head units."""
        rise = _RISE * max(float(now[_JAW_OPEN] - then[_JAW_OPEN]), 0.0)
        wanted = _drop(self._open + rise * (1 - self._open)) - self._rest_drop
        moved = self._shape + expression
        wider = mouth_width(moved) - mouth_width(self._shape)
        wanted += _WIDTH_SHARE * wider - _RAISED_SHARE * (_lip(moved) - _lip(self._shape))
        return float(wanted - (lips_gap(moved) - lips_gap(self._shape)))


def jaw_field(shape: Float32) -> Float32:
    """Return how a jaw that drops moves a face, float32 (478, 3), head units.

    ``shape``: float32 (478, 3), head frame. The lower lip's middle drops by one head unit; the
    jaw turns about its joints before the ears, so that its line moves the less the nearer it is to
    them. Cheeks above the line from the mouth to the ears and the upper lip stay.
    """
    x, y, z = shape.T
    corner_y, half = float(shape[_CORNERS, 1].mean()), mouth_width(shape) / 2
    joint_y, joint_z = float(shape[_JAW_JOINTS, 1].mean()), float(shape[_EARS, 2].mean())
    ear_x = float(np.abs(shape[_JAW_JOINTS, 0]).mean())
    along = np.clip((np.abs(x) - half) / max(ear_x - half, 1e-3), 0, 1)
    below = corner_y + (joint_y - corner_y) * along - y
    share = smooth_step(below / 0.35 + 0.3)
    from_middle = (x - shape[_CORNERS, 0].mean()) / max(half, 1e-3)
    share[LOWER_LIP] = (0.35 + 0.65 * smooth_step(1.2 * (1 - from_middle**2)))[LOWER_LIP]
    share[UPPER_LIP] = 0
    share[_ALL_CORNERS] = 0.3
    length = max(float(shape[LIPS_MIDDLE[1], 2]) - joint_z, 1e-3)
    field = np.zeros_like(shape)
    field[:, 1] = -share * np.clip((z - joint_z) / length, 0, 1.3)
    field[:, 2] = share * np.clip((y - joint_y) / length, -1.5, 0)
    field[SURFACE_COUNT:] = 0
    return field.astype(np.float32)


def smile_field(shape: Float32) -> Float32:
    """Return how a full smile moves a mouth, float32 (478, 3), head units; lips stay together."""
    width = mouth_width(shape)
    x, y = ((shape[:, :2] - shape[_CORNERS, :2].mean(axis=0)) / max(width / 2, 1e-3)).T
    beyond = np.maximum(np.abs(x) - 1, 0) ** 2 + y**2
    near = np.exp(-beyond / (2 * _SMILE_REACH**2))
    out = np.clip(x, -1, 1)
    field = np.zeros_like(shape)
    field[:, 0] = _SMILE_OUT * width * out * near
    field[:, 1] = _SMILE_UP * width * np.abs(out) ** 1.5 * near
    field[SURFACE_COUNT:] = 0
    return field.astype(np.float32)


def _drop(score: float) -> float:
    """Return where on the common curve a face with this jawOpen is, head units."""
    safe = float(np.clip(score, 1e-4, 1 - 1e-4))
    return float(np.interp(np.log(safe / (1 - safe)), _LOGITS, _DROPS))


def _parted(motion: Motion) -> float:
    """Return 0 where the driver's lips touch, 1 where they stand apart."""
    apart = lips_gap(motion.neutral + motion.expression)
    return float(smooth_step(np.array((apart - _SHUT) / (_PARTED - _SHUT))))


def _lip(shape: Float32) -> float:
    """Return the distance from the nose's base to the upper lip."""
    return float(shape[NOSE_BASE, 1] - shape[_UPPER_EDGE, 1])


def _smile_score(scores: Float32) -> float:
    return float(scores[_SMILES].mean())
