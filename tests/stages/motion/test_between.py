"""Motion between two camera frames: where the head is by then, never beyond what heads do."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import Face, Motion, Presence, still
from avatar.core.speech import at_rest
from avatar.stages.motion.between import BETWEEN_NS, Between
from avatar.stages.motion.retarget import FaceRetargeter
from avatar.stages.motion.spoken import VoiceDriven
from tests.stages.motion.faces import posed, track


def yaw(motion: Motion) -> float:
    return float(vector_from_rotation(motion.rotation)[1])


def sway(t_s: float) -> float:
    """Return the yaw of a head that shakes slowly, radians."""
    return 0.3 * math.sin(2 * math.pi * 0.7 * t_s)


def played(
    face: Face, fps: float, drawn_fps: float, seconds: float = 4.0, noise: float = 0.0,
    swing: float = 1.0,
) -> list[tuple[float, Motion]]:  # fmt: skip
    """Return (seconds, motion) of a swaying head seen at ``fps`` and drawn at ``drawn_fps``."""
    retargeter, rng = FaceRetargeter("relative", "off", "first"), np.random.default_rng(3)
    made: list[tuple[float, Motion]] = []
    seen = 0
    for k in range(round(seconds * drawn_fps)):
        now_ns = round(k * 1e9 / drawn_fps)
        if now_ns >= round(seen * 1e9 / fps):
            turn, at = np.array([0, swing * sway(seen / fps), 0]), np.array([320.0, 240.0])
            turn, at = turn + rng.normal(0, noise, 3), at + rng.normal(0, 60 * noise, 2)
            motion = retargeter.retarget(
                track(posed(face, turn=tuple(turn), at_px=tuple(at)), seen, fps), now_ns
            )
            seen += 1
        else:
            motion = retargeter.retarget(None, now_ns)
        made.append((k / drawn_fps, motion))
    return made


@pytest.mark.parametrize(("fps", "drawn_fps"), [(30, 60), (15, 30), (20, 60)])
def test_between_frames_a_moving_head_is_where_it_is_by_then(
    portrait_face: Face, fps: float, drawn_fps: float
) -> None:
    made = [m for m in played(portrait_face, fps, drawn_fps) if m[0] > 1.5]
    between = [m for m in made if m[1].presence is Presence.PREDICTED]
    assert len(between) == pytest.approx(len(made) * (1 - fps / drawn_fps), abs=2)
    predicted = [abs(yaw(motion) - sway(at)) for at, motion in between]
    held = [abs(sway(math.floor(at * fps + 1e-6) / fps) - sway(at)) for at, _ in between]
    assert np.mean(predicted) < 0.35 * np.mean(held)
    assert max(abs(yaw(motion)) for _, motion in made) < 1.05 * 0.3


def test_a_still_head_stays_still_between_frames(portrait_face: Face) -> None:
    made = [m for at, m in played(portrait_face, 30, 60, noise=0.0005, swing=0) if at > 1.0]
    apart = [
        abs(yaw(b) - yaw(a))
        for a, b in itertools.pairwise(made)
        if b.presence is Presence.PREDICTED
    ]
    assert np.mean(apart) < 0.0002


def test_a_head_that_turns_back_is_not_carried_past_its_goal(portrait_face: Face) -> None:
    """A jump, and standing still from there: half a frame of it may go on, and no more."""
    retargeter = FaceRetargeter("relative", "off", "first")
    most = 0.0
    for k in range(120):
        turn = 0.0 if k < 60 else 0.2
        now_ns = round(k * 1e9 / 60)
        face = posed(portrait_face, turn=(0, turn, 0))
        seen = track(face, k // 2) if k % 2 == 0 else None
        most = max(most, yaw(retargeter.retarget(seen, now_ns)))
    assert most < 0.2 * 1.05


def test_lids_close_between_frames_and_not_further_than_shut(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off", "first")
    for k in range(200):
        blink = abs(math.sin(k / 8)) ** 8
        face = posed(portrait_face, eyeBlinkLeft=blink, eyeBlinkRight=blink)
        seen = track(face, k // 2) if k % 2 == 0 else None
        motion = retargeter.retarget(seen, round(k * 1e9 / 60))
        assert motion.eye_closure.max() <= 1 + 1e-6


def test_eyes_that_are_wider_open_than_at_the_reference_stay_so() -> None:
    """They are less than 0 shut: no flutter between two frames that say so."""
    between = Between()
    wide = still(0, 0, Presence.TRACKED)
    wide = replace(wide, eye_closure=np.array([-0.3, -0.2], np.float32))
    for k in range(12):
        between.see(replace(wide, timestamp_ns=k * 33_333_333))
    carried = between.at(11 * 33_333_333 + 16_666_666)
    assert carried is not None
    assert carried.eye_closure.tolist() == pytest.approx([-0.3, -0.2], abs=1e-3)


def test_a_face_that_is_gone_is_not_carried_on(portrait_face: Face) -> None:
    retargeter = FaceRetargeter("relative", "off", "first")
    for k in range(20):
        seen = track(posed(portrait_face), k)
        retargeter.retarget(seen, seen.timestamp_ns)
    last_ns = seen.timestamp_ns
    assert retargeter.retarget(None, last_ns + 16_000_000).presence is Presence.PREDICTED
    assert retargeter.retarget(None, last_ns + BETWEEN_NS).presence is Presence.HELD
    retargeter.retarget(track(posed(portrait_face), 20), 20 * 33_333_333)
    retargeter.retarget(track(None, 21), 21 * 33_333_333)
    assert retargeter.retarget(None, 21 * 33_333_333 + 16_000_000).presence is Presence.HELD


def test_what_a_very_slow_camera_sees_is_moved_to_and_not_jumped_to(portrait_face: Face) -> None:
    """Five frames a second: each picture of the output takes a part of the way."""
    made = [yaw(m) for at, m in played(portrait_face, 5, 30, swing=2) if at > 1.0]
    steps = np.abs(np.diff(made))
    jumps = np.abs([2 * (sway(k / 5) - sway((k - 1) / 5)) for k in range(5, 20)])
    assert steps.max() < 0.45 * jumps.max()


def test_a_film_that_nobody_draws_between_is_as_before(portrait_face: Face) -> None:
    """Without a picture between two frames nothing glides: the last movement is shown at once."""
    retargeter = FaceRetargeter("relative", "off", "first")
    for k in range(20):
        face = posed(portrait_face, turn=(0, 0.2 * (k >= 15), 0))
        motion = retargeter.retarget(track(face, k, 5), round(k * 2e8))
    assert yaw(motion) == pytest.approx(0.2, abs=0.01)


def test_a_seen_mouth_stays_a_seen_mouth_between_frames(portrait_face: Face) -> None:
    driven = VoiceDriven(
        FaceRetargeter("relative", "off", "first"), lambda now, frame: at_rest(now), "auto",
        portrait_face.landmarks_px,
    )  # fmt: skip
    for k in range(60):
        seen = track(posed(portrait_face), k // 2) if k % 2 == 0 else None
        driven.retarget(seen, round(k * 1e9 / 60))
    assert driven.lag_s == 0
