"""Replays tracks through the retargeter, filtered and not, and takes the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.choices import Smoothing
from avatar.core.face.head import eye_opening, lips_gap
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import Face, FaceTrack, Motion
from avatar.measure.motion import metrics
from avatar.measure.motion.metrics import Signal
from avatar.measure.motion.tracks import ReplayedTrack
from avatar.stages.generate.deform import FaceDeformer
from avatar.stages.generate.framing import View, make_canvas
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.motion.retarget import FaceRetargeter

SIZE_PX = (512, 512)
VARIANTS = ("off", "filter", "filter + prediction")
SIGNALS = ("pitch", "yaw", "roll", "x", "y", "mouth", "left lid", "right lid")
UNITS = ("rad", "rad", "rad", "head units", "head units", "head units", "eye widths", "eye widths")
_POSE = slice(0, 5)
_MOUTH, _LIDS = 5, (6, 7)
# The first second has the reference's transition in it.
_SETTLING_S = 1.0
_LEAST_MOVE = 0.06
_LEAST_DIP = (0.04, 0.12)
# Signals that move less than this are not asked for their lag, head units or radians.
_LEAST_RANGE = 0.05


@dataclass(frozen=True, eq=False)
class Replay:
    """One track through one variant.

    ``signals``: float64 (N, 8) in the order of ``SIGNALS``. ``landmarks_px``: float32
    (N, 478, 2) of the avatar at 512².
    """

    signals: NDArray[np.float64]
    landmarks_px: NDArray[np.float32]


@dataclass(frozen=True)
class Figures:
    """What one variant does to one track. None where the track has nothing of the kind.

    ``jitter_px``: RMS at 512². ``lag_ms``, ``mouth_lag_ms``: behind the unfiltered signal (behind
    the truth where it is known), the median over the signals that move. ``behind_ms``: of the
    pose, behind where the head is when the picture is seen. ``overshoot``: shares of each
    movement, median and 95 %. ``blink_kept``, ``closure_kept``: mean and least share of the
    depth of blinks and of lip closures.
    """

    jitter_px: float | None
    still_s: float
    lag_ms: float | None
    mouth_lag_ms: float | None
    behind_ms: float | None
    overshoot: tuple[float, float] | None
    blink_kept: tuple[float, float] | None
    closure_kept: tuple[float, float] | None
    moves: int
    blinks: int


@dataclass(frozen=True, eq=False)
class Result:
    """One track: its figures and, for drawing, its replays, by variant."""

    track: ReplayedTrack
    figures: dict[str, Figures]
    replays: dict[str, Replay] = field(repr=False)

    def summary(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {"fps": self.track.fps, **{v: asdict(f) for v, f in self.figures.items()}}


class MotionBench:
    """Measures tracks on the built-in portrait.

    ``face``: its face. ``smoothing``: the filters' strength. ``delay_ms``: how much later than
    its capture a picture is seen.
    """

    def __init__(self, face: Face, smoothing: Smoothing, delay_ms: float) -> None:
        canvas = make_canvas(load_photo(builtin_photo()), face, "portrait", SIZE_PX, View())
        self._deformer = FaceDeformer(canvas)
        self._smoothing = smoothing
        self._delay_ms = delay_ms

    def measure(self, track: ReplayedTrack) -> Result:
        """Return the figures of ``track`` for every variant."""
        replays = {
            "off": self._replay(track.faces, "off", 0.0),
            "filter": self._replay(track.faces, self._smoothing, 0.0),
            "filter + prediction": self._replay(
                track.faces, self._smoothing, self._delay_ms / 1000
            ),
        }
        truth = self._replay(track.truth, "off", 0.0) if track.truth is not None else None
        figures = {
            variant: self._figures(track, replay, replays["off"], truth or replays["off"])
            for variant, replay in replays.items()
        }
        return Result(track, figures, replays)

    def _replay(self, faces: Sequence[FaceTrack], smoothing: Smoothing, delay_s: float) -> Replay:
        retargeter = FaceRetargeter("relative", smoothing, "first", delay_s=lambda: delay_s)
        motions = [retargeter.retarget(track, track.timestamp_ns) for track in faces]
        landmarks = [self._deformer.pose(motion).landmarks_px[:, :2] for motion in motions]
        return Replay(np.array([_signals(m) for m in motions]), np.array(landmarks))

    def _figures(self, track: ReplayedTrack, replay: Replay, off: Replay, truth: Replay) -> Figures:
        first = round(_SETTLING_S * track.fps)
        signals, wanted = replay.signals[first:], truth.signals[first:]
        jitter, still_s = _jitter(track, replay.landmarks_px[first:], off.landmarks_px[first:])
        if track.still:
            return Figures(jitter, still_s, None, None, None, None, None, None, 0, 0)
        moving = [k for k in range(5) if np.ptp(wanted[:, k]) > _LEAST_RANGE]
        lags = [metrics.lag_ms(signals[:, k], wanted[:, k], track.fps) for k in moving]
        mouth = (
            metrics.lag_ms(signals[:, _MOUTH], wanted[:, _MOUTH], track.fps)
            if np.ptp(wanted[:, _MOUTH]) > _LEAST_RANGE
            else None
        )
        moves = [
            share
            for k in range(5)
            for share in metrics.overshoots(signals[:, k], wanted[:, k], _LEAST_MOVE)
        ]
        blinks = [
            kept
            for k in _LIDS
            for kept in metrics.dips_kept(signals[:, k], wanted[:, k], _LEAST_DIP[1])
        ]
        closures = metrics.dips_kept(signals[:, _MOUTH], wanted[:, _MOUTH], _LEAST_DIP[0])
        lag = float(np.median(lags)) if lags else None
        return Figures(
            jitter,
            still_s,
            lag,
            mouth,
            lag + self._delay_ms if lag is not None else None,
            _two(np.percentile(moves, [50, 95])) if moves else None,
            _two((np.mean(blinks), np.min(blinks))) if blinks else None,
            _two((np.mean(closures), np.min(closures))) if closures else None,
            len(moves),
            len(blinks),
        )


def _two(values: Any) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)


def _jitter(
    track: ReplayedTrack, landmarks_px: NDArray[np.float32], off_px: NDArray[np.float32]
) -> tuple[float | None, float]:
    """Return the jitter in pixels and over how many seconds of stillness."""
    if track.still:
        return metrics.still_jitter_px(landmarks_px), len(landmarks_px) / track.fps
    still = metrics.still_frames(off_px)
    if still.sum() < track.fps / 3:
        return None, float(still.sum() / track.fps)
    rough = metrics.roughness_px(landmarks_px)[still]
    return float(np.sqrt(np.mean(rough**2))), float(still.sum() / track.fps)


def _signals(motion: Motion) -> Signal:
    shape = motion.neutral + motion.expression
    turn, lids = vector_from_rotation(motion.rotation), eye_opening(shape)
    return np.array([*turn, *motion.translation, lips_gap(shape), *lids], np.float64)
