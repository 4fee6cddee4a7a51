"""Whether two faces may be one person's: how alike what is on their skin is, without a network.

It tells the persons of one film apart. It is no recognition: the same person in another light, with
another beard or at another age may look like another one.
"""

from __future__ import annotations

import numpy as np

from avatar.core.frames import Float32
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.generate.swap.light import low, luma

SIDE = 64
"""Cells of the sheet on which faces are compared."""
_LAX = 0.6
ALIKE = 0.785
"""From this likeness on two faces are taken for one person's.

Of eight people in three shots each: 0.81 or more for the same person, 0.76 at most for two persons.
"""


def traits(layout: FaceSheet, sheet: Float32, seen: Float32) -> Float32:
    """Return what a face is told by, float32 (S, S, 2): its markings, and how well they are seen.

    ``sheet``: float32 (n, n, 3), the face laid out, ``seen``: float32 (n, n), how well.
    """
    import cv2

    size = (SIDE, SIDE)
    small = np.asarray(cv2.resize(sheet, size, interpolation=cv2.INTER_AREA), np.float32)
    weight = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    zones = layout.zones(SIDE)
    light = low(small, np.asarray(zones.skin * weight, np.float32))
    marks = np.log(np.maximum(luma(small), 1) / np.maximum(luma(light), 1)).clip(-2, 1)
    marks = cv2.GaussianBlur(marks, (0, 0), 0.75)
    face = (zones.skin + zones.features > 0.5).astype(np.float32)
    face *= 1 - np.float32(_LAX) * zones.movable  # a smile and a blink are no other person
    return np.stack([marks, weight * face], axis=-1).astype(np.float32)


def likeness(one: Float32, other: Float32) -> float:
    """Return how alike two faces are by their ``traits``, −1 to 1: a weighted correlation."""
    weight = np.minimum(one[..., 1], other[..., 1])
    total = float(weight.sum())
    if total < 1:
        return -1.0
    a, b = (t[..., 0] - float((t[..., 0] * weight).sum()) / total for t in (one, other))
    power = float((weight * a * a).sum()) * float((weight * b * b).sum())
    return float((weight * a * b).sum() / max(power, 1e-12) ** 0.5)
