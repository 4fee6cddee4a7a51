"""What a step is shown: windows whose pictures, maps and truths still belong together."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is done with PyTorch")

from engines.patches import Patch  # noqa: E402
from engines.training.augment import AugmentedBatch, critic_window  # noqa: E402
from engines.training.pairs import Batch  # noqa: E402

PATCH = Patch("face", 1, 64, 2, ("valid", "spot"), (0.0, 3.0), (8, 16), 32, 24)
COUNT = 6


def given(pictures: np.ndarray, spot: tuple[slice, slice] = (slice(0), slice(0))) -> AugmentedBatch:
    """Return pairs whose picture, reference and truth are the same, all on the photograph."""
    maps = np.zeros((COUNT, PATCH.cells, PATCH.cells, 2), np.uint8)
    maps[..., 0] = 255
    maps[:, *spot, 1] = 255
    return AugmentedBatch.of(PATCH, Batch(pictures, pictures, maps, pictures), "cpu")


def random_pictures() -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 255, (COUNT, 8, 8, 3))
    return noise.repeat(8, 1).repeat(8, 2).astype(np.uint8)


def test_what_belongs_together_stays_together() -> None:
    seen = given(random_pictures()).varied(np.random.default_rng(0))
    assert seen.picture.shape == (COUNT, 3, PATCH.window_px, PATCH.window_px)
    assert seen.maps.shape == (COUNT, 2, PATCH.window_px // 2, PATCH.window_px // 2)
    assert torch.equal(seen.picture, seen.truth) and torch.equal(seen.picture, seen.reference)


def test_about_half_are_mirrored() -> None:
    """Of pictures whose left half is bright, some are bright on the right."""
    pictures = np.zeros((COUNT, 64, 64, 3), np.uint8)
    pictures[:, :, :32] = 200
    mirrored = 0
    for seed in range(4):
        seen = given(pictures).varied(np.random.default_rng(seed)).picture
        left, right = (half.mean((1, 2, 3)) for half in seen.chunk(2, 3))
        mirrored += int((right > left).sum())
    assert 6 <= mirrored <= 18


def test_maps_lie_on_the_pictures() -> None:
    """What a map marks is what the picture shows there, however both are turned."""
    spot = (slice(10, 22), slice(8, 20))
    pictures = np.zeros((COUNT, 64, 64, 3), np.uint8)
    pictures[:, 20:44, 16:40] = 250
    seen = given(pictures, spot).varied(np.random.default_rng(3))
    shown = torch.nn.functional.avg_pool2d(seen.picture, 2)[:, :1]
    assert ((shown > 0.4) != (seen.maps[:, 1:] > 0.5)).float().mean() < 0.02
    # An error there counts four times.
    assert seen.weight.amax() == pytest.approx(4) and seen.weight.shape == (COUNT, 1, 32, 32)


def test_no_two_steps_see_the_same_and_the_same_seed_does() -> None:
    whole = given(random_pictures())
    first, again, other = (whole.varied(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.picture, again.picture) and torch.equal(first.maps, again.maps)
    assert not torch.equal(first.picture, other.picture)


def test_parts_are_exchanged_between_pairs() -> None:
    """Of pairs of one brightness each, some show a rectangle of another's."""
    levels = np.linspace(40, 240, COUNT).astype(np.uint8)[:, None, None, None]
    pictures = np.broadcast_to(levels, (COUNT, 64, 64, 3)).copy()
    exchanged = 0
    for seed in range(4):
        seen = given(pictures).varied(np.random.default_rng(seed))
        kinds = [len(torch.unique((p * 1000).round())) for p in seen.picture[:, 0]]
        assert set(kinds) <= {1, 2}
        exchanged += kinds.count(2)
    assert 4 <= exchanged <= 20  # of 24; half are asked for, some fall on themselves


def test_nothing_is_learnt_from_beyond_the_patch() -> None:
    """A window as large as the patch looks over its edges; what it sees there is made up."""
    whole = Patch("face", 1, 64, 2, ("valid",), (0.0,), (8, 16), 64, 32)
    pictures = random_pictures()
    maps = np.full((COUNT, 32, 32, 1), 255, np.uint8)
    seen = AugmentedBatch.of(whole, Batch(pictures, pictures, maps, pictures), "cpu").varied(
        np.random.default_rng(2)
    )
    assert float(seen.weight.min()) == 0 and float(seen.border.min()) == 0


def test_the_discriminator_sees_a_part_of_the_window() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        (rows, columns), (y, x) = critic_window(PATCH, random)
        assert rows.stop - rows.start == columns.stop - columns.start == PATCH.critic_px
        assert (rows.start, columns.start) == (2 * y.start, 2 * x.start)
        assert rows.stop <= PATCH.window_px and columns.stop <= PATCH.window_px
