"""A small task: paint what a map says, on pictures that are noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engines.patches import Patch
from engines.training.pairs import PairsWriter

PATCH = Patch("thing", 2, 32, 2, ("valid", "dot"), (0.0, 1.0), (8, 12, 16), 24, 16)
PAIRS, HELD_OUT = 24, 6


def write_pairs(folder: Path, seed: int = 0) -> Path:
    """Write pairs whose truth is the picture with the dot in red."""
    random = np.random.default_rng(seed)
    writer = PairsWriter(folder, [PATCH], PAIRS, PAIRS, "toy")
    square = (PATCH.count, PATCH.side_px, PATCH.side_px, 3)
    cells = (PATCH.count, PATCH.cells, PATCH.cells)
    for moment in range(PAIRS):
        picture = random.integers(60, 120, square).astype(np.uint8)
        dot = np.zeros(cells, np.uint8)
        y, x = random.integers(4, 9, 2)
        dot[:, y : y + 4, x : x + 4] = 255
        large = dot.repeat(2, axis=1).repeat(2, axis=2)[..., None]
        truth = np.where(large > 0, np.array([220, 20, 20]), picture).astype(np.uint8)
        maps = np.stack([np.full(cells, 255, np.uint8), dot], axis=-1)
        writer.truth(moment, {PATCH.name: truth})
        writer.pair(moment, {PATCH.name: picture}, {PATCH.name: maps})
        writer.reference(moment, {PATCH.name: picture})
    writer.finish(range(PAIRS - HELD_OUT, PAIRS))
    return folder
