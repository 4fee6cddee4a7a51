"""Displacements from one face onto another: in proportion, and nothing where nothing moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.face.head import decompose
from avatar.core.face.topology import SURFACE_COUNT, skin_triangles
from avatar.core.frames import BLENDSHAPE_NAMES, Face, Float32
from avatar.stages.generate.transfer import Transfer
from tests.stages.generate.expressions import BESIDE, expression

MOVING = sorted(set(BLENDSHAPE_NAMES) - BESIDE)
HOLD = np.full(SURFACE_COUNT, 4.0, np.float32)
weights = st.dictionaries(st.sampled_from(MOVING), st.floats(0, 1), max_size=5)


@pytest.fixture(scope="module")
def faces(portrait_face: Face) -> tuple[Float32, Float32]:
    """Return a face, and one with a narrower chin, a wider mouth and higher cheeks."""
    shape = decompose(portrait_face).shape
    other = shape.copy()
    other[:, 0] *= 1 + 0.25 * np.tanh(shape[:, 1] + 0.3)
    other[:, 1] += 0.08 * np.cos(3 * shape[:, 0])
    return shape, other.astype(np.float32)


def test_nothing_moves_nothing(faces: tuple[Float32, Float32]) -> None:
    shape, other = faces
    nothing = np.zeros_like(shape)
    np.testing.assert_array_equal(Transfer(other, HOLD)(nothing, shape, nothing), 0)


@given(weights=weights)
def test_a_face_moves_itself_as_it_is_moved(
    faces: tuple[Float32, Float32], weights: dict[str, float]
) -> None:
    shape, _ = faces
    moved = expression(shape, weights)
    laid = Transfer(shape, HOLD)(moved, shape, moved)
    assert np.abs(laid - moved).max() <= 0.02 + 0.12 * np.abs(moved).max()


@given(weights=weights, size=st.floats(0.6, 1.5))
def test_a_larger_face_moves_as_much_farther(
    faces: tuple[Float32, Float32], weights: dict[str, float], size: float
) -> None:
    shape, _ = faces
    moved = expression(shape, weights)
    larger = (shape * size).astype(np.float32)
    laid = Transfer(larger, HOLD)(moved, shape, moved * np.float32(size))
    assert np.abs(laid / size - moved).max() <= 0.02 + 0.15 * np.abs(moved).max()


@given(weights=weights)
def test_fewer_patches_are_turned_over_than_by_the_bare_displacements(
    faces: tuple[Float32, Float32], weights: dict[str, float]
) -> None:
    shape, other = faces
    moved = expression(shape, weights)
    laid = Transfer(other, HOLD)(moved, shape, moved)
    assert _turned_over(other, other + laid) <= _turned_over(other, other + moved) + 1


def _turned_over(rest: Float32, moved: Float32) -> int:
    def areas(points: Float32) -> Float32:
        a, b, c = (points[skin_triangles()[:, k], :2] for k in range(3))
        first, second = b - a, c - a
        return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0], np.float32)

    before = areas(rest)
    seen = np.abs(before) > 2e-4
    return int(((areas(moved) * before < 0) & seen).sum())
