from dataclasses import replace

import numpy as np
import pytest

from avatar.core.choices import MotionMode
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import Face, Motion, Presence, still
from avatar.stages.motion.driving import Driving
from avatar.stages.motion.gaze import yoked
from avatar.stages.motion.idle import idle_blink
from avatar.stages.motion.retarget import HOLD_NS, FaceRetargeter, blend
from tests.stages.motion.faces import posed, track, with_jaw_open

FRAME_NS = round(1e9 / 30)


def settled(retargeter: FaceRetargeter, face: Face, frames: int = 40, start: int = 0) -> Motion:
    """Show ``face`` until references are taken and transitions are over."""
    for k in range(frames):
        motion = retargeter.retarget(track(face, start + k), (start + k) * FRAME_NS)
    return motion


def test_relative_motion_starts_at_rest_whatever_the_first_pose(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off")
    motion = settled(retargeter, posed(portrait_face, turn=(0.1, -0.3, 0.1)))
    assert np.abs(motion.expression).max() < 1e-3
    assert np.abs(motion.rotation - np.eye(3)).max() < 1e-3
    assert motion.scale == pytest.approx(1, abs=1e-3)


def test_turning_and_leaning_come_through_in_head_units(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off")
    settled(retargeter, posed(portrait_face))
    moved = posed(portrait_face, turn=(0.05, 0.3, -0.1), at_px=(350, 225), scale_px=66)
    motion = settled(retargeter, moved, 60, 80)
    assert np.allclose(vector_from_rotation(motion.rotation), (0.05, 0.3, -0.1), atol=5e-3)
    assert np.allclose(motion.translation, (0.5, -0.25), atol=5e-3)
    assert motion.scale == pytest.approx(1.1, abs=5e-3)
    assert np.abs(motion.expression).max() < 5e-3


def test_the_most_neutral_face_of_the_first_two_seconds_is_the_reference(
    portrait_face: Face,
) -> None:
    retargeter = FaceRetargeter("relative", "off")
    smiling = with_jaw_open(posed(portrait_face, jawOpen=0.7, mouthSmileLeft=0.6), 20)
    settled(retargeter, smiling, 30)
    neutral = settled(retargeter, posed(portrait_face), 60, 30)
    assert np.abs(neutral.expression).max() < 1e-3
    late = settled(retargeter, smiling, 40, 90)
    assert late.expression[14, 1] < -0.1


def test_another_person_has_a_reference_of_their_own_and_nothing_jumps(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off")
    before = settled(retargeter, posed(portrait_face, turn=(0, 0.3, 0)), 90)
    other = with_jaw_open(posed(portrait_face, at_px=(900, 200), scale_px=40), 6)
    moved = []
    for k in range(90, 200):
        motion = retargeter.retarget(replace(track(other, k), person=1), k * FRAME_NS)
        moved.append(motion.translation)
    assert np.abs(motion.translation).max() < 0.01, "where they sit is where they rest"
    assert motion.scale == pytest.approx(1, abs=0.01)
    steps = np.abs(np.diff([before.translation, *moved], axis=0)).max()
    assert steps < 0.3, "a hundred pixels between two people are no movement"


@pytest.mark.parametrize("mode", ["relative", "absolute"])
@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (1280, 720), (480, 640)])
def test_a_camera_that_changes_its_size_moves_nothing(
    portrait_face: Face, mode: MotionMode, size: tuple[int, int]
) -> None:
    """640×480 in another size, and cut out of or into another shape: the same person sits there."""
    retargeter = FaceRetargeter(mode)
    scale = min(size) / 480
    face = posed(portrait_face, turn=(0, 0.1, 0), at_px=(350, 220))
    middle = (size[0] / 2 + 30 * scale, size[1] / 2 - 20 * scale)
    other = posed(portrait_face, turn=(0, 0.1, 0), at_px=middle, scale_px=60 * scale)
    other = replace(other, image_size_px=size)
    before = settled(retargeter, face, 90)
    for k in range(90, 120):
        motion = retargeter.retarget(track(other, k), k * FRAME_NS)
        assert np.allclose(motion.translation, before.translation, atol=2e-3 * before.scale)
        assert motion.scale == pytest.approx(before.scale, rel=2e-3)
        assert np.abs(motion.expression - before.expression).max() < 2e-3


def test_going_along_less_keeps_the_reference(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off")
    settled(retargeter, posed(portrait_face), 90)
    turned = posed(portrait_face, turn=(0, 0.4, 0))
    whole = settled(retargeter, turned, 30, 90)
    retargeter.drive(Driving(strength=0.5))
    half = settled(retargeter, turned, 30, 120)
    assert half.neutral is whole.neutral, "one object stands for one reference"
    ratio = vector_from_rotation(half.rotation)[1] / vector_from_rotation(whole.rotation)[1]
    assert ratio == pytest.approx(0.5, abs=0.02)


def test_a_reference_can_be_asked_for_later(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off")
    settled(retargeter, posed(portrait_face), 90)
    turned = posed(portrait_face, turn=(0, 0.4, 0))
    assert np.abs(vector_from_rotation(settled(retargeter, turned, 5, 90).rotation))[1] > 0.3
    retargeter.take_reference()
    assert np.abs(settled(retargeter, turned, 40, 95).rotation - np.eye(3)).max() < 1e-3


def test_absolute_motion_reproduces_the_drivers_own_landmarks(portrait_face: Face) -> None:
    from avatar.core.face.head import compose

    face = posed(portrait_face, turn=(0.1, 0.2, 0.3), at_px=(300, 200), scale_px=80)
    motion = settled(FaceRetargeter("absolute", "off"), face)
    centre = np.array([*motion.translation, 0], np.float32)
    again = compose(motion.expression, motion.rotation, centre, motion.scale)
    assert np.abs(again[:, :2] - face.landmarks_px[:, :2]).max() < 0.02


@pytest.mark.parametrize("mode", ["relative", "absolute"])
def test_a_lost_face_is_held_then_idles_and_returns_without_a_jump(
    portrait_face: Face, mode: str
) -> None:
    retargeter = FaceRetargeter(mode, "off")  # type: ignore[arg-type]
    shown = [settled(retargeter, posed(portrait_face), 90)]
    here = posed(portrait_face, turn=(0.1, 0.3, 0.1), at_px=(345, 250))
    shown.append(settled(retargeter, here, 40, 90))
    seen = set()
    steps = []
    for k in range(130, 330):
        face = here if k >= 260 else None
        motion = retargeter.retarget(track(face, k), k * FRAME_NS)
        seen.add((k, motion.presence))
        unit = motion.scale if motion.absolute else 1.0
        steps.append(
            np.concatenate(
                [vector_from_rotation(motion.rotation @ shown[-1].rotation.T),
                 (motion.translation - shown[-1].translation) / unit]
            )
        )  # fmt: skip
        shown.append(motion)
    hold = HOLD_NS // FRAME_NS
    assert {p for k, p in seen if 130 <= k < 130 + hold - 1} == {Presence.HELD}
    assert {p for k, p in seen if 130 + hold + 2 < k < 260} == {Presence.IDLE}
    assert {p for k, p in seen if k >= 260} == {Presence.TRACKED}
    assert np.abs(np.array(steps)).max() < 0.08
    assert all(motion.track is None for motion in shown if motion.presence is not Presence.TRACKED)


def test_without_any_face_it_idles_from_the_start() -> None:
    retargeter = FaceRetargeter()
    motions = [retargeter.retarget(None, k * FRAME_NS) for k in range(200)]
    assert {m.presence for m in motions} == {Presence.IDLE}
    assert max(float(m.eye_closure.max()) for m in motions) > 0.9
    assert max(float(np.abs(m.translation).max()) for m in motions) > 0.005


def test_non_finite_faces_count_as_no_face(portrait_face: Face) -> None:
    retargeter = FaceRetargeter()
    settled(retargeter, posed(portrait_face))
    broken = posed(portrait_face)
    landmarks = broken.landmarks_px.copy()
    landmarks[5] = np.nan
    motion = retargeter.retarget(track(replace(broken, landmarks_px=landmarks), 41), 41 * FRAME_NS)
    assert motion.presence is Presence.HELD
    assert np.isfinite(motion.expression).all()


def test_a_blink_closes_the_lids_fully(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "light")
    settled(retargeter, posed(portrait_face), 90)
    shut = posed(portrait_face, eyeBlinkLeft=0.7, eyeBlinkRight=0.7)
    landmarks = shut.landmarks_px.copy()
    for upper, lower in ((386, 374), (159, 145)):
        landmarks[upper] += 0.8 * (landmarks[lower] - landmarks[upper])
    blinking = replace(shut, landmarks_px=landmarks)
    peak = max(
        float(retargeter.retarget(track(blinking, 90 + k), (90 + k) * FRAME_NS).eye_closure.min())
        for k in range(3)
    )
    assert peak >= 0.95


def test_idle_blinks_are_short_and_recur() -> None:
    shut = [idle_blink(k / 100) for k in range(3000)]
    assert 0.02 < np.mean(np.array(shut) > 0.2) < 0.15
    assert max(shut) <= 1
    assert shut[0] == 0


def test_blending_reaches_both_ends() -> None:
    a = still(0, 0, Presence.IDLE)
    b = replace(a, translation=np.ones(2, np.float32), scale=2.0)
    assert np.array_equal(blend(a, b, 0).translation, a.translation)
    assert np.array_equal(blend(a, b, 1).translation, b.translation)
    assert blend(a, b, 0.5).scale == 1.5


def test_eyes_look_the_same_way() -> None:
    """Whatever the tracker says of each eye, both move together."""
    level = np.eye(3, dtype=np.float32)
    apart = np.array([[0.2, 0.1], [-0.2, -0.1]], np.float32)
    left, right = yoked(apart, level, np.zeros(2, np.float32))
    assert abs(left - right)[0] <= 0.031
    assert left[1] == right[1]


def test_an_eye_that_is_shut_does_not_lead_the_other() -> None:
    level = np.eye(3, dtype=np.float32)
    gaze = np.array([[0.15, 0.0], [-0.3, 0.2]], np.float32)
    left, right = yoked(gaze, level, np.array([0.0, 1.0], np.float32))
    assert left[0] == pytest.approx(0.15, abs=0.03)
    assert right[0] == pytest.approx(0.15, abs=0.03)


def test_a_smile_at_the_reference_is_still_one(portrait_face: Face) -> None:
    retargeter = FaceRetargeter(smoothing="off")
    face = posed(portrait_face, mouthSmileLeft=0.8, mouthSmileRight=0.8)
    motion = retargeter.retarget(track(face, 0), 0)
    assert motion.expression[291, 0] > 0.03 > -0.03 > motion.expression[61, 0]
    asked = FaceRetargeter(smoothing="off", reference="first")
    assert np.abs(asked.retarget(track(face, 0), 0).expression).max() < 1e-4
