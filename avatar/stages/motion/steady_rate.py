"""Recorded motion at even steps: a camera's pictures come when they come, a film's do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.rotation import proper_rotation
from avatar.core.frames import Float32
from avatar.stages.motion.retarget import HOLD_NS
from avatar.stages.motion.template import Template

# A rate that is nearer to a whole number than this is that.
_WHOLE = 0.03


def at_steady_rate(template: Template) -> Template:
    """Return motion of the family ``face`` with a frame in each step of the rate it was seen at.

    The rate is that of the median step. Between two faces less than half a second apart it goes
    evenly; in longer gaps nobody is seen.
    """
    times = template.time_s.astype(np.float64)
    if len(times) < 2:
        return template
    rate = float(np.clip(1 / np.median(np.diff(times)), 1, 240))
    rate = round(rate) if abs(rate - round(rate)) < _WHOLE * rate else round(rate, 2)
    at = np.arange(int(np.floor((times[-1] - times[0]) * rate + 0.5)) + 1) / rate
    known = np.flatnonzero(template.tracked > 0)
    before, after, share, seen = _between(times[known] - times[0], at)
    values = {
        name: _mixed(value[known], before, after, share) for name, value in template.values.items()
    }
    values["rotation"] = np.stack([proper_rotation(matrix) for matrix in values["rotation"]])
    return replace(
        template,
        rate=float(rate),
        time_s=at.astype(np.float32),
        tracked=seen.astype(np.float32),
        values=values,
    )


def _between(
    known_s: NDArray[np.float64], at: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_]]:
    """Return for each moment the faces before and after, the share of the way, and if it counts."""
    after = np.clip(np.searchsorted(known_s, at), 0, len(known_s) - 1)
    before = np.maximum(after - (known_s[after] > at), 0)
    gap = known_s[after] - known_s[before]
    share = np.clip((at - known_s[before]) / np.maximum(gap, 1e-9), 0, 1)
    step = at[1] - at[0] if len(at) > 1 else 0.0
    far = np.minimum(np.abs(at - known_s[before]), np.abs(known_s[after] - at))
    return before, after, share, (gap < HOLD_NS / 1e9) & (far < max(HOLD_NS / 1e9 / 2, step))


def _mixed(
    values: Float32, before: NDArray[np.intp], after: NDArray[np.intp], share: NDArray[np.float64]
) -> Float32:
    mix = share.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[before] + (values[after] - values[before]) * mix, np.float32)
