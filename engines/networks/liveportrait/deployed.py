"""LivePortrait's networks in the form that is fast on a runtime; see ``engines.deploy``.

- The 22 translations of a volume are three matrix products with hat matrices relu(1 − |p − j|),
  since a translation is separable by axis;
- a shortcut's 1×1 convolution is folded into the shift that comes before it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from engines.deploy import Colour, DeployedHourglass, PictureOut, fused
from engines.deploy_convolutions import DoubledConv2d, FourfoldConv2d, NarrowConv, bias_of
from engines.networks.liveportrait import published


def hat_matrices(shift: Tensor, size: int) -> Tensor:
    """How an axis is sampled when moved by each of ``shift`` (N): (N, size, size).

    Point i reads position p = ((2i/(size−1) + shift)·size − 1)/2 of the axis; row i holds the
    weights relu(1 − |p − j|) of linear interpolation, and nothing for positions outside.
    """
    j = torch.arange(size, dtype=shift.dtype, device=shift.device)
    start = (2 * (j / (size - 1)) * size - 1) / 2  # size
    position = start[None, :, None] + shift[:, None, None] * (size / 2)  # N, size, 1
    return functional.relu(1 - (position - j).abs())


class SeparableMotion(nn.Module):
    """The family's dense motion, each translation of the volume as three matrix products."""

    def __init__(self, network: published.DenseMotionNetwork) -> None:
        super().__init__()
        self.compress = fuse_conv_bn_eval(network.compress, network.norm)
        self.hourglass = DeployedHourglass(network.hourglass)
        self.mask = NarrowConv(network.mask)
        self.occlusion = NarrowConv(network.occlusion)

    def forward(
        self, volume: Tensor, kp_driving: Tensor, kp_source: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As ``DenseMotionNetwork.forward``, for one picture."""
        small = functional.relu(self.compress(volume))[0]  # 4, 16, 64, 64
        shift = functional.pad((kp_source - kp_driving)[0], (0, 0, 1, 0))  # 22, 3
        moved = self.translate(small, shift)  # 22, 4, 16, 64, 64
        grid = published.volume_grid(volume)  # 16, 64, 64, 3
        heat = self.heat_maps(kp_driving, grid) - self.heat_maps(kp_source, grid)
        heat = functional.pad(heat, (0, 0, 0, 0, 0, 0, 1, 0))  # 1, 22, 16, 64, 64
        x = torch.cat((heat[0, :, None], moved), dim=1).flatten(0, 1)[None]  # 1, 110, 16, 64, 64
        x = self.hourglass(x)  # 1, 142, 16, 64, 64
        weights = self.mask(x).softmax(dim=1)  # 1, 22, 16, 64, 64
        # Σ w·(grid + shift) = grid + Σ w·shift, since the weights sum to one.
        mean = torch.matmul(shift.t(), weights[0].flatten(1))  # 3, 16·64·64
        deformation = grid + mean.t().reshape(grid.shape)  # 16, 64, 64, 3
        occlusion = torch.sigmoid(self.occlusion(x.flatten(1, 2)))  # 1, 1, 64, 64
        return deformation[None], occlusion

    @staticmethod
    def translate(small: Tensor, shift: Tensor) -> Tensor:
        """(4, D, H, W) moved by each of (22, 3): (22, 4, D, H, W)."""
        channels, depth, height, width = small.shape
        along_x = hat_matrices(shift[:, 0], width).transpose(1, 2)  # 22, W, W
        along_y = hat_matrices(shift[:, 1], height)[:, None]  # 22, 1, H, H
        along_z = hat_matrices(shift[:, 2], depth)[:, None]  # 22, 1, D, D
        x = small.reshape(1, -1, width) @ along_x  # 22, 4·D·H, W
        x = along_y @ x.reshape(-1, channels * depth, height, width)  # 22, 4·D, H, W
        x = along_z @ x.reshape(-1, channels, depth, height * width)  # 22, 4, D, H·W
        return x.reshape(-1, channels, depth, height, width)

    @staticmethod
    def heat_maps(keypoints: Tensor, grid: Tensor) -> Tensor:
        """As ``published.heat_maps``; a Gaussian is a product of one factor an axis."""
        scale = -0.5 / published.HEAT_VARIANCE
        axes = (grid[0, 0, :, 0], grid[0, :, 0, 1], grid[:, 0, 0, 2])  # W; H; D
        x, y, z = (
            torch.exp(scale * (axis - keypoints[:, :, i, None]) ** 2) for i, axis in enumerate(axes)
        )
        return z[..., :, None, None] * (y[..., :, None] * x[..., None, :])[:, :, None]


class Warp(nn.Module):
    """W in deployed form."""

    def __init__(self, network: published.WarpingModule) -> None:
        super().__init__()
        self.motion = SeparableMotion(network.dense_motion_network)
        self.third = fused(network.third)
        self.fourth = network.fourth

    def forward(self, volume: Tensor, kp_driving: Tensor, kp_source: Tensor) -> Tensor:
        """As ``WarpingModule.forward``, its ``out`` only."""
        deformation, occlusion = self.motion(volume, kp_driving, kp_source)
        x = published.sample_volume(volume, deformation)  # 1, 32, 16, 64, 64
        x = functional.leaky_relu(self.third(x.flatten(1, 2)), 0.01)  # 1, 256, 64, 64
        return self.fourth(x) * occlusion


def _plain(conv: published.SpectralConv2d) -> nn.Conv2d:
    """The convolution with its spectral norm folded in."""
    weight = conv.weight()
    outputs, inputs, kernel, _ = weight.shape
    plain = nn.Conv2d(inputs, outputs, kernel, padding=conv.padding, bias=conv.bias is not None)
    plain.weight = nn.Parameter(weight)
    if conv.bias is not None:
        plain.bias = conv.bias
    return plain


class Shared(nn.Module):
    """A SPADE's first layer, on the map at once, twice or four times its size."""

    def __init__(self, spade: published.Spade, scale: int) -> None:
        super().__init__()
        first = spade.mlp_shared[0]
        self.conv: nn.Module = first
        if scale == 2:
            self.conv = DoubledConv2d(first)
        elif scale == 4:
            self.conv = FourfoldConv2d(first)
        self.has_relu = scale > 1

    def forward(self, label: Tensor) -> Tensor:
        """(256, H, W) -> (128, scale·H, scale·W)."""
        x: Tensor = self.conv(label)
        return x if self.has_relu else functional.relu(x)


class Modulation(nn.Module):
    """A SPADE on features that are normalised already; (1 + gamma) has its 1 in the bias."""

    def __init__(self, spade: published.Spade, scale: int) -> None:
        super().__init__()
        self.shared = Shared(spade, scale)
        self.gamma = _copy(spade.mlp_gamma)
        self.gamma.bias = nn.Parameter(bias_of(self.gamma) + 1)
        self.beta = spade.mlp_beta

    def forward(self, normal: Tensor, label: Tensor) -> Tensor:
        """(C, H, W) and the map -> (C, H, W)."""
        shared = self.shared(label)
        return normal * self.gamma(shared) + self.beta(shared)


def _copy(conv: nn.Conv2d) -> nn.Conv2d:
    copy = nn.Conv2d(conv.in_channels, conv.out_channels, 3, padding=1)
    copy.weight, copy.bias = conv.weight, conv.bias
    return copy


class Shortcut(nn.Module):
    """``conv_s(spade(x))``: linear in the shift, so the shift is computed at the narrow width."""

    def __init__(self, block: published.SpadeBlock, scale: int) -> None:
        super().__init__()
        modulation = Modulation(block.norm_s, scale)
        self.shared, self.gamma = modulation.shared, modulation.gamma
        self.conv = _plain(block.conv_s)
        narrow = self.conv.weight[:, :, 0, 0]  # O, I
        wide = block.norm_s.mlp_beta
        self.beta = nn.Conv2d(128, narrow.shape[0], 3, padding=1)
        self.beta.weight = nn.Parameter(torch.einsum("oi,ikyx->okyx", narrow, wide.weight))
        self.beta.bias = nn.Parameter(narrow @ bias_of(wide))

    def forward(self, normal: Tensor, label: Tensor) -> Tensor:
        """(I, H, W) and the map -> (O, H, W)."""
        shared = self.shared(label)
        return self.conv(normal * self.gamma(shared)) + self.beta(shared)


class DeployedSpadeBlock(nn.Module):
    """A SPADE block on a map ``scale`` times smaller than its features."""

    def __init__(self, block: published.SpadeBlock, scale: int) -> None:
        super().__init__()
        self.norm_0 = Modulation(block.norm_0, scale)
        self.norm_1 = Modulation(block.norm_1, scale)
        self.conv_0 = _plain(block.conv_0)
        self.conv_1 = _plain(block.conv_1)
        self.shortcut = Shortcut(block, scale) if block.narrows else None

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """(I, H, W) -> (O, H, W), or twice the size where the block narrows.

        Doubling by repetition leaves mean and variance alone: the norm comes first, on less.
        """
        normal = functional.instance_norm(x)
        if self.shortcut is not None:
            normal = functional.interpolate(normal, scale_factor=2)
            x = self.shortcut(normal, label)
        y = self.conv_0(functional.leaky_relu(self.norm_0(normal, label), 0.2))
        y = functional.leaky_relu(self.norm_1(functional.instance_norm(y), label), 0.2)
        return x + self.conv_1(y)


class Decoder(nn.Module):
    """G in deployed form."""

    def __init__(self, network: published.SpadeGenerator) -> None:
        super().__init__()
        self.first = network.fc
        self.middle = nn.ModuleList(
            DeployedSpadeBlock(network.get_submodule(f"G_middle_{i}"), 1) for i in range(6)
        )
        self.up = nn.ModuleList(
            [DeployedSpadeBlock(network.up_0, 2), DeployedSpadeBlock(network.up_1, 4)]
        )
        self.last = network.conv_img

    def forward(self, feature: Tensor) -> Tensor:
        """As ``SpadeGenerator.forward``."""
        x = self.first(feature)  # 512, 64, 64
        for block in (*self.middle, *self.up):
            x = block(x, feature)  # 512, 64, 64; 256, 128, 128; 64, 256, 256
        return torch.sigmoid(self.last(functional.leaky_relu(x, 0.2)))  # 3, 512, 512


class PortraitFrame(nn.Module):
    """The family's frame: features and keypoints in, a picture out."""

    def __init__(self, warping: nn.Module, generator: nn.Module, colour: Colour) -> None:
        super().__init__()
        self.warp = Warp(warping)
        self.decode = Decoder(generator)
        self.picture = PictureOut(colour)

    def forward(self, feature_3d: Tensor, kp_driving: Tensor, kp_source: Tensor) -> Tensor:
        """Volume (1, 32, 16, 64, 64), keypoints (1, 21, 3) each -> picture (512, 512, 3)."""
        picture: Tensor = self.picture(self.decode(self.warp(feature_3d, kp_driving, kp_source)))
        return picture
