"""What is left of corrections, by what held-out pairs gain from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is done with PyTorch")

from engines.patches import Patch, border  # noqa: E402
from engines.training.pairs import Pairs, PairsWriter  # noqa: E402
from engines.training.trust import trust  # noqa: E402

PATCH = Patch("thing", 1, 64, 2, ("valid",), (0.0,), (8, 12), 32, 16)
SIDE = PATCH.side_px


class Painter:
    """Adds ``change``, (side, side) in [0, 1], to every picture."""

    def __init__(self, change: object) -> None:
        self.change = torch.from_numpy(np.asarray(change, np.float32))[None, None]

    def __call__(
        self, name: str, picture: torch.Tensor, reference: torch.Tensor, maps: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return picture + self.change, torch.ones_like(picture[:, :1])


def pairs(folder: Path, truths: list[object], held_out: list[int], patch: Patch = PATCH) -> Pairs:
    """Write pairs of black pictures; ``truths`` are (side, side) in levels.

    All maps are full but for the last one's right half, where there are several.
    """
    writer = PairsWriter(folder, [patch], len(truths), len(truths), "toy")
    black = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    valid = np.full((1, patch.cells, patch.cells, len(patch.maps)), 255, np.uint8)
    if len(patch.maps) > 1:
        valid[:, :, patch.cells // 2 :, -1] = 0
    for moment, truth in enumerate(truths):
        levels = np.broadcast_to(np.asarray(truth), (SIDE, SIDE)).astype(np.uint8)
        writer.truth(moment, {PATCH.name: levels[None, ..., None].repeat(3, -1)})
        writer.pair(moment, {PATCH.name: black}, {PATCH.name: valid})
        writer.reference(moment, {PATCH.name: black})
    writer.finish(held_out)
    return Pairs(folder, [patch])


def halves(left: float, right: float) -> np.ndarray:
    return np.where(np.arange(SIDE)[None] < SIDE // 2, left, right) * np.ones((SIDE, 1))


def test_what_held_out_pairs_gain_from_is_left_and_the_rest_is_taken_back(tmp_path: Path) -> None:
    painter = Painter(np.full((SIDE, SIDE), 100 / 255))
    # Learnt moments are bright everywhere, those that were held out in their left half alone.
    found = trust(
        painter,  # type: ignore[arg-type]
        pairs(tmp_path, [np.full((SIDE, SIDE), 100)] * 6 + [halves(100, 0)] * 2, [6, 7]),
        PATCH,
    )
    assert found.shape == (SIDE, SIDE) and found.dtype == np.float32
    inside = border(SIDE) == 1
    left, right = (inside & (halves(*side) > 0) for side in ((1, 0), (0, 1)))
    far = np.abs(np.arange(SIDE) - SIDE / 2) > 0.2 * SIDE
    assert found[:, far][left[:, far]].min() > 0.99
    assert found[:, far][right[:, far]].max() < 0.01


def test_half_a_correction_is_left_where_that_is_right(tmp_path: Path) -> None:
    painter = Painter(np.full((SIDE, SIDE), 100 / 255))
    found = trust(painter, pairs(tmp_path, [60] * 2, [0, 1]), PATCH)  # type: ignore[arg-type]
    np.testing.assert_allclose(found[border(SIDE) == 1], 0.6, atol=0.01)


def test_there_are_no_steps_between_places(tmp_path: Path) -> None:
    painter = Painter(np.full((SIDE, SIDE), 100 / 255))
    squares = (np.indices((SIDE, SIDE)) // 2).sum(0) % 2 * 100  # right in half of all places
    squares[:, SIDE // 2 :] = 0
    found = trust(painter, pairs(tmp_path, [squares] * 2, [0, 1]), PATCH)  # type: ignore[arg-type]
    assert max(np.abs(np.diff(found, axis=axis)).max() for axis in (0, 1)) < 0.3
    assert found.min() >= 0 and found.max() <= 1


def test_where_nothing_was_corrected_or_held_out_all_is_left(tmp_path: Path) -> None:
    nothing = Painter(np.zeros((SIDE, SIDE)))
    ones = trust(nothing, pairs(tmp_path / "a", [80] * 2, [0, 1]), PATCH)  # type: ignore[arg-type]
    assert (ones > 0.999).all()
    learnt = Painter(np.full((SIDE, SIDE), 0.5))
    assert (trust(learnt, pairs(tmp_path / "b", [0] * 2, []), PATCH) == 1).all()  # type: ignore[arg-type]


def test_beside_the_face_less_is_left(tmp_path: Path) -> None:
    painter = Painter(np.full((SIDE, SIDE), 100 / 255))
    patch = replace(PATCH, maps=("valid", "oval"), emphasis=(0.0, 0.0))
    found = trust(painter, pairs(tmp_path, [100] * 6, [4, 5], patch), patch)  # type: ignore[arg-type]
    middle = found[SIDE // 2]
    assert middle[: SIDE // 2].min() > 0.98, "the oval's own edge is in the face"
    np.testing.assert_allclose(middle[int(0.65 * SIDE) :], 0.6, atol=0.01)
