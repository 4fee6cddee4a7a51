"""A photograph's own outline stays over its person, however the photograph is turned or widened."""

from dataclasses import replace

import numpy as np
import pytest

from avatar.core.frames import Face, UInt8Image
from avatar.sessions.upright import AvatarPhoto, upright
from avatar.stages.track.turned import moved_face, turned_face


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_matte_turns_with_its_photograph(
    portrait: UInt8Image, portrait_face: Face, turns: int
) -> None:
    lying = np.ascontiguousarray(np.rot90(portrait, turns))
    matte = (lying[..., 1] / np.float32(255)).astype(np.float32)
    photo = AvatarPhoto("me", lying, turned_face(portrait_face, -turns), matte=matte)
    stood = upright(photo, lambda line: None)
    np.testing.assert_array_equal(stood.photo, portrait)
    assert stood.matte is not None
    np.testing.assert_array_equal(stood.matte, portrait[..., 1] / np.float32(255))


def test_a_margin_around_a_photograph_belongs_to_nobody(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    left = int(portrait_face.landmarks_px[:468, 0].mean())
    cut = np.ascontiguousarray(portrait[:, left:])
    face = moved_face(portrait_face, 0)
    shifted = replace(face, landmarks_px=face.landmarks_px - np.array([left, 0, 0], np.float32))
    photo = AvatarPhoto("me", cut, shifted, matte=np.ones(cut.shape[:2], np.float32))
    wide = upright(photo, lambda line: None)
    assert wide.matte is not None and wide.matte.shape == wide.photo.shape[:2]
    margin = (wide.photo.shape[0] - cut.shape[0]) // 2
    assert margin > 0 and not wide.matte[:margin].any()
    assert wide.matte[margin:-margin, margin:-margin].all()
