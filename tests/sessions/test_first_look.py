from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avatar.core.frames import CameraFrame, Face, FaceTrack
from avatar.sessions.first_look import look_ahead, tracked
from avatar.stages.motion.retarget import REFERENCE_SEARCH_NS, FaceRetargeter
from avatar.stages.track.replay import ReplayTracker
from tests.stages.motion.faces import posed, track, with_jaw_open

FPS = 25
SEARCHED = REFERENCE_SEARCH_NS * FPS // 1_000_000_000 + 1


def film(count: int) -> list[CameraFrame]:
    return [
        CameraFrame(np.full((4, 4, 3), k, np.uint8), 1_000_000_000 + k * 1_000_000_000 // FPS, k)
        for k in range(count)
    ]


def performance(face: Face, count: int, neutral_at: int) -> list[FaceTrack]:
    """Return tracks of a face that speaks, but for one moment."""
    speaking = with_jaw_open(posed(face, jawOpen=0.6), 12)
    return [track(posed(face) if k == neutral_at else speaking, k) for k in range(count)]


@pytest.mark.parametrize("neutral_at", [0, 17, SEARCHED - 1])
def test_the_most_neutral_face_of_two_seconds_is_found_with_its_picture(
    portrait_face: Face, neutral_at: int
) -> None:
    tracks = performance(portrait_face, 80, neutral_at)
    look = look_ahead(film(80), ReplayTracker(tracks))
    assert look.reference is not None
    assert look.reference.index == neutral_at
    assert look.reference.camera is not None
    assert look.reference.camera.index == neutral_at
    assert len(look.tracks) == SEARCHED
    assert all(kept.camera is None for kept in look.tracks)


def test_two_seconds_count_from_the_first_face(portrait_face: Face) -> None:
    nobody = [replace(kept, face=None) for kept in performance(portrait_face, 20, 0)]
    tracks = nobody + performance(portrait_face, 80, 40)
    look = look_ahead(film(100), ReplayTracker(tracks))
    assert look.reference is not None
    assert look.reference.index == 60
    assert len(look.tracks) == 20 + SEARCHED


def test_without_a_face_there_is_no_reference(portrait_face: Face) -> None:
    tracks = [replace(kept, face=None) for kept in performance(portrait_face, 5, 0)]
    look = look_ahead(film(5), ReplayTracker(tracks))
    assert look.reference is None
    assert len(look.tracks) == 5


def test_frames_are_tracked_once_and_keep_their_pictures(portrait_face: Face) -> None:
    tracks = performance(portrait_face, 70, 9)
    frames = film(70)
    look = look_ahead(frames, ReplayTracker(tracks))

    class Counting(ReplayTracker):
        seen: tuple[int, ...] = ()

        def track(self, frame: CameraFrame) -> FaceTrack:
            self.seen += (frame.index,)
            return super().track(frame)

    tracker = Counting(tracks)
    seen = list(tracked(frames, tracker, look.tracks))
    assert tracker.seen == tuple(range(SEARCHED, 70))
    assert [kept.index for kept in seen] == list(range(70))
    assert all(kept.camera is frame for kept, frame in zip(seen, frames, strict=True))


def test_a_reference_chosen_before_is_kept_and_nothing_eases_towards_it(
    portrait_face: Face,
) -> None:
    neutral = posed(portrait_face)
    smiling = with_jaw_open(posed(portrait_face, jawOpen=0.7, mouthSmileLeft=0.6), 20)
    retargeter = FaceRetargeter("relative", "off")
    retargeter.begin_with(track(neutral, 30))
    motions = [
        retargeter.retarget(track(face, k), k * 33_333_333)
        for k, face in enumerate([smiling] * 20 + [neutral] * 20)
    ]
    assert len({id(motion.neutral) for motion in motions}) == 1
    assert motions[0].expression[14, 1] < -0.1
    assert np.array_equal(motions[0].expression, motions[19].expression)
    assert np.abs(motions[20].expression).max() < 1e-3
