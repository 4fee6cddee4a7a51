"""The lashes of shut lids: one smooth line, as dark as the photograph's, none on open eyes."""

import numpy as np
import pytest

from avatar.core.face.topology import EYE_RINGS
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.lid_seam import LidSeam
from avatar.stages.generate.overlay import box_around
from tests.stages.generate.test_shading import skin

LASHES = (20, 15, 12)


def with_lashes(face: Face, ring_px: Float32, lashes: tuple[int, int, int]) -> UInt8Image:
    """Return a picture of skin with a line along the upper lid."""
    import cv2

    picture = skin(face)
    line = np.round(ring_px[:9, :2]).astype(np.int32)
    return np.asarray(cv2.polylines(picture, [line], False, lashes, 3), np.uint8)


def seam(face: Face, ring_px: Float32, lashes: tuple[int, int, int] = LASHES) -> LidSeam:
    picture, plain = with_lashes(face, ring_px, lashes), skin(face)
    box = box_around(ring_px, 30, picture)
    assert box is not None
    x0, y0, x1, y1 = box
    return LidSeam(picture[y0:y1, x0:x1], plain[y0:y1, x0:x1], box, ring_px)


def shut(ring_px: Float32) -> Float32:
    """Return the eye's outline with the upper lid on the lower."""
    out = ring_px.copy()
    out[1:8] = out[15:8:-1]
    return out


@pytest.mark.parametrize("side", [0, 1])
def test_shut_lids_meet_in_one_line_of_the_lashes_colour(portrait_face: Face, side: int) -> None:
    ring = portrait_face.landmarks_px[EYE_RINGS[side]]
    image = skin(portrait_face)
    seam(portrait_face, ring).draw(image, shut(ring), 1.0)
    dark = image.mean(axis=2) < skin(portrait_face).mean(axis=2) / 2
    x = np.sort(ring[[0, 8], 0])
    columns = np.arange(int(x[0] + 0.15 * np.ptp(x)), int(x[1] - 0.15 * np.ptp(x)))
    rows = [np.flatnonzero(dark[:, column]) for column in columns]
    assert all(len(found) and len(found) == np.ptp(found) + 1 for found in rows)
    middles = np.array([found.mean() for found in rows])
    assert np.abs(np.diff(middles)).max() <= 1


@pytest.mark.parametrize("share", [0.35, 0.6, 0.85, 1.0])
def test_lashes_of_shut_lids_are_as_dark_as_the_photographs_own(
    portrait_face: Face, share: float
) -> None:
    ring = portrait_face.landmarks_px[EYE_RINGS[0]]
    plain, image = skin(portrait_face), skin(portrait_face)
    at = ring[4, :2].astype(int)
    lashes = tuple(int(v) for v in plain[at[1], at[0]] * share)
    seam(portrait_face, ring, lashes).draw(image, shut(ring), 1.0)
    darkest = (image / np.maximum(plain, 1)).min()
    assert abs(darkest - share) < 0.15


@pytest.mark.parametrize("closure", [-0.2, 0.0, 0.15, 0.3])
def test_open_lids_have_no_line(portrait_face: Face, closure: float) -> None:
    ring = portrait_face.landmarks_px[EYE_RINGS[0]]
    image = skin(portrait_face)
    seam(portrait_face, ring).draw(image, ring, closure)
    np.testing.assert_array_equal(image, skin(portrait_face))
