"""The square around a face, the way into it and back, and quarter turns of pictures."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.frames import Face
from avatar.stages.track.detection import Detection
from avatar.stages.track.region import Region, around_detection, around_landmarks
from avatar.stages.track.turned import quarters, turned_face, turned_points

ANGLE = st.floats(-pi, pi)


def test_a_detection_is_cut_out_half_as_large_again_with_level_eyes() -> None:
    points = np.zeros((6, 2), np.float32)
    points[0], points[1] = (40, 60), (60, 80)  # the right eye higher: turned clockwise
    region = around_detection(Detection(np.array([20, 30, 120, 150], np.float32), points, 1))
    assert (region.x, region.y) == (70, 90)
    assert (region.width, region.height) == (150, 180)
    assert region.angle == pytest.approx(pi / 4)


def test_a_followed_face_is_cut_out_as_a_square_by_its_longer_side() -> None:
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, :2] = (100, 100)
    landmarks[0, :2], landmarks[1, :2] = (80, 40), (120, 160)
    landmarks[33, :2], landmarks[263, :2] = (90, 90), (110, 90)
    region = around_landmarks(landmarks)
    assert region == Region(100, 100, 180, 180, 0)


@given(ANGLE, st.floats(40, 400))
def test_a_dot_is_found_where_the_way_back_says(angle: float, side: float) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    image[115:126, 155:166] = 255  # its middle at pixel (160, 120)
    region = Region(150, 125, side, side, angle)
    cut = region.cut(image)[:, :, 0].astype(float)
    total = cut.sum()
    y, x = (float((cut * grid).sum() / total) for grid in np.mgrid[0:256, 0:256])
    back = region.back(np.array([[x, y, 10]], np.float32))[0]
    if cut[[0, -1]].sum() + cut[:, [0, -1]].sum() == 0:  # wholly inside
        assert back[:2] == pytest.approx([160, 120], abs=0.3)
    assert back[2] == pytest.approx(10 * side / 256, rel=1e-4)


@given(st.integers(-4, 8), st.floats(0, 30), st.floats(0, 20))
def test_turned_points_lie_where_the_turned_picture_has_them(
    turns: int, x: float, y: float
) -> None:
    points = np.array([[x, y, 7]], np.float32)
    once = turned_points(points, (30, 20), turns)
    size = (20, 30) if turns % 2 else (30, 20)
    assert turned_points(once, size, -turns) == pytest.approx(points, abs=1e-4)


def test_a_turned_picture_shows_its_points_at_the_turned_places() -> None:
    image = np.arange(6).reshape(2, 3)
    for turns in range(4):
        turned = np.rot90(image, -turns)  # clockwise
        place = turned_points(np.array([[2.5, 0.5]], np.float32), (3, 2), turns)[0]
        assert turned[int(place[1]), int(place[0])] == image[0, 2]


def test_a_turned_face_turns_its_pose_and_counts_its_quarters(portrait_face: Face) -> None:
    assert quarters(portrait_face.landmarks_px) == 0
    for turns in (1, 2, 3):
        turned = turned_face(portrait_face, turns)
        assert quarters(turned.landmarks_px) == turns
        back = turned_face(turned, -turns)
        assert back.pose == pytest.approx(portrait_face.pose, abs=1e-4)
        assert back.landmarks_px == pytest.approx(portrait_face.landmarks_px, abs=1e-3)
        assert back.image_size_px == portrait_face.image_size_px
