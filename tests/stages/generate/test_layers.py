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
