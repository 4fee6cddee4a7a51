"""One person is followed: by place and size, waited for when lost; the one asked for at first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.face.bounds import face_box, face_px
from avatar.core.frames import CameraFrame, Face, UInt8Image
from avatar.stages.track.own import OwnTracker

FPS = 10


@pytest.fixture(scope="module")
def room(portrait: UInt8Image, portrait_face: Face) -> Callable[..., UInt8Image]:
    """Draw people of (x, face's pixels) into a picture of 1280×720."""
    left, top, right, bottom = face_box(portrait_face)
    reach = 0.9 * face_px(portrait_face)
    x, y = (left + right) / 2, (top + bottom) / 2
    cut = portrait[max(int(y - reach), 0) : int(y + reach), max(int(x - reach), 0) : int(x + reach)]

    def drawn(*people: tuple[int, int], size: tuple[int, int] = (1280, 720)) -> UInt8Image:
        picture = np.full((720, 1280, 3), 120, np.uint8)
        for middle, side in people:
            share = side / face_px(portrait_face)
            part = cv2.resize(cut, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
            begin = middle - part.shape[1] // 2
            picture[60 : 60 + part.shape[0], begin : begin + part.shape[1]] = part
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)

    return drawn


def places(
    face_model: Path, pictures: Sequence[UInt8Image], person: str = "largest"
) -> list[int | None]:
    """Return where the face was in each picture, in hundreds of pixels."""
    found: list[int | None] = []
    with OwnTracker(face_model, person) as tracker:
        for k, picture in enumerate(pictures):
            face = tracker.track(CameraFrame(picture, (k + 1) * 1_000_000_000 // FPS, k)).face
            found.append(None if face is None else round(float(face.landmarks_px[1, 0]) / 100))
    return found


@pytest.mark.parametrize(
    ("person", "place"), [("largest", 7), ("left", 3), ("right", 11), ("1", 7), ("3", 3)]
)
def test_the_one_asked_for_is_followed(
    person: str, place: int, face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    picture = room((300, 160), (700, 260), (1100, 200))
    assert places(face_model, [picture] * 2, person) == [place] * 2


def test_nobody_is_followed_in_place_of_a_number_that_is_not_there(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    one, two = room((300, 200)), room((300, 200), (900, 160))
    assert places(face_model, [one, one, two], "2") == [None, None, 9]


def test_a_larger_face_that_comes_is_not_followed(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    alone, joined = room((300, 180)), room((300, 180), (900, 320))
    assert places(face_model, [alone] * 3 + [joined] * 5) == [3] * 8


def test_somebody_hidden_for_a_second_is_waited_for(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    both, other = room((300, 240), (900, 200)), room((900, 200))
    seen = places(face_model, [both] * 3 + [other] * FPS + [both] * 3)
    assert seen == [3] * 3 + [None] * FPS + [3] * 3


def test_who_stays_takes_over_from_who_left_for_good(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    both, other = room((300, 240), (900, 200)), room((900, 200))
    seen = places(face_model, [both] * 3 + [other] * 3 * FPS)
    assert seen[:3] == [3] * 3
    assert seen[-5:] == [9] * 5


def test_who_moved_while_unseen_is_taken_after_half_a_second(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    seen = places(face_model, [room((300, 240))] * 3 + [room((900, 240))] * FPS)
    assert seen[3] is None, "so far nobody goes in a tenth of a second"
    assert seen[-4:] == [9] * 4


def test_a_driver_of_fifty_pixels_is_found_and_followed(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    assert places(face_model, [room((640, 55))] * 3) == [6] * 3


def test_somebody_far_away_who_comes_later_is_found_within_seconds(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    seen = places(face_model, [room()] * 2 + [room((900, 60))] * 25)
    assert seen[-1] == 9


def test_a_camera_that_changes_its_size_loses_nobody(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    people = ((300, 240), (900, 260))
    shown = [room(*people)] * 2 + [room(*people, size=(640, 360))] * 2
    assert places(face_model, shown, "left") == [3, 3, 2, 2]


Steps = dict[int, str]


def chosen(
    face_model: Path, picture: UInt8Image, asked: Steps, person: str = "largest", frames: int = 8
) -> tuple[list[tuple[int, int]], list[str]]:
    """Return (hundreds of pixels, how many were chosen) of each frame, and what was said.

    ``asked``: whom to follow from which frame on.
    """
    said: list[str] = []
    found: list[tuple[int, int]] = []
    with OwnTracker(face_model, person, say=said.append) as tracker:
        for k in range(frames):
            if k in asked:
                tracker.follow(asked[k])
            seen = tracker.track(CameraFrame(picture, (k + 1) * 1_000_000_000 // FPS, k))
            assert seen.face is not None
            found.append((round(float(seen.face.landmarks_px[1, 0]) / 100), seen.person))
    return found, said


def test_another_person_can_be_chosen_at_any_time(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    picture = room((300, 160), (700, 260), (1100, 200))
    found, said = chosen(face_model, picture, {2: "left", 4: "right", 6: "3"})
    assert found == [(7, 0)] * 2 + [(3, 1)] * 2 + [(11, 2)] * 2 + [(3, 3)] * 2
    assert said == []


def test_the_next_one_is_to_the_right_and_after_the_last_comes_the_first(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    picture = room((300, 160), (700, 260), (1100, 200))
    found, _ = chosen(face_model, picture, {2: "next", 4: "next", 6: "next"})
    assert found == [(7, 0)] * 2 + [(11, 1)] * 2 + [(3, 2)] * 2 + [(7, 3)] * 2


def test_whoever_is_followed_stays_where_the_one_asked_for_is_not(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    picture = room((300, 160), (700, 260))
    found, said = chosen(face_model, picture, {2: "3", 4: "right"}, frames=6)
    assert found == [(7, 0)] * 6, "and who is followed already is no other person"
    assert said == ["person 3 is not seen: whoever is followed stays"]
    found, said = chosen(face_model, room((300, 160)), {1: "next"}, frames=3)
    assert found == [(3, 0)] * 3
    assert said == ["nobody else is seen: whoever is followed stays"]


def test_who_was_chosen_is_waited_for_like_anybody(
    face_model: Path, room: Callable[..., UInt8Image]
) -> None:
    both, alone = room((300, 240), (900, 200)), room((300, 240))
    seen: list[int | None] = []
    with OwnTracker(face_model) as tracker:
        for k, picture in enumerate([both] * 2 + [both] * 3 + [alone] * FPS + [both] * 2):
            if k == 2:
                tracker.follow("right")
            face = tracker.track(CameraFrame(picture, (k + 1) * 1_000_000_000 // FPS, k)).face
            seen.append(None if face is None else round(float(face.landmarks_px[1, 0]) / 100))
    assert seen == [3] * 2 + [9] * 3 + [None] * FPS + [9] * 2
