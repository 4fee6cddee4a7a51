"""A cut that was too generous leaves no halo of the old wall, and fine hair stays."""

import cv2
import numpy as np
import pytest

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.cutout import cut_out

SIDE = 200
HALF_FACE_PX = 60.0
DARK = np.array([60, 40, 30], np.float32)
WALL = np.array([200, 205, 215], np.float32)
GREEN = np.array([0, 255, 0], np.float32)


def _truth() -> Float32:
    """A disc with two hairs that stand off, antialiased."""
    shape = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(shape, (100, 100), 60, 255, -1, cv2.LINE_AA)
    cv2.line(shape, (100, 45), (103, 38), 255, 1, cv2.LINE_AA)
    cv2.line(shape, (120, 46), (124, 40), 255, 1, cv2.LINE_AA)
    return (shape / 255).astype(np.float32)


def _picture(truth: Float32, noise: float = 3.0) -> UInt8Image:
    grain = np.random.default_rng(1).normal(0, noise, (SIDE, SIDE, 3))
    mixed = DARK * truth[..., None] + WALL * (1 - truth[..., None]) + grain
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _generous(truth: Float32) -> Float32:
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    wide = cv2.dilate((truth > 0.5).astype(np.float32), ball)
    return np.asarray(cv2.GaussianBlur(wide, (0, 0), 1.0), np.float32)


def _cut(alpha: Float32, within: tuple[int, int, int, int] = (0, 0, SIDE, SIDE)) -> UInt8Image:
    plate = np.broadcast_to(WALL.astype(np.uint8), (SIDE, SIDE, 3)).copy()
    return cut_out(_picture(_truth()), plate, alpha, HALF_FACE_PX, within)


def _laid_on(person: UInt8Image, colour: Float32) -> Float32:
    return np.asarray(person[..., :3] + colour * (1 - person[..., 3:] / np.float32(255)))


@pytest.mark.parametrize("colour", [GREEN, np.zeros(3, np.float32), np.full(3, 255, np.float32)])
def test_a_generous_outline_leaves_no_halo(colour: Float32) -> None:
    truth = _truth()
    shown = _laid_on(_cut(_generous(truth)), colour)
    wanted = DARK * truth[..., None] + colour * (1 - truth[..., None])
    rim = (cv2.dilate(truth, np.ones((11, 11))) > 0) & (cv2.erode(truth, np.ones((11, 11))) < 1)
    off = np.abs(shown - wanted)[rim].mean()
    alpha = _generous(truth)[..., None]
    plain = np.clip(_picture(truth) - WALL * (1 - alpha), 0, 255 * alpha) + colour * (1 - alpha)
    assert off < 0.35 * np.abs(plain - wanted)[rim].mean()
    assert off < 8


def test_hair_that_stands_off_is_kept() -> None:
    person = _cut(_generous(_truth()))
    assert person[40, 102, 3] > 100
    assert np.abs(person[40, 102, :3] - DARK * (person[40, 102, 3] / 255)).max() < 25


def test_colours_are_premultiplied() -> None:
    person = _cut(_generous(_truth()))
    assert (person[..., :3].max(axis=2) <= person[..., 3]).all()


def test_a_person_of_the_walls_colour_keeps_the_outline_that_was_found() -> None:
    truth = _truth()
    flat = np.full((SIDE, SIDE, 3), 128, np.uint8)
    person = cut_out(flat, flat, truth, HALF_FACE_PX, (0, 0, SIDE, SIDE))
    assert np.abs(person[..., 3] - truth * 255).max() < 10


def test_nobody_stands_where_the_photograph_is_not() -> None:
    person = _cut(_truth(), (0, 0, SIDE, 120))
    assert person[120:].max() == 0
    assert person[119, 100, 3] == 255
