"""The head's pose from landmarks that a known camera sees, and the steadying of landmarks."""

from __future__ import annotations

import zipfile
from math import radians, tan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.errors import FaceModelError
from avatar.core.face.rotation import proper_rotation, rotation_from_vector, vector_from_rotation
from avatar.stages.track.pose import CanonicalFace
from avatar.stages.track.steadying import Steadying

SIZE = (640, 480)


@pytest.fixture(scope="module")
def canonical(face_model: Path) -> CanonicalFace:
    with zipfile.ZipFile(face_model) as packed:
        return CanonicalFace.parse(packed.read("geometry_pipeline_metadata_landmarks.binarypb"))


def seen(canonical: CanonicalFace, turn: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return landmarks, pixels, of the canonical face as MediaPipe's camera would see it.

    Depth as MediaPipe gives it: at the scale of x, as if all points were at the head's distance.
    """
    points = (turn @ canonical.points).T + place
    focal = SIZE[1] / 2 / tan(radians(63 / 2))
    x = SIZE[0] / 2 + focal * points[:, 0] / -points[:, 2]
    y = SIZE[1] / 2 - focal * points[:, 1] / -points[:, 2]
    z = (place[2] - points[:, 2]) * focal / -place[2]
    found = np.zeros((478, 3), np.float32)
    found[:468] = np.stack([x, y, z], axis=1)
    return found


def test_the_canonical_face_is_in_centimetres_with_weights(canonical: CanonicalFace) -> None:
    assert canonical.points.shape == (3, 468)
    width = float(np.ptp(canonical.points[0]))
    assert 12 < width < 18, "a head is about fifteen centimetres wide"
    assert 0 < np.count_nonzero(canonical.weights) < 60, "few landmarks move with the skull alone"


@settings(max_examples=25)
@given(
    st.tuples(st.floats(-0.4, 0.4), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)),
    st.tuples(st.floats(-8, 8), st.floats(-6, 6), st.floats(-70, -35)),
)
def test_a_known_pose_is_found_again(
    face_model: Path, turn: tuple[float, ...], place: tuple[float, ...]
) -> None:
    with zipfile.ZipFile(face_model) as packed:
        face = CanonicalFace.parse(packed.read("geometry_pipeline_metadata_landmarks.binarypb"))
    rotation = rotation_from_vector(np.array(turn, np.float32))
    found = face.pose(seen(face, rotation, np.array(place)), SIZE)
    apart = vector_from_rotation(proper_rotation(found[:3, :3]) @ rotation.T)
    # Landmarks have no perspective in their depth: that much is lost, in MediaPipe's answer too.
    assert np.degrees(np.linalg.norm(apart)) < 2.5
    assert found[:3, 3] == pytest.approx(place, abs=2.5)


def test_something_else_is_no_canonical_face() -> None:
    with pytest.raises(FaceModelError, match="canonical face of 468"):
        CanonicalFace.parse(b"")


def test_what_stands_still_is_steadied_and_what_moves_is_followed() -> None:
    rng = np.random.default_rng(1)
    still = rng.uniform(100, 300, (478, 3)).astype(np.float32)
    steadying = Steadying()
    noise = [rng.normal(0, 0.3, still.shape).astype(np.float32) for _ in range(60)]
    steady = [steadying.apply(still + n, (k + 1) * 33_000_000) for k, n in enumerate(noise)]
    assert np.std(np.array(steady[30:]) - still) < 0.75 * np.std(noise)
    fast = Steadying()
    for k in range(30):
        moved = still + np.float32(12 * k)
        found = fast.apply(moved, (k + 1) * 33_000_000)
    assert np.abs(found - moved).max() < 3, "a fast face is less than a quarter of a frame behind"


def test_the_first_landmarks_and_those_without_time_pass_as_they_are() -> None:
    landmarks = np.random.default_rng(2).uniform(0, 100, (478, 3)).astype(np.float32)
    steadying = Steadying()
    assert (steadying.apply(landmarks, 5) == landmarks).all()
    assert (steadying.apply(landmarks + 1, 5) == landmarks).all(), "no time passed"
    point = np.zeros((478, 3), np.float32)
    assert (Steadying().apply(point, 1) == point).all()
