import numpy as np
import pytest

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.lid_cover import LidCover

SKIN, WHITE, IRIS, LID = (220, 170, 140), (240, 240, 240), (60, 110, 190), (90, 40, 30)
SIZE, CENTRE = 120, np.array([60.0, 60.0], np.float32)


def eye(reach: float) -> tuple[UInt8Image, Float32]:
    """Return a drawn eye and an outline in it; below, the eye is ``reach`` times as large."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + 0.5
    height = np.where(y > CENTRE[1], 14 * reach, 14)
    inside = ((x - CENTRE[0]) / 30) ** 2 + ((y - CENTRE[1]) / height) ** 2
    image = np.full((SIZE, SIZE, 3), SKIN, np.uint8)
    image[inside < 1.12] = LID
    image[inside < 1] = WHITE
    image[(inside < 1) & (np.hypot(x - CENTRE[0], y - CENTRE[1]) < 11)] = IRIS
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = CENTRE + np.stack([30 * np.cos(angle), -14 * np.sin(angle)], axis=1)
    return image, ring.astype(np.float32)


def layer(image: UInt8Image) -> np.ndarray:
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])


def covered(reach: float, closure: float) -> tuple[np.ndarray, np.ndarray]:
    image, ring = eye(reach)
    cover = LidCover(image, (2, 14, 118, 106), ring, CENTRE, 11.0)
    before = layer(image)
    after = before.copy()
    kept = cover.paint(after, closure)
    painted = after.copy()
    cover.restore(after, kept)
    np.testing.assert_array_equal(after, before)
    return before, painted


@pytest.mark.parametrize("closure", [-0.4, 0.0, 0.15])
def test_an_open_eye_is_left_alone(closure: float) -> None:
    before, painted = covered(1.5, closure)
    np.testing.assert_array_equal(painted, before)


def test_white_below_a_shut_lid_becomes_skin() -> None:
    _, painted = covered(1.5, 1.0)
    strip = painted[76:79, 56:64, :3].astype(int)  # between the outline, at 74, and the lid, at 81
    assert np.abs(strip - SKIN).max() < 45
    assert np.abs(strip - IRIS).max() > 60


@pytest.mark.parametrize("closure", [0.95, 1.0])
def test_nothing_of_an_eye_is_left_between_shut_lids(closure: float) -> None:
    _, painted = covered(1.0, closure)
    assert np.abs(painted[48:72, 40:80, :3].astype(int) - SKIN).max() < 12


def test_what_is_stretched_to_a_lid_has_no_lashes_in_it() -> None:
    """Strands of lashes above an eye would become streaks down its lid."""
    image, ring = eye(1.0)
    for x in range(40, 82, 4):
        image[38:46, x : x + 2] = LID
    after = layer(image)
    LidCover(image, (2, 14, 118, 106), ring, CENTRE, 11.0).paint(after, 1.0)
    assert np.ptp(after[41:58, 42:80, :3].astype(int), axis=1).max() < 25


def test_a_lid_is_lit_as_the_skin_above_it_and_below_it() -> None:
    image, ring = eye(1.0)
    lit = np.linspace(0.8, 1.2, SIZE, dtype=np.float32)
    image = np.clip(image * lit[None, :, None], 0, 255).astype(np.uint8)
    after = layer(image)
    LidCover(image, (2, 14, 118, 106), ring, CENTRE, 11.0).paint(after, 1.0)
    wanted = np.array(SKIN) * lit[36:84, None]
    assert np.abs(after[58, 36:84, :3] - np.minimum(wanted, 255)).max() < 20


def test_brows_and_frames_lend_a_lid_no_colour() -> None:
    image, ring = eye(1.0)
    image[20:32] = LID
    after = layer(image)
    LidCover(image, (2, 14, 118, 106), ring, CENTRE, 11.0).paint(after, 1.0)
    assert np.abs(after[48:72, 40:80, :3].astype(int) - SKIN).max() < 25


def test_an_eye_that_fits_its_outline_keeps_its_surroundings() -> None:
    before, painted = covered(1.0, 1.0)
    changed = np.abs(painted.astype(int) - before).max(axis=2) > 2
    y, x = np.nonzero(changed)
    apart = ((x + 0.5 - CENTRE[0]) / 30) ** 2 + ((y + 0.5 - CENTRE[1]) / 14) ** 2
    assert changed.any()
    assert apart.max() < 1.25


def test_what_shows_through_stays_as_it_is() -> None:
    image, ring = eye(1.5)
    cover = LidCover(image, (2, 14, 118, 106), ring, CENTRE, 11.0)
    clear = np.zeros((SIZE, SIZE, 4), np.uint8)
    cover.paint(clear, 1.0)
    assert not clear.any()


def test_an_outline_without_an_inside_covers_nothing() -> None:
    image, _ = eye(1.0)
    flat = np.tile(CENTRE, (16, 1)).astype(np.float32)
    cover = LidCover(image, (2, 14, 118, 106), flat, CENTRE, 0.0)
    after = layer(image)
    cover.paint(after, 1.0)
    assert np.abs(after[:, :, :3].astype(int) - image).max(axis=2).astype(bool).sum() < 30
