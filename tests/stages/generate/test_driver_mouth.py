import cv2
import numpy as np
import pytest

from avatar.core.face.topology import INNER_LIPS
from avatar.core.frames import CameraFrame, Face, FaceTrack, Float32, UInt8Image
from avatar.stages.generate.driver_mouth import DriverMouth
from avatar.stages.generate.mouth import _with_rim
from avatar.stages.generate.overlay import box_around, polygon_mask

SKIN = np.array([200, 160, 140], np.float32)


def opened(face: Face) -> Float32:
    """Return the landmarks with the lips well apart, as an open mouth has them."""
    points = face.landmarks_px.copy()
    width = float(np.linalg.norm(points[78, :2] - points[308, :2]))
    points[INNER_LIPS[1:10], 1] -= 0.15 * width
    points[INNER_LIPS[11:20], 1] += 0.15 * width
    return points


@pytest.fixture(scope="module")
def track(portrait: UInt8Image, portrait_face: Face) -> FaceTrack:
    """A driver with white teeth behind lips that are drawn pure red, up to their landmarks."""
    points = opened(portrait_face)
    image = np.full(portrait.shape, SKIN, np.uint8)
    lips = points[INNER_LIPS, :2]
    wide = lips.mean(axis=0) + (lips - lips.mean(axis=0)) * np.float32(1.5)
    cv2.fillPoly(image, [wide.round().astype(np.int32)], (255, 0, 0))
    inside = lips.mean(axis=0) + (lips - lips.mean(axis=0)) * np.float32(0.96)
    cv2.fillPoly(image, [inside.round().astype(np.int32)], (255, 255, 255))
    face = Face(points, portrait_face.blendshapes, portrait_face.pose, portrait_face.image_size_px)
    return FaceTrack(0, 0, face, CameraFrame(image, 0, 0))


def reddest(track: FaceTrack, *, exact: bool) -> int:
    """Return how much redder than white the drawn mouth gets between the avatar's lips."""
    assert track.face is not None and track.camera is not None
    lips = track.face.landmarks_px[INNER_LIPS]
    box = box_around(lips, 2, track.camera.image)
    assert box is not None
    patch = DriverMouth(SKIN).draw(track, lips, box, exact=exact)
    assert patch is not None
    inside = polygon_mask(lips, box) == 255
    return int((patch[..., 0].astype(int) - patch[..., 1])[inside].max())


def test_another_face_shows_nothing_of_the_drivers_lips(track: FaceTrack) -> None:
    assert reddest(track, exact=False) < 40


def test_the_drivers_own_face_keeps_the_rim_of_its_lips(track: FaceTrack) -> None:
    assert reddest(track, exact=True) > 150


def test_a_track_without_a_picture_gives_no_mouth(track: FaceTrack) -> None:
    assert track.face is not None
    lips = track.face.landmarks_px[INNER_LIPS]
    bare = FaceTrack(0, 0, track.face)
    assert DriverMouth(SKIN).draw(bare, lips, (0, 0, 9, 9), exact=False) is None


def test_lips_shade_the_rim_of_what_lies_behind_them() -> None:
    mask = np.zeros((60, 100), np.uint8)
    cv2.ellipse(mask, (50, 30), (40, 20), 0, 0, 360, (255,), -1)
    shaded = _with_rim(np.full((60, 100, 3), 200, np.uint8), mask, 80.0)
    middle, rim = shaded[30, 50], shaded[10, 50]
    assert (middle >= 195).all()
    assert (rim < 0.75 * middle).all()
    assert rim[0] > rim[1]  # red light passes through lips
