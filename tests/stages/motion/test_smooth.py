"""Steadying and prediction of heads whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.core.choices import Smoothing
from avatar.core.face.head import HeadShape, compose, decompose, eye_opening
from avatar.core.face.regions import BROWS, EYE_REGION, MOUTH, region_shares, signal_groups
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.frames import BLENDSHAPE_NAMES, Face, Float32
from avatar.stages.motion.predict import Predictor
from avatar.stages.motion.smooth import TYPICAL_NOISE, HeadSmoother

FRAME_NS = round(1e9 / 30)
NO_SCORES = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
# Pixels of a head unit of the avatar at 512×512.
AVATAR_PX = 80


def noisy(head: HeadShape, rng: np.random.Generator, level: float = 1.0) -> HeadShape:
    turn = vector_from_rotation(head.rotation) + rng.normal(0, 0.0008 * level, 3)
    return HeadShape(
        (head.shape + rng.normal(0, 0.0008 * level, head.shape.shape)).astype(np.float32),
        rotation_from_vector(turn.astype(np.float32)),
        (head.centre_px + rng.normal(0, 0.0007 * level, 3) * head.scale_px).astype(np.float32),
        head.scale_px,
    )


def wander_px(heads: list[HeadShape]) -> float:
    """How far landmarks of a still head wander on the avatar, RMS."""
    unit = heads[0].scale_px
    placed = [
        compose(h.shape, h.rotation, h.centre_px * AVATAR_PX / unit, AVATAR_PX)[:, :2]
        for h in heads
    ]
    away = np.array(placed) - np.mean(placed, axis=0)
    return float(np.sqrt((away**2).sum(axis=-1).mean()))


@pytest.mark.parametrize(("smoothing", "left"), [("light", 0.5), ("strong", 0.35)])
def test_a_still_head_is_steadied(portrait_face: Face, smoothing: Smoothing, left: float) -> None:
    head = decompose(portrait_face)
    rng = np.random.default_rng(1)
    seen = [noisy(head, rng, 3) for _ in range(150)]
    smooth = HeadSmoother(smoothing)
    shown = [smooth(h, NO_SCORES, k * FRAME_NS, 0.03)[0] for k, h in enumerate(seen)]
    assert wander_px(shown[60:]) < left * wander_px(seen[60:])
    assert wander_px(shown[60:]) < 0.3


def test_off_hands_on_the_very_same_arrays(portrait_face: Face) -> None:
    head = decompose(portrait_face)
    shown, scores = HeadSmoother("off")(head, NO_SCORES, 0)
    assert shown is head
    assert scores is NO_SCORES


def blinking(head: HeadShape, share: float) -> HeadShape:
    shape = head.shape.copy()
    for upper, lower in ((386, 374), (159, 145)):
        shape[upper] += share * (shape[lower] - shape[upper])
    return HeadShape(shape, head.rotation, head.centre_px, head.scale_px)


@pytest.mark.parametrize("smoothing", ["light", "strong"])
@pytest.mark.parametrize("fps", [15, 30, 60])
def test_a_blink_is_not_smoothed_away(portrait_face: Face, smoothing: Smoothing, fps: int) -> None:
    head = decompose(portrait_face)
    rng = np.random.default_rng(2)
    smooth = HeadSmoother(smoothing)
    opening = []
    for k in range(4 * fps):
        t = (k / fps - 3) / 0.25
        lids = 0.85 * math.sin(math.pi * t) if 0 < t < 1 else 0.0
        seen = noisy(blinking(head, lids), rng)
        shown, _ = smooth(seen, NO_SCORES, round(k * 1e9 / fps))
        opening.append((eye_opening(seen.shape).mean(), eye_opening(shown.shape).mean()))
    wide = np.mean(opening[2 * fps : 3 * fps - 1], axis=0)
    depth = wide - np.min(opening[3 * fps :], axis=0)
    assert depth[1] >= 0.95 * depth[0]


def test_lips_that_meet_for_a_frame_are_not_smoothed_apart(portrait_face: Face) -> None:
    head = decompose(portrait_face)
    smooth = HeadSmoother("strong")
    gaps = []
    for k in range(60):
        shape = head.shape.copy()
        shape[[14, 87, 317], 1] -= 0.0 if k in (40, 41) else 0.25
        seen = HeadShape(shape, head.rotation, head.centre_px, head.scale_px)
        shown, _ = smooth(seen, NO_SCORES, k * FRAME_NS)
        gaps.append(shown.shape[13, 1] - shown.shape[14, 1])
    assert gaps[39] - gaps[41] == pytest.approx(0.25, abs=0.01)


def turning(t_s: float, start_s: float, length_s: float, angle: float) -> Float32:
    u = min(1.0, max(0.0, (t_s - start_s) / length_s))
    return np.array([0, angle * u**3 * (10 - 15 * u + 6 * u * u), 0], np.float32)


@settings(max_examples=25, deadline=None)
@given(
    length_s=st.floats(0.25, 1.0), angle=st.floats(0.1, 0.6), delay_s=st.floats(0.0, 0.035),
    phase_s=st.floats(0, 1 / 30), fps=st.sampled_from([30, 60]),
)  # fmt: skip
# Quick turns seen a little more than a frame ahead: the first steps teach anything.
@example(length_s=0.25, angle=0.5, delay_s=0.033555983212824686, phase_s=0.0, fps=30)
@example(length_s=0.25222, angle=0.16920, delay_s=0.03404, phase_s=0.0, fps=30)
@example(length_s=0.25733, angle=0.13719, delay_s=0.03414, phase_s=0.02458, fps=30)
@example(length_s=0.25510, angle=0.59353, delay_s=0.03409, phase_s=0.0, fps=30)
def test_a_turn_is_followed_to_where_it_is_now_and_not_overshot(
    portrait_face: Face, length_s: float, angle: float, delay_s: float, phase_s: float, fps: int
) -> None:
    head = decompose(portrait_face)
    smooth = HeadSmoother("light")
    late, ahead, end = [], [], 0.0
    for k in range(3 * fps):
        t_s = k / fps + phase_s
        truth = turning(t_s, 1.0, length_s, angle)
        seen = HeadShape(head.shape, rotation_from_vector(truth), head.centre_px, head.scale_px)
        shown, _ = smooth(seen, NO_SCORES, round(k * 1e9 / fps), delay_s)
        yaw = float(vector_from_rotation(shown.rotation)[1])
        then = float(turning(t_s + delay_s, 1.0, length_s, angle)[1])
        late.append(abs(float(truth[1]) - then))
        ahead.append(abs(yaw - then))
        end = max(end, yaw)
    assert end <= 1.05 * angle
    # At worst a little more than doing nothing; over the whole turn, much less.
    assert sum(ahead) <= 0.75 * sum(late) + 0.02 * angle * fps


def test_prediction_is_bounded_and_gives_up_on_slow_cameras() -> None:
    predict = Predictor((1,), 0.1)
    noise = np.zeros(1, np.float32)
    values = [
        predict(*2 * (np.array([9.0 * k], np.float32),), 1 / 30, 0.05, noise) for k in range(30)
    ]
    assert 0.05 < values[-1][0] - 9 * 29 <= 0.1 + 1e-4
    slow = Predictor((1,), 0.1)
    for k in range(10):
        assert slow(*2 * (np.array([0.1 * k], np.float32),), 0.2, 0.05, noise)[0] == np.float32(
            0.1 * k
        )


def ahead_of(signal: NDArray[np.floating], noise: float, horizon_s: float) -> tuple[float, float]:
    """Mean error against where ``signal`` is a horizon later: predicted, and left as it is.

    ``signal``: (N,), 30 a second. The first five seconds do not count: they teach.
    """
    predict = Predictor((1,), 1.0)
    frames = np.arange(len(signal))
    then = np.interp(frames + horizon_s * 30, frames, signal)
    seen = (signal + np.random.default_rng(8).normal(0, noise, len(signal))).astype(np.float32)
    alone = np.array([10 * noise], np.float32)
    out = [predict(value, value, 1 / 30, horizon_s, alone)[0] for value in seen[:, None]]
    inner = slice(150, -3)
    return tuple(float(np.abs(values - then)[inner].mean()) for values in (np.array(out), seen))


def test_what_trembles_is_not_carried_on() -> None:
    """What has no speed that goes on is at most brought back towards its middle."""
    white = np.random.default_rng(3).normal(0, 0.1, 900)
    predicted, as_it_is = ahead_of(white, 0.0007, 0.03)
    assert predicted <= as_it_is


@settings(max_examples=15, deadline=None)
@given(
    hz=st.floats(0.4, 3.0), second=st.floats(1.1, 1.9), size=st.floats(0.01, 0.2),
    horizon_s=st.floats(0.01, 0.045),
)  # fmt: skip
def test_nods_of_a_rhythm_are_learnt(
    hz: float, second: float, size: float, horizon_s: float
) -> None:
    """Movement of known truth that none of the constants were chosen on."""
    t = np.arange(900) / 30
    nods = size * (np.sin(2 * np.pi * hz * t) + 0.5 * np.sin(2 * np.pi * hz * second * t + 1))
    predicted, as_it_is = ahead_of(nods, 0.0007, horizon_s)
    assert predicted <= 0.6 * as_it_is + 0.0007


def test_gaps_and_clocks_that_jump_start_anew(portrait_face: Face) -> None:
    head = decompose(portrait_face)
    other = HeadShape(head.shape, head.rotation, head.centre_px + 50, head.scale_px)
    smooth = HeadSmoother("strong")
    for k in range(30):
        smooth(head, NO_SCORES, k * FRAME_NS, 0.03)
    for now_ns in (60 * 10**9, 5 * 10**9):
        shown, _ = smooth(other, NO_SCORES, now_ns, 0.03)
        assert np.allclose(shown.centre_px, other.centre_px, atol=1e-3)


def test_parts_of_the_face_are_where_they_belong(portrait_face: Face) -> None:
    shape = decompose(portrait_face).shape
    shares = region_shares(shape)
    assert shares.min() >= 0
    assert shares.sum(axis=1).max() <= 1 + 1e-6
    assert (shares[[13, 14, 61, 291, 152], MOUTH] > 0.95).all()
    assert (shares[[159, 145, 386, 374, 473], EYE_REGION] > 0.95).all()
    assert (shares[[105, 334, 10], BROWS] > 0.95).all()
    assert (shares[[1, 4, 168]] < 0.6).all()
    groups = signal_groups(shape)
    assert (groups[[386, 374]] == 0).all()
    assert (groups[[159, 145]] == 1).all()
    assert set(groups) == set(range(6))
    assert len(TYPICAL_NOISE) == 11
