"""Frames refuse what their receivers could not use."""

import numpy as np
import pytest

from avatar.core.frames import GeneratedFrame, Presence

IMAGE = np.zeros((4, 6, 3), np.uint8)


def test_a_picture_is_opaque_unless_it_says_otherwise() -> None:
    assert GeneratedFrame(IMAGE, 0, 0, Presence.TRACKED).alpha is None


@pytest.mark.parametrize(
    "alpha",
    [np.zeros((6, 4), np.uint8), np.zeros((4, 6, 1), np.uint8), np.zeros((4, 6), np.float32)],
)
def test_alpha_covers_the_picture(alpha: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"GeneratedFrame\.alpha: expected uint8 of shape 4×6"):
        GeneratedFrame(IMAGE, 0, 0, Presence.TRACKED, alpha)
