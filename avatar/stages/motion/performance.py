"""Performances: motion as a template of the family ``face``, free of driver, engine and picture.

What a retargeter says of a driver frame by frame is kept as it is, with the driver's proportions at
the reference: every engine that draws from landmarks plays it on any photograph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from avatar.core.arrays import Shapes
from avatar.core.frames import (
    BLENDSHAPE_NAMES,
    LANDMARK_COUNT,
    Face,
    FaceTrack,
    Float32,
    Motion,
    NetworkMotion,
    Presence,
    still,
)

FACE = "face"
"""The family of motion that is of a face alone, and of no network."""
FACE_SHAPES: Shapes = {
    "expression": (LANDMARK_COUNT, 3),
    "rotation": (3, 3),
    "translation": (2,),
    "scale": (1,),
    "blendshapes": (len(BLENDSHAPE_NAMES),),
    "closure": (2,),
    "gaze": (2, 2),
}
"""What is kept of a frame; of the reference, ``expression`` is the driver's shape there."""


def seen_of(motion: Motion) -> NetworkMotion | None:
    """Return what is kept of a relative motion; None where nobody was seen."""
    if motion.presence is not Presence.TRACKED:
        return None
    values = {
        "expression": motion.expression,
        "rotation": motion.rotation,
        "translation": motion.translation,
        "scale": np.array([motion.scale], np.float32),
        "blendshapes": motion.blendshapes,
        "closure": motion.eye_closure,
        "gaze": motion.gaze,
    }
    at_rest = still(0, 0, Presence.TRACKED)
    then = motion.reference.face if motion.reference is not None else None
    reference = {
        "expression": motion.neutral,
        "rotation": at_rest.rotation,
        "translation": at_rest.translation,
        "scale": np.ones(1, np.float32),
        "blendshapes": at_rest.blendshapes if then is None else then.blendshapes,
        "closure": at_rest.eye_closure,
        "gaze": at_rest.gaze,
    }
    return NetworkMotion(FACE, values, reference)


class Played:
    """Makes motions again of what was kept.

    ``reference``: as ``seen_of`` has it; one object stands for it in all motions.
    """

    def __init__(self, reference: Mapping[str, Float32]) -> None:
        self._neutral = reference["expression"]
        face = Face(
            np.zeros((LANDMARK_COUNT, 3), np.float32),
            np.clip(reference["blendshapes"], 0, 1),
            np.eye(4, dtype=np.float32),
            (1, 1),
        )
        self._reference = FaceTrack(0, 0, face)

    def motion(self, values: Mapping[str, Float32], now_ns: int, index: int) -> Motion:
        """Return the motion of one frame, relative."""
        return replace(
            still(now_ns, index, Presence.TRACKED),
            expression=values["expression"],
            neutral=self._neutral,
            rotation=values["rotation"],
            translation=values["translation"],
            scale=float(values["scale"][0]),
            blendshapes=np.clip(values["blendshapes"], 0, 1),
            eye_closure=values["closure"],
            gaze=values["gaze"],
            reference=self._reference if self._neutral.any() else None,
        )


def check_rotations(rotations: Float32) -> None:
    """Raise ``ValueError`` unless ``rotations``, float32 (N, 3, 3), turn and do nothing else."""
    squares = rotations @ rotations.transpose(0, 2, 1)
    turns = np.abs(squares - np.eye(3)).max(initial=0) < 0.02
    if not turns or (np.linalg.det(rotations) < 0).any():
        raise ValueError("its rotations are none")
