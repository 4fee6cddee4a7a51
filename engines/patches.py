"""What a network of patches works on: square cuts of a picture, each with maps drawn beside it.

A patch's picture is folded: squares of ``fold`` × ``fold`` pixels become channels, so that the
network computes on fewer pixels and still sees and draws every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, ModelSpec, TensorSpec


@dataclass(frozen=True)
class Patch:
    """One kind of square and the network that corrects it.

    ``count``: how many of them a picture has; they share one network. ``side_px``: their pictures'
    side. ``maps``: names of what is drawn beside them, on ``side_px / fold`` cells; the first says
    where the picture is valid. ``emphasis``: how much an error on each map counts besides 1.
    ``widths``: channels of the network from fine to coarse, each level half as wide as the one
    before. ``window_px``: the square of it that one step learns from, ``critic_px`` that of this
    which the discriminator sees.
    """

    name: str
    count: int
    side_px: int
    fold: int
    maps: tuple[str, ...]
    emphasis: tuple[float, ...]
    widths: tuple[int, ...]
    window_px: int
    critic_px: int

    @property
    def cells(self) -> int:
        """Return the side of the maps."""
        return self.side_px // self.fold


def inputs_of(patch: Patch) -> tuple[str, str, str]:
    """Return the names of a patch's inputs: its pictures, its references and its maps."""
    return f"{patch.name}/picture", f"{patch.name}/reference", f"{patch.name}/maps"


def outputs_of(patch: Patch) -> tuple[str, str]:
    """Return the names of a patch's outputs: corrected pictures, and how much of them to take."""
    return f"{patch.name}/corrected", f"{patch.name}/mask"


def spec_of(patches: Sequence[Patch]) -> ModelSpec:
    """Return what a network of ``patches`` takes and gives, all uint8.

    Pictures and references (count, side, side, 3) RGB, maps (count, cells, cells, maps); corrected
    pictures (count, side, side, 3) and their blending masks (count, side, side).
    """
    u8 = np.dtype(np.uint8)
    inputs, outputs = [], []
    for patch in patches:
        picture, reference, maps = inputs_of(patch)
        square = (patch.count, patch.side_px, patch.side_px)
        cells = (patch.count, patch.cells, patch.cells)
        inputs.append(TensorSpec(picture, u8, (*square, 3)))
        inputs.append(TensorSpec(reference, u8, (*square, 3)))
        inputs.append(TensorSpec(maps, u8, (*cells, len(patch.maps))))
        corrected, mask = outputs_of(patch)
        outputs.append(TensorSpec(corrected, u8, (*square, 3)))
        outputs.append(TensorSpec(mask, u8, square))
    return ModelSpec(tuple(inputs), tuple(outputs))


_REGIONS = (
    Patch(
        "mouth", 1, 144, 2,
        ("valid", "lips", "inner mouth", "oval"),
        (0.0, 1.0, 3.0, 0.0),
        (16, 32, 56),
        144,
        96,
    ),
    Patch(
        "eye", 2, 80, 2,
        ("valid", "lids", "iris", "brow"),
        (0.0, 2.0, 1.0, 0.0),
        (16, 32, 56),
        80,
        64,
    ),
)  # fmt: skip
_HEAD = Patch(
    "head", 1, 256, 2,
    ("valid", "lips", "inner mouth", "lids", "iris", "brow", "oval"),
    (0.0, 1.0, 4.0, 3.0, 1.0, 1.0, 1.0),
    (16, 48, 64, 96),
    128,
    96,
)  # fmt: skip

SIZES: dict[str, tuple[Patch, ...]] = {
    "regions": _REGIONS,
    "head": (_HEAD,),
}
"""The sizes that ``avatar train`` makes, by name (docs/training.md)."""


def patches_of(size: str) -> tuple[Patch, ...]:
    """Return the patches of a size; raises ``EngineError`` for an unknown one."""
    if size not in SIZES:
        raise EngineError(f"expected one of the sizes {', '.join(SIZES)}, found {size!r}")
    return SIZES[size]


def border(side_px: int, share: float = 0.12) -> Array:
    """Return how much of a correction counts, float32 (side, side): 1, falling to 0 at the edge.

    A patch ends in a round, so that no straight seam can show.
    """
    at = (np.arange(side_px, dtype=np.float32) + 0.5) / side_px * 2 - 1
    distance = (at[None] ** 4 + at[:, None] ** 4) ** 0.25
    edge = np.clip((1 - distance) / (2 * share), 0, 1)
    soft: Array = (edge * edge * (3 - 2 * edge)).astype(np.float32)
    return soft
