"""A picture's two layers give it back, and a person's rim does not stay in the wall."""

import numpy as np

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.face_frame import FaceFrame
from avatar.stages.generate.matte import two_layers
from avatar.stages.generate.portrait import at_rest


def _frame() -> FaceFrame:
    return FaceFrame(
        np.array([40, 40], np.float32),
        np.array([1, 0], np.float32),
        np.array([0, -1], np.float32),
        np.array([20, 25], np.float32),
    )


def _dark_person_before_a_bright_wall() -> tuple[UInt8Image, UInt8Image, Float32]:
    """Return picture, wall and a matte that says too little of the person's rim."""
    wall = np.full((80, 80, 3), 200, np.uint8)
    true = np.clip((45 - np.arange(80, dtype=np.float32)) / 4, 0, 1)
    picture = np.asarray(wall * (1 - true[None, :, None]) + 10 * true[None, :, None] + 0.5)
    alpha = np.broadcast_to(true**3, (80, 80)).astype(np.float32)
    return picture.astype(np.uint8), wall, alpha


def test_a_dark_rim_belongs_to_the_person_not_to_the_wall() -> None:
    picture, wall, alpha = _dark_person_before_a_bright_wall()
    layers = two_layers(picture, wall, alpha, _frame())
    held = alpha > 0.1
    assert np.abs(layers.plate.astype(int) - wall)[held & (alpha < 1)].max() <= 2
    assert np.abs(at_rest(layers.plate, layers).astype(int) - picture).max() <= 2


def _soft_rim() -> Float32:
    rim = np.clip((45 - np.arange(80, dtype=np.float32)) / 12, 0, 1)
    return np.repeat(rim[None], 80, axis=0)


def test_hair_is_not_tinted_by_what_its_rough_background_was_taken_for() -> None:
    alpha = _soft_rim()
    noise = np.random.default_rng(2).normal(0, 30, (80, 80, 1))
    wall = np.clip(np.array([70.0, 100, 60]) + noise, 0, 255)
    hair = np.array([60.0, 45, 40])
    picture = wall * (1 - alpha[..., None]) + hair * alpha[..., None]
    guessed = np.clip(wall + np.array([0, 25, 0]), 0, 255).astype(np.uint8)
    layers = two_layers(picture.astype(np.uint8), guessed, alpha, _frame())
    half = (alpha > 0.25) & (alpha < 0.75)
    shown = layers.shown[half].astype(np.float32)
    own = shown[:, :3] / shown[:, 3:] * 255
    greener = np.mean(own[:, 1] - own[:, 0]) - (hair[1] - hair[0])
    assert abs(greener) < 12  # 25 and more where the plate is held for true


def test_behind_a_person_a_smooth_wall_stays_smooth() -> None:
    alpha = _soft_rim()
    wall = np.full((80, 80, 3), 200, np.uint8)
    hair = np.broadcast_to(np.array([60.0, 45, 40]), (80, 80, 3))
    bright = np.where((alpha < 0.9)[..., None], 100, hair)  # the rim is lighter than the hair
    picture = wall * (1 - alpha[..., None]) + bright * alpha[..., None]
    layers = two_layers(picture.astype(np.uint8), wall, alpha, _frame())
    assert np.abs(layers.plate.astype(int) - 200).max() <= 2
