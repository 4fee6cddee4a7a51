"""Steadying a tracked head: 1€ filters tuned by the tracker's noise, and prediction.

A 1€ filter (Casiez, Roussel, Vogel 2012) is a low pass whose cut-off rises with speed. Here the
parts of the face that move together share one speed, the root mean square over their landmarks,
and it counts in multiples of the speed that noise alone shows: up to there the cut-off stays at
its least, beyond it rises with the square (theirs rises with the speed itself, which steadies
less or lags more). What is faster than noise is movement and passes. The noise is measured while
running, or comes from a profile.

Blinks and plosives (p, b, m) are over in two frames, and half of one is no blink: while lids or
lips close or open quickly, their part of the face passes unsmoothed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar.core.choices import Smoothing
from avatar.core.face.head import HeadShape
from avatar.core.face.regions import blendshape_regions, signal_groups
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.face.topology import EYES, LIPS_MIDDLE
from avatar.core.frames import LANDMARK_COUNT, Float32
from avatar.core.person import NOISE_OF_SECOND_DIFFERENCE
from avatar.stages.motion.predict import Predictor

T = TypeVar("T", float, NDArray[np.floating])

# Standard deviations of a still face, MediaPipe on 640×480 (`avatar bench --motion`): head units,
# scores, radians, head units.
TYPICAL_NOISE = np.array(
    [0.0006, 0.0006, 0.001, 0.0008, 0.001, 0.0008, 0.004, 0.004, 0.004, 0.0008, 0.0007],
    np.float32,
)
_MOUTH, _TURN, _PLACE = 4, 9, 10
# Measured noise may differ from the typical by these factors; more is movement.
_NOISE_LIMITS = (0.5, 8.0)
# That of a profile is believed as far: somebody may have moved while it was made.
_KNOWN_LIMITS = (0.3, 4.0)
# The noise is what the stillest fifth of the recent frames shows. It is followed in steps of this
# share, larger ones in the first second.
_QUANTILE, _NOISE_STEP, _FIRST_HURRY = 0.2, 0.05, 6.0
_SPEED_CUTOFF_HZ = 1.5
_CAMERA_FPS = 30.0
# Lids and lips that move so fast are not smoothed: head units a second, and from one frame to the
# next in multiples of the noise.
_QUICK = np.array([0.6, 0.6, 0.75], np.float32)
_QUICK_NOISE = 4.0
_GAPS = np.array([(EYES[0][k], EYES[1][k], LIPS_MIDDLE[k - 2]) for k in (2, 3)])
# Radians and head units: no prediction goes further.
_PREDICTION_LIMIT = 0.12
_GAP_S = 1.0


@dataclass(frozen=True)
class Strength:
    """``min_cutoff_hz``: cut-off of a still face. ``rise_hz``: what twice the noise adds to it."""

    min_cutoff_hz: float
    rise_hz: float


STRENGTHS = {"light": Strength(0.5, 1.0), "strong": Strength(0.3, 0.2)}


class HeadSmoother:
    """Filters a head and its blendshapes, and carries pose and place on.

    ``noise``: float32 (11,), standard deviations of ``SIGNAL_GROUPS``; None measures while running.
    ``off`` filters nothing but still predicts.
    """

    def __init__(self, smoothing: Smoothing, noise: Float32 | None = None) -> None:
        self._strength = None if smoothing == "off" else STRENGTHS[smoothing]
        known = (
            TYPICAL_NOISE
            if noise is None
            else np.clip(noise, _KNOWN_LIMITS[0] * TYPICAL_NOISE, _KNOWN_LIMITS[1] * TYPICAL_NOISE)
        )
        self._noise_speed: NDArray[np.floating] = noise_speed_of(known)
        self._limits = [limit * self._noise_speed for limit in _NOISE_LIMITS]
        self._measures = noise is None
        self._hurry = _FIRST_HURRY
        self._groups: NDArray[np.intp] | None = None
        self._predict = Predictor((3, 4), _PREDICTION_LIMIT)
        self._unit = np.float32(0)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next head passes unchanged."""
        self._value: Float32 | None = None
        self._last_ns = 0
        self._predict.reset()

    def __call__(
        self, head: HeadShape, blendshapes: Float32, now_ns: int, horizon_s: float = 0.0
    ) -> tuple[HeadShape, Float32]:
        """Return ``head`` and ``blendshapes`` steadied, and the head ``horizon_s`` later."""
        if self._strength is None and horizon_s <= 0:
            return head, blendshapes
        scale = np.float32(head.scale_px)
        # Place and size in head units, so that the filter does not depend on the resolution.
        if self._unit == 0:
            self._unit = scale
        turn = vector_from_rotation(head.rotation)
        place = head.centre_px / self._unit
        value = np.concatenate(
            [head.shape.ravel(), blendshapes, turn, place, [np.log(scale / self._unit)]],
            dtype=np.float32,
        )
        elapsed_s = (now_ns - self._last_ns) / 1e9
        if self._value is None or not 0 < elapsed_s <= _GAP_S:
            self.reset()
            elapsed_s = 0.0
        self._last_ns = now_ns
        raw = value[-7:]
        if self._strength is not None:
            value = self._filtered(value, elapsed_s)
        else:
            self._value = value
        pose = self._predict(value[-7:], raw, elapsed_s, horizon_s, self._pose_noise_speed())
        smooth = HeadShape(
            value[: 3 * LANDMARK_COUNT].reshape(LANDMARK_COUNT, 3),
            rotation_from_vector(pose[:3]),
            pose[3:6] * self._unit,
            float(self._unit * np.exp(pose[6])),
        )
        return smooth, value[3 * LANDMARK_COUNT : -7]

    def _filtered(self, value: Float32, elapsed_s: float) -> Float32:
        if self._groups is None:
            self._groups = _element_groups(value[: 3 * LANDMARK_COUNT].reshape(-1, 3))
            self._share = (1 / np.maximum(np.bincount(self._groups), 1)).astype(np.float32)
        if self._value is None:
            self._value = self._raw = self._raw_before = value
            self._speed = np.zeros_like(value)
            return value
        assert self._strength is not None
        self._measure_noise(value)
        speed = (value - self._value) / np.float32(elapsed_s)
        self._speed = self._speed + _alpha(_SPEED_CUTOFF_HZ, elapsed_s) * (speed - self._speed)
        own = np.sqrt(self._mean(self._speed * self._speed))
        s = self._strength
        beyond = np.maximum(own / self._noise_speed - 1, 0)
        cutoff_hz = s.min_cutoff_hz + s.rise_hz * beyond * beyond
        ratio = np.float32(2 * math.pi * elapsed_s) * cutoff_hz
        alpha = (ratio / (ratio + 1)).astype(np.float32)
        self._pass_quick(value, alpha, min(elapsed_s, 1 / _CAMERA_FPS))
        self._raw_before, self._raw = self._raw, value
        self._value = self._value + alpha[self._groups] * (value - self._value)
        return self._value

    def _pose_noise_speed(self) -> Float32:
        return np.repeat(self._noise_speed[[_TURN, _PLACE]].astype(np.float32), (3, 4))

    def _mean(self, values: Float32) -> NDArray[np.floating]:
        """Return each group's mean."""
        assert self._groups is not None
        return np.asarray(np.bincount(self._groups, weights=values) * self._share)

    def _measure_noise(self, value: Float32) -> None:
        """Let the noise follow a low quantile of what is not smooth in the last three frames.

        Movement bends little from one frame to the next, noise much: a second difference of white
        noise is √6 times as large (its weights are 1, −2, 1), that of MediaPipe's, which is
        steadied already, less. A person who talks has still moments, too; the quantile waits for
        them, so that movement does not count as noise.
        """
        if not self._measures:
            return
        bend = value - 2 * self._raw + self._raw_before
        seen = noise_speed_of(np.sqrt(self._mean(bend * bend))) * NOISE_OF_SECOND_DIFFERENCE
        self._hurry = max(1.0, 0.93 * self._hurry)
        step = np.where(seen > self._noise_speed, _QUANTILE, _QUANTILE - 1) * (
            _NOISE_STEP * self._hurry
        )
        self._noise_speed = np.clip(self._noise_speed * np.exp(step), *self._limits)

    def _pass_quick(self, value: Float32, alpha: Float32, elapsed_s: float) -> None:
        """Let the eyes and the mouth through where lids or lips close or open quickly."""
        gaps = [
            (p[_GAPS[0] * 3 + 1] - p[_GAPS[1] * 3 + 1])
            for p in (value, self._raw, self._raw_before)
        ]
        now, before = np.abs(gaps[0] - gaps[1]), np.abs(gaps[1] - gaps[2])
        noise = self._noise_speed[[0, 1, _MOUTH]] / noise_speed_of(1.0)
        quick = np.maximum(now, before) > np.maximum(_QUICK * elapsed_s, _QUICK_NOISE * noise)
        if quick.any():
            alpha[[0, 1, _MOUTH]] = np.where(quick, 1, alpha[[0, 1, _MOUTH]])
            if quick[2]:
                alpha[6] = 1
            if quick[:2].any():
                alpha[7] = 1


def _element_groups(shape: Float32) -> NDArray[np.intp]:
    """Return the group of each number that is filtered, intp (1434 + 52 + 3 + 4,)."""
    return np.concatenate(
        [
            np.repeat(signal_groups(shape), 3),
            6 + blendshape_regions(),
            np.full(3, _TURN),
            np.full(4, _PLACE),
        ]
    ).astype(np.intp)


def _alpha(cutoff_hz: float, elapsed_s: float) -> np.float32:
    """Return the weight of a new sample in an exponential low pass."""
    ratio = 2 * math.pi * cutoff_hz * elapsed_s
    return np.float32(ratio / (ratio + 1))


def noise_speed_of(noise: T) -> T:
    """Return the speed that noise alone shows after the speed's own low pass, units a second."""
    alpha = float(_alpha(_SPEED_CUTOFF_HZ, 1 / _CAMERA_FPS))
    return noise * (_CAMERA_FPS * math.sqrt(2 * alpha / (2 - alpha)))
