"""Lips: shut ones stay shut in any smile, and each keeps its height."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.face.fields import smile_field
from avatar.core.face.topology import LOWER_LIP_RINGS, UPPER_LIP_RINGS
from avatar.core.frames import Face, Float32
from avatar.stages.generate.lips import openness, parting
from avatar.stages.generate.mouth_fit import MouthFit, jaw_field
from tests.stages.generate.expressions import expression
from tests.stages.generate.test_mouth_fit import Driven, scored

LIPS = (UPPER_LIP_RINGS, LOWER_LIP_RINGS)
mouths = st.dictionaries(
    st.sampled_from(["jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthFunnel", "mouthPucker",
                     "mouthUpperUpLeft", "mouthLowerDownRight", "mouthFrownLeft", "mouthRight"]),
    st.floats(0, 1),
)  # fmt: skip


def heights(shape: Float32) -> list[float]:
    return [
        float(np.linalg.norm(shape[rings[-1]] - shape[rings[0]], axis=1).mean()) for rings in LIPS
    ]


def thinned(shape: Float32, by: float) -> Float32:
    """Return a displacement that takes ``by`` of each lip's height from its inner edge."""
    out = np.zeros_like(shape)
    for rings in LIPS:
        for k, share in enumerate((0.0, 0.3, 0.7, 1.0)):
            out[rings[k]] = (shape[rings[0]] - shape[rings[-1]]) * np.float32(by * share)
    return out


def test_a_smile_with_shut_lips_leaves_them_shut(portrait_face: Face) -> None:
    driven = Driven(portrait_face)
    smile = smile_field(driven.shape)
    # What trackers make of it: inner edges apart, and as much less of the lips.
    seen = smile + thinned(driven.shape, 0.25)
    motion = driven(seen, mouthSmile=1.0)
    moved = driven.shape + MouthFit(portrait_face, driven.shape)(seen, motion)
    assert openness(moved) < openness(driven.shape) + 0.01
    assert heights(moved) == pytest.approx(heights(driven.shape + smile), rel=0.12)
    np.testing.assert_allclose(moved[[61, 291]], (driven.shape + smile)[[61, 291]], atol=0.01)


def test_bared_teeth_do_part_the_lips(portrait_face: Face) -> None:
    driven = Driven(portrait_face)
    seen = smile_field(driven.shape) + 0.12 * jaw_field(driven.shape)
    motion = driven(seen, mouthSmile=1.0, mouthUpperUp=0.5)
    assert parting(motion).share > 0.95
    moved = driven.shape + MouthFit(portrait_face, driven.shape)(seen, motion)
    assert openness(moved) - openness(driven.shape) == pytest.approx(parting(motion).more, abs=0.01)


def test_a_gap_that_was_there_with_shut_lips_is_none(portrait_face: Face) -> None:
    """A driver whose inner lips never meet in the tracker's eyes is not open all the time."""
    driven = Driven(portrait_face)
    driven.shape = driven.shape + 0.05 * jaw_field(driven.shape)
    nothing = np.zeros_like(driven.shape)
    assert parting(driven(nothing)).more == pytest.approx(0, abs=1e-6)
    wider = 0.03 * jaw_field(driven.shape)
    assert parting(driven(wider)).share < 0.3


@given(weights=mouths, thin=st.floats(0, 0.9))
def test_lips_never_vanish(portrait_face: Face, weights: dict[str, float], thin: float) -> None:
    driven = Driven(portrait_face)
    seen = expression(driven.shape, weights) + thinned(driven.shape, thin)
    moved = driven.shape + MouthFit(portrait_face, driven.shape)(seen, driven(seen, **weights))
    for now, rest in zip(heights(moved), heights(driven.shape), strict=True):
        assert 0.75 < now / rest < 1.32
    assert np.isfinite(moved).all()


def test_rolled_lips_show_less_of_themselves(portrait_face: Face) -> None:
    driven = Driven(portrait_face)
    seen = thinned(driven.shape, 0.5)
    plain = MouthFit(portrait_face, driven.shape)(seen, driven(seen))
    motion = driven(seen, mouthRollUpper=1.0, mouthRollLower=1.0)
    rolled = MouthFit(portrait_face, driven.shape)(seen, motion)
    for less, more in zip(
        heights(driven.shape + rolled), heights(driven.shape + plain), strict=True
    ):
        assert less < 0.85 * more


def test_parted_lips_of_a_photograph_stay_parted_while_the_driver_rests(
    portrait_face: Face,
) -> None:
    driven = Driven(portrait_face)
    parted = driven.shape + 0.15 * jaw_field(driven.shape)
    fit = MouthFit(scored(portrait_face, jawOpen=0.3), parted)
    smile = 0.5 * smile_field(driven.shape)
    moved = parted + fit(smile, driven(smile, mouthSmile=0.5))
    assert openness(moved) == pytest.approx(openness(parted), rel=0.15)
