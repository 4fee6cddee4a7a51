"""Convolutions that give what others give with less work; why is said in ``deploy.py``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_DOUBLED = ([[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]])
_FOURFOLD = ([[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]], [[0, 0, 0], [1, 1, 1]])


def _window_weights(weight: Tensor, taps: tuple[list[list[int]], ...]) -> Tensor:
    """Weights (O, I, …, 3, 3) -> (q, p, O, I, …, 2, 2), one kernel for each pair of neighbours."""
    fall = torch.tensor(taps, dtype=weight.dtype)  # q, 2, 3
    return torch.einsum("qay,pbx,oi...yx->qpoi...ab", fall, fall, weight)


class DoubledConv2d(nn.Module):
    """``conv(upsample(x, 2))`` for a 3×3 convolution: (I, H, W) -> (O, 2H, 2W)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = _window_weights(conv.weight, _DOUBLED)  # 2, 2, O, I, 2, 2
        self.weight = nn.Parameter(weight.permute(2, 0, 1, 3, 4, 5).flatten(0, 2))
        self.bias = nn.Parameter(bias_of(conv).repeat_interleave(4))

    def forward(self, x: Tensor) -> Tensor:
        """With a ReLU at the end, where it is cheapest."""
        y = functional.relu(functional.conv2d(x, self.weight, self.bias, padding=1))
        return functional.pixel_shuffle(y, 2)[:, :, 1:-1, 1:-1]  # O, 2H, 2W


class FourfoldConv2d(nn.Module):
    """``conv(upsample(x, 4))`` for a 3×3 convolution: (I, H, W) -> (O, 4H, 4W).

    Of each four neighbours the middle two are equal, so three are computed.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = _window_weights(conv.weight, _FOURFOLD)  # 3, 3, O, I, 2, 2
        self.weight = nn.Parameter(weight.permute(2, 0, 1, 3, 4, 5).flatten(0, 2))
        self.bias = nn.Parameter(bias_of(conv).repeat_interleave(9))
        # A buffer, so that it lies where the weights do.
        self.register_buffer("neighbours", torch.tensor([1, 2, 2, 3]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """With a ReLU at the end, where it is cheapest."""
        y = functional.relu(functional.conv2d(x, self.weight, self.bias, padding=1))
        y = functional.pixel_shuffle(y, 3)  # O, 3H+3, 3W+3: last of the pixel before, first, middle
        rows, columns = (self._neighbours(n) for n in x.shape[2:])
        return y.index_select(2, rows).index_select(3, columns)  # O, 4H, 4W

    def _neighbours(self, n: int) -> Tensor:
        neighbours = self.get_buffer("neighbours")
        pixel = 3 * torch.arange(n, device=neighbours.device)[:, None]
        return (pixel + neighbours).flatten()


class DoubledConv3d(nn.Module):
    """``conv(upsample(x, (1, 2, 2)))`` for a 3×3×3 convolution: (I, D, H, W) -> (O, D, 2H, 2W)."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        weight = _window_weights(conv.weight, _DOUBLED)  # 2, 2, O, I, 3, 2, 2
        self.weight = nn.Parameter(weight.flatten(0, 2))
        self.bias = nn.Parameter(bias_of(conv).repeat(4))

    def forward(self, x: Tensor) -> Tensor:
        """With a ReLU at the end, where it is cheapest."""
        y = functional.relu(functional.conv3d(x, self.weight, self.bias, padding=1))
        depth, height, width = y.shape[2:]
        y = y.reshape(1, 2, 2, -1, height, width).permute(0, 3, 4, 1, 5, 2)  # O·D, H+1, 2, W+1, 2
        y = y.reshape(1, -1, depth, 2 * height, 2 * width)
        return y[:, :, :, 1:-1, 1:-1]  # O, D, 2H, 2W


class NarrowConv(nn.Module):
    """One or more convolutions of the same input, with wide kernels and few outputs.

    The kernel loses its last axis: each of its columns is an output of its own, and the sum of
    them, each shifted by its column, is the convolution. The products are the same, but a
    processor's vector holds 16 outputs, and these are k times as many.
    """

    def __init__(self, *convs: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        weight = torch.cat([conv.weight for conv in convs])  # O, I, …, k
        self.outputs, self.kernel = weight.shape[0], weight.shape[-1]
        self.padding = int(convs[0].padding[-1])
        columns = weight.movedim(-1, 0).flatten(0, 1)[..., None]  # k·O, I, …, 1
        self.weight = nn.Parameter(columns)
        bias = torch.cat([bias_of(conv) for conv in convs])
        self.bias = nn.Parameter(bias.reshape(1, -1, *[1] * (weight.dim() - 2)))

    def forward(self, x: Tensor) -> Tensor:
        """(I, …, W) -> (O, …, W + 2·padding + 1 − k), one convolution's outputs after another's."""
        conv = functional.conv3d if x.dim() == 5 else functional.conv2d
        padding = [self.padding] * (x.dim() - 3) + [0]
        y = functional.pad(conv(x, self.weight, padding=padding), (self.padding, self.padding))
        width = y.shape[-1] + 1 - self.kernel
        total = self.bias
        for t in range(self.kernel):
            column = y[:, t * self.outputs : (t + 1) * self.outputs]  # O, …, W + 2·padding
            total = total + column[..., t : t + width]
        return total


def bias_of(conv: nn.Conv2d | nn.Conv3d) -> Tensor:
    """A convolution's bias, zeros where it has none."""
    return conv.weight.new_zeros(conv.weight.shape[0]) if conv.bias is None else conv.bias
