"""The voice's mouth on a face: shapes, and who moves what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avatar.core.face.head import decompose
from avatar.core.frames import Face, Presence
from avatar.core.speech import Articulation, at_rest
from avatar.stages.motion.retarget import HOLD_NS, FaceRetargeter
from avatar.stages.motion.spoken import MouthBasis, VoiceDriven
from tests.stages.motion.faces import posed, track, with_jaw_open

A = Articulation(0, True, 0.9, 0.0, 0.0, 0.0, 1.0)
P = replace(A, closure=1.0)
UPPER, LOWER, CHIN = 13, 14, 152
CORNERS, EYES, TEMPLES = [61, 291], [33, 133, 159, 145, 263, 362, 386, 374], [127, 356, 10]
STEP_NS = 33_000_000


@pytest.fixture
def basis(portrait_face: Face) -> MouthBasis:
    return MouthBasis(decompose(portrait_face).shape)


def gap(basis: MouthBasis, mouth: Articulation) -> float:
    shape = basis.shape + basis.displacement(mouth)
    return float(shape[UPPER, 1] - shape[LOWER, 1]) / basis.width


def test_a_jaw_opens_the_lips_and_takes_the_chin_along(basis: MouthBasis) -> None:
    moved = basis.displacement(A)
    assert gap(basis, A) > 0.25
    assert moved[CHIN, 1] < -0.1 * basis.width
    assert np.abs(moved[EYES + TEMPLES]).max() < 1e-6, "the rest of the face stays"
    assert np.abs(moved[CORNERS, 1]).max() < 0.6 * abs(float(moved[CHIN, 1]))


def test_a_closure_shuts_the_lips_wherever_the_jaw_is(basis: MouthBasis) -> None:
    assert gap(basis, P) < 0.02


def test_oo_is_narrower_and_ee_wider_than_rest(basis: MouthBasis) -> None:
    def width(mouth: Articulation) -> float:
        left, right = (basis.shape + basis.displacement(mouth))[CORNERS]
        return float(np.linalg.norm(left - right))

    rest = at_rest(0)
    assert width(replace(rest, pucker=1.0)) < 0.85 * width(rest)
    assert width(replace(rest, stretch=1.0)) > 1.08 * width(rest)
    assert np.abs(basis.displacement(rest)).max() == 0


class Voice:
    """Says the same all the time, and notes what was asked."""

    def __init__(self, says: Articulation) -> None:
        self.says = says

    def __call__(self, time_ns: int, span_ns: int) -> Articulation:
        return self.says


def lips(expression: np.ndarray) -> float:
    return float(expression[UPPER, 1] - expression[LOWER, 1])


def test_without_a_camera_the_voice_moves_the_mouth_and_the_head_idles(
    portrait_face: Face,
) -> None:
    shape = decompose(portrait_face).shape
    driven = VoiceDriven(FaceRetargeter(), Voice(A), "audio", shape)
    motions = [driven.retarget(None, k * STEP_NS) for k in range(150)]
    assert motions[-1].presence is Presence.IDLE
    assert lips(motions[-1].expression) > 0.15
    assert lips(motions[0].expression) < 0.05, "it begins gently"
    assert max(m.eye_closure.max() for m in motions) > 0.9, "it blinks"
    assert driven.lag_s > 0
    assert all(np.isfinite(m.expression).all() for m in motions)


def test_a_seen_face_keeps_its_mouth_with_auto_until_it_is_lost(portrait_face: Face) -> None:
    driven = VoiceDriven(FaceRetargeter(), Voice(A), "auto", decompose(portrait_face).shape)
    inner = FaceRetargeter()
    face = posed(portrait_face)
    for k in range(10):
        seen = track(face, k)
        motion = driven.retarget(seen, seen.timestamp_ns)
        np.testing.assert_array_equal(
            motion.expression, inner.retarget(seen, seen.timestamp_ns).expression
        )
    assert driven.lag_s == 0
    lost_ns = motion.timestamp_ns
    for k in range(1, 90):
        motion = driven.retarget(None, lost_ns + k * STEP_NS)
    assert motion.presence is Presence.IDLE
    assert lips(motion.expression) > 0.15
    seen = replace(track(face, 200), timestamp_ns=lost_ns + HOLD_NS + 90 * STEP_NS)
    for k in range(20):
        later = replace(seen, index=200 + k, timestamp_ns=seen.timestamp_ns + k * STEP_NS)
        motion = driven.retarget(later, later.timestamp_ns)
    assert driven.lag_s == 0, "the face has its mouth back"
    assert lips(motion.expression) < 0.05


@pytest.mark.parametrize(("opened_px", "shuts"), [(5.0, True), (30.0, False)])
def test_both_shuts_lips_that_are_seen_near_each_other(
    portrait_face: Face, opened_px: float, shuts: bool
) -> None:
    """Sound cannot tell p from t: lips seen wide apart stay apart."""
    face = posed(portrait_face)
    shape = decompose(portrait_face).shape
    results = []
    for voice in (at_rest(0), P):
        driven = VoiceDriven(FaceRetargeter("relative", "off"), Voice(voice), "both", shape)
        driven.retarget(track(face, 0), 0)
        seen = track(with_jaw_open(face, opened_px), 1)
        results.append(lips(driven.retarget(seen, seen.timestamp_ns).expression))
    without, with_voice = results
    assert without > 0
    assert (with_voice < 0.3 * without) == shuts
    if not shuts:
        assert with_voice == pytest.approx(without)


def test_absolute_motion_speaks_too(portrait_face: Face) -> None:
    face = posed(portrait_face)
    driven = VoiceDriven(
        FaceRetargeter("absolute"), Voice(A), "auto", decompose(portrait_face).shape
    )
    motion = driven.retarget(track(face, 0), 0)
    still = lips(motion.expression)
    for k in range(1, 60):
        motion = driven.retarget(None, k * STEP_NS)
    assert motion.absolute
    assert lips(motion.expression) > still + 0.15
