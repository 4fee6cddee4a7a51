"""The line of shut lids: one smooth line in the lashes' colour, nothing while eyes are open."""

import numpy as np
import pytest

from avatar.core.face.topology import EYE_RINGS
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.lid_seam import LidSeam
from tests.stages.generate.test_shading import skin

LASHES = (20, 15, 12)


def with_lashes(face: Face, ring_px: Float32) -> UInt8Image:
    """Return a picture of skin with a dark line along the upper lid."""
    import cv2

    picture = skin(face)
    line = np.round(ring_px[:9, :2]).astype(np.int32)
    return np.asarray(cv2.polylines(picture, [line], False, LASHES, 3), np.uint8)


def shut(ring_px: Float32) -> Float32:
    """Return the eye's outline with the upper lid on the lower."""
    out = ring_px.copy()
    out[1:8] = out[15:8:-1]
    return out


@pytest.mark.parametrize("side", [0, 1])
def test_shut_lids_meet_in_one_line_of_the_lashes_colour(portrait_face: Face, side: int) -> None:
    ring = portrait_face.landmarks_px[EYE_RINGS[side]]
    image = skin(portrait_face)
    LidSeam(with_lashes(portrait_face, ring), ring).draw(image, shut(ring), 1.0)
    dark = image.mean(axis=2) < skin(portrait_face).mean(axis=2) / 2
    x = np.sort(ring[[0, 8], 0])
    columns = np.arange(int(x[0] + 0.15 * np.ptp(x)), int(x[1] - 0.15 * np.ptp(x)))
    rows = [np.flatnonzero(dark[:, column]) for column in columns]
    assert all(len(found) and len(found) == np.ptp(found) + 1 for found in rows)
    middles = np.array([found.mean() for found in rows])
    assert np.abs(np.diff(middles)).max() <= 1
    assert image[dark].mean() < 2 * np.mean(LASHES) + 30


@pytest.mark.parametrize("closure", [-0.2, 0.0, 0.5, 0.75])
def test_open_lids_have_no_line(portrait_face: Face, closure: float) -> None:
    ring = portrait_face.landmarks_px[EYE_RINGS[0]]
    image = skin(portrait_face)
    LidSeam(with_lashes(portrait_face, ring), ring).draw(image, ring, closure)
    np.testing.assert_array_equal(image, skin(portrait_face))
