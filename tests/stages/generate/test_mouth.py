"""The inside of the mouth as it is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.face.head import decompose
from avatar.core.frames import Face, Motion, UInt8Image
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from tests.stages.generate.expressions import expression
from tests.stages.generate.trained.test_trained import STILL


def middle_of_the_mouth(photo: UInt8Image, face: Face, motion: Motion) -> np.ndarray:
    """Return the colour between the lips of an empty mouth, float (3,)."""
    with PortraitGenerator(photo, face, "photo", None, PortraitSettings("empty", 0.0)) as generator:
        lips = generator.pose(motion).landmarks_px
        x, y = lips[[13, 14], :2].mean(axis=0).astype(int)
        return generator.generate(motion).image[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))


def test_an_empty_mouth_is_as_dark_as_its_photograph(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    wide = replace(STILL, expression=expression(decompose(portrait_face).shape, {"jawOpen": 0.8}))
    bright = middle_of_the_mouth(portrait, portrait_face, wide)
    dim = middle_of_the_mouth((portrait * 0.5).astype(np.uint8), portrait_face, wide)
    assert bright.mean() > 20
    np.testing.assert_allclose(dim, 0.5 * bright, atol=3)
