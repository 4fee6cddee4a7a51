"""How far the avatar goes along, from where, and what bad tracks do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import BLENDSHAPE_INDEX, Face, FaceTrack, Motion, Presence
from avatar.stages.motion.driving import Driving, limited
from avatar.stages.motion.retarget import FaceRetargeter
from tests.stages.motion.faces import posed, track, with_jaw_open

FRAME_NS = round(1e9 / 30)
TURN = (0.1, 0.3, -0.1)


def moved(face: Face, mode: str, driving: Driving) -> tuple[Motion, Motion]:
    """The motion at the reference and the one after turning, leaning and speaking."""
    retargeter = FaceRetargeter(mode, "off", "first", driving=driving)  # type: ignore[arg-type]
    rest = [retargeter.retarget(track(posed(face), k), k * FRAME_NS) for k in range(20)][-1]
    away = with_jaw_open(posed(face, turn=TURN, at_px=(350, 225), scale_px=66, jawOpen=0.5), 15)
    return rest, [retargeter.retarget(track(away, k), k * FRAME_NS) for k in range(20, 40)][-1]


@pytest.mark.parametrize("mode", ["relative", "absolute"])
def test_strength_scales_everything_from_the_reference(portrait_face: Face, mode: str) -> None:
    rest, whole = moved(portrait_face, mode, Driving())
    _, half = moved(portrait_face, mode, Driving(strength=0.5))
    turned = vector_from_rotation(half.rotation @ rest.rotation.T)
    assert np.allclose(turned, np.array(TURN) / 2, atol=0.01)
    middle = (rest.translation + whole.translation) / 2
    assert np.allclose(half.translation, middle, atol=0.01 * half.scale)
    assert half.scale == pytest.approx((rest.scale * whole.scale) ** 0.5, rel=1e-3)
    assert np.allclose(half.expression, (rest.expression + whole.expression) / 2, atol=2e-3)
    assert half.blendshapes[BLENDSHAPE_INDEX["jawOpen"]] == pytest.approx(0.25)


@pytest.mark.parametrize("mode", ["relative", "absolute"])
def test_a_locked_head_speaks_but_does_not_move(portrait_face: Face, mode: str) -> None:
    rest, motion = moved(portrait_face, mode, Driving(lock_head=True))
    assert np.allclose(motion.rotation, rest.rotation, atol=1e-4)
    assert np.allclose(motion.translation, rest.translation, atol=1e-3 * rest.scale)
    assert motion.scale == pytest.approx(rest.scale)
    assert (motion.expression - rest.expression)[14, 1] < -0.1


def test_a_part_without_weight_keeps_still(portrait_face: Face) -> None:
    _, whole = moved(portrait_face, "relative", Driving())
    _, motion = moved(portrait_face, "relative", Driving(mouth=0))
    assert np.abs(motion.expression[[13, 14, 61, 291]]).max() < 1e-4
    assert whole.expression[14, 1] < -0.1
    assert motion.blendshapes[BLENDSHAPE_INDEX["jawOpen"]] == 0
    # The head still turns.
    assert np.allclose(vector_from_rotation(motion.rotation), TURN, atol=5e-3)


def test_turns_end_at_their_limit_and_expressions_grow(portrait_face: Face) -> None:
    _, whole = moved(portrait_face, "relative", Driving())
    _, motion = moved(portrait_face, "relative", Driving(max_turn_deg=10, exaggerate=2))
    assert np.degrees(np.abs(vector_from_rotation(motion.rotation))).max() <= 10.01
    small = np.linalg.norm(whole.expression, axis=1) < 0.05
    gain = np.linalg.norm(motion.expression[14]) / np.linalg.norm(whole.expression[14])
    assert 1.2 < gain < 2
    assert np.allclose(motion.expression[small], 2 * whole.expression[small], atol=2e-3)


@settings(max_examples=50, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 1.5))
def test_limiting_keeps_order_and_bounds(a: float, b: float, limit: float) -> None:
    low, high = sorted((a, b))
    out = limited(np.array([low, high], np.float32), limit)
    assert out[0] <= out[1] + 1e-6
    assert np.abs(out).max() <= limit * 1.0001
    assert abs(limited(np.array([0.5 * limit]), limit)[0] - 0.5 * limit) < 1e-6


def test_nothing_chosen_changes_nothing(portrait_face: Face) -> None:
    for mode in ("relative", "absolute"):
        plain, same = (
            moved(portrait_face, mode, Driving())[1],
            moved(portrait_face, mode, Driving()),
        )
        assert np.array_equal(plain.expression, same[1].expression)
        weighted = moved(portrait_face, mode, Driving(strength=0.999999))[1]
        assert np.allclose(plain.expression, weighted.expression, atol=1e-4)


def turned_by(motion: Motion) -> float:
    return float(np.linalg.norm(vector_from_rotation(motion.rotation)))


@pytest.mark.parametrize(("reference", "turn"), [("first", 0.4), ("key", 0.4), ("auto", 0.0)])
def test_which_face_is_the_reference(portrait_face: Face, reference: Any, turn: float) -> None:
    retargeter = FaceRetargeter("relative", "off", reference)
    for k in range(10):
        retargeter.retarget(track(posed(portrait_face, turn=(0, 0.4, 0)), k), k * FRAME_NS)
    for k in range(10, 60):
        motion = retargeter.retarget(track(posed(portrait_face), k), k * FRAME_NS)
    assert turned_by(motion) == pytest.approx(turn, abs=0.01)


def test_a_search_ends_at_the_moment_most_like_the_photograph(portrait_face: Face) -> None:
    photo = posed(portrait_face, turn=(0, 0.3, 0), mouthSmileLeft=0.6, mouthSmileRight=0.6)
    retargeter = FaceRetargeter("relative", "off", "first")
    faces = [
        posed(portrait_face),
        posed(portrait_face, turn=(0, 0.2, 0)),
        posed(portrait_face, turn=(0, 0.28, 0), mouthSmileLeft=0.5, mouthSmileRight=0.5),
        posed(portrait_face, turn=(0, -0.3, 0)),
    ]
    retargeter.retarget(track(faces[0], 0), 0)
    retargeter.search_reference(photo)
    assert retargeter.searching
    for k, face in enumerate(faces, start=1):
        retargeter.retarget(track(face, k), k * FRAME_NS)
    for k in range(10, 40):
        motion = retargeter.retarget(track(faces[2], k), k * FRAME_NS)
    assert turned_by(motion) < 1e-3
    retargeter.search_reference(None)
    assert not retargeter.searching
    for k in range(40, 80):
        motion = retargeter.retarget(track(photo, k), k * FRAME_NS)
    assert turned_by(motion) == pytest.approx(0.02, abs=5e-3)


def test_a_frame_out_of_order_is_left_out(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off", "first")
    here, there = posed(portrait_face), posed(portrait_face, turn=(0, 0.5, 0))
    for k in range(20):
        retargeter.retarget(track(here, k), k * FRAME_NS)
    late = retargeter.retarget(track(there, 10), 10 * FRAME_NS)
    assert late.presence is Presence.HELD
    assert turned_by(late) < 1e-3
    assert retargeter.retarget(track(here, 20), 20 * FRAME_NS).presence is Presence.TRACKED


@pytest.mark.parametrize("jump_s", [-3600.0, -2.0, 5.0, 86_400.0])
def test_a_clock_that_jumps_leaves_a_face_and_finite_numbers(
    portrait_face: Face, jump_s: float
) -> None:
    retargeter = FaceRetargeter("relative", "light", delay_s=lambda: 0.03)
    face = posed(portrait_face)
    for k in range(60):
        retargeter.retarget(track(face, k), k * FRAME_NS)
    for k in range(60, 120):
        now_ns = k * FRAME_NS + round(jump_s * 1e9)
        motion = retargeter.retarget(FaceTrack(now_ns, k, face), now_ns)
        assert motion.presence is Presence.TRACKED
        assert np.isfinite(motion.expression).all()
    assert turned_by(motion) < 0.01


@pytest.mark.parametrize("fps", [5, 10, 120])
def test_slow_and_fast_cameras_end_where_the_driver_is(portrait_face: Face, fps: int) -> None:
    retargeter = FaceRetargeter("relative", "light", "first", delay_s=lambda: 0.04)
    for k in range(8 * fps):
        yaw = 0.3 if k >= 4 * fps else 0.0
        motion = retargeter.retarget(
            track(posed(portrait_face, turn=(0, yaw, 0)), k, fps), round(k * 1e9 / fps)
        )
        assert turned_by(motion) <= 0.3 * 1.05
    assert turned_by(motion) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("field", ["landmarks_px", "blendshapes", "pose"])
def test_nan_in_a_track_reaches_nothing(portrait_face: Face, field: str) -> None:
    retargeter = FaceRetargeter("relative", "light", delay_s=lambda: 0.03)
    retargeter.search_reference(portrait_face)
    for k in range(90):
        face = posed(portrait_face)
        if k % 3 == 2:
            broken = getattr(face, field).copy()
            broken.flat[3] = np.nan if k % 2 else np.inf
            face = replace(face, **{field: broken})
        motion = retargeter.retarget(track(face, k), k * FRAME_NS)
        numbers = (motion.expression, motion.rotation, motion.translation, motion.blendshapes)
        assert all(np.isfinite(part).all() for part in numbers)
