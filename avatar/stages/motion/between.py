"""The avatar's motion between two camera frames: carried on from what was seen, not seen itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.regions import signal_groups
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.frames import LANDMARK_COUNT, Float32, Motion, Presence
from avatar.stages.motion.predict import Predictor
from avatar.stages.motion.smooth import TYPICAL_NOISE, noise_speed_of

BETWEEN_NS = 150_000_000
"""Nothing is carried on for longer after the last face."""
SLOW_STEP_NS = 80_000_000
"""From a camera slower than this nothing is carried on: its last difference is old news."""

# Head units and radians: no part of a face goes further in half a frame.
_LIMIT = 0.12
# Of ``Motion``: turn, place with size, each signal group of the expression, lids and gaze.
_TURN, _PLACE, _SHAPE, _LIDS, _GAZE = 0, 1, 2, 8, 9
_NOISE_OF_PARTS = TYPICAL_NOISE[[9, 10, 0, 1, 2, 3, 4, 5, 7, 2]]
# A lid's closure is its gap in shares of some tenth of a head unit, gaze in widths of an eye.
_NOISE_OF_PARTS[[_LIDS, _GAZE]] *= np.array([10, 3], np.float32)


class Between:
    """Carries a motion on, part by part, by what its own past teaches (``Predictor``).

    Halfway between two frames of the same pace is what is learned; other moments are shares of it.
    """

    def __init__(self) -> None:
        self._neutral: Float32 | None = None
        self._last: Motion | None = None
        self._half_s = 0.0

    def see(self, motion: Motion) -> None:
        """Take note of the motion of a tracked face."""
        last, self._last = self._last, motion
        if motion.neutral is not self._neutral:
            self._begin(motion)
            last = None
        value = _numbers(motion)[self._order]
        elapsed_s = 0.0 if last is None else (motion.timestamp_ns - last.timestamp_ns) / 1e9
        self._half_s = elapsed_s / 2 if elapsed_s <= SLOW_STEP_NS / 1e9 else 0.0
        self._value = value
        self._carried = self._predict(value, value, elapsed_s, self._half_s, self._noise_speed)

    def _begin(self, motion: Motion) -> None:
        """Start over: numbers against another reference do not continue those before."""
        self._neutral = motion.neutral
        groups = _SHAPE + np.repeat(signal_groups(motion.neutral), 3)
        parts = np.concatenate(
            [np.repeat([_TURN, _PLACE], 3), groups, np.repeat([_LIDS, _GAZE], (2, 4))]
        )
        self._order: NDArray[np.intp] = np.argsort(parts, kind="stable")
        self._back: NDArray[np.intp] = np.argsort(self._order)
        lengths = np.bincount(parts, minlength=_GAZE + 1)
        self._predict = Predictor(tuple(lengths.tolist()), _LIMIT)
        self._noise_speed = noise_speed_of(np.repeat(_NOISE_OF_PARTS, lengths)).astype(np.float32)

    def at(self, now_ns: int) -> Motion | None:
        """Return the motion at ``now_ns``, between the last face and the next one.

        None when no face was seen, or not for ``BETWEEN_NS``.
        """
        last = self._last
        if last is None or not 0 <= now_ns - last.timestamp_ns < BETWEEN_NS:
            return None
        share = 0.0
        if self._half_s > 0:
            share = min((now_ns - last.timestamp_ns) / 1e9 / self._half_s, 2.0)
        numbers = self._value + np.float32(share) * (self._carried - self._value)
        return _moved(last, numbers[self._back], now_ns)


def _numbers(motion: Motion) -> Float32:
    """Return what is carried on, float32 (6 + 1434 + 6,); the place of an absolute one, too."""
    unit = np.float32(motion.scale if motion.absolute else 1)
    parts: tuple[NDArray[np.floating], ...] = (
        vector_from_rotation(motion.rotation),
        motion.translation / unit,
        np.array([np.log(max(motion.scale, 1e-6))]),
        motion.expression.ravel(),
        motion.eye_closure,
        motion.gaze.ravel(),
    )
    return np.concatenate(parts, dtype=np.float32)


def _moved(last: Motion, numbers: Float32, now_ns: int) -> Motion:
    """Return ``last`` with ``numbers`` as ``_numbers`` has them."""
    unit = np.float32(last.scale if last.absolute else 1)
    end = 6 + 3 * LANDMARK_COUNT
    return replace(
        last,
        timestamp_ns=now_ns,
        presence=Presence.PREDICTED,
        rotation=rotation_from_vector(numbers[:3]),
        translation=numbers[3:5] * unit,
        scale=float(np.exp(numbers[5])),
        expression=numbers[6:end].reshape(LANDMARK_COUNT, 3),
        # Eyes wider open than at the reference are less than 0 shut.
        eye_closure=np.minimum(numbers[end : end + 2], 1),
        gaze=numbers[end + 2 :].reshape(2, 2),
    )
