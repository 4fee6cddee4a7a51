from dataclasses import replace

import cv2
import numpy as np
import pytest

from avatar.core.face.topology import INNER_LIPS, OUTER_LIPS
from avatar.core.frames import CameraFrame, Face, FaceTrack, Float32, UInt8Image
from avatar.stages.generate.driver_mouth import DriverMouth, bent
from avatar.stages.generate.inner_edge import InnerEdge
from avatar.stages.generate.mouth import _veiled, _with_rim
from avatar.stages.generate.mouth_light import mouth_axis, mouth_light, to_lab
from avatar.stages.generate.overlay import box_around, polygon_mask

SKIN = np.array([200, 160, 140], np.float32)
LIPS, TEETH = (190, 95, 90), (212, 196, 178)


def opened(face: Face) -> Float32:
    """Return the landmarks with the lips well apart, as an open mouth has them."""
    points = face.landmarks_px.copy()
    width = float(np.linalg.norm(points[78, :2] - points[308, :2]))
    points[INNER_LIPS[1:10], 1] -= 0.15 * width
    points[INNER_LIPS[11:20], 1] += 0.15 * width
    points[OUTER_LIPS[1:10], 1] -= 0.15 * width
    points[OUTER_LIPS[11:20], 1] += 0.15 * width
    return points


def scaled(points: Float32, share: float) -> np.ndarray:
    middle = points.mean(axis=0)
    return np.rint(middle + (points - middle) * np.float32(share)).astype(np.int32)


def driver(portrait: UInt8Image, face: Face, *, lip_within: float = 0.9) -> FaceTrack:
    """A driver with teeth behind lips that reach further in than their landmarks."""
    points = opened(face)
    image = np.full(portrait.shape, SKIN, np.uint8)
    for ring in (263, 33):
        cv2.circle(image, points[ring, :2].astype(int).tolist(), 6, (150, 140, 135), -1)
    lips = points[INNER_LIPS, :2]
    cv2.fillPoly(image, [scaled(points[OUTER_LIPS, :2], 1.02)], LIPS)
    cv2.fillPoly(image, [scaled(lips, lip_within)], TEETH)
    face = Face(points, face.blendshapes, face.pose, face.image_size_px)
    return FaceTrack(0, 0, face, CameraFrame(image, 0, 0))


@pytest.fixture(scope="module")
def track(portrait: UInt8Image, portrait_face: Face) -> FaceTrack:
    return driver(portrait, portrait_face)


def drawn(
    track: FaceTrack, photo: FaceTrack, *, exact: bool = False
) -> tuple[UInt8Image, np.ndarray]:
    """Return what is drawn of the driver's mouth in the light of ``photo``, and where inside."""
    assert track.face is not None and track.camera is not None
    assert photo.face is not None and photo.camera is not None
    lips = track.face.landmarks_px[INNER_LIPS]
    box = box_around(lips, 2, track.camera.image)
    assert box is not None
    light = mouth_light(photo.camera.image, photo.face.landmarks_px)
    shares = InnerEdge().find(track.camera.image, track.face.landmarks_px, np.float32(TEETH))
    patch = DriverMouth(light, 0.5).draw(track, lips, box, None if exact else shares)
    assert patch is not None
    return patch, polygon_mask(lips, box) == 255


def lit(track: FaceTrack, factors: np.ndarray) -> FaceTrack:
    """Return the track as seen in another light: ``factors`` for each pixel and channel."""
    assert track.camera is not None
    image = np.clip(track.camera.image * factors, 0, 255).astype(np.uint8)
    return replace(track, camera=CameraFrame(image, 0, 0))


def reddest(track: FaceTrack, *, exact: bool) -> int:
    """Return how much redder than green the drawn mouth gets between the avatar's lips."""
    patch, inside = drawn(track, track, exact=exact)
    return int((patch[..., 0].astype(int) - patch[..., 1])[inside].max())


def test_another_face_shows_nothing_of_the_drivers_lips(track: FaceTrack) -> None:
    assert reddest(track, exact=False) < 40


def test_the_drivers_own_face_keeps_the_rim_of_its_lips(track: FaceTrack) -> None:
    assert reddest(track, exact=True) > 80


def test_a_track_without_a_picture_gives_no_mouth(track: FaceTrack) -> None:
    assert track.face is not None and track.camera is not None
    lips = track.face.landmarks_px[INNER_LIPS]
    bare = FaceTrack(0, 0, track.face)
    light = mouth_light(track.camera.image, track.face.landmarks_px)
    assert DriverMouth(light, 0.5).draw(bare, lips, (0, 0, 9, 9), None) is None


def test_the_drivers_own_photograph_gets_his_own_colours(track: FaceTrack) -> None:
    patch, inside = drawn(track, track)
    np.testing.assert_allclose(np.median(patch[inside], axis=0), TEETH, atol=3)


@pytest.mark.parametrize("light", [(1.0, 0.8, 0.55), (0.6, 0.62, 0.7), (0.4, 0.35, 0.3)])
def test_teeth_are_in_the_photographs_light_whatever_the_drivers_is(
    track: FaceTrack, light: tuple[float, float, float]
) -> None:
    plain, inside = drawn(track, track)
    other, _ = drawn(lit(track, np.array(light)), track)
    expected, found = (to_lab(np.median(p[inside], axis=0)[None])[0] for p in (plain, other))
    assert np.abs(found - expected).max() < 7


def test_a_driver_with_two_lights_has_teeth_of_one_hue(track: FaceTrack) -> None:
    assert track.face is not None and track.camera is not None
    middle, _, width = mouth_axis(track.face.landmarks_px)
    x = (np.arange(track.camera.image.shape[1]) - middle[0]) / width
    blue_to_yellow = np.exp(np.clip(x, -1, 1)[None, :, None] * np.array([0.3, 0.1, -0.4]))
    patch, inside = drawn(lit(track, 0.8 * blue_to_yellow), track)
    before = lit(track, 0.8 * blue_to_yellow).camera
    assert before is not None
    box = box_around(track.face.landmarks_px[INNER_LIPS], 2, before.image)
    assert box is not None

    def difference(picture: UInt8Image) -> float:
        columns = np.nonzero(inside)[1]
        lab = to_lab(picture[inside].astype(np.float32))
        left, right = (lab[side, 1:].mean(axis=0) for side in (columns < 20, columns > 40))
        return float(np.linalg.norm(left - right))

    given = before.image[box[1] : box[3], box[0] : box[2]]
    assert difference(given) > 8
    assert difference(patch) < 0.35 * difference(given)


def test_a_change_of_the_drivers_light_does_not_flicker(track: FaceTrack) -> None:
    """A cloud before the sun: the mouth's colours move by little from frame to frame."""
    assert track.face is not None and track.camera is not None
    lips = track.face.landmarks_px[INNER_LIPS]
    box = box_around(lips, 2, track.camera.image)
    assert box is not None
    mouth = DriverMouth(mouth_light(track.camera.image, track.face.landmarks_px), 0.5)
    shares = np.full((2, 9), 0.1, np.float32)
    gains = []
    for k in range(60):
        seen = lit(track, np.full(3, 0.8 if k < 20 else 0.72))
        assert seen.camera is not None
        patch = mouth.draw(seen, lips, box, shares)
        assert patch is not None
        middle = float(np.median(patch[patch.shape[0] // 2]))
        gains.append(middle / seen.camera.image.max())
    steps = np.abs(np.diff(gains))
    assert steps.max() < 0.035
    assert gains[-1] == pytest.approx(gains[0] * 0.8 / 0.72, rel=0.06)


def test_lips_shade_the_rim_of_what_lies_behind_them() -> None:
    mask = np.zeros((60, 100), np.uint8)
    cv2.ellipse(mask, (50, 30), (40, 20), 0, 0, 360, (255,), -1)
    shaded = _with_rim(np.full((60, 100, 3), 200, np.uint8), mask, 80.0)
    middle, rim = shaded[30, 50], shaded[10, 50]
    assert (middle >= 195).all()
    assert (rim < 0.75 * middle).all()
    assert rim[0] > rim[1]  # red light passes through lips


def test_a_dim_room_leaves_no_black_hole_and_bright_teeth_stay() -> None:
    dark = np.full((8, 8, 3), (60, 24, 23), np.uint8)
    black = _veiled(np.zeros((8, 8, 3), np.uint8), dark)
    assert black[..., 0].min() > 35 and (black[..., 0] > black[..., 1]).all()
    bright = _veiled(np.full((8, 8, 3), 200, np.uint8), dark)
    assert np.abs(bright.astype(int) - 200).max() <= 7


@pytest.mark.parametrize("turn", [0.0, 0.5])
@pytest.mark.parametrize("height", [1.5, 4.0, 12.0])
def test_nothing_but_the_mouth_lies_under_a_narrow_mouths_soft_edge(
    height: float, turn: float
) -> None:
    at = np.linspace(0, np.pi, 11)
    upper = np.stack([30 - 25 * np.cos(at), 20 - height * np.sin(at) / 2], axis=1)
    lower = np.stack([30 - 25 * np.cos(at), 20 + height * np.sin(at) / 2], axis=1)
    flat = np.concatenate([upper, lower[9:0:-1]]) - [30, 20]
    c, s = np.cos(turn), np.sin(turn)
    ring = (flat @ np.array([[c, s], [-s, c]]) + [30, 20]).astype(np.float32)
    # Red is the mouth as it was cut out; skin, which is lighter, lies in its corners.
    mouth = np.full((24, 60, 3), 255, np.uint8)
    inside = np.concatenate([upper, lower[9:0:-1]]) * [1, 1.5] / [60, 60] + [0, -0.1]
    ringed = np.rint(inside * [60, 24]).astype(np.int32)
    cv2.fillPoly(mouth, [ringed], (120, 0, 0))
    mouth = cv2.erode(mouth, np.ones((7, 9)))
    drawn = bent(np.asarray(mouth, np.uint8), inside.astype(np.float32), ring, (40, 60))
    soft = polygon_mask(ring, (0, 0, 60, 40), feather_px=1.0) > 12
    assert (drawn[soft][:, 1] < 20).all()
