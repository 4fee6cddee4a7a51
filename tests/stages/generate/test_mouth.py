"""The inside of the mouth as it is drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import pytest

from avatar.core.face.head import decompose
from avatar.core.face.topology import INNER_LIPS
from avatar.core.frames import CameraFrame, Face, FaceTrack, Motion, UInt8Image
from avatar.stages.generate.mouth_drawn import DrawnMouth
from avatar.stages.generate.mouth_light import mouth_light
from avatar.stages.generate.overlay import box_around, polygon_mask
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from tests.stages.generate.expressions import expression
from tests.stages.generate.test_own_mouth import opened
from tests.stages.generate.trained.test_trained import STILL


def middle_of_the_mouth(photo: UInt8Image, face: Face, motion: Motion) -> np.ndarray:
    """Return the colour between the lips of an empty mouth, float (3,)."""
    with PortraitGenerator(photo, face, "photo", None, PortraitSettings("empty", 0.0)) as generator:
        lips = generator.pose(motion).landmarks_px
        x, y = lips[[13, 14], :2].mean(axis=0).astype(int)
        # Wide enough that the photograph's grain, which lies on it, averages out.
        return generator.generate(motion).image[y - 4 : y + 5, x - 9 : x + 10].mean(axis=(0, 1))


def test_an_empty_mouth_is_as_dark_as_its_photograph(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    wide = replace(STILL, expression=expression(decompose(portrait_face).shape, {"jawOpen": 0.8}))
    bright = middle_of_the_mouth(portrait, portrait_face, wide)
    dim = middle_of_the_mouth((portrait * 0.5).astype(np.uint8), portrait_face, wide)
    assert bright.mean() > 20
    np.testing.assert_allclose(dim, 0.5 * bright, atol=3)


def drawn(photo: UInt8Image, face: Face, weights: dict[str, float]) -> np.ndarray:
    """Return the colours between the lips of a drawn mouth, uint8 (N, 3), by row, and the rows."""
    moved = replace(STILL, expression=expression(decompose(face).shape, weights))
    settings = PortraitSettings("teeth", 0.0)
    with PortraitGenerator(photo, face, "photo", None, settings) as generator:
        lips = generator.pose(moved).landmarks_px[INNER_LIPS]
        image = generator.generate(moved).image
    box = box_around(lips, 0, image)
    assert box is not None
    inside = polygon_mask(lips, box) == 255
    return image[box[1] : box[3], box[0] : box[2]][inside]


OPEN = {"jawOpen": 0.6, "mouthUpperUpLeft": 0.5, "mouthUpperUpRight": 0.5}


def test_drawn_teeth_are_no_lighter_than_real_ones_would_be(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    teeth = mouth_light(portrait, portrait_face.landmarks_px).teeth
    found = drawn(portrait, portrait_face, OPEN)
    brightest = np.percentile(found.mean(axis=1), 97)
    assert 0.75 * teeth.mean() < brightest <= 1.08 * teeth.mean()


def test_a_drawn_mouth_has_dark_and_flesh_besides_teeth(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    found = drawn(portrait, portrait_face, OPEN).astype(float)
    assert np.percentile(found.mean(axis=1), 10) < 0.45 * np.percentile(found.mean(axis=1), 95)
    dark = found[found.mean(axis=1) < np.percentile(found.mean(axis=1), 30)]
    assert (np.median(dark, axis=0)[0] > 1.3 * np.median(dark, axis=0)[1:]).all()


@pytest.mark.parametrize("inside", ["teeth", "auto"])
@pytest.mark.parametrize("between", [(150, 112, 104), (120, 45, 45)], ids=["dim teeth", "tongue"])
def test_lips_no_wider_apart_than_photographed_show_what_the_photograph_shows(
    portrait: UInt8Image,
    portrait_face: Face,
    between: tuple[int, int, int],
    inside: Literal["teeth", "auto"],
) -> None:
    landmarks = opened(portrait_face.landmarks_px, 0.2)
    ring = np.round(landmarks[INNER_LIPS, :2]).astype(np.int32)
    photo = cv2.fillPoly(portrait.copy(), [ring], between)
    parted = replace(portrait_face, landmarks_px=landmarks)
    settings = PortraitSettings(inside, 0.0)
    with PortraitGenerator(photo, parted, "photo", None, settings) as generator:
        image = generator.generate(STILL).image
    seen = polygon_mask(landmarks[INNER_LIPS], (0, 0, photo.shape[1], photo.shape[0])) == 255
    assert np.abs(image[seen].astype(int) - photo[seen]).max() <= 2


@pytest.mark.parametrize("inside", ["teeth", "auto"])
def test_a_grey_photographs_mouth_is_grey(
    portrait: UInt8Image, portrait_face: Face, inside: Literal["teeth", "auto"]
) -> None:
    grey = np.repeat(portrait.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    shape = decompose(portrait_face).shape
    driver = FaceTrack(0, 0, portrait_face, CameraFrame(portrait, 0, 0))
    moved = replace(STILL, expression=expression(shape, OPEN), neutral=shape, track=driver)
    with PortraitGenerator(
        grey, portrait_face, "photo", None, PortraitSettings(inside, 0.0)
    ) as generator:
        image = generator.generate(moved).image
    assert int(np.ptp(image.astype(int), axis=2).max()) <= 2


def test_teeth_hang_from_the_skull_and_the_lower_ones_follow_the_jaw(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    head = decompose(portrait_face)
    mouth = DrawnMouth(mouth_light(portrait, portrait_face.landmarks_px), 0.5, head)
    with PortraitGenerator(portrait, portrait_face, "photo", None) as generator:
        rest = generator.pose(STILL)
        wide = generator.pose(replace(STILL, expression=expression(head.shape, {"jawOpen": 1.0})))
    shut, opened = mouth._places(rest), mouth._places(wide)
    np.testing.assert_allclose(shut[0], opened[0], atol=0.5)
    assert shut[1][1] < shut[0][1]  # lower incisors end behind the upper ones
    assert opened[1][1] > shut[1][1] + 5
