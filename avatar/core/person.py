"""What is known of one driver's face: the numbers that calibration hands to retargeting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar.core.frames import BLENDSHAPE_NAMES, LANDMARK_COUNT, Float32

SIGNAL_GROUPS = (
    "left eye", "right eye", "irises", "brows", "mouth", "face",
    "mouth scores", "eye scores", "brow scores", "turn", "place",
)  # fmt: skip
"""Signals that share a noise level: landmarks of six parts of the face (head units), the
blendshapes of three (scores), the rotation vector (radians), place and log scale (head units)."""

NOISE_OF_SECOND_DIFFERENCE = 0.9
"""Standard deviation of a still face's signal for a root mean square of its second differences
of 1. White noise would have 1/√6; MediaPipe steadies its landmarks, so theirs bends less."""


MOSTLY_SHUT = 0.55
"""From this share of the way on a lid is shutting: neither a smile nor a look down goes so far."""


@dataclass(frozen=True, eq=False)
class Person:
    """One driver's resting face and range.

    ``neutral``: float32 (478, 3), head frame, head units. ``rest_rotation``: float32 (3, 3), head
    frame to camera, of the resting pose. ``rest_look_down``: float32 (2,) (left, right).
    ``score_low``, ``score_high``: float32 (52,), each blendshape at rest and at its full.
    ``cross_talk``: float32 (52, 52): of each unit of blendshape *column* above rest, so much shows
    in blendshape *row* without being meant.
    ``eye_open``, ``eye_shut``: float32 (2,), lids' distance in eye widths (left, right).
    ``narrowed``: float32 (2, 2): what a full smile (column 0) and looking all the way down
    (column 1) take from it.
    ``gain``, ``reach``: float32 (3,), for mouth, eyes, brows: how much weaker than usual their
    landmarks show expressions, and their largest displacement (RMS, head units).
    ``noise``: float32 (11,), standard deviations in the order of ``SIGNAL_GROUPS``.
    """

    neutral: Float32
    rest_rotation: Float32
    rest_look_down: Float32
    score_low: Float32
    score_high: Float32
    cross_talk: Float32
    eye_open: Float32
    eye_shut: Float32
    narrowed: Float32
    gain: Float32
    reach: Float32
    noise: Float32

    def __post_init__(self) -> None:
        scores = len(BLENDSHAPE_NAMES)
        for name, shape in (
            ("neutral", (LANDMARK_COUNT, 3)),
            ("rest_rotation", (3, 3)),
            ("rest_look_down", (2,)),
            ("score_low", (scores,)),
            ("score_high", (scores,)),
            ("cross_talk", (scores, scores)),
            ("eye_open", (2,)),
            ("eye_shut", (2,)),
            ("narrowed", (2, 2)),
            ("gain", (3,)),
            ("reach", (3,)),
            ("noise", (len(SIGNAL_GROUPS),)),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
                raise ValueError(
                    f"Person.{name}: expected finite float32 of shape {shape}, found {array.dtype} "
                    f"of shape {array.shape}"
                )
