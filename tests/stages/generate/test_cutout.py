"""Before another background nothing of the old one comes along, and fine hair stays."""

import cv2
import numpy as np
import pytest

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.cutout import cut_out

SIDE = 200
DARK = np.array([60, 40, 30], np.float32)
WALL = np.array([200, 205, 215], np.float32)
GREEN = np.array([0, 255, 0], np.float32)
WHOLE = (0, 0, SIDE, SIDE)


def _truth() -> Float32:
    """A disc with two hairs that stand off, antialiased."""
    shape = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(shape, (100, 100), 60, 255, -1, cv2.LINE_AA)
    cv2.line(shape, (100, 45), (103, 38), 255, 1, cv2.LINE_AA)
    cv2.line(shape, (120, 46), (124, 40), 255, 1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(shape, (0, 0), 0.8) / 255, np.float32)


def _picture(truth: Float32, noise: float = 3.0) -> UInt8Image:
    grain = np.random.default_rng(1).normal(0, noise, (SIDE, SIDE, 3))
    mixed = DARK * truth[..., None] + WALL * (1 - truth[..., None]) + grain
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _laid_on(person: UInt8Image, colour: Float32) -> Float32:
    return np.asarray(person[..., :3] + colour * (1 - person[..., 3:] / np.float32(255)))


@pytest.mark.parametrize("colour", [GREEN, np.zeros(3, np.float32), np.full(3, 255, np.float32)])
def test_nothing_of_the_old_background_comes_along(colour: Float32) -> None:
    truth = _truth()
    shown = _laid_on(cut_out(_picture(truth), truth, WHOLE), colour)
    wanted = DARK * truth[..., None] + colour * (1 - truth[..., None])
    rim = (truth > 0.01) & (truth < 0.99)
    plain = _picture(truth) * truth[..., None] + colour * (1 - truth[..., None])
    off = np.abs(shown - wanted)[rim].mean()
    assert off < 0.35 * np.abs(plain - wanted)[rim].mean()
    assert off < 8


def test_hair_that_stands_off_is_kept() -> None:
    truth = _truth()
    person = cut_out(_picture(truth), truth, WHOLE)
    hairs = person[38:42, :, 3].astype(int)
    assert hairs.max() > 60
    assert np.abs(hairs - truth[38:42] * 255).max() < 25


def test_colours_are_premultiplied() -> None:
    person = cut_out(_picture(_truth()), _truth(), WHOLE)
    assert (person[..., :3].max(axis=2) <= person[..., 3]).all()


def test_nobody_stands_where_the_photograph_is_not() -> None:
    person = cut_out(_picture(_truth()), _truth(), (0, 0, SIDE, 120))
    assert person[120:].max() == 0
    assert person[119, 100, 3] == 255
