import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.face.head import (
    RIGID,
    compose,
    decompose,
    decompose_like,
    eye_opening,
    iris_offset,
)
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.frames import Face
from tests.motion.faces import posed

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


@settings(max_examples=60, deadline=None)
@given(vector=st.tuples(*[st.floats(-1.7, 1.7) for _ in range(3)]))
def test_rotation_vectors_and_matrices_are_inverse(vector: tuple[float, float, float]) -> None:
    given_vector = np.array(vector, np.float32)
    matrix = rotation_from_vector(given_vector)
    assert np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-5
    assert np.abs(vector_from_rotation(matrix) - given_vector).max() < 2e-3


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
