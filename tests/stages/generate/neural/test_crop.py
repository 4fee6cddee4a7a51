"""Squares of a picture: where they lie, and that cutting and pasting give the picture back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.errors import UsageError
from avatar.core.frames import Face, UInt8Image
from avatar.stages.generate.framing import View, make_canvas
from avatar.stages.generate.neural.crop import (
    Crop,
    DriverCrop,
    eye_ratios,
    face_crop,
    lip_ratio,
    manual_crop,
    stand_in_face,
)
from avatar.stages.generate.neural.paste import PasteBack

Numbers = st.floats(-200, 200, allow_nan=False)


def changed(
    face: Face, turn: float = 0.0, scale: float = 1.0, by: tuple[float, float] = (0, 0)
) -> Face:
    """The same face turned in the picture, larger, and elsewhere."""
    cos, sin = math.cos(turn), math.sin(turn)
    matrix = scale * np.array([[cos, -sin], [sin, cos]], np.float32)
    landmarks = face.landmarks_px.copy()
    landmarks[:, :2] = landmarks[:, :2] @ matrix.T + np.array(by, np.float32)
    return replace(face, landmarks_px=landmarks)


@given(turn=st.floats(-1.2, 1.2), scale=st.floats(0.4, 3), x=Numbers, y=Numbers)
def test_the_square_turns_grows_and_moves_with_the_face(
    portrait_face: Face, turn: float, scale: float, x: float, y: float
) -> None:
    before = face_crop(portrait_face, 2.3, 0.125)
    after = face_crop(changed(portrait_face, turn, scale, (x, y)), 2.3, 0.125)
    assert before is not None
    assert after is not None
    assert after.roll - before.roll == pytest.approx(turn, abs=1e-3)
    assert after.side == pytest.approx(before.side * scale, rel=1e-3)
    cos, sin = math.cos(turn), math.sin(turn)
    place = scale * np.array([[cos, -sin], [sin, cos]]) @ [before.x, before.y]
    assert [after.x - x, after.y - y] == pytest.approx(place, abs=0.5)


def test_the_square_holds_the_whole_face_and_stands_above_its_middle(portrait_face: Face) -> None:
    crop = face_crop(portrait_face, 2.3, 0.125)
    level = face_crop(portrait_face, 2.3, 0.0)
    assert crop is not None
    assert level is not None
    low = portrait_face.landmarks_px[:468, :2].min(axis=0)
    high = portrait_face.landmarks_px[:468, :2].max(axis=0)
    assert crop.side > 1.5 * float((high - low).max())
    assert np.hypot(crop.x - level.x, crop.y - level.y) == pytest.approx(0.125 * crop.side)
    assert crop.y < level.y


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 1e30])
def test_landmarks_that_span_nothing_have_no_square(portrait_face: Face, bad: float) -> None:
    landmarks = np.full_like(portrait_face.landmarks_px, bad)
    assert face_crop(replace(portrait_face, landmarks_px=landmarks), 2.3, 0.125) is None


def smooth_picture(width: int, height: int) -> UInt8Image:
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [np.sin(x / 23 + k) * np.cos(y / 31 - k) for k in range(3)]
    return np.rint(127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.mark.parametrize("roll", [0.0, 0.4, -1.0])
@pytest.mark.parametrize("framing", ["portrait", "photo"])
@pytest.mark.parametrize("size", [(640, 480), (300, 300), (160, 120)])
def test_a_square_that_was_not_changed_gives_the_canvas_back(
    framing: str, size: tuple[int, int], roll: float
) -> None:
    photo = smooth_picture(500, 600)
    crop = Crop(260, 280, 300, roll)
    face = stand_in_face(crop, 2.3, (500, 600))
    canvas = make_canvas(photo, face, framing, size, View())  # type: ignore[arg-type]
    pasted = PasteBack(canvas, crop, 512).paste(crop.cut(photo, 512))
    apart = np.abs(pasted.astype(int) - canvas.image)
    assert apart.mean() < 0.7
    assert np.percentile(apart, 99.9) < 6


def test_a_drawn_square_shows_in_its_middle_and_fades_to_nothing_at_its_edges() -> None:
    photo = smooth_picture(400, 400)
    crop = Crop(200, 200, 200)
    canvas = make_canvas(photo, stand_in_face(crop, 2.3, (400, 400)), "photo", (400, 400), View())
    pasted = PasteBack(canvas, crop, 256).paste(np.full((256, 256, 3), 255, np.uint8))
    assert (pasted[180:220, 180:220] == 255).all()
    outside = np.ones((400, 400), bool)
    outside[99:302, 99:302] = False
    assert np.array_equal(pasted[outside], canvas.image[outside])
    edge = np.abs(pasted[101, 110:290].astype(int) - canvas.image[101, 110:290])
    assert edge.max() < 12


def test_what_the_photograph_does_not_reach_stays_the_canvas() -> None:
    photo = smooth_picture(200, 200)
    crop = Crop(20, 100, 160)
    canvas = make_canvas(photo, stand_in_face(crop, 2.3, (200, 200)), "photo", (400, 200), View())
    pasted = PasteBack(canvas, crop, 256).paste(np.full((256, 256, 3), 255, np.uint8))
    left = canvas.photo_rect[0]
    assert left > 0
    assert np.array_equal(pasted[:, :left], canvas.image[:, :left])


def test_a_square_outside_the_canvas_is_no_error() -> None:
    photo = smooth_picture(200, 200)
    face = stand_in_face(Crop(100, 100, 100), 2.3, (200, 200))
    canvas = make_canvas(photo, face, "photo", (200, 200), View(zoom=4, pan_x=1, pan_y=1))
    paste = PasteBack(canvas, Crop(180, 180, 20), 256)
    assert np.array_equal(paste.paste(np.zeros((256, 256, 3), np.uint8)), canvas.image)


def test_the_drivers_square_stands_still_for_small_movements(portrait_face: Face) -> None:
    driver = DriverCrop(2.2, 0.1)
    first = driver.follow(portrait_face)
    assert first is not None
    for x in (3, -4, 5):
        assert driver.follow(changed(portrait_face, by=(x, -x))) == first


@given(x=Numbers, y=Numbers, scale=st.floats(0.3, 3))
def test_the_drivers_square_follows_far_movements_just_far_enough(
    portrait_face: Face, x: float, y: float, scale: float
) -> None:
    driver = DriverCrop(2.2, 0.1)
    driver.follow(portrait_face)
    face = changed(portrait_face, 0, scale, (x, y))
    wanted, crop = face_crop(face, 2.2, 0.1, upright=True), driver.follow(face)
    assert crop is not None
    assert wanted is not None
    assert max(abs(crop.x - wanted.x), abs(crop.y - wanted.y)) <= 0.121 * crop.side
    assert 0.79 < crop.side / wanted.side < 1.26


@given(
    a=st.tuples(Numbers, Numbers, st.floats(20, 500)),
    b=st.tuples(Numbers, Numbers, st.floats(20, 500)),
    point=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_coordinates_carried_to_another_square_stay_where_they_were(
    a: tuple[float, float, float], b: tuple[float, float, float], point: tuple[float, float]
) -> None:
    one, other = Crop(*a), Crop(*b)
    ratio, offset = one.placed_in(other)
    there = np.array(point) * ratio + offset
    pixel = np.array([one.x, one.y]) + np.array(point) * one.side / 2
    assert np.array([other.x, other.y]) + there * other.side / 2 == pytest.approx(pixel, abs=1e-2)


def test_ratios_of_lids_and_lips_do_not_depend_on_place_size_and_roll(portrait_face: Face) -> None:
    other = changed(portrait_face, 0.5, 2.0, (50, -20))
    assert eye_ratios(other) == pytest.approx(eye_ratios(portrait_face), abs=1e-4)
    assert lip_ratio(other) == pytest.approx(lip_ratio(portrait_face), abs=1e-4)
    assert 0.1 < eye_ratios(portrait_face).mean() < 0.6


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "a,b,c", "0,0,1", "nan,0,100", "0,0,inf"])
def test_a_crop_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="120,80,400"):
        manual_crop(text, (600, 600))


def test_a_crop_beside_the_photograph_is_refused_with_its_size() -> None:
    with pytest.raises(UsageError, match="600×500"):
        manual_crop("580,0,100", (600, 500))
    assert manual_crop("100,50,200", (600, 500)) == Crop(200, 150, 200)
