import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avatar.core.face.bounds import bounds_of, face_box, face_px, surface_bounds
from avatar.core.face.topology import SURFACE_COUNT
from avatar.core.frames import Face, Float32

points = arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.just(3)),
    elements=st.floats(-1000, 1000, width=32),
)


@given(points=points, scale=st.floats(0.125, 8, width=32), shift=st.floats(-500, 500, width=32))
def test_bounds_hold_the_points_and_go_along_with_them(
    points: Float32, scale: float, shift: float
) -> None:
    low, high = bounds_of(points)
    assert (low <= points[:, :2]).all()
    assert (points[:, :2] <= high).all()
    moved_low, moved_high = bounds_of(points * np.float32(scale) + np.float32(shift))
    assert moved_low == pytest.approx(low * scale + shift, abs=0.01)
    assert moved_high == pytest.approx(high * scale + shift, abs=0.01)


def test_one_point_has_bounds_of_no_size() -> None:
    low, high = bounds_of(np.array([[3, 4, 5]], np.float32))
    assert low.tolist() == high.tolist() == [3, 4]


def test_a_face_s_box_is_that_of_its_skin(portrait_face: Face) -> None:
    landmarks = portrait_face.landmarks_px.copy()
    landmarks[SURFACE_COUNT:] = 1e5
    face = Face(
        landmarks, portrait_face.blendshapes, portrait_face.pose, portrait_face.image_size_px
    )
    assert face_box(face) == face_box(portrait_face)
    left, top, right, bottom = face_box(face)
    assert surface_bounds(face)[0].tolist() == [left, top]
    assert surface_bounds(face)[1].tolist() == [right, bottom]
    assert face_px(face) == max(right - left, bottom - top) > 0
