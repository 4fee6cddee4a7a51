"""What calibration is fed: one sample a frame, and all of them as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import BLENDSHAPE_NAMES, Float32


@dataclass(frozen=True, eq=False)
class Sample:
    """A tracked face, taken apart.

    ``shape``: float32 (478, 3), head frame, head units. ``rotation``: float32 (3, 3), head frame
    to camera; ``turn``: float32 (3,), the same as a vector, radians (pitch, yaw, roll).
    ``centre_px``: float32 (2,). ``scale_px``: pixels of a head unit. ``scores``: float32 (52,),
    blendshapes. ``opening``: float32 (2,) (left, right), lids' distance in eye widths.
    ``lip_gap``: between the inner lips, head units.
    """

    timestamp_ns: int
    shape: Float32
    rotation: Float32
    turn: Float32
    centre_px: Float32
    scale_px: float
    scores: Float32
    opening: Float32
    lip_gap: float


class Recording:
    """The samples of a calibration with the steps that each was taken in.

    ``parts``: intp (478,), the signal group (0 to 5, ``avatar.core.person.SIGNAL_GROUPS``) of each
    landmark. ``image_size_px``: (width, height) of the pictures. ``delay_ms``: from capture to
    tracked, the median; None where unknown.

    Arrays: ``times_s`` (N,); ``shapes`` (N, 478, 3); ``rotations`` (N, 3, 3); ``turns`` (N, 3);
    ``centres_px`` (N, 2); ``scales_px`` (N,); ``scores`` (N, 52); ``openings`` (N, 2);
    ``lip_gaps`` (N,).
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        steps: Sequence[frozenset[str]],
        parts: NDArray[np.intp],
        image_size_px: tuple[int, int],
        delay_ms: float | None = None,
    ) -> None:
        if len(samples) != len(steps):
            raise ValueError(f"expected steps for {len(samples)} samples, found {len(steps)}")
        self._steps = list(steps)
        self.parts, self.image_size_px, self.delay_ms = parts, image_size_px, delay_ms
        count = len(samples)
        self.times_s = np.array([s.timestamp_ns for s in samples], np.int64) / 1e9
        self.shapes = np.array([s.shape for s in samples], np.float32).reshape(count, len(parts), 3)
        self.rotations = np.array([s.rotation for s in samples], np.float32).reshape(count, 3, 3)
        self.turns = np.array([s.turn for s in samples], np.float32).reshape(count, 3)
        self.centres_px = np.array([s.centre_px for s in samples], np.float32).reshape(count, 2)
        self.scales_px = np.array([s.scale_px for s in samples], np.float32)
        self.scores = np.array([s.scores for s in samples], np.float32).reshape(
            count, len(BLENDSHAPE_NAMES)
        )
        self.openings = np.array([s.opening for s in samples], np.float32).reshape(count, 2)
        self.lip_gaps = np.array([s.lip_gap for s in samples], np.float32)

    def __len__(self) -> int:
        return len(self._steps)

    def of(self, *steps: str) -> NDArray[np.bool_]:
        """Return which samples belong to any of ``steps``, bool (N,)."""
        wanted = set(steps)
        return np.array([bool(wanted & marks) for marks in self._steps], np.bool_)

    @property
    def steps(self) -> dict[str, int]:
        """Return how many samples each step has."""
        names = sorted({name for marks in self._steps for name in marks})
        return {name: int(self.of(name).sum()) for name in names}
