"""Keypoints over time: smoothed while somebody drives, eased where what drives them changes."""

from __future__ import annotations

import numpy as np

from avatar.core.choices import Smoothing
from avatar.core.curves import eased
from avatar.core.frames import Float32
from avatar.stages.generate.neural.family import Values
from avatar.stages.generate.neural.filters import SHAPE, OneEuroFilter


class Ease:
    """Keeps keypoints from jumping and trembling.

    ``smoothing``: strength of the 1€ filter. ``head_unit``: a head unit in the keypoints' own
    coordinates, for which the filters are set.
    """

    def __init__(self, smoothing: Smoothing, head_unit: float) -> None:
        self._smoothing: Smoothing = smoothing
        self._unit = np.float32(head_unit)
        self._filters: dict[str, OneEuroFilter] = {}
        self._from: Values | None = None
        self._begin_ns, self._length_ns = 0, 1
        self.shown: Values | None = None

    def begin(self, now_ns: int, length_ns: int) -> None:
        """From now on ease from what is shown to what comes."""
        self._from = self.shown
        self._begin_ns, self._length_ns = now_ns, length_ns
        self._filters.clear()

    def __call__(self, points: Values, now_ns: int, *, smooth: bool) -> Values:
        """Return the keypoints to show at ``now_ns``."""
        if smooth and self._smoothing != "off":
            points = {name: self._smoothed(name, points, now_ns) for name in points}
        t = (now_ns - self._begin_ns) / self._length_ns
        if self._from is not None and 0 <= t < 1:
            share = np.float32(eased(t))
            points = {
                name: self._from[name] + (points[name] - self._from[name]) * share
                for name in points
            }
        else:
            self._from = None
        self.shown = points
        return points

    def _smoothed(self, name: str, points: Values, now_ns: int) -> Float32:
        assert self._smoothing != "off"
        smooth = self._filters.setdefault(name, OneEuroFilter(SHAPE[self._smoothing]))
        return smooth(points[name] / self._unit, now_ns) * self._unit
