"""What the avatar's mouth makes of the driver's: how far it opens, and what it cannot undo.

A driver's displacements, carried over as they are, do not look alike on every mouth: the same drop
of the jaw opens a narrow mouth wide and a wide one little. What is seen is the gap against the
mouth's width, and that is what the jaw follows; the lips are laid around it (``lips.py``).

Relative motion also undoes whatever expression the driver had at the reference. A face that
did not smile in its photograph has no smile to undo: relaxing the driver's would turn into a pout.
Once a driver has been seen to relax, his relaxed mouth is what the photograph's stands for.
"""

from __future__ import annotations

import math

import numpy as np

from avatar.core.curves import clamped, smooth_step
from avatar.core.face.fields import smile_field
from avatar.core.face.head import lips_gap, mouth_width
from avatar.core.face.topology import (
    LIPS_MIDDLE,
    LOWER_LIP,
    MOUTH_CORNERS,
    SIDES,
    SURFACE_COUNT,
    UPPER_LIP,
)
from avatar.core.frames import BLENDSHAPE_INDEX, Face, Float32, Motion
from avatar.stages.generate.lips import LipLayout, Parting, parting

_SMILES = [BLENDSHAPE_INDEX["mouthSmileLeft"], BLENDSHAPE_INDEX["mouthSmileRight"]]
_CORNERS = list(MOUTH_CORNERS)
_ALL_CORNERS = [*MOUTH_CORNERS, 76, 306, 62, 292, 78, 308]
# Lips that a photograph has parted already part farther as the driver's do and end little beyond
# his: over how many times their own gap that is left behind. Above 1 nothing closes by opening.
_FORGOTTEN = 4.0
_EARS, _JAW_JOINTS = [*SIDES, 93, 323], [93, 323]


class MouthFit:
    """Fits expressions to one avatar's mouth.

    ``face``: the photograph's face, whose scores tell how it looks at rest. ``shape``: float32
    (478, 3), its shape in the head frame. Remembers, for each reference, how far the driver's smile
    was seen to relax.
    """

    def __init__(self, face: Face, shape: Float32) -> None:
        self._shape = shape
        self._jaw, self._smile = jaw_field(shape), smile_field(shape)
        self._lips = LipLayout(shape)
        self._smiling = _smile_score(face.blendshapes)
        way = self._smile[_CORNERS, :2]
        self._unit = way / max(float((way * way).sum()), 1e-9)
        self._neutral: Float32 | None = None
        self._relaxed = 0.0

    def __call__(self, expression: Float32, motion: Motion) -> Float32:
        """Return ``expression``, float32 (478, 3), head units, fitted; relative motion only."""
        if not motion.neutral.any():
            return expression
        expression = expression + np.float32(self._undone_smile(expression, motion)) * self._smile
        if not expression.any():
            return expression
        driver = parting(motion)
        gap = self._gap(expression, driver)
        lacking = gap - lips_gap(self._shape + expression)
        # Lips that only seem to part move by themselves, without the jaw.
        expression = expression + np.float32(driver.share * lacking) * self._jaw
        laid = self._lips(self._shape + expression, motion, driver, gap)
        return (laid - self._shape).astype(np.float32)

    def _undone_smile(self, expression: Float32, motion: Motion) -> float:
        """Return how much of a smile the driver lost that the photograph never had, 0 to 1.

        No more than the displacements show: whoever weighs them less wants less of this too. The
        most that was seen since the reference counts.
        """
        if motion.reference is None or motion.reference.face is None:
            return 0.0
        if motion.neutral is not self._neutral:
            self._neutral, self._relaxed = motion.neutral, 0.0
        now = max(_smile_score(motion.blendshapes), self._smiling)
        lost = _smile_score(motion.reference.face.blendshapes) - now
        shown = -float((expression[_CORNERS, :2] * self._unit).sum())
        self._relaxed = max(self._relaxed, clamped(lost, 0, max(shown, 0)))
        return self._relaxed

    def _gap(self, expression: Float32, driver: Parting) -> float:
        """Return how far the lips' middle is to stand apart, head units."""
        rest = lips_gap(self._shape)
        rest = rest * driver.kept if rest > 0 else rest
        more = driver.more * mouth_width(self._shape + expression)
        if rest > 0 and more > 0:
            rest *= math.exp(-more / (_FORGOTTEN * rest))
        return max(rest + more, min(rest, 0.0))


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


def _smile_score(scores: Float32) -> float:
    return float(scores[_SMILES].mean())
