"""What a head photographed from the side shows when it turns to the viewer: skin, not its edge."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.face.head import compose, decompose
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.face.topology import EYE_RINGS, SURFACE_COUNT
from avatar.core.frames import Face, Float32
from avatar.stages.generate.far_side import FarSide


def turned(face: Face, yaw: float) -> Face:
    """Return ``face`` as photographed with its head turned by ``yaw`` radians."""
    head = decompose(face)
    turn = rotation_from_vector(np.array([0, yaw, 0], np.float32))
    rotation = (turn @ head.rotation).astype(np.float32)
    landmarks = compose(head.shape, rotation, head.centre_px, head.scale_px)
    pose = face.pose.copy()
    pose[:3, :3] = turn @ pose[:3, :3]
    return replace(face, landmarks_px=landmarks, pose=pose)


def beyond(face: Face, source_px: Float32) -> Float32:
    """Return how far within the face's outline places are, pixels; negative outside."""
    hull = cv2.convexHull(np.ascontiguousarray(face.landmarks_px[:SURFACE_COUNT, :2]))
    found = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in source_px]
    return np.array(found, np.float32)


yaws = st.floats(0.4, 0.6).flatmap(lambda yaw: st.sampled_from([yaw, -yaw]))


@given(yaw=yaws, back=st.floats(0.9, 1.5))
def test_an_uncovered_cheek_takes_its_colours_from_within_the_face(
    portrait_face: Face, yaw: float, back: float
) -> None:
    face = turned(portrait_face, yaw)
    head = decompose(face)
    side = FarSide(face.landmarks_px[:SURFACE_COUNT], head)
    turn = rotation_from_vector(np.array([0, -yaw * back, 0], np.float32))
    new = (turn @ head.rotation).astype(np.float32)
    # Of the side that turns to the viewer, what was an edge and is well seen now.
    far = np.sign(side.normals[:, 0]) == np.sign(yaw)
    seen = far & (side.normals @ new[2] - side.normals @ head.rotation[2] > 0.2)
    within = beyond(face, side.source_px(new))[seen]
    assert seen.any()
    assert within.min() > 0.01 * np.ptp(face.landmarks_px[:, 0])


@given(yaw=yaws)
def test_a_head_at_rest_keeps_its_own_colours(portrait_face: Face, yaw: float) -> None:
    face = turned(portrait_face, yaw)
    head = decompose(face)
    surface = face.landmarks_px[:SURFACE_COUNT]
    side = FarSide(surface, head)
    np.testing.assert_array_equal(side.source_px(head.rotation), surface[side.which, :2])


def test_what_turns_away_keeps_its_own_colours(portrait_face: Face) -> None:
    face = turned(portrait_face, 0.4)
    head = decompose(face)
    surface = face.landmarks_px[:SURFACE_COUNT]
    side = FarSide(surface, head)
    new = (rotation_from_vector(np.array([0, 0.4, 0], np.float32)) @ head.rotation).astype(
        np.float32
    )
    away = side.normals @ new[2] <= side.normals @ head.rotation[2]
    assert away.any()
    np.testing.assert_array_equal(side.source_px(new)[away], surface[side.which, :2][away])


@pytest.mark.parametrize("yaw", [-0.5, 0.0, 0.5])
def test_eyes_keep_their_own_colours(portrait_face: Face, yaw: float) -> None:
    face = turned(portrait_face, yaw)
    side = FarSide(face.landmarks_px[:SURFACE_COUNT], decompose(face))
    assert not np.isin(np.concatenate(EYE_RINGS), side.which).any()
