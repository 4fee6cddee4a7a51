"""How far the avatar goes along with the driver: strength, parts of the face, limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from avatar.core.face.head import HeadShape
from avatar.core.face.regions import BROWS, EYE_REGION, MOUTH, blendshape_regions, region_shares
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.frames import Float32, Motion

# A displacement of so many head units counts as large: it is not exaggerated further.
_LARGE = 0.45
# A limited turn is followed exactly up to this share of the limit, then ever less.
_FREE_SHARE = 0.7


@dataclass(frozen=True)
class Driving:
    """What the user chose.

    ``strength``: of everything but the lids, 1 as the driver: half a blink is none. ``pose``,
    ``mouth``, ``eyes``, ``brows``: of that part besides, 0 keeps it still; the eyes with the lids.
    ``exaggerate``: small expressions grow by this factor, large ones hardly. ``max_turn_deg``: the
    head never turns further about any axis. ``lock_head``: the head does not move at all.
    """

    strength: float = 1.0
    pose: float = 1.0
    mouth: float = 1.0
    eyes: float = 1.0
    brows: float = 1.0
    exaggerate: float = 1.0
    max_turn_deg: float | None = None
    lock_head: bool = False


UNCHANGED = Driving()


class Driven:
    """Applies a ``Driving`` to motions."""

    def __init__(self, driving: Driving) -> None:
        self._driving = driving
        self._neutral: Float32 | None = None
        self._weight: Float32 | np.float32 = np.float32(1)
        regions = np.ones(3, np.float32)
        regions[[MOUTH, EYE_REGION, BROWS]] = driving.mouth, driving.eyes, driving.brows
        self._regions = regions
        self._scores = (driving.strength * regions[blendshape_regions()]).astype(np.float32)

    def __call__(self, motion: Motion, home: HeadShape | None) -> Motion:
        """Return ``motion`` as chosen; the very same object where nothing was.

        ``home``: the driver's head at the reference, from which absolute motion is counted; None
        before there is one.
        """
        d = self._driving
        if d == UNCHANGED:
            return motion
        motion = self._moved(motion, home)
        return replace(
            motion,
            expression=self._expression(motion),
            blendshapes=np.clip(motion.blendshapes * self._scores, 0, 1).astype(np.float32),
            eye_closure=np.minimum(motion.eye_closure * np.float32(d.eyes), 1).astype(np.float32),
            gaze=(motion.gaze * np.float32(d.eyes * d.strength)).astype(np.float32),
        )

    def _expression(self, motion: Motion) -> Float32:
        """Return the displacements, weighted; in absolute motion those from the reference."""
        if motion.neutral is not self._neutral:
            self._neutral = motion.neutral
            shares = region_shares(motion.neutral) if motion.neutral.any() else None
            weight = 1 + shares @ (self._regions - 1) if shares is not None else np.float32(1)
            self._weight = np.asarray(weight * self._driving.strength, np.float32).reshape(-1, 1)
        rest = motion.neutral if motion.absolute else np.float32(0)
        change = (motion.expression - rest) * self._weight
        return (rest + _exaggerated(change, self._driving.exaggerate)).astype(np.float32)

    def _moved(self, motion: Motion, home: HeadShape | None) -> Motion:
        """Return ``motion`` with the head's turn, place and size weighted and limited."""
        d = self._driving
        share = 0.0 if d.lock_head else d.strength * d.pose
        if motion.absolute and home is None:
            return motion
        turn_from = home.rotation if motion.absolute and home is not None else np.eye(3)
        place_from = home.centre_px[:2] if motion.absolute and home is not None else np.zeros(2)
        scale_from = home.scale_px if motion.absolute and home is not None else 1.0
        turn = vector_from_rotation(motion.rotation @ turn_from.T.astype(np.float32))
        turn = turn * np.float32(share)
        if d.max_turn_deg is not None:
            turn = limited(turn, math.radians(d.max_turn_deg))
        away = (motion.translation - place_from) * share
        return replace(
            motion,
            rotation=(rotation_from_vector(turn) @ turn_from).astype(np.float32),
            translation=(place_from + away).astype(np.float32),
            scale=scale_from * (max(motion.scale, 1e-3) / scale_from) ** share,
        )


def _exaggerated(change: Float32, factor: float) -> Float32:
    """Return displacements with small ones ``factor`` times as large and large ones as they are."""
    if factor == 1:
        return change
    length = np.linalg.norm(change, axis=1, keepdims=True)
    gain = 1 + (factor - 1) / (1 + (length / _LARGE) ** 2)
    return np.asarray(change * gain, np.float32)


def limited(values: Float32, limit: float) -> Float32:
    """Return ``values`` unchanged up to most of ``limit`` and then ever closer to it."""
    if limit <= 0:
        return np.zeros_like(values)
    free = _FREE_SHARE * limit
    rest = limit - free
    beyond = np.maximum(np.abs(values) - free, 0)
    kept = np.minimum(np.abs(values), free) + rest * np.tanh(beyond / rest)
    return np.asarray(np.sign(values) * kept, np.float32)
