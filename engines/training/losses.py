"""What a corrected picture is compared by. All take float32 (N, C, H, W) and give one number."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 4


def weighted_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """The mean absolute difference, each pixel counted by ``weight`` (N, 1, H, W)."""
    return ((a - b).abs() * weight).sum() / (weight.sum() * a.shape[1]).clamp(min=1e-6)


def pyramid_l1(a: Tensor, b: Tensor, weight: Tensor, levels: int = _LEVELS) -> Tensor:
    """The difference of two Laplacian pyramids (Burt and Adelson 1983), fine levels first.

    Edges and textures count at every scale, which a plain difference blurs away.
    """
    difference = a - b  # the pyramid is linear
    total = difference.new_zeros(())
    for level in range(levels):
        coarse = functional.avg_pool2d(difference, 2)
        back = functional.interpolate(coarse, scale_factor=2, mode="bilinear")
        detail = difference[:, :, : back.shape[2], : back.shape[3]] - back
        shown = weight[:, :, : back.shape[2], : back.shape[3]]
        total = total + 2**level * _mean(detail.abs(), shown)
        difference, weight = coarse, functional.avg_pool2d(weight, 2)
    return total + _mean(difference.abs(), weight)


def texture_l1(a: Tensor, b: Tensor, weight: Tensor, cell_px: int = 8) -> Tensor:
    """The difference of how much fine detail each cell has, wherever in the cell it lies.

    What cannot be foreseen to the pixel (hair, pores) would be smoothed away by differences alone.
    """
    return _mean((_detail(a, cell_px) - _detail(b, cell_px)).abs(), _pooled(weight, cell_px))


def _detail(x: Tensor, cell_px: int) -> Tensor:
    return _pooled((x - functional.avg_pool2d(x, 3, 1, 1)).abs(), cell_px)


def _pooled(x: Tensor, cell_px: int) -> Tensor:
    return functional.avg_pool2d(x, cell_px)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / (weight.sum() * values.shape[1]).clamp(min=1e-6)


def hinge_critic(real: Tensor, made: Tensor) -> Tensor:
    """What the discriminator minimises: real above 1, made below −1."""
    return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()


def feature_matching(made: list[Tensor], real: list[Tensor]) -> Tensor:
    """The mean difference of the discriminator's features (arXiv 1711.11585)."""
    pairs = zip(made, real, strict=True)
    return torch.stack([functional.l1_loss(a, b.detach()) for a, b in pairs]).mean()
