"""Landmarks that no face has: from the tracker, and in the photograph."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.frames import CameraFrame, Face, FaceTrack, Float32, UInt8Image
from avatar.stages.generate.portrait import PortraitGenerator
from avatar.stages.motion.retarget import FaceRetargeter

SIZE_PX = (320, 180)
Damage = Callable[[Float32], Float32]


def not_a_number(points: Float32) -> Float32:
    points[100:140] = np.nan
    return points


def infinite(points: Float32) -> Float32:
    points[1, 0] = np.inf
    return points


def far_away(points: Float32) -> Float32:
    return points + np.float32(1e6)


def off_the_edge(points: Float32) -> Float32:
    return points + np.array([-350, 120, 0], np.float32)


def huge(points: Float32) -> Float32:
    return points * np.float32(1e7)


def one_point(points: Float32) -> Float32:
    return np.broadcast_to(points[1], points.shape).copy()


def one_line(points: Float32) -> Float32:
    points[:, 1:] = points[1, 1:]
    return points


def flat(points: Float32) -> Float32:
    points[:, 2] = 0
    return points


def inside_out(points: Float32) -> Float32:
    return np.asarray(2 * points.mean(axis=0) - points, np.float32)


def shut_eyes_and_mouth(points: Float32) -> Float32:
    points[[159, 145, 386, 374, 13, 14]] = points[[145, 145, 374, 374, 14, 14]]
    return points


DAMAGES: list[Damage] = [
    not_a_number, infinite, far_away, off_the_edge, huge, one_point, one_line, flat, inside_out,
    shut_eyes_and_mouth,
]  # fmt: skip


@pytest.fixture(scope="module")
def generator(portrait: UInt8Image, portrait_face: Face) -> PortraitGenerator:
    return PortraitGenerator(portrait, portrait_face, "portrait", SIZE_PX).__enter__()


def damaged(face: Face, damage: Damage) -> Face:
    return replace(face, landmarks_px=damage(face.landmarks_px.copy()).astype(np.float32))


def drive(
    generator: PortraitGenerator, photo: UInt8Image, faces: list[Face], absolute: bool
) -> UInt8Image:
    retargeter = FaceRetargeter("absolute" if absolute else "relative")
    for index, face in enumerate(faces):
        camera = CameraFrame(photo, index * 33_000_000, index)
        track = FaceTrack(camera.timestamp_ns, index, face, camera)
        frame = generator.generate(retargeter.retarget(track, camera.timestamp_ns))
    return frame.image


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_track_still_gives_a_picture(
    generator: PortraitGenerator,
    portrait: UInt8Image,
    portrait_face: Face,
    damage: Damage,
    absolute: bool,
) -> None:
    broken = damaged(portrait_face, damage)
    for faces in (
        [portrait_face, broken, portrait_face],
        [broken, portrait_face],
        [broken, broken],
    ):
        image = drive(generator, portrait, faces, absolute)
        assert image.shape == (SIZE_PX[1], SIZE_PX[0], 3)
        assert image.dtype == np.uint8
        assert image.std() > 5


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.sampled_from([0.1, 3.0, 40.0, 1e4, 1e12]),
    share=st.floats(0, 1),
    absolute=st.booleans(),
)
def test_noise_of_any_size_on_any_landmarks_still_gives_a_picture(
    generator: PortraitGenerator,
    portrait: UInt8Image,
    portrait_face: Face,
    seed: int,
    level: float,
    share: float,
    absolute: bool,
) -> None:
    rng = np.random.default_rng(seed)

    def noisy(points: Float32) -> Float32:
        hit = rng.random(len(points)) < share
        points[hit] += rng.normal(0, level, (int(hit.sum()), 3)).astype(np.float32)
        return points

    image = drive(generator, portrait, [portrait_face, damaged(portrait_face, noisy)], absolute)
    assert image.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    assert image.std() > 5


@pytest.mark.parametrize("damage", [off_the_edge, flat, inside_out, shut_eyes_and_mouth])
def test_a_photograph_with_an_odd_face_still_moves(
    portrait: UInt8Image, portrait_face: Face, damage: Damage
) -> None:
    with PortraitGenerator(portrait, damaged(portrait_face, damage), "photo", SIZE_PX) as odd:
        image = drive(odd, portrait, [portrait_face, portrait_face], absolute=False)
    assert image.shape == (SIZE_PX[1], SIZE_PX[0], 3)
