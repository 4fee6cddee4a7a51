"""The published networks in the form that is fast on a runtime, and takes and gives pictures.

Each module here computes what its network in ``engines/networks`` computes, to float32 rounding,
with less work or with operations that every runtime has:

- batch norm and spectral norm are folded into the convolutions;
- a convolution of a picture that was doubled by repetition sees each pixel several times; summing
  its taps first leaves 4/9 of the products (1/4 for a picture made four times as large);
- a convolution with a wide kernel and few outputs leaves most lanes of a processor idle; its taps
  along the width become outputs of their own, and are added after a shift;
- LivePortrait's 22 translations of a volume are three matrix products with hat matrices
  relu(1 − |p − j|), since a translation is separable by axis;
- a shortcut's 1×1 convolution is folded into the shift that comes before it;
- what depends on the source picture alone is a model of its own, run once a source.

Pictures are uint8 (H, W, 3) on both sides, in the colour order that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from engines.deploy_convolutions import (
    DoubledConv2d,
    DoubledConv3d,
    FourfoldConv2d,
    NarrowConv,
    bias_of,
)
from engines.networks import fomm, liveportrait

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


# Two neighbours of a doubled (or fourfold) axis lie in a window of two pixels of the small one.
# Row q says how the three taps fall on that window, for the q-th neighbour that reads it.


def _fused(block: nn.Module) -> nn.Module:
    """A block's convolution with its batch norm folded in."""
    fused: nn.Module = fuse_conv_bn_eval(block.conv, block.norm)
    return fused


class HalvedBlock(nn.Module):
    """Convolution, ReLU, mean of 2×2; the depth of a volume stays."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.conv = _fused(block)

    def forward(self, x: Tensor) -> Tensor:
        """(I, …, H, W) -> (O, …, H/2, W/2)."""
        y = functional.relu(self.conv(x))
        return functional.avg_pool3d(y, (1, 2, 2)) if y.dim() == 5 else functional.avg_pool2d(y, 2)


class Hourglass(nn.Module):
    """A U-Net of either family, its doublings computed by parts."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.down = nn.ModuleList(HalvedBlock(b) for b in network.encoder.down_blocks)
        fused = [_fused(b) for b in network.decoder.up_blocks]
        self.up = nn.ModuleList(
            DoubledConv3d(c) if isinstance(c, nn.Conv3d) else DoubledConv2d(c) for c in fused
        )
        has_last = hasattr(network.decoder, "conv")
        self.last = _fused(network.decoder) if has_last else None

    def forward(self, x: Tensor) -> Tensor:
        """As the network's own."""
        levels = [x]
        for block in self.down:
            levels.append(block(levels[-1]))
        x = levels[-1]
        for block, skip in zip(self.up, reversed(levels[:-1]), strict=True):
            x = torch.cat((block(x), skip), dim=1)
        return x if self.last is None else functional.relu(self.last(x))


def hat_matrices(shift: Tensor, size: int) -> Tensor:
    """How an axis is sampled when moved by each of ``shift`` (N): (N, size, size).

    Point i reads position p = ((2i/(size−1) + shift)·size − 1)/2 of the axis; row i holds the
    weights relu(1 − |p − j|) of linear interpolation, and nothing for positions outside.
    """
    j = torch.arange(size, dtype=shift.dtype)
    start = (2 * (j / (size - 1)) * size - 1) / 2  # size
    position = start[None, :, None] + shift[:, None, None] * (size / 2)  # N, size, 1
    return functional.relu(1 - (position - j).abs())


class SeparableMotion(nn.Module):
    """LivePortrait's dense motion, each translation of the volume as three matrix products."""

    def __init__(self, network: liveportrait.DenseMotionNetwork) -> None:
        super().__init__()
        self.compress = fuse_conv_bn_eval(network.compress, network.norm)
        self.hourglass = Hourglass(network.hourglass)
        self.mask = NarrowConv(network.mask)
        self.occlusion = NarrowConv(network.occlusion)

    def forward(
        self, volume: Tensor, kp_driving: Tensor, kp_source: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As ``DenseMotionNetwork.forward``, for one picture."""
        small = functional.relu(self.compress(volume))[0]  # 4, 16, 64, 64
        shift = functional.pad((kp_source - kp_driving)[0], (0, 0, 1, 0))  # 22, 3
        moved = self.translate(small, shift)  # 22, 4, 16, 64, 64
        grid = liveportrait.volume_grid(volume)  # 16, 64, 64, 3
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
        """As ``liveportrait.heat_maps``; a Gaussian is a product of one factor an axis."""
        scale = -0.5 / liveportrait.HEAT_VARIANCE
        axes = (grid[0, 0, :, 0], grid[0, :, 0, 1], grid[:, 0, 0, 2])  # W; H; D
        x, y, z = (
            torch.exp(scale * (axis - keypoints[:, :, i, None]) ** 2) for i, axis in enumerate(axes)
        )
        return z[..., :, None, None] * (y[..., :, None] * x[..., None, :])[:, :, None]


class Warp(nn.Module):
    """W in deployed form."""

    def __init__(self, network: liveportrait.WarpingModule) -> None:
        super().__init__()
        self.motion = SeparableMotion(network.dense_motion_network)
        self.third = _fused(network.third)
        self.fourth = network.fourth

    def forward(self, volume: Tensor, kp_driving: Tensor, kp_source: Tensor) -> Tensor:
        """As ``WarpingModule.forward``, its ``out`` only."""
        deformation, occlusion = self.motion(volume, kp_driving, kp_source)
        x = liveportrait.sample_volume(volume, deformation)  # 1, 32, 16, 64, 64
        x = functional.leaky_relu(self.third(x.flatten(1, 2)), 0.01)  # 1, 256, 64, 64
        return self.fourth(x) * occlusion


def _plain(conv: liveportrait.SpectralConv2d) -> nn.Conv2d:
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

    def __init__(self, spade: liveportrait.Spade, scale: int) -> None:
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

    def __init__(self, spade: liveportrait.Spade, scale: int) -> None:
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

    def __init__(self, block: liveportrait.SpadeBlock, scale: int) -> None:
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


class SpadeBlock(nn.Module):
    """A SPADE block on a map ``scale`` times smaller than its features."""

    def __init__(self, block: liveportrait.SpadeBlock, scale: int) -> None:
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

    def __init__(self, network: liveportrait.SpadeGenerator) -> None:
        super().__init__()
        self.first = network.fc
        self.middle = nn.ModuleList(
            SpadeBlock(network.get_submodule(f"G_middle_{i}"), 1) for i in range(6)
        )
        self.up = nn.ModuleList([SpadeBlock(network.up_0, 2), SpadeBlock(network.up_1, 4)])
        self.last = network.conv_img

    def forward(self, feature: Tensor) -> Tensor:
        """As ``SpadeGenerator.forward``."""
        x = self.first(feature)  # 512, 64, 64
        for block in (*self.middle, *self.up):
            x = block(x, feature)  # 512, 64, 64; 256, 128, 128; 64, 256, 256
        return torch.sigmoid(self.last(functional.leaky_relu(x, 0.2)))  # 3, 512, 512


class PortraitFrame(nn.Module):
    """LivePortrait's frame: features and keypoints in, a picture out."""

    def __init__(self, networks: Mapping[str, nn.Module], colour: Colour) -> None:
        super().__init__()
        self.warp = Warp(networks["liveportrait/warping_module"])
        self.decode = Decoder(networks["liveportrait/spade_generator"])
        self.picture = PictureOut(colour)

    def forward(self, feature_3d: Tensor, kp_driving: Tensor, kp_source: Tensor) -> Tensor:
        """Volume (1, 32, 16, 64, 64), keypoints (1, 21, 3) each -> picture (512, 512, 3)."""
        picture: Tensor = self.picture(self.decode(self.warp(feature_3d, kp_driving, kp_source)))
        return picture


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


class Keypoints(nn.Module):
    """First Order Motion Model's detector in deployed form."""

    def __init__(self, network: fomm.KeypointDetector) -> None:
        super().__init__()
        self.down = network.down
        self.hourglass = Hourglass(network.predictor)
        self.heads = NarrowConv(network.kp, network.jacobian)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """As ``KeypointDetector.forward``."""
        maps = self.heads(self.hourglass(self.down(image)))  # 1, 50, 58, 58
        return fomm.read_keypoints(maps[:, : fomm.KEYPOINTS], maps[:, fomm.KEYPOINTS :])


class SourceEncoder(nn.Module):
    """All of First Order Motion Model's generator that depends on the source alone."""

    def __init__(self, network: fomm.Generator, colour: Colour) -> None:
        super().__init__()
        self.picture = PictureIn(colour)
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Picture (256, 256, 3) -> it at a quarter (1, 3, 64, 64), features (1, 256, 64, 64)."""
        encoded: tuple[Tensor, Tensor] = self.network.encode(self.picture(picture))
        return encoded


class FirstOrderFrame(nn.Module):
    """First Order Motion Model's frame: the encoded source and keypoints in, a picture out."""

    def __init__(self, network: fomm.Generator, colour: Colour) -> None:
        super().__init__()
        self.motion = network.dense_motion_network
        self.hourglass = Hourglass(network.dense_motion_network.hourglass)
        dense = network.dense_motion_network
        self.heads = NarrowConv(dense.mask, dense.occlusion)
        self.bottleneck = network.bottleneck
        self.up = nn.ModuleList(DoubledConv2d(_fused(block)) for block in network.up_blocks)
        self.final = NarrowConv(network.final)
        self.picture = PictureOut(colour)

    def forward(
        self,
        small: Tensor,
        features: Tensor,
        source_value: Tensor,
        source_jacobian: Tensor,
        driving_value: Tensor,
        driving_jacobian: Tensor,
    ) -> Tensor:
        """What the encoder gave, keypoints (1, 10, 2), jacobians (1, 10, 2, 2) -> picture."""
        x, motions = self.motion.prepare(
            small, source_value, source_jacobian, driving_value, driving_jacobian
        )
        maps = self.heads(self.hourglass(x))  # 1, 12, 64, 64
        motion = fomm.read_motion(maps[:, :-1], maps[:, -1:], motions)
        x = functional.grid_sample(features, motion["deformation"], align_corners=False)
        x = self.bottleneck(x * motion["occlusion_map"])  # 1, 256, 64, 64
        for block in self.up:
            x = block(x)  # 1, 128, 128, 128; 1, 64, 256, 256
        picture: Tensor = self.picture(torch.sigmoid(self.final(x)))
        return picture
