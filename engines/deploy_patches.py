"""The trained generator in the form that is fast on a runtime, with uint8 on both sides.

Computes what ``PatchNet`` computes, to float32 rounding. There pictures are unfolded to be blended,
which on a processor costs several times the convolutions; here everything stays folded, squares of
``fold`` × ``fold`` pixels as channels in the order (row, column, colour), so that a picture's bytes
need one transposition each way:

- transpositions go by way of channels last, which the convolutions use anyway: a runtime's own way
  from there to channels first costs more than the network;
- averages and bilinear enlargement are convolutions with fixed weights;
- scaling of bytes is folded into the first convolution;
- how much detail goes is spread over the colours by a convolution, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.portrait_gan import DETAIL_PX, SLOPE, PatchNet, PortraitGan

COLOURS = 3


class DeployedPatch(nn.Module):
    """One ``PatchNet``: bytes of pictures and maps -> bytes of corrected pictures and masks."""

    def __init__(self, net: PatchNet) -> None:
        super().__init__()
        self.net, self.fold = net, net.fold
        self.enlarged = DETAIL_PX // net.fold
        first = net.fold_in
        pixels = COLOURS * net.fold**2
        parts = (pixels, pixels, first.in_channels - 2 * pixels)
        pictures, references, maps = first.weight.split(parts, 1)
        shown = [2 * _folded_order(weight, net.fold) for weight in (pictures, references)]
        bias = first.bias - (pictures + references).sum((1, 2, 3))
        self.first = _fixed(torch.cat([*shown, maps / 255], 1), bias)
        self.mean = _fixed(_mean_weights(net.fold))
        self.enlarge = _fixed(_bilinear_weights(net.fold))
        self.out = _fixed(*_out_weights(net.out, net.fold))
        spread = torch.eye(net.fold**2).repeat_interleave(COLOURS, 0)
        self.spread = _fixed(spread[:, :, None, None])

    def forward(self, picture: Tensor, reference: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(n, side, side, 3) and (n, cells, cells, M) -> (n, side, side, 3), (n, side, side)."""
        pixels, others = self._fold(picture), self._fold(reference)
        maps = maps.float().permute(0, 3, 1, 2)
        detail = pixels - self._low(pixels)
        x = functional.leaky_relu(
            self.net.stem(_conv(self.first, torch.cat([pixels, others, maps], 1))), SLOPE
        )
        y = _conv(self.out, self.net.body(x), padding=1)
        squares = self.fold**2
        residual, erased, mask, taken = y.split((COLOURS * squares, squares, squares, squares), 1)
        erased, taken = (_conv(self.spread, torch.sigmoid(share)) for share in (erased, taken))
        corrected = pixels - detail * erased + (others - pixels) * taken + torch.tanh(residual)
        return self._bytes(corrected, COLOURS), self._bytes(torch.sigmoid(mask), 1)

    def _fold(self, picture: Tensor) -> Tensor:
        """Bytes (n, side, side, 3) -> (n, fold · fold · 3, cells, cells) in [0, 1]."""
        n, side, fold = picture.shape[0], picture.shape[1], self.fold
        # TensorRT can do nothing with bytes but make them numbers: that comes first.
        rows = picture.float().reshape(n, side // fold, fold, side // fold, fold * COLOURS)
        cells = rows.permute(0, 1, 3, 2, 4).reshape(n, side // fold, side // fold, -1)
        return cells.permute(0, 3, 1, 2) * (1 / 255)

    def _bytes(self, folded: Tensor, colours: int) -> Tensor:
        n, cells, fold = folded.shape[0], folded.shape[2], self.fold
        levels = (folded * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
        rows = levels.reshape(n, cells, cells, fold, fold * colours).permute(0, 1, 3, 2, 4)
        side = cells * fold
        picture = rows.reshape((n, side, side, colours) if colours > 1 else (n, side, side))
        # The last step: TensorRT has bytes at the borders of a graph only.
        return picture.to(torch.uint8)

    def _low(self, pixels: Tensor) -> Tensor:
        """Return the picture without its detail, folded."""
        coarse = functional.avg_pool2d(_conv(self.mean, pixels), self.enlarged)
        edged = functional.pad(coarse, (1, 1, 1, 1), mode="replicate")
        apart = _conv(self.enlarge, edged)
        n, k, side = apart.shape[0], self.enlarged, apart.shape[2]
        parts = apart.permute(0, 2, 3, 1).reshape(n, side, side, k, k, -1)
        cells = parts.permute(0, 1, 3, 2, 4, 5).reshape(n, k * side, k * side, -1)
        return cells.permute(0, 3, 1, 2)


class Deployed(nn.Module):
    """The generator as ``engines.patches.spec_of`` lists its inputs and outputs."""

    def __init__(self, gan: PortraitGan) -> None:
        super().__init__()
        self.patches = nn.ModuleList(DeployedPatch(gan.nets[patch.name]) for patch in gan.patches)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Pictures, references and maps of each patch -> its corrected pictures and masks."""
        outputs: list[Tensor] = []
        for index, patch in enumerate(self.patches):
            outputs.extend(patch(*inputs[3 * index : 3 * index + 3]))
        return tuple(outputs)


def _fixed(weight: Tensor, bias: Tensor | None = None) -> nn.ParameterList:
    bias = torch.zeros(weight.shape[0]) if bias is None else bias
    values = (weight.detach().clone(), bias.detach().clone())
    return nn.ParameterList([nn.Parameter(value, requires_grad=False) for value in values])


def _conv(fixed: nn.ParameterList, x: Tensor, padding: int = 0) -> Tensor:
    return functional.conv2d(x, fixed[0], fixed[1], padding=padding)


def _folded_order(weight: Tensor, fold: int) -> Tensor:
    """Weights (O, colour · row · column, …) with their inputs as (row, column, colour)."""
    parts = weight.reshape(weight.shape[0], COLOURS, fold, fold, *weight.shape[2:])
    return parts.permute(0, 2, 3, 1, *range(4, parts.dim())).reshape(weight.shape)


def _mean_weights(fold: int) -> Tensor:
    """Weights (3, fold · fold · 3, 1, 1) that give each cell's mean colour."""
    return torch.eye(COLOURS).repeat(1, fold**2)[:, :, None, None] / fold**2


def _bilinear_weights(fold: int) -> Tensor:
    """Weights (k · k · fold · fold · 3, 3, 3, 3) that enlarge by ``DETAIL_PX``, then folded.

    Pixel s of the eight between two edges of a coarse one stands at (s + ½)/8 − ½ from its centre;
    k × k cells lie in a coarse pixel.
    """
    at = (torch.arange(DETAIL_PX) + 0.5) / DETAIL_PX - 0.5
    taps = torch.stack([(-at).clamp(min=0), 1 - at.abs(), at.clamp(min=0)], 1)  # 8, 3
    k = DETAIL_PX // fold
    square = torch.einsum("ay,bx->abyx", taps, taps)  # 8, 8, 3, 3
    square = square.reshape(k, fold, k, fold, 3, 3).permute(0, 2, 1, 3, 4, 5)  # p, q, i, j, 3, 3
    weight = torch.einsum("pqijyx,cd->pqijcdyx", square, torch.eye(COLOURS))
    return weight.reshape(-1, COLOURS, 3, 3)


def _out_weights(out: nn.Conv2d, fold: int) -> tuple[Tensor, Tensor]:
    """The last convolution's weights: residual for each colour, erasure, mask, what is taken."""
    weight = out.weight.reshape(6, fold**2, *out.weight.shape[1:])
    # The sigmoids' offsets in PatchNet.forward.
    offsets = torch.tensor([0.0, 0.0, 0.0, -2.0, 2.0, -2.0])
    bias = out.bias.reshape(6, fold**2) + offsets[:, None]
    parts = [
        value[order].transpose(0, 1).flatten(0, 1)
        for value in (weight, bias)
        for order in ([0, 1, 2], [3], [4], [5])
    ]
    return torch.cat(parts[:4]), torch.cat(parts[4:])
