import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.face.head import (
    RIGID,
    compose,
    decompose,
    decompose_like,
    eye_opening,
    head_rotation,
    head_turn_deg,
    iris_offset,
    lips_gap,
    mouth_width,
    shape_of,
)
from avatar.core.face.rotation import rotation_from_vector, turn_of
from avatar.core.face.topology import LIPS_MIDDLE
from avatar.core.frames import Face
from tests.stages.motion.faces import posed

angles = st.tuples(*[st.floats(-0.7, 0.7) for _ in range(3)])


def test_composing_what_was_taken_apart_gives_the_same_landmarks(portrait_face: Face) -> None:
    head = decompose(portrait_face)
    again = compose(head.shape, head.rotation, head.centre_px, head.scale_px)
    assert np.abs(again - portrait_face.landmarks_px).max() < 0.01


def test_the_head_frame_is_centred_and_of_unit_size(portrait_face: Face) -> None:
    rigid = decompose(portrait_face).shape[RIGID]
    assert np.abs(rigid.mean(axis=0)).max() < 1e-3
    assert abs(float(np.sqrt((rigid**2).sum(axis=1).mean())) - 1) < 1e-3


@settings(max_examples=40, deadline=None)
@given(turn=angles, x=st.floats(-50, 700), y=st.floats(-50, 600), scale=st.floats(15, 300))
def test_shape_does_not_depend_on_pose_place_or_size(
    portrait_face: Face, turn: tuple[float, float, float], x: float, y: float, scale: float
) -> None:
    frontal = decompose(posed(portrait_face))
    moved = posed(portrait_face, turn=turn, at_px=(x, y), scale_px=scale)
    for head in (decompose(moved), decompose_like(moved, frontal.shape)):
        assert np.abs(head.shape - frontal.shape).max() < 2e-3
        assert np.abs(head.rotation - rotation_from_vector(np.array(turn, np.float32))).max() < 2e-3
        assert abs(head.scale_px / scale - 1) < 2e-3
        assert np.abs(head.centre_px[:2] - (x, y)).max() < 0.05


@settings(max_examples=40, deadline=None)
@given(turn=angles, x=st.floats(-50, 700), y=st.floats(-50, 600), scale=st.floats(15, 300))
def test_points_go_into_the_head_frame_and_back(
    portrait_face: Face, turn: tuple[float, float, float], x: float, y: float, scale: float
) -> None:
    shape = decompose(portrait_face).shape
    place = (
        rotation_from_vector(np.array(turn, np.float32)),
        np.array([x, y, 0], np.float32),
        scale,
    )
    assert np.abs(shape_of(compose(shape, *place), *place) - shape).max() < 1e-3


@given(turn=angles)
def test_the_pose_s_angles_are_those_of_its_rotation(
    portrait_face: Face, turn: tuple[float, float, float]
) -> None:
    face = posed(portrait_face, turn=turn)
    rotation = rotation_from_vector(np.array(turn, np.float32))
    assert np.abs(head_rotation(face) - rotation).max() < 1e-4
    assert np.radians(head_turn_deg(face)) == pytest.approx(turn_of(rotation), abs=1e-3)


@given(scale=st.floats(0.1, 10))
def test_openings_are_shares_and_distances_have_the_shape_s_unit(
    portrait_face: Face, scale: float
) -> None:
    shape = decompose(portrait_face).shape
    larger = shape * np.float32(scale)
    assert eye_opening(larger) == pytest.approx(eye_opening(shape), rel=1e-3)
    assert iris_offset(larger) == pytest.approx(iris_offset(shape), abs=1e-3)
    assert mouth_width(larger) == pytest.approx(scale * mouth_width(shape), rel=1e-3)
    assert lips_gap(larger) == pytest.approx(scale * lips_gap(shape), rel=1e-3)


def test_the_lips_gap_is_negative_where_they_cross(portrait_face: Face) -> None:
    shape = decompose(portrait_face).shape.copy()
    upper, lower = LIPS_MIDDLE
    shape[upper, 1] = shape[lower, 1] - 0.25
    assert lips_gap(shape) == pytest.approx(-0.25, abs=1e-6)


def test_a_collapsed_face_stays_finite(portrait_face: Face) -> None:
    point = Face(
        np.full_like(portrait_face.landmarks_px, 7.0),
        portrait_face.blendshapes,
        portrait_face.pose,
        portrait_face.image_size_px,
    )
    head = decompose(point)
    assert np.isfinite(head.shape).all()
    assert head.scale_px >= 1
    assert np.isfinite(eye_opening(head.shape)).all()
    assert np.isfinite(iris_offset(head.shape)).all()
    assert mouth_width(head.shape) == lips_gap(head.shape) == 0
    assert np.isfinite(head_turn_deg(point)).all()
