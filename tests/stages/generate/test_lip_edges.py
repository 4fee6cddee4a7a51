from dataclasses import replace

import cv2
import numpy as np
import pytest

from avatar.core.face.topology import INNER_LIPS, OUTER_LIPS
from avatar.core.frames import (
    CameraFrame,
    Face,
    FaceTrack,
    Float32,
    Presence,
    UInt8Image,
    still,
)
from avatar.stages.generate.inner_edge import InnerEdge, narrowed
from avatar.stages.generate.lip_edges import LipEdges
from tests.stages.generate.test_driver_mouth import LIPS, SKIN, TEETH, opened

SHARES = np.full((2, 9), 0.1, np.float32)
UNSEEN = still(0, 0, Presence.TRACKED)


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


def test_a_frame_is_looked_at_once_and_unseen_lips_are_unknown(portrait_face: Face) -> None:
    image, points = picture(portrait_face, 0.25)
    edges = LipEdges()
    motion = replace(UNSEEN, track=seen(portrait_face, points, image))
    found = edges.shares(motion)
    assert found is not None and edges.shares(motion) is found
    assert found.mean(axis=1) == pytest.approx([0.25, 0.25], abs=0.07)
    assert edges.shares(UNSEEN) is None


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
