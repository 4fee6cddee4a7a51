from dataclasses import replace

import numpy as np
import pytest

from avatar.core.face.fields import smile_field
from avatar.core.face.head import decompose
from avatar.core.face.topology import LOWER_LIP, UPPER_LIP
from avatar.core.frames import BLENDSHAPE_INDEX, Face, FaceTrack, Float32, Motion, Presence, still
from avatar.stages.generate.lips import openness
from avatar.stages.generate.mouth_fit import MouthFit, jaw_field


def scored(face: Face, **scores: float) -> Face:
    blendshapes = face.blendshapes.copy()
    for name, score in scores.items():
        for side in ("",) if name in BLENDSHAPE_INDEX else ("Left", "Right"):
            blendshapes[BLENDSHAPE_INDEX[name + side]] = score
    return Face(face.landmarks_px, blendshapes, face.pose, face.image_size_px)


class Driven:
    """A driver with the avatar's own face: what it did at the reference, and what it does now."""

    def __init__(self, face: Face, **reference: float) -> None:
        self.shape = decompose(face).shape
        self._face = face
        self._then = scored(face, **{"jawOpen": 0.0, "mouthSmile": 0.0, **reference})

    def __call__(self, expression: Float32, **now: float) -> Motion:
        seen = scored(self._face, **{"jawOpen": 0.0, "mouthSmile": 0.0, **now})
        return replace(
            still(0, 0, Presence.TRACKED),
            expression=expression.astype(np.float32),
            neutral=self.shape,
            blendshapes=seen.blendshapes,
            reference=FaceTrack(0, 0, self._then),
        )


def gap(shape: Float32) -> float:
    return float(shape[13, 1] - shape[14, 1])


def test_at_the_reference_nothing_is_added(portrait_face: Face) -> None:
    driven = Driven(portrait_face, jawOpen=0.4, mouthSmile=0.7)
    nothing = np.zeros((478, 3), np.float32)
    motion = driven(nothing, jawOpen=0.4, mouthSmile=0.7)
    np.testing.assert_array_equal(MouthFit(portrait_face, driven.shape)(nothing, motion), nothing)


def test_without_a_reference_a_mouth_opens_as_it_is_moved(portrait_face: Face) -> None:
    shape = decompose(portrait_face).shape
    opened = 0.2 * jaw_field(shape)
    motion = replace(Driven(portrait_face)(opened, jawOpen=0.9), reference=None)
    assert gap(MouthFit(portrait_face, shape)(opened, motion)) == pytest.approx(gap(opened), 0.05)


def narrowed(shape: Float32, share: float) -> Float32:
    """Return ``shape`` with a mouth of that share of its width."""
    out = shape.copy()
    out[:, 0] *= 1 - (1 - share) * np.exp(-((shape[:, 1] - shape[61, 1]) ** 2) / 0.3)
    return out


@pytest.mark.parametrize("share", [0.6, 0.8, 1.0, 1.2])
def test_a_mouth_opens_in_proportion_to_its_width(portrait_face: Face, share: float) -> None:
    driven = Driven(portrait_face)
    shape = narrowed(driven.shape, share)
    opened = 0.3 * jaw_field(driven.shape)
    moved = shape + MouthFit(portrait_face, shape)(opened, driven(opened, jawOpen=0.5))
    more = openness(driven.shape + opened) - openness(driven.shape)
    assert openness(moved) - openness(shape) == pytest.approx(more, rel=0.08)


@pytest.mark.parametrize("rest", [0.08, 0.2])
def test_lips_parted_in_the_photograph_open_on_and_leave_their_own_gap_behind(
    portrait_face: Face, rest: float
) -> None:
    driven = Driven(portrait_face)
    lower = jaw_field(driven.shape)
    shut = (driven.shape + gap(driven.shape) * lower).astype(np.float32)
    driven.shape = shut
    photo = (shut + np.float32(rest) * lower).astype(np.float32)
    fit = MouthFit(portrait_face, photo)
    gaps = []
    for drop in (0.1, 0.2, 0.4, 0.6):
        motion = driven(np.float32(drop) * lower, jawOpen=0.9)
        gaps.append(openness(photo + fit(motion.expression, motion)))
    assert openness(photo) < gaps[0]
    assert np.diff(gaps).min() > 0
    theirs = openness(shut + np.float32(0.6) * lower)
    assert theirs - 0.02 <= gaps[-1] <= theirs + 0.55 * openness(photo)


def test_a_smile_does_not_close_an_open_mouth(portrait_face: Face) -> None:
    driven = Driven(portrait_face)
    fit = MouthFit(portrait_face, driven.shape)
    opened = 0.2 * jaw_field(driven.shape)
    smiling = opened + smile_field(driven.shape)
    plain = fit(opened, driven(opened, jawOpen=0.3))
    wide = fit(smiling, driven(smiling, jawOpen=0.3, mouthSmile=1.0))
    assert gap(wide) > gap(plain) - 0.02


def test_lips_that_touch_stay_together(portrait_face: Face) -> None:
    driven = Driven(portrait_face)
    shape = driven.shape
    shut = np.zeros_like(shape)
    shut[14, 1] = gap(shape)  # the driver's lower lip meets the upper one
    fitted = MouthFit(portrait_face, shape)(shut, driven(shut, jawOpen=0.02))
    assert abs(gap(fitted)) < 0.01


def test_a_lost_smile_does_not_become_a_pout(portrait_face: Face) -> None:
    driven = Driven(portrait_face, mouthSmile=0.8)
    relaxed = -0.8 * smile_field(driven.shape)
    motion = driven(relaxed)
    calm = MouthFit(scored(portrait_face, mouthSmile=0.0), driven.shape)
    np.testing.assert_allclose(calm(relaxed, motion), 0, atol=1e-5)


def test_a_photograph_that_smiles_may_stop_smiling(portrait_face: Face) -> None:
    driven = Driven(portrait_face, mouthSmile=0.8)
    relaxed = -0.8 * smile_field(driven.shape)
    smiling = MouthFit(scored(portrait_face, mouthSmile=0.8), driven.shape)
    fitted = smiling(relaxed, driven(relaxed))
    np.testing.assert_allclose(fitted[[61, 291]], relaxed[[61, 291]], atol=1e-6)


def test_a_smile_comes_back_after_it_was_lost(portrait_face: Face) -> None:
    """Whoever smiled at the reference smiles from his relaxed mouth on, once that was seen."""
    driven = Driven(portrait_face, mouthSmile=0.8)
    calm = MouthFit(scored(portrait_face, mouthSmile=0.0), driven.shape)
    relaxed = -0.8 * smile_field(driven.shape)
    calm(relaxed, driven(relaxed))
    nothing = np.zeros_like(relaxed)
    smiling = calm(nothing, driven(nothing, mouthSmile=0.8))
    np.testing.assert_allclose(smiling[[61, 291]], -relaxed[[61, 291]], atol=0.01)
    again = Driven(portrait_face, mouthSmile=0.8)
    np.testing.assert_array_equal(calm(nothing, replace(again(nothing), neutral=again.shape)), 0)


def test_a_mouth_that_is_kept_still_does_not_smile(portrait_face: Face) -> None:
    driven = Driven(portrait_face, mouthSmile=0.8)
    nothing = np.zeros((478, 3), np.float32)
    fitted = MouthFit(portrait_face, driven.shape)(nothing, driven(nothing))
    np.testing.assert_array_equal(fitted, nothing)


def test_the_jaw_drops_below_and_the_skull_stays(portrait_face: Face) -> None:
    shape = decompose(portrait_face).shape
    field = jaw_field(shape)
    assert field[14, 1] == pytest.approx(-1, abs=0.05)
    assert field[152, 1] < -0.7
    assert not field[UPPER_LIP].any()
    assert (field[LOWER_LIP, 1] < 0).all()
    assert not field[[1, 33, 263, 10, 168]].any()
    # From the chin to the ear the jaw's line moves ever less.
    line = field[[152, 176, 136, 172, 58, 132], 1]
    assert (np.diff(line) >= -1e-6).all()
    assert abs(line[-1]) < 0.3


@pytest.mark.parametrize("score", [0.0, 1.0, -1.0, 2.0])
def test_scores_beyond_all_bounds_stay_finite(portrait_face: Face, score: float) -> None:
    driven = Driven(portrait_face)
    opened = 0.3 * jaw_field(driven.shape)
    fit = MouthFit(scored(portrait_face, jawOpen=score), driven.shape)
    fitted = fit(opened, driven(opened, jawOpen=score))
    assert np.isfinite(fitted).all()
    assert gap(fitted) < gap(opened) + 0.25


def test_a_collapsed_face_stays_finite(portrait_face: Face) -> None:
    flat = np.zeros((478, 3), np.float32)
    motion = Driven(portrait_face, mouthSmile=1.0)(flat, jawOpen=1.0)
    assert np.isfinite(MouthFit(portrait_face, flat)(flat, motion)).all()
