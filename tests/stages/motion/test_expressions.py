"""Expressions by their names: each moves what it says, on any face, and only its own side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.face.head import decompose, lips_gap
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.face.topology import BROW_RINGS, MOUTH_CORNERS
from avatar.core.frames import BLENDSHAPE_INDEX, Face, Float32
from avatar.stages.motion.expressions import EXPRESSIONS, ExpressionBasis, Look

RIGHT_CORNER, LEFT_CORNER = MOUTH_CORNERS


@pytest.fixture(scope="module")
def shape(portrait_face: Face) -> Float32:
    return decompose(portrait_face).shape


@pytest.fixture(scope="module")
def basis(shape: Float32) -> ExpressionBasis:
    return ExpressionBasis(shape)


def test_nothing_asked_moves_nothing(basis: ExpressionBasis) -> None:
    motion = basis.motion(Look(), 7, 3)
    assert not motion.expression.any() and not motion.eye_closure.any() and not motion.gaze.any()
    assert np.allclose(motion.rotation, np.eye(3))
    assert (motion.timestamp_ns, motion.index, motion.scale) == (7, 3, 1.0)


@pytest.mark.parametrize(
    "name", [name for name in EXPRESSIONS if not name.startswith("mouthClose")]
)
def test_each_expression_does_something(basis: ExpressionBasis, name: str) -> None:
    motion = basis.motion(Look({name: 1.0}), 0, 0)
    moved = float(np.abs(motion.expression).max())
    seen = moved + float(np.abs(motion.eye_closure).max() + np.abs(motion.gaze).max())
    assert 0.02 < seen < 2
    assert motion.blendshapes[BLENDSHAPE_INDEX[name]] == 1


@pytest.mark.parametrize(
    "name", ["mouthSmile", "mouthFrown", "mouthStretch", "browOuterUp", "cheekSquint", "noseSneer"]
)
def test_one_side_moves_alone_and_both_make_the_whole(basis: ExpressionBasis, name: str) -> None:
    left = basis.displacement({f"{name}Left": 1.0})
    right = basis.displacement({f"{name}Right": 1.0})
    far_left, far_right = basis.shape[:, 0] > 0.4, basis.shape[:, 0] < -0.4
    assert np.abs(left[far_right]).max() < 0.05 * np.abs(left).max()
    assert np.abs(right[far_left]).max() < 0.05 * np.abs(right).max()
    both = basis.displacement({f"{name}Left": 1.0, f"{name}Right": 1.0})
    assert np.allclose(left + right, both, atol=1e-5)


def test_expressions_go_where_people_expect_them(basis: ExpressionBasis) -> None:
    def moved(**scores: float) -> Float32:
        return basis.displacement(scores)

    smile = moved(mouthSmileLeft=1, mouthSmileRight=1)
    assert smile[LEFT_CORNER, 0] > 0 > smile[RIGHT_CORNER, 0]
    assert smile[LEFT_CORNER, 1] > 0 < smile[RIGHT_CORNER, 1]
    assert moved(mouthFrownLeft=1)[LEFT_CORNER, 1] < 0
    assert lips_gap(basis.shape + moved(jawOpen=1)) > lips_gap(basis.shape) + 0.2
    assert lips_gap(moved(jawOpen=1, mouthClose=1)) == pytest.approx(0, abs=1e-4)
    pucker = moved(mouthPucker=1)
    assert pucker[LEFT_CORNER, 0] < 0 < pucker[RIGHT_CORNER, 0]
    left_brow, right_brow = BROW_RINGS
    assert moved(browOuterUpLeft=1)[left_brow, 1].mean() > 0.02
    assert moved(browDownRight=1)[right_brow, 1].mean() < -0.02
    assert moved(mouthLeft=1)[LEFT_CORNER, 0] > 0
    assert moved(jawLeft=1)[152, 0] > 0


def test_a_smile_with_parted_lips_shows_the_upper_teeth(basis: ExpressionBasis) -> None:
    smile = {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}
    shut, parted = basis.displacement(smile), basis.displacement({**smile, "jawOpen": 0.4})
    assert lips_gap(basis.shape + shut) == pytest.approx(lips_gap(basis.shape), abs=0.03)
    assert parted[13, 1] > shut[13, 1] + 0.05, "the upper lip rises"


def test_eyes_look_and_shut_as_asked(basis: ExpressionBasis) -> None:
    aside = basis.motion(Look({"eyeLookOutLeft": 1, "eyeLookInRight": 1}), 0, 0)
    assert (aside.gaze[:, 0] > 0.1).all()
    up = basis.motion(Look({"eyeLookUpLeft": 1, "eyeLookUpRight": 1}), 0, 0)
    assert (up.gaze[:, 1] < -0.05).all()
    wink = basis.motion(Look({"eyeBlinkRight": 1}), 0, 0)
    assert tuple(wink.eye_closure) == (0, 1)
    assert (basis.motion(Look({"eyeWideLeft": 1, "eyeWideRight": 1}), 0, 0).eye_closure < 0).all()


def test_heads_turn_as_asked(basis: ExpressionBasis) -> None:
    motion = basis.motion(Look(yaw_deg=20, x=0.3, y=-0.2, zoom=1.1), 0, 0)
    # The nose points at the viewer: turned to the picture's right, it points there.
    assert (motion.rotation @ np.array([0, 0, 1], np.float32))[0] > 0.3
    down = basis.motion(Look(pitch_deg=15), 0, 0).rotation @ np.array([0, 0, 1], np.float32)
    assert down[1] < -0.2
    crown = basis.motion(Look(roll_deg=15), 0, 0).rotation @ np.array([0, 1, 0], np.float32)
    assert crown[0] < -0.2
    assert np.degrees(np.linalg.norm(vector_from_rotation(motion.rotation))) == pytest.approx(20)
    assert motion.translation == pytest.approx([0.3, -0.2])
    assert motion.scale == 1.1


@given(st.dictionaries(st.sampled_from(EXPRESSIONS), st.floats(0, 1), max_size=12))
def test_any_mixture_stays_a_face(portrait_face: Face, scores: dict[str, float]) -> None:
    motion = ExpressionBasis(decompose(portrait_face).shape).motion(Look(scores), 0, 0)
    assert np.isfinite(motion.expression).all()
    assert float(np.abs(motion.expression).max()) < 2
    assert (motion.eye_closure <= 1).all() and (motion.eye_closure >= -1).all()


def test_an_unknown_name_is_an_error(basis: ExpressionBasis) -> None:
    with pytest.raises(KeyError, match="mouthGrin"):
        basis.motion(Look({"mouthGrin": 1.0}), 0, 0)
