"""Creases go over to the avatar; a driver's fringe, which is no shading, does not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from avatar.core.face.head import decompose
from avatar.core.frames import CameraFrame, Face, FaceTrack, Float32, Presence, UInt8Image, still
from avatar.stages.generate.shading import FineShading

SKIN = (190, 150, 130)
HAIR = (35, 30, 28)


def skin(face: Face) -> UInt8Image:
    width, height = face.image_size_px
    return np.full((height, width, 3), SKIN, np.uint8)


def forehead(face: Face) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the forehead between brows and hair line."""
    left, right = face.landmarks_px[[103, 332], 0].astype(int).tolist()
    top, bottom = face.landmarks_px[[10, 9], 1].astype(int).tolist()
    return left, top, right, bottom


def with_fringe(face: Face, share: float) -> UInt8Image:
    """Return a picture of skin whose forehead is hair down to ``share`` of its height."""
    left, top, right, bottom = forehead(face)
    picture = skin(face)
    picture[top : round(top + share * (bottom - top)), left:right] = HAIR
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8)


def with_crease(face: Face, light: float) -> UInt8Image:
    """Return a picture of skin with a line of less light across the middle of its forehead."""
    left, top, right, bottom = forehead(face)
    middle, half = (top + bottom) // 2, max(3, (bottom - top) // 12)
    picture = skin(face).astype(np.float32)
    picture[middle - half : middle + half, left:right] *= light
    return np.asarray(cv2.GaussianBlur(picture.astype(np.uint8), (0, 0), 2), np.uint8)


def shaded(face: Face, before: UInt8Image, now: UInt8Image) -> Float32:
    """Return by how many levels the forehead of an avatar, all skin, grows darker."""
    person = np.dstack([skin(face), np.full(face.image_size_px[::-1], 255, np.uint8)])
    shading = FineShading(person, (0, 0), face.landmarks_px, 1.0)
    motion = replace(
        still(0, 0, Presence.TRACKED),
        neutral=decompose(face).shape,
        track=FaceTrack(1, 1, face, CameraFrame(now, 1, 1)),
        reference=FaceTrack(0, 0, face, CameraFrame(before, 0, 0)),
    )
    left, top, right, bottom = forehead(face)
    drawn = shading.apply(motion)[top:bottom, left:right, :3]
    return np.asarray(np.array(SKIN) - drawn.astype(np.float32), np.float32)


def test_a_crease_darkens_the_avatars_skin(portrait_face: Face) -> None:
    darker = shaded(portrait_face, skin(portrait_face), with_crease(portrait_face, 0.7))
    assert darker.max() >= 8


@pytest.mark.parametrize(("before", "now"), [(0.3, 0.6), (0.6, 0.3), (0.0, 0.5), (0.5, 0.0)])
def test_a_fringe_that_moves_leaves_no_trace(
    portrait_face: Face, before: float, now: float
) -> None:
    darker = shaded(
        portrait_face, with_fringe(portrait_face, before), with_fringe(portrait_face, now)
    )
    # What is left is the exposure of the face as a whole, a light that is taken out of it.
    assert np.abs(darker).max() <= 6
