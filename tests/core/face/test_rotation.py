import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avatar.core.face.rotation import (
    proper_rotation,
    rotation_from_vector,
    turn_of,
    vector_from_rotation,
)
from avatar.core.frames import Float32

numbers = st.floats(-1.75, 1.75, width=32)
vectors = arrays(np.float32, 3, elements=numbers)
matrices = arrays(np.float32, (3, 3), elements=st.floats(-5, 5, width=32))


@given(vector=vectors)
def test_rotation_vectors_and_matrices_are_inverse(vector: Float32) -> None:
    matrix = rotation_from_vector(vector)
    assert np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-5
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-5)
    assert np.abs(vector_from_rotation(matrix) - vector).max() < 2e-3


@given(vector=vectors)
def test_turning_back_is_the_transposed_rotation(vector: Float32) -> None:
    assert np.allclose(rotation_from_vector(-vector), rotation_from_vector(vector).T, atol=1e-6)


@given(vector=vectors, share=st.floats(0, 1))
def test_turns_about_one_axis_add_up(vector: Float32, share: float) -> None:
    part = np.float32(share) * vector
    whole = rotation_from_vector(part) @ rotation_from_vector(vector - part)
    assert np.allclose(whole, rotation_from_vector(vector), atol=1e-5)


def test_no_turn_is_the_zero_vector() -> None:
    assert np.array_equal(rotation_from_vector(np.zeros(3, np.float32)), np.eye(3))
    assert np.array_equal(vector_from_rotation(np.eye(3, dtype=np.float32)), np.zeros(3))


@given(matrix=matrices)
def test_whatever_the_matrix_the_nearest_rotation_is_one(matrix: Float32) -> None:
    rotation = proper_rotation(matrix)
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-5
    assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-5)


@given(vector=vectors, other=vectors, scale=st.floats(0.01, 100))
def test_the_nearest_rotation_ignores_scale_and_turns_along(
    vector: Float32, other: Float32, scale: float
) -> None:
    rotation, turn = rotation_from_vector(vector), rotation_from_vector(other)
    assert np.allclose(proper_rotation(np.float32(scale) * rotation), rotation, atol=1e-5)
    bent = rotation + np.float32(0.02)
    assert np.allclose(proper_rotation(turn @ bent), turn @ proper_rotation(bent), atol=1e-4)


@given(yaw=st.floats(-80, 80), pitch=st.floats(-80, 80))
def test_yaw_and_pitch_are_where_the_face_looks(yaw: float, pitch: float) -> None:
    across, up = math.radians(yaw), math.radians(pitch)
    aside = rotation_from_vector(np.array([0, across, 0], np.float32))
    raised = rotation_from_vector(np.array([-up, 0, 0], np.float32))
    found = turn_of(aside @ raised)
    assert found[:2] == pytest.approx((across, up), abs=1e-4)


@given(roll=st.floats(-170, 170))
def test_a_leaning_head_has_roll_alone(roll: float) -> None:
    lean = math.radians(roll)
    rotation = rotation_from_vector(np.array([0, 0, lean], np.float32))
    assert turn_of(rotation) == pytest.approx((0, 0, lean), abs=1e-4)
