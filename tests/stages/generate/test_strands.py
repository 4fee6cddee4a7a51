"""Strands that stand off the hair are found in the wall, and nothing of the wall is taken along."""

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.face_frame import FaceFrame
from avatar.stages.generate.strands import with_strands

SIDE = 240
HAIR, WALL = (60, 40, 30), (150, 140, 130)


def _frame() -> FaceFrame:
    return FaceFrame(
        np.array([120, 130], np.float32),
        np.array([1, 0], np.float32),
        np.array([0, -1], np.float32),
        np.array([40, 50], np.float32),
    )


def _head(*, strand: tuple[int, int, int] = HAIR, noise: float = 2) -> tuple[UInt8Image, Float32]:
    """Return a disc of hair with a strand to the upper right, and the disc's coverage."""
    grain = np.random.default_rng(5).normal(0, noise, (SIDE, SIDE, 1))
    picture = np.clip(np.array(WALL) + grain, 0, 255).astype(np.uint8)
    solid = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(solid, (120, 120), 66, 255, -1, cv2.LINE_AA)
    cv2.circle(picture, (120, 120), 66, HAIR, -1, cv2.LINE_AA)
    cv2.line(picture, (160, 72), (186, 48), strand, 1, cv2.LINE_AA)
    return picture, np.asarray(solid / 255, np.float32)


def _strand() -> NDArray[np.bool_]:
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    cv2.line(drawn, (172, 61), (184, 50), 255, 1)
    return drawn > 0


def test_a_strand_beyond_the_matte_is_found() -> None:
    picture, solid = _head()
    found = with_strands(picture, solid, _frame())
    assert found[_strand()].mean() > 0.4
    assert (found >= solid).all()


def test_an_even_wall_stays_wall() -> None:
    picture, solid = _head(strand=WALL)
    found = with_strands(picture, solid, _frame())
    assert np.count_nonzero(found > solid + 0.05) < 20


def test_a_line_of_another_colour_is_no_strand() -> None:
    picture, solid = _head(strand=(250, 250, 60))
    found = with_strands(picture, solid, _frame())
    assert found[_strand()].max() < 0.1


def test_a_wall_as_restless_as_strands_stays_wall() -> None:
    picture, solid = _head(strand=WALL, noise=40)
    found = with_strands(picture, solid, _frame())
    away = cv2.dilate(solid, np.ones((9, 9), np.uint8)) == 0
    assert found[away].mean() < 0.01


def test_nothing_is_found_in_a_picture_full_of_person() -> None:
    picture, solid = _head()
    whole = np.ones_like(solid)
    assert np.array_equal(with_strands(picture, whole, _frame()), whole)
