import numpy as np
import pytest

from avatar.core.face import topology
from avatar.core.face.head import RIGID
from avatar.core.face.topology import (
    EYE_CORNERS,
    EYE_RINGS,
    EYES,
    FACE_OVAL,
    INNER_LIPS,
    IRISES,
    LIPS_MIDDLE,
    LOWER_LIP,
    MOUTH_CORNERS,
    OUTER_LIPS,
    SURFACE_COUNT,
    UPPER_LIP,
    ring_triangles,
    surface_triangles,
)
from avatar.core.frames import LANDMARK_COUNT


@pytest.mark.parametrize(
    "name",
    [n for n, value in vars(topology).items() if n.isupper() and isinstance(value, np.ndarray)],
)
def test_a_part_of_the_face_has_each_landmark_once(name: str) -> None:
    indices = getattr(topology, name).ravel()
    assert len(set(indices.tolist())) == len(indices)
    assert indices.min() >= 0
    assert indices.max() < LANDMARK_COUNT


def test_eyes_and_lips_lie_on_their_own_rings() -> None:
    for (outer, inner, upper, lower, iris), ring, irises in zip(
        EYES, EYE_RINGS, IRISES, strict=True
    ):
        assert (outer, inner) == (ring[0], ring[8])
        assert upper in ring[1:8]
        assert lower in ring[9:]
        assert iris == irises[0] >= SURFACE_COUNT
    (left_outer, left_inner, *_), (right_outer, right_inner, *_) = EYES
    assert (right_outer, right_inner, left_inner, left_outer) == EYE_CORNERS
    assert (OUTER_LIPS[0], OUTER_LIPS[10]) == MOUTH_CORNERS
    assert (INNER_LIPS[5], INNER_LIPS[15]) == LIPS_MIDDLE


def test_the_lips_share_no_landmark() -> None:
    assert not set(UPPER_LIP.tolist()) & set(LOWER_LIP.tolist())
    assert LIPS_MIDDLE[0] in UPPER_LIP
    assert LIPS_MIDDLE[1] in LOWER_LIP


def test_rigid_landmarks_are_skin_that_expressions_do_not_move() -> None:
    moving = {*UPPER_LIP.tolist(), *LOWER_LIP.tolist(), *(e for eye in EYES for e in eye[2:])}
    assert RIGID.max() < SURFACE_COUNT
    assert not moving & set(RIGID.tolist())


def test_the_surface_is_closed_up_to_the_oval() -> None:
    triangles = surface_triangles()
    edges = np.sort(np.concatenate([triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]))
    found, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 2
    assert set(found[count == 1].ravel().tolist()) == set(FACE_OVAL.tolist())


@pytest.mark.parametrize("count", [4, 16, 20])
def test_a_ring_is_filled_without_overlap(count: int) -> None:
    triangles = ring_triangles(count)
    assert len(triangles) == count - 2
    angles = 2 * np.pi * np.arange(count) / count
    x, y = np.cos(angles)[triangles], np.sin(angles)[triangles]
    areas = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    assert np.abs(areas).sum() == pytest.approx(count * np.sin(2 * np.pi / count))
