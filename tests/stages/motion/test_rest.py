"""A reference that smiles, pouts or raises its brows is relaxed; one at rest stays as it is."""

import numpy as np
import pytest

from avatar.core.face.fields import brow_field, pucker_field, smile_field
from avatar.core.face.head import decompose, iris_offset, mouth_width
from avatar.core.frames import BLENDSHAPE_INDEX, Face
from avatar.stages.motion.rest import relaxed
from tests.stages.motion.faces import posed


def test_a_face_at_rest_stays_as_it_is(portrait_face: Face) -> None:
    face = posed(portrait_face, mouthSmileLeft=0.1, mouthSmileRight=0.12, browInnerUp=0.5)
    head = decompose(face)
    assert relaxed(head, face) == (head, face)


def test_a_smile_is_taken_out_with_its_score(portrait_face: Face) -> None:
    face = posed(portrait_face, mouthSmileLeft=0.8, mouthSmileRight=0.8)
    head, rested = relaxed(decompose(face), face)
    assert mouth_width(head.shape) < 0.95 * mouth_width(decompose(face).shape)
    assert rested.blendshapes[BLENDSHAPE_INDEX["mouthSmileLeft"]] == pytest.approx(0.15)
    np.testing.assert_array_equal(rested.landmarks_px, face.landmarks_px)


def test_a_pout_and_raised_brows_are_taken_out(portrait_face: Face) -> None:
    face = posed(
        portrait_face, mouthPucker=1.0, browInnerUp=1.0, browOuterUpLeft=1.0, browOuterUpRight=1.0
    )
    seen = decompose(face)
    head, _ = relaxed(seen, face)
    assert mouth_width(head.shape) > 1.05 * mouth_width(seen.shape)
    assert head.shape[105, 1] < seen.shape[105, 1] - 0.02
    lids = [33, 133, 362, 263]
    np.testing.assert_allclose(head.shape[lids], seen.shape[lids], atol=1e-4)


def test_fields_leave_lids_and_irises_alone(portrait_face: Face) -> None:
    shape = decompose(posed(portrait_face)).shape
    for field in (brow_field, pucker_field, smile_field):
        assert not field(shape)[468:].any()
        assert np.abs(field(shape)[[159, 386, 145, 374]]).max() < 0.02


def test_eyes_that_look_aside_look_ahead(portrait_face: Face) -> None:
    face = posed(portrait_face, eyeLookOutLeft=0.9, eyeLookInRight=0.9)
    head, _ = relaxed(decompose(face), face)
    change = iris_offset(head.shape) - iris_offset(decompose(face).shape)
    assert (change[:, 0] < -0.1).all()
    assert change[0, 0] == pytest.approx(change[1, 0], abs=1e-3)
