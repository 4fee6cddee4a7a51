"""A person of a film: how the face usually looks, its light, and what is always before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.frames import Float32
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.generate.swap.light import low
from avatar.stages.generate.swap.occlusion import standing

SIDE = 128
"""Cells of the sheet on which a film's faces are looked at."""
_SEEN, _SPAN = 0.05, 0.25


def seen_share(layout: FaceSheet, landmarks_px: Float32) -> Float32:
    """Return how well each cell of the sheet is seen, float32 (S, S), 0 to 1."""
    return np.asarray(smooth_step((layout.facing(landmarks_px, SIDE) - _SEEN) / _SPAN), np.float32)


class FilmFace:
    """One person's face as it usually is in a shot.

    ``sheets``: uint8 (n, S, S, 3), the face in some frames; ``width_px`` and ``blur_px``: how large
    and how soft it is in the film. ``glasses``: whether lines before the face stay.
    """

    def __init__(
        self, layout: FaceSheet, sheets: Sequence[NDArray[Any]], width_px: float, blur_px: float,
        *, glasses: bool = True,
    ) -> None:  # fmt: skip
        zones = layout.zones(SIDE)
        self.width_px, self.blur_px = width_px, blur_px
        self.calm = np.median(np.stack(sheets), axis=0).astype(np.float32)
        self.before = standing(self.calm, zones, glasses)
        self.light_weight = zones.skin * (1 - self.before)
        self.light = low(self.calm, self.light_weight)
