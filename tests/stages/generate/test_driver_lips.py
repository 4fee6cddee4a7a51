from dataclasses import replace
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.face.head import decompose, lips_gap
from avatar.core.face.topology import INNER_LIPS, OUTER_LIPS
from avatar.core.frames import (
    CameraFrame,
    Face,
    FaceTrack,
    Float32,
    Motion,
    Presence,
    UInt8Image,
    still,
)
from avatar.stages.generate.driver_lips import DriverLips, _heights
from avatar.stages.generate.inner_edge import InnerEdge, narrowed
from tests.stages.generate.expressions import expression
from tests.stages.generate.test_driver_mouth import LIPS, SKIN, TEETH, opened

SHARES = np.full((2, 9), 0.1, np.float32)
UNSEEN = still(0, 0, Presence.TRACKED)


@pytest.fixture(scope="module")
def rest(portrait_face: Face) -> Float32:
    return decompose(portrait_face).shape


def test_lips_at_rest_stay(rest: Float32) -> None:
    np.testing.assert_allclose(DriverLips(rest)(rest, UNSEEN), rest, atol=1e-6)


def test_a_wide_smile_does_not_thin_lips_away(rest: Float32) -> None:
    smile = rest + expression(rest, {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "jawOpen": 0.4})
    thinned = smile.copy()
    for inner, outer in ((INNER_LIPS[1:10], OUTER_LIPS[1:10]),):
        thinned[inner] = smile[outer] + (smile[inner] - smile[outer]) * np.float32(0.3)
    kept = DriverLips(rest)(thinned, UNSEEN)
    assert (_heights(kept)[0] > 0.5 * _heights(rest)[0]).all()
    assert lips_gap(kept) > 0.5 * lips_gap(thinned)


@settings(max_examples=60, deadline=None)
@given(
    jaw=st.floats(0, 1), smile=st.floats(0, 1), share=st.floats(0, 0.5), thin=st.floats(0.1, 1.2)
)
def test_lips_never_cross(
    rest: Float32, jaw: float, smile: float, share: float, thin: float
) -> None:
    weights = {"jawOpen": jaw, "mouthSmileLeft": smile, "mouthSmileRight": smile}
    shape = rest + expression(rest, weights)
    shape[INNER_LIPS] = shape[OUTER_LIPS] + (shape[INNER_LIPS] - shape[OUTER_LIPS]) * thin
    shape = shape.astype(np.float32)
    before = shape[INNER_LIPS[1:10], 1] - shape[INNER_LIPS[19:10:-1], 1]
    lips = DriverLips(rest)
    with patch.object(lips, "shares", lambda _: np.full((2, 9), share, np.float32)):
        moved = lips(shape, replace(UNSEEN, neutral=rest, expression=shape - rest))
    after = moved[INNER_LIPS[1:10], 1] - moved[INNER_LIPS[19:10:-1], 1]
    assert (after * np.sign(before) >= -1e-5).all()
    assert (np.abs(after) <= np.abs(before) + 1e-5).all()


def picture(face: Face, reaches_in: float) -> tuple[UInt8Image, Float32]:
    """A mouth whose lips reach further in than their landmarks by this share of the opening."""
    points = opened(face)
    image = np.full((face.image_size_px[1], face.image_size_px[0], 3), SKIN, np.uint8)
    ring = narrowed(points[INNER_LIPS], np.full((2, 9), reaches_in, np.float32), 0.0)
    for lips, colour in ((points[OUTER_LIPS, :2], LIPS), (ring, TEETH)):
        cv2.fillPoly(image, [np.rint(lips * 16 - 8).astype(np.int32)], colour, cv2.LINE_8, 4)
    return image, points


@pytest.mark.parametrize("reaches_in", [0.0, 0.1, 0.25])
def test_the_inner_edge_is_found_where_the_lips_end(portrait_face: Face, reaches_in: float) -> None:
    image, points = picture(portrait_face, reaches_in)
    found = InnerEdge().find(image, points, np.float32(TEETH))
    assert found.mean(axis=1) == pytest.approx([reaches_in, reaches_in], abs=0.07)


def test_lips_that_touch_have_no_inside_though_their_landmarks_part(portrait_face: Face) -> None:
    points = portrait_face.landmarks_px.copy()
    width = float(np.linalg.norm(points[78, :2] - points[308, :2]))
    for ring in (INNER_LIPS, OUTER_LIPS):
        points[ring[1:10], 1] -= 0.03 * width
        points[ring[11:20], 1] += 0.03 * width
    image = np.full((portrait_face.image_size_px[1], portrait_face.image_size_px[0], 3), SKIN)
    image = image.astype(np.uint8)
    cv2.fillPoly(image, [np.rint(points[OUTER_LIPS, :2]).astype(np.int32)], LIPS)
    found = InnerEdge().find(image, points, np.float32(TEETH))
    assert found.sum(axis=0) == pytest.approx(np.ones(9), abs=0.02)


def seen(face: Face, points: Float32, image: UInt8Image) -> FaceTrack:
    moved = Face(points, face.blendshapes, face.pose, face.image_size_px)
    return FaceTrack(0, 0, moved, CameraFrame(image, 0, 0))


def test_lips_open_as_far_as_the_drivers_truly_do(portrait_face: Face, rest: Float32) -> None:
    """Half of what his landmarks open is lip; a photograph whose lips are parted stays so."""
    image, points = picture(portrait_face, 0.25)
    before = seen(portrait_face, points, image)
    shape = rest.copy()
    shape[INNER_LIPS[1:10], 1] += 0.12
    shape[INNER_LIPS[11:20], 1] -= 0.12
    motion: Motion = replace(UNSEEN, neutral=rest, expression=shape - rest, track=before)
    opened_by = lips_gap(shape) - lips_gap(rest)
    moved = DriverLips(rest)(shape, motion)
    assert lips_gap(moved) - lips_gap(rest) == pytest.approx(0.5 * opened_by, rel=0.35)
    parted = DriverLips(shape)(shape, replace(motion, expression=0 * rest, reference=before))
    np.testing.assert_allclose(parted, shape, atol=1e-6)


def test_the_edge_does_not_jump(portrait_face: Face) -> None:
    edge = InnerEdge()
    image, points = picture(portrait_face, 0.0)
    before = edge.find(image, points, np.float32(TEETH)).copy()
    image, points = picture(portrait_face, 0.3)
    after = edge.find(image, points, np.float32(TEETH))
    assert np.abs(after - before).max() < 0.16


def test_narrowed_by_nothing_is_the_same(portrait_face: Face) -> None:
    ring = opened(portrait_face)[INNER_LIPS]
    np.testing.assert_array_equal(narrowed(ring, 0 * SHARES, 0.0), ring[:, :2])
