"""A batch as a step learns from it: tensors, seen through windows that change with every step.

A recording is short and its moments are much alike: a network learns them by heart, then frowns
because the head is turned. What a step is shown is therefore varied so that places and
neighbourhoods mean little: windows are mirrored, turned, enlarged and shifted, parts of them are
exchanged (CutMix, arXiv 1905.04899), and the light is another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engines.patches import Patch, border
from engines.training.pairs import Batch

# The map that is the face, and how far the face reaches beyond it, in patch sides.
_FACE, _BEYOND = "oval", 0.03
# Standard deviations: of turns in radians, of scales, of shifts in halves of a window.
_TURN, _SCALE, _SHIFT = 0.06, 0.05, 0.06
# How many windows get a part of another, and the part's sides as shares of the window's.
_EXCHANGED, _PART = 0.5, (0.25, 0.75)
# Of all colours together, and of each.
_LIGHT, _TINT = 0.15, 0.08


@dataclass(frozen=True, eq=False)
class AugmentedBatch:
    """Pictures, references and truths (N, 3, side, side), maps (N, M, cells, cells), in [0, 1].

    ``border``: how much of a correction counts (N or 1, 1, side, side). All float32.
    """

    patch: Patch
    picture: Tensor
    reference: Tensor
    truth: Tensor
    maps: Tensor
    border: Tensor

    @classmethod
    def of(cls, patch: Patch, batch: Batch, device: str) -> AugmentedBatch:
        """Return whole patches on ``device``."""

        def ready(values: object) -> Tensor:
            return torch.from_numpy(values).to(device).permute(0, 3, 1, 2).float() / 255

        edge = torch.from_numpy(border(patch.side_px)).to(device)[None, None]
        picture, reference, truth = (
            ready(values) for values in (batch.picture, batch.reference, batch.truth)
        )
        return cls(patch, picture, reference, truth, ready(batch.maps), edge)

    @property
    def weight(self) -> Tensor:
        """Return how much each pixel's error counts, (N, 1, side, side); 0 off the photograph."""
        emphasis = torch.tensor(self.patch.emphasis, device=self.maps.device)[None, :, None, None]
        cells = self.maps[:, :1] * (1 + (self.maps * emphasis).sum(1, keepdim=True))
        return functional.interpolate(cells, scale_factor=self.patch.fold, mode="nearest")

    @property
    def face(self) -> Tensor | None:
        """Return where the face is, in [0, 1], (N, 1, side, side); None without a map of it."""
        if _FACE not in self.patch.maps:
            return None
        at = self.patch.maps.index(_FACE)
        reach = max(1, round(_BEYOND * self.patch.cells))
        oval = self.maps[:, at : at + 1].contiguous()
        grown = functional.max_pool2d(oval, 2 * reach + 1, 1, reach)
        soft = functional.avg_pool2d(grown, 2 * reach + 1, 1, reach, count_include_pad=False)
        return functional.interpolate(soft, scale_factor=self.patch.fold, mode="bilinear")

    def varied(self, random: np.random.Generator) -> AugmentedBatch:
        """Return windows of ``patch.window_px``, one of each patch, varied."""
        return self._windows(random)._lit(random)._exchanged(random)

    def _lit(self, random: np.random.Generator) -> AugmentedBatch:
        # One light for all three: a person is not always filmed in this one.
        count = len(self.picture)
        gain = random.uniform(1 - _LIGHT, 1 + _LIGHT, (count, 1, 1, 1))
        gain = gain * random.uniform(1 - _TINT, 1 + _TINT, (count, 3, 1, 1))
        light = torch.from_numpy(gain.astype(np.float32)).to(self.picture.device)
        picture, reference, truth = (
            (x * light).clamp(0, 1) for x in (self.picture, self.reference, self.truth)
        )
        return replace(self, picture=picture, reference=reference, truth=truth)

    def _windows(self, random: np.random.Generator) -> AugmentedBatch:
        patch, count = self.patch, len(self.picture)
        share = patch.window_px / patch.side_px
        places = torch.from_numpy(_places(random, count, share)).to(self.picture.device)

        def seen(x: Tensor, side: int, beyond: str) -> Tensor:
            grid = functional.affine_grid(places, [count, 1, side, side], align_corners=False)
            return functional.grid_sample(x, grid, padding_mode=beyond, align_corners=False)

        pictures = torch.cat([self.picture, self.reference, self.truth], 1)
        picture, reference, truth = seen(pictures, patch.window_px, "reflection").chunk(3, 1)
        maps = seen(self.maps, patch.window_px // patch.fold, "zeros")
        edge = seen(self.border.expand(count, -1, -1, -1), patch.window_px, "zeros")
        return AugmentedBatch(patch, picture, reference, truth, maps, edge)

    def _exchanged(self, random: np.random.Generator) -> AugmentedBatch:
        patch, count = self.patch, len(self.picture)
        cells = patch.window_px // patch.fold
        small = np.zeros((count, 1, cells, cells), np.float32)
        for window in small:
            height, width = np.rint(cells * random.uniform(*_PART, 2)).astype(int)
            y, x = random.integers(0, cells - height + 1), random.integers(0, cells - width + 1)
            if random.uniform() < _EXCHANGED:
                window[0, y : y + height, x : x + width] = 1
        # Each from another one, where there is one.
        further = random.integers(1, count) if count > 1 else 0
        from_ = (torch.arange(count) + further).to(self.picture.device) % count
        part = torch.from_numpy(small).to(self.picture.device) > 0
        large = functional.interpolate(part.float(), scale_factor=patch.fold, mode="nearest") > 0

        def mixed(x: Tensor, where: Tensor, order: torch.memory_format) -> Tensor:
            return torch.where(where, x[from_], x).contiguous(memory_format=order)

        # Convolutions read channels last; what a loss reads is faster plane by plane.
        picture, reference, edge = (
            mixed(x, large, torch.channels_last)
            for x in (self.picture, self.reference, self.border)
        )
        maps = mixed(self.maps, part, torch.channels_last)
        truth = mixed(self.truth, large, torch.contiguous_format)
        return AugmentedBatch(patch, picture, reference, truth, maps, edge)


def _places(
    random: np.random.Generator, count: int, share: float
) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Return where windows of a patch lie, most often in its middle, where the face is.

    Float32 (count, 2, 3), as ``affine_grid`` takes them: both range over [−1, 1]. ``share``: of a
    window's side in the patch's. Half are mirrored: hair is combed to one side and falls to it for
    as long as a recording lasts, no longer.
    """
    turn = random.normal(0, _TURN, count)
    scale = random.normal(1, _SCALE, count)
    room = 1 - share
    middle = room * (2 * random.uniform(0, 1, (2, count, 2)).mean(axis=0) - 1)
    found = np.empty((count, 2, 3), np.float32)
    found[:, 0, 0] = found[:, 1, 1] = share * scale * np.cos(turn)
    found[:, 1, 0] = share * scale * np.sin(turn)
    found[:, 0, 1] = -found[:, 1, 0]
    found[:, :, 2] = middle + share * random.normal(0, _SHIFT, (count, 2))
    found[random.uniform(size=count) < 0.5, 0] *= -1
    return found


def critic_window(
    patch: Patch, random: np.random.Generator
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return what of a step's windows the discriminator sees: (rows, columns) of pixels, of cells.

    It need not see all at once.
    """
    cells = patch.critic_px // patch.fold
    first = random.integers(0, patch.window_px // patch.fold - cells + 1, 2)
    y, x = (slice(int(at), int(at) + cells) for at in first)
    large = [slice(part.start * patch.fold, part.stop * patch.fold) for part in (y, x)]
    return (large[0], large[1]), (y, x)
