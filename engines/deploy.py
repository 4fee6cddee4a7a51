"""The published networks in the form that is fast on a runtime, and takes and gives pictures.

Each module here, and in ``deployed.py`` of a family in ``engines/networks``, computes what its
network computes, to float32 rounding, with less work or with operations that every runtime has:

- batch norm and spectral norm are folded into the convolutions;
- a convolution of a picture that was doubled by repetition sees each pixel several times; summing
  its taps first leaves 4/9 of the products (1/4 for a picture made four times as large);
- a convolution with a wide kernel and few outputs leaves most lanes of a processor idle; its taps
  along the width become outputs of their own, and are added after a shift;
- what depends on the source picture alone is a model of its own, run once a source.

Pictures are uint8 (H, W, 3) on both sides, in the colour order that was asked for.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from engines.deploy_convolutions import DoubledConv2d, DoubledConv3d

Colour = Literal["rgb", "bgr"]


class PictureIn(nn.Module):
    """uint8 (H, W, 3) -> float32 (1, 3, H, W), RGB in [0, 1]."""

    def __init__(self, colour: Colour) -> None:
        super().__init__()
        self.swap = colour == "bgr"

    def forward(self, picture: Tensor) -> Tensor:
        """See the class."""
        # TensorRT can do nothing with bytes but make them numbers: that comes first.
        x = picture.float().permute(2, 0, 1)[None] * (1 / 255)
        return x[:, [2, 1, 0]] if self.swap else x


class PictureOut(nn.Module):
    """float32 (1, 3, H, W), RGB in [0, 1] -> uint8 (H, W, 3), to the nearest level."""

    def __init__(self, colour: Colour) -> None:
        super().__init__()
        self.swap = colour == "bgr"

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = x[:, [2, 1, 0]] if self.swap else x
        x = (x * 255).round().clamp(0, 255)
        return x[0].permute(1, 2, 0).to(torch.uint8)


def fused(block: nn.Module) -> nn.Module:
    """A block's convolution with its batch norm folded in."""
    conv: nn.Module = fuse_conv_bn_eval(block.conv, block.norm)
    return conv


class HalvedBlock(nn.Module):
    """Convolution, ReLU, mean of 2×2; the depth of a volume stays."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.conv = fused(block)

    def forward(self, x: Tensor) -> Tensor:
        """(I, …, H, W) -> (O, …, H/2, W/2)."""
        y = functional.relu(self.conv(x))
        return functional.avg_pool3d(y, (1, 2, 2)) if y.dim() == 5 else functional.avg_pool2d(y, 2)


class DeployedHourglass(nn.Module):
    """A U-Net of either family, its doublings computed by parts."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.down = nn.ModuleList(HalvedBlock(b) for b in network.encoder.down_blocks)
        convs = [fused(b) for b in network.decoder.up_blocks]
        self.up = nn.ModuleList(
            DoubledConv3d(c) if isinstance(c, nn.Conv3d) else DoubledConv2d(c) for c in convs
        )
        has_last = hasattr(network.decoder, "conv")
        self.last = fused(network.decoder) if has_last else None

    def forward(self, x: Tensor) -> Tensor:
        """As the network's own."""
        levels = [x]
        for block in self.down:
            levels.append(block(levels[-1]))
        x = levels[-1]
        for block, skip in zip(self.up, reversed(levels[:-1]), strict=True):
            x = torch.cat((block(x), skip), dim=1)
        return x if self.last is None else functional.relu(self.last(x))


class OfPicture(nn.Module):
    """A network whose one input is a picture."""

    def __init__(self, network: nn.Module, colour: Colour, outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.picture = PictureIn(colour)
        self.network = network
        self.outputs = outputs

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Picture (256, 256, 3) -> the network's outputs, in their order."""
        found = self.network(self.picture(picture))
        return tuple(found[key] for key in self.outputs) if isinstance(found, dict) else (found,)
