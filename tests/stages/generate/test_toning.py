import numpy as np

from avatar.core.frames import Face, UInt8Image
from avatar.stages.generate.toning import Toning

MOUTH = np.random.default_rng(3).integers(0, 255, (20, 30, 3)).astype(np.uint8)


def test_a_grey_photograph_makes_all_that_is_drawn_grey(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    grey = np.repeat(portrait.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    toned = Toning(grey, portrait_face.landmarks_px).apply(MOUTH)
    assert int(np.ptp(toned.astype(int), axis=2).max()) <= 1


def test_sepia_stays_in_its_hue(portrait: UInt8Image, portrait_face: Face) -> None:
    light = portrait.mean(axis=2, keepdims=True)
    noise = np.random.default_rng(1).normal(0, 1.5, portrait.shape)
    brown = light * np.array([0.95, 0.8, 0.6]) + np.array([10, 8, 6]) + noise
    toning = Toning(np.clip(brown, 0, 255).astype(np.uint8), portrait_face.landmarks_px)
    toned = toning.apply(np.full((4, 4, 3), (140, 120, 120), np.uint8))[0, 0].astype(float)
    assert toned[0] / toned[2] > 1.35
    assert toned[0] > toned[1] > toned[2]


def test_a_colour_photograph_leaves_colours_alone(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    toned = Toning(portrait, portrait_face.landmarks_px).apply(MOUTH)
    assert np.array_equal(toned, MOUTH)


def test_a_face_beyond_the_picture_is_no_tone(portrait: UInt8Image, portrait_face: Face) -> None:
    far = (portrait_face.landmarks_px + 10_000).astype(np.float32)
    assert Toning(portrait, far).apply(MOUTH).shape == MOUTH.shape
