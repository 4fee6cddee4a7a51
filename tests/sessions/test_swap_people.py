"""Who is who in a film: no other person gets a face after a cut."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.frames import CameraFrame, UInt8Image
from avatar.sessions.swap_people import FilmPeople, find_people
from avatar.sessions.swap_plan import runs
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.sources.video import film_frames
from avatar.stages.track.networks import FaceNetworks

SIZE_PX, SHOT = (480, 480), 10
JOINED = [
    ("d0", "d18", "d0"), ("d10", "d11", "d10"), ("d14", "d3", "d14"), ("d18", "d19", "d18"),
    ("d19", "d9", "d19"), ("d3", "d10", "d3"), ("d9", "d0", "d9"), ("d11", "d14", "d11"),
    ("d18", "d9", "d0", "d18"), ("d10", "d19", "d10", "d14"),
]  # fmt: skip
"""Films made of shots: the clips they are cut from, one after the other."""


def piece(media: Path, name: str, first: int) -> list[UInt8Image]:
    frames = islice(film_frames(media / "clips" / f"{name}.mp4"), first, first + SHOT)
    return [np.asarray(cv2.resize(frame.image, SIZE_PX), np.uint8) for frame in frames]


def joined(media: Path, names: tuple[str, ...]) -> Iterator[CameraFrame]:
    """Yield a film of one shot from each clip, farther on in it each time."""
    images = [image for k, name in enumerate(names) for image in piece(media, name, 15 * k)]
    for index, image in enumerate(images):
        yield CameraFrame(image, index * 33_333_333, index)


def people_of(frames: Iterator[CameraFrame], face_model: Path) -> FilmPeople:
    with FaceNetworks(face_model) as networks:
        return find_people(frames, networks, FaceSheet(networks.canonical.points))


@pytest.mark.parametrize("names", JOINED, ids="-".join)
def test_whoever_comes_back_is_the_same_and_nobody_else_is(
    shared_media: Path, face_model: Path, names: tuple[str, ...]
) -> None:
    found = people_of(joined(shared_media, names), face_model)
    assert found.shots == tuple(range(0, SHOT * len(names), SHOT)), "every cut, and no other"
    persons = {stay.shot: stay.person for stay in found.stays}
    assert len(found.stays) == len(names)
    for one, first in enumerate(names):
        for other, second in enumerate(names):
            if first != second:
                assert persons[one] != persons[other], (first, second)
    assert persons[0] == persons[names.index(names[0], 1)]


def two_faces(portrait: UInt8Image, apart_px: int) -> UInt8Image:
    """Return two portraits side by side, the second one mirrored and in other light."""
    small = cv2.resize(portrait, (256, 300))
    other = (cv2.flip(small, 1) * 0.7).astype(np.uint8)
    out = np.full((320, 640, 3), 60, np.uint8)
    out[10:310, 20 : 20 + 256] = small
    out[10:310, 364 - apart_px : 620 - apart_px] = other
    return out


def test_two_who_are_seen_at_once_are_two(portrait: UInt8Image, face_model: Path) -> None:
    frames = (CameraFrame(two_faces(portrait, 2 * k), k * 40_000_000, k) for k in range(12))
    found = people_of(frames, face_model)
    assert found.persons == (1, 2)
    for person in (1, 2):
        (stay,) = found.of(person)
        assert len(stay.landmarks) == 12
        across = np.diff([points[:, 0].mean() for points in stay.landmarks.values()])
        assert np.abs(across).max() < 6, "it followed one of them"


def test_a_blink_of_the_tracker_is_bridged_and_a_long_gap_is_not(
    portrait: UInt8Image, face_model: Path
) -> None:
    def frames() -> Iterator[CameraFrame]:
        for k in range(40):
            image = np.full((700, 1280, 3), 60, np.uint8)
            image[:320, :640] = two_faces(portrait, 0)
            if k in (8, 9) or 20 <= k < 32:
                image[60:300, 40:260] = 60
            yield CameraFrame(image, k * 40_000_000, k)

    found = people_of(frames(), face_model)
    left = [s for s in found.stays if np.mean([p[:, 0].mean() for p in s.landmarks.values()]) < 300]
    assert len(left) == 1 and not set(range(20, 32)) & left[0].landmarks.keys()
    parts = [(run.first, len(run.landmarks_px)) for run in runs(left[0])]
    assert parts[0] == (0, 20) and parts[1][0] + parts[1][1] == 40
