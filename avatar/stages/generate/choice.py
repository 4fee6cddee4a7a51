"""Which of several photographs of a person is shown: the nearest in pose and expression.

A photograph is left only for one that is clearly nearer, for a while, and the change is a
cross-fade: neither noise nor a blink nor a syllable makes the picture flicker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from avatar.core.curves import eased
from avatar.core.face.head import eye_opening, lips_gap, mouth_width
from avatar.core.face.rotation import turn_of
from avatar.core.face.topology import EYE_CORNERS, LIPS_MIDDLE, MOUTH_CORNERS
from avatar.core.frames import Float32

# What counts as one unit of distance: yaw and pitch in radians, the lips' distance in mouth
# widths, a smile in eye distances, the eyes' opening in eye widths, brows in eye distances.
_UNITS = np.array([math.radians(12), math.radians(12), 0.22, 0.08, 0.16, 0.04], np.float32)
_BROWS, _LIDS = [107, 66, 336, 296], list(EYE_CORNERS)
# A head photographed from the side shows its far side badly when it is turned to the front: so
# much more counts what it would have to turn back.
_TURNED_BACK = 0.6
# So much nearer must another photograph be. Noise smaller than that, taken ``1 + _TURNED_BACK``
# times, cannot bring the old one back.
MARGIN = 0.35
_CONFIRM_NS = 80_000_000
FADE_NS = 220_000_000
_HOLD_NS = 250_000_000
# However few frames come, a fade takes at least four of them.
_LONGEST_STEP_NS = FADE_NS // 4


def features(shape: Float32, rotation: Float32) -> Float32:
    """Return a face's yaw, pitch, jaw, smile, eyes and brows, float32 (6,), in units of distance.

    ``shape``: float32 (478, 3), head frame, head units. ``rotation``: float32 (3, 3), head frame
    to camera. From geometry alone, so that photographs and posed avatars are measured alike.
    """
    yaw, pitch, _ = turn_of(rotation)
    eyes = max(float(np.linalg.norm(shape[EYE_CORNERS[0]] - shape[EYE_CORNERS[-1]])), 1e-3)
    width = max(mouth_width(shape), 1e-3)
    gap = lips_gap(shape) / width
    # A smile raises the corners above the upper lip's middle and draws them apart.
    raised = float(shape[list(MOUTH_CORNERS), 1].mean() - shape[LIPS_MIDDLE[0], 1]) / eyes
    values = [
        yaw,
        pitch,
        gap,
        raised + 0.5 * width / eyes,
        float(eye_opening(shape).mean()),
        float(shape[_BROWS, 1].mean() - shape[_LIDS, 1].mean()) / eyes,
    ]
    return np.asarray(np.array(values, np.float32) / _UNITS, np.float32)


@dataclass(frozen=True)
class Shown:
    """What to draw: photograph ``to``, ``share`` of the way from ``since``.

    ``since`` is None and ``share`` is 1 while there is no change under way.
    """

    to: int
    since: int | None = None
    share: float = 1.0


class SourceChooser:
    """Chooses among photographs, frame by frame.

    ``sources``: float32 (N, 6), each photograph's ``features``.
    """

    def __init__(self, sources: Float32) -> None:
        self._sources = sources
        self._current: int | None = None
        self._since: int | None = None
        self._candidate: int | None = None
        self._fading_ns = self._waited_ns = self._rested_ns = 0
        self._last_ns = 0

    def choose(self, target: Float32, now_ns: int) -> Shown:
        """Return what to show for the wanted ``target``, float32 (6,), at ``now_ns``.

        The first call takes the nearest photograph at once. Time that does not rise stands still;
        a target with NaN changes nothing.
        """
        apart = _distances(self._sources, target)
        sure = bool(np.isfinite(apart).all())
        if self._current is None:
            self._current = int(np.argmin(apart)) if sure else 0
            self._last_ns = now_ns
            return Shown(self._current)
        step_ns = min(max(now_ns - self._last_ns, 0), _LONGEST_STEP_NS)
        self._last_ns = max(self._last_ns, now_ns)
        if self._since is not None:
            return self._faded(self._current, self._since, step_ns)
        self._rested_ns += step_ns
        best = int(np.argmin(apart)) if sure else self._current
        if not sure or best == self._current or apart[best] + MARGIN >= apart[self._current]:
            self._candidate = None
            return Shown(self._current)
        self._waited_ns = self._waited_ns + step_ns if self._candidate == best else 0
        self._candidate = best
        if self._waited_ns < _CONFIRM_NS or self._rested_ns < _HOLD_NS:
            return Shown(self._current)
        self._since, self._current, self._fading_ns = self._current, best, 0
        return self._faded(self._current, self._since, step_ns)

    def _faded(self, to: int, since: int, step_ns: int) -> Shown:
        self._fading_ns += step_ns
        t = self._fading_ns / FADE_NS
        if t >= 1:
            self._since = self._candidate = None
            self._rested_ns = 0
            return Shown(to)
        return Shown(to, since, eased(t))


def _distances(sources: Float32, target: Float32) -> Float32:
    """Return how badly each photograph suits ``target``, float32 (N,)."""
    apart = np.abs(sources - target)
    apart[:, 0] += _TURNED_BACK * np.maximum(np.abs(sources[:, 0]) - abs(float(target[0])), 0)
    return np.asarray(np.linalg.norm(apart, axis=1), np.float32)
