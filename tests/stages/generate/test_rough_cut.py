"""Where about a person is: by place and colours, also where GrabCut loses the hair."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.face_frame import FaceFrame, pixel_places
from avatar.stages.generate.rough_cut import _by_colour, _seeds, rough_cut

HALF_PX = np.array([34, 45], np.float32)


def _frame(roll_deg: float = 0.0, narrow: float = 1.0) -> FaceFrame:
    roll = np.radians(roll_deg)
    up = np.array([np.sin(roll), -np.cos(roll)], np.float32)
    right = np.array([-up[1], up[0]], np.float32)
    return FaceFrame(
        np.array([128, 112], np.float32), right, up, HALF_PX * np.array([narrow, 1], np.float32)
    )


def _grey_haired_before_bricks(frame: FaceFrame) -> tuple[UInt8Image, UInt8Image]:
    """Return a picture of a person with long grey hair before red bricks, and where hair is."""
    chance = np.random.default_rng(4)
    picture = np.full((256, 256, 3), (165, 158, 150), np.float32)
    for row, y in enumerate(range(0, 256, 12)):
        for x in range(-(row % 2) * 14, 256, 28):
            brick = np.array([150, 78, 60]) * chance.uniform(0.75, 1.2)
            cv2.rectangle(picture, (x, y), (x + 25, y + 9), brick.tolist(), -1)
    uv = frame.coordinates(pixel_places(picture.shape))
    u, v = np.abs(uv[..., 0]), uv[..., 1]
    hair = ((u / 1.35) ** 2 + ((v - 0.2) / 1.3) ** 2 < 1) | ((u < 1.3) & (v < 0.3) & (v > -1.2))
    streaks = cv2.GaussianBlur(chance.normal(0, 1, (256, 256)), (0, 0), 0.8, sigmaY=6)
    grey = 118 + 90 * streaks[..., None] * np.ones(3)
    picture[hair] = grey[hair]
    picture[(u < 0.4) & (v < -0.8) & (v > -1.6)] = (214, 178, 160)
    picture[(v < -1.5) & (u < 0.5 + 2 * (-1.4 - v))] = (170, 30, 190)
    face = u**2 + v**2 < 1
    picture[face] = (224, 190, 172)
    picture += chance.normal(0, 3, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), (hair & ~face).astype(np.uint8)


def _oval(frame: FaceFrame) -> Float32:
    around = np.radians(np.arange(478) * 360 / 478)
    return frame.pixels(np.stack([np.cos(around), np.sin(around)], axis=1).astype(np.float32))


def _far(frame: FaceFrame) -> NDArray[np.bool_]:
    uv = frame.coordinates(pixel_places((256, 256)))
    return np.asarray((np.abs(uv[..., 0]) > 1.9) & (uv[..., 1] > -1), bool)


def test_a_person_with_long_hair_is_found() -> None:
    frame = _frame()
    picture, hair = _grey_haired_before_bricks(frame)
    landmarks = np.pad(_oval(frame), ((0, 0), (0, 1)))
    person, _ = rough_cut(picture, landmarks, frame, ())
    found = cv2.resize(person, (256, 256), interpolation=cv2.INTER_NEAREST)
    assert found[hair > 0].mean() > 0.85
    assert found[_far(frame)].mean() < 0.05


def test_hair_that_was_lost_comes_back_by_the_colours_of_the_crown() -> None:
    frame = _frame()
    picture, hair = _grey_haired_before_bricks(frame)
    seeds = _seeds((256, 256), frame, _oval(frame), ())
    bald = np.where(hair > 0, 0, seeds == cv2.GC_FGD).astype(np.uint8)
    found = _by_colour(bald, seeds, picture, frame)
    assert found[hair > 0].mean() > 0.8
    assert found[_far(frame)].mean() < 0.05


@pytest.mark.parametrize("roll_deg", [-15.0, 0.0, 18.0])
def test_a_body_stands_upright_below_a_tilted_head(roll_deg: float) -> None:
    frame = _frame(roll_deg)
    body = frame.body
    assert np.allclose(body.up, (0, -1), atol=1e-6)
    neck = frame.pixels(np.array([0, -1.3], np.float32))
    assert np.allclose(body.coordinates(neck), (0, -1.3), atol=1e-5)


def test_a_body_is_not_as_narrow_as_a_face_from_the_side() -> None:
    assert np.allclose(_frame().body.half_px, HALF_PX)
    assert _frame(narrow=0.6).body.half_px[0] > 0.9 * HALF_PX[0]


def test_a_head_that_lies_has_its_body_beside_it() -> None:
    up = _frame(80.0).body.up
    assert 50 < np.degrees(np.arctan2(up[0], -up[1])) < 70
