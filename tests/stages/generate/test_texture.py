"""What is unknown in a picture goes on as its surroundings do."""

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import UInt8Image
from avatar.stages.generate.texture import continue_texture

SIDE = 160


def _grain() -> UInt8Image:
    noise = np.random.default_rng(3).normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return np.clip(120 + 60 * soft, 0, 255).astype(np.uint8)


def _stripes() -> UInt8Image:
    x = np.arange(SIDE)
    row = np.where((x // 8) % 2, 200, 60).astype(np.uint8)
    return np.repeat(np.repeat(row[None, :, None], SIDE, axis=0), 3, axis=2)


def _hole() -> NDArray[np.uint8]:
    hole = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(hole, (80, 84), 28, 1, -1)
    return hole


def _detail(picture: UInt8Image, where: NDArray[np.bool_]) -> float:
    grey = picture.mean(axis=2).astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 2.0)
    return float(np.mean(fine[where] ** 2))


def test_grain_goes_on_with_the_energy_it_has() -> None:
    picture, hole = _grain(), _hole()
    filled = continue_texture(picture, hole)
    inside = cv2.erode(hole, np.ones((5, 5))) > 0
    assert 0.7 < _detail(filled, inside) / _detail(picture, inside) < 1.3


def test_stripes_go_on_as_stripes() -> None:
    picture, hole = _stripes(), _hole()
    filled = continue_texture(picture, hole)
    off = np.abs(filled.astype(int) - picture)[hole > 0]
    assert np.mean(off > 30) < 0.05


def test_what_is_known_stays_bit_for_bit_and_the_result_repeats() -> None:
    picture, hole = _grain(), _hole()
    first, second = continue_texture(picture, hole), continue_texture(picture, hole)
    assert np.array_equal(first, second)
    assert np.array_equal(first[hole == 0], picture[hole == 0])


def test_nothing_is_taken_from_where_nothing_may_be_taken() -> None:
    picture = _grain()
    picture[:, :60] = (255, 0, 0)
    hole = np.zeros((SIDE, SIDE), np.uint8)
    hole[40:120, 60:90] = 1
    usable = np.ones((SIDE, SIDE), np.uint8)
    usable[:, :60] = 0
    filled = continue_texture(picture, hole, usable)
    assert (filled[hole > 0][:, 0].astype(int) - filled[hole > 0][:, 1]).max() < 150
    assert (filled[:, :60] == (255, 0, 0)).all()


def test_a_strip_beyond_an_edge_is_continued() -> None:
    picture = _stripes()
    unknown = np.zeros((SIDE, SIDE), np.uint8)
    unknown[110:] = 1
    shown = picture.copy()
    shown[110:] = 0
    filled = continue_texture(shown, unknown)
    assert np.mean(np.abs(filled.astype(int) - picture)[110:] > 30) < 0.1


def test_without_anything_usable_the_filling_is_smooth() -> None:
    picture, hole = _grain(), np.ones((SIDE, SIDE), np.uint8)
    hole[:4] = 0
    filled = continue_texture(picture, hole)
    assert filled.shape == picture.shape
    assert np.array_equal(filled[:4], picture[:4])
    assert continue_texture(picture, np.ones_like(hole)).shape == picture.shape
    assert np.array_equal(continue_texture(picture, np.zeros_like(hole)), picture)


def test_light_goes_on_whatever_texture_is_copied() -> None:
    ramp = np.linspace(60, 200, SIDE, dtype=np.float32)[None, :, None]
    grain = np.random.default_rng(5).normal(0, 5, (SIDE, SIDE, 3))
    picture, hole = np.clip(ramp + grain, 0, 255).astype(np.uint8), _hole()
    off = continue_texture(picture, hole).astype(np.float32) - ramp
    assert np.abs(cv2.blur(off, (15, 15))[hole > 0]).max() < 12


def test_writing_on_a_flat_wall_is_not_copied() -> None:
    picture = np.full((SIDE, SIDE, 3), 200, np.uint8)
    cv2.putText(picture, "SOLD", (40, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2)
    filled = continue_texture(picture, _hole())
    assert np.abs(filled.astype(int) - 200)[_hole() > 0].max() <= 10


def test_a_known_gap_in_the_unknown_shows_no_rim() -> None:
    x = np.arange(SIDE, dtype=np.float32)
    folds = 120 + 60 * np.sin(x / 5) + np.zeros((SIDE, 1), np.float32)
    picture = np.repeat(folds[..., None], 3, axis=2).astype(np.uint8)
    hole = _hole()
    hole[:, 70:72] = 0
    filled = continue_texture(picture, hole).astype(int)
    off = np.abs(filled - picture)[80:90, 66:76]
    assert off.max() < 40
