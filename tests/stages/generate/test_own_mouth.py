"""Teeth of a photograph keep their length when its mouth opens wider."""

import cv2
import numpy as np
import pytest

from avatar.core.face.topology import INNER_LIPS
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.overlay import box_around, polygon_mask
from avatar.stages.generate.own_mouth import OwnMouth

TEETH, LIPS, DARK = (225, 220, 205), (170, 60, 60), (40, 12, 12)


@pytest.fixture(scope="module")
def parted(portrait_face: Face) -> Float32:
    """Return landmarks whose lips stand apart by a quarter of the mouth's width."""
    return opened(portrait_face.landmarks_px, 0.25)


def opened(landmarks_px: Float32, share: float) -> Float32:
    out = landmarks_px.copy()
    upper, lower = INNER_LIPS[1:10], INNER_LIPS[19:10:-1]
    width = float(np.linalg.norm(out[INNER_LIPS[0], :2] - out[INNER_LIPS[10], :2]))
    arch = np.sin(np.linspace(0, np.pi, 11)[1:-1]).astype(np.float32)
    out[lower] = out[upper]
    out[lower, 1] += np.float32(share * width) * arch
    return out


def smiling(landmarks_px: Float32) -> UInt8Image:
    """Return a picture, all lips but for the teeth that fill the mouth."""
    picture = np.full((600, 600, 3), LIPS, np.uint8)
    ring = np.round(landmarks_px[INNER_LIPS, :2]).astype(np.int32)
    cv2.fillPoly(picture, [ring], TEETH)
    return picture


def teeth_rows(image: UInt8Image, column: int) -> int:
    """Return how many pixels of a column are teeth."""
    return int((image[:, column].astype(int).sum(axis=-1) > (sum(TEETH) + sum(DARK)) // 2).sum())


@pytest.mark.parametrize("wider", [1.5, 2.0, 3.0])
def test_teeth_keep_their_length_and_dark_is_below(parted: Float32, wider: float) -> None:
    rest = teeth_rows(smiling(parted), int(parted[13, 0]))
    wide = opened(parted, 0.25 * wider)
    lips = wide[INNER_LIPS]
    box = box_around(lips, 2, smiling(parted))
    assert box is not None
    inmost = np.full((box[3] - box[1], box[2] - box[0], 3), DARK, np.uint8)
    drawn = OwnMouth(smiling(parted), parted).lay_on(inmost, lips, box, wider)
    assert teeth_rows(drawn, int(wide[13, 0]) - box[0]) <= 1.25 * rest
    bottom = int(wide[14, 1]) - box[1] - 3
    np.testing.assert_allclose(drawn[bottom, int(wide[14, 0]) - box[0]], DARK, atol=12)


def test_no_line_of_another_colour_runs_along_the_lips(parted: Float32) -> None:
    wide = opened(parted, 0.5)
    lips = wide[INNER_LIPS]
    picture = smiling(parted)
    # Where nothing may be taken from: green.
    near = cv2.dilate(polygon_mask(parted[INNER_LIPS], (0, 0, 600, 600)), np.ones((13, 13)))
    picture[near == 0] = (0, 255, 0)
    box = box_around(lips, 2, picture)
    assert box is not None
    inmost = np.full((box[3] - box[1], box[2] - box[0], 3), DARK, np.uint8)
    drawn = OwnMouth(picture, parted).lay_on(inmost, lips, box, 2.0)
    inside = polygon_mask(lips, box) > 128
    green = drawn[..., 1].astype(int) - drawn[..., 0]
    assert green[inside].max() <= 10


def test_as_far_apart_as_photographed_nothing_hangs() -> None:
    assert OwnMouth.share(1.0) == 0
    assert OwnMouth.share(1.5) == 1
