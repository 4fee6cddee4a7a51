from pathlib import Path

import numpy as np

from avatar.core.frames import UInt8Image
from avatar.stages.generate.grain import Grain
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.track.landmarker import detect_faces


def grained(image: UInt8Image, level: float) -> UInt8Image:
    noise = np.random.default_rng(1).normal(0, level, (*image.shape[:2], 1))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_a_painting_gives_its_grain_and_a_smooth_photo_none(face_model: Path) -> None:
    photo = load_photo(builtin_photo())
    landmarks_px = detect_faces(photo, face_model)[0].landmarks_px
    flat = np.full_like(photo, 128)
    patch = np.full((40, 70, 3), 100, np.uint8)
    origin = np.array([3.3, -7.8], np.float32)
    assert np.array_equal(Grain(flat, landmarks_px).lay_on(patch, origin), patch)
    grain = Grain(grained(flat, 6.0), landmarks_px)
    laid = grain.lay_on(patch, origin).astype(float)
    assert 3.5 < grain.level < 7
    assert 0.6 * grain.level < laid.std() < 1.5 * grain.level
    assert abs(laid.mean() - 100) < 1


def test_grain_moves_with_what_it_lies_on(face_model: Path) -> None:
    photo = load_photo(builtin_photo())
    landmarks_px = detect_faces(photo, face_model)[0].landmarks_px
    grain = Grain(grained(np.full_like(photo, 128), 6.0), landmarks_px)
    patch = np.full((40, 70, 3), 100, np.uint8)
    here = grain.lay_on(patch, np.array([10, 10], np.float32))
    there = grain.lay_on(patch, np.array([13, 8], np.float32))
    np.testing.assert_array_equal(here[2:, :-3], there[:-2, 3:])


def test_a_face_at_the_edge_or_tiny_has_some_grain_or_none(face_model: Path) -> None:
    photo = load_photo(builtin_photo())
    landmarks_px = detect_faces(photo, face_model)[0].landmarks_px
    for small in (landmarks_px * 0.02, landmarks_px + 10_000, landmarks_px * 0):
        laid = Grain(photo, small.astype(np.float32)).lay_on(photo[:20, :20], small[0, :2])
        assert laid.shape == (20, 20, 3)
