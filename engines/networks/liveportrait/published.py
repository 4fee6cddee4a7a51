"""LivePortrait: a photograph moves by keypoints in a volume of features (arXiv 2407.03168).

Five checkpoints: appearance features F, motion M, warping W, decoding G, and the small
stitching, eye and lip networks. Names of parameters are those of the published files.

Convention: volumes are (batch, channels, depth, height, width); their coordinates (x, y, z) lie in
[−1, 1] and a grid's point i of n stands at 2i/(n−1) − 1. Sampling reads those numbers with
``align_corners=False``, outside is zero: this is how the weights were trained, so it stays.
Pictures are RGB, float32 in [0, 1]. Shapes in comments leave the batch axis out.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

KEYPOINTS = 21
HEAT_VARIANCE = 0.01


class ConvNorm2d(nn.Module):
    """Convolution, batch norm, activation; ``slope`` is that of the activation's negative side."""

    def __init__(self, inputs: int, outputs: int, slope: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(C, H, W) -> (outputs, H, W)."""
        return functional.leaky_relu(self.norm(self.conv(x)), self.slope)


class ConvNorm3d(nn.Module):
    """Convolution of a volume, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(C, D, H, W) -> (outputs, D, H, W)."""
        return functional.relu(self.norm(self.conv(x)))


class ResidualBlock3d(nn.Module):
    """Two pre-activated convolutions around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(C, D, H, W) -> the same shape."""
        y = self.conv1(functional.relu(self.norm1(x)))
        y = self.conv2(functional.relu(self.norm2(y)))
        return x + y


class AppearanceFeatureExtractor(nn.Module):
    """F: the source picture's volume of features. Once a source."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ConvNorm2d(3, 64)
        self.down_blocks = nn.ModuleList([ConvNorm2d(64, 128), ConvNorm2d(128, 256)])
        self.second = nn.Conv2d(256, 512, 1)
        self.resblocks_3d = nn.Sequential()
        for i in range(6):
            self.resblocks_3d.add_module(f"3dr{i}", ResidualBlock3d(32))

    def forward(self, image: Tensor) -> Tensor:
        """Image (3, 256, 256) -> feature volume (32, 16, 64, 64)."""
        x = self.first(image)  # 64, 256, 256
        for block in self.down_blocks:
            x = functional.avg_pool2d(block(x), 2)  # 128, 128, 128; 256, 64, 64
        x = self.second(x)  # 512, 64, 64
        x = x.view(-1, 32, 16, x.shape[2], x.shape[3])  # 32, 16, 64, 64
        volume: Tensor = self.resblocks_3d(x)  # 32, 16, 64, 64
        return volume


class ChannelsFirstNorm(nn.Module):
    """Layer norm over the channels of (C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(C, H, W) -> the same shape."""
        x = x.permute(0, 2, 3, 1)  # H, W, C
        x = functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-6)
        return x.permute(0, 3, 1, 2)  # C, H, W


class GlobalResponseNorm(nn.Module):
    """Each channel's share of the response, over the whole picture (arXiv 2301.00808)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(H, W, C) -> the same shape."""
        size = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)  # 1, 1, C
        share = size / (size.mean(dim=-1, keepdim=True) + 1e-6)  # 1, 1, C
        return self.gamma * (x * share) + self.beta + x


class ConvNextBlock(nn.Module):
    """ConvNeXt V2: a depthwise 7×7, then two linear layers on the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.grn = GlobalResponseNorm(4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(C, H, W) -> the same shape."""
        y = self.dwconv(x).permute(0, 2, 3, 1)  # H, W, C
        y = functional.gelu(self.pwconv1(self.norm(y)))  # H, W, 4C
        y = self.pwconv2(self.grn(y))  # H, W, C
        return x + y.permute(0, 3, 1, 2)  # C, H, W


class ConvNextDetector(nn.Module):
    """ConvNeXt V2 tiny with one linear head for each of M's outputs."""

    heads = ("pitch", "yaw", "roll", "t", "exp", "scale", "kp")

    def __init__(self) -> None:
        super().__init__()
        widths = (96, 192, 384, 768)
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, 96, 4, stride=4), ChannelsFirstNorm(96))]
        )
        for inputs, outputs in pairwise(widths):
            self.downsample_layers.append(
                nn.Sequential(ChannelsFirstNorm(inputs), nn.Conv2d(inputs, outputs, 2, stride=2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNextBlock(width) for _ in range(depth)))
            for width, depth in zip(widths, (3, 3, 9, 3), strict=True)
        )
        self.norm = nn.LayerNorm(768, eps=1e-6)
        self.fc_kp = nn.Linear(768, 3 * KEYPOINTS)
        self.fc_scale = nn.Linear(768, 1)
        self.fc_pitch = nn.Linear(768, 66)
        self.fc_yaw = nn.Linear(768, 66)
        self.fc_roll = nn.Linear(768, 66)
        self.fc_t = nn.Linear(768, 3)
        self.fc_exp = nn.Linear(768, 3 * KEYPOINTS)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Image (3, 256, 256) -> one vector a head."""
        for shrink, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(shrink(x))  # 96, 64, 64; 192, 32, 32; 384, 16, 16; 768, 8, 8
        x = self.norm(x.mean(dim=(2, 3)))  # 768
        return {head: getattr(self, f"fc_{head}")(x) for head in self.heads}


class MotionExtractor(nn.Module):
    """M: head pose, expression and keypoints of a picture. Once a driving frame."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = ConvNextDetector()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Image (3, 256, 256) -> raw heads.

        ``pitch``, ``yaw``, ``roll`` (66 bins each, before softmax), ``t`` (3), ``exp`` (63),
        ``scale`` (1), ``kp`` (63; 21 points of x, y, z).
        """
        heads: dict[str, Tensor] = self.detector(image)
        return heads


def volume_grid(like: Tensor) -> Tensor:
    """Coordinates (x, y, z) of the points of (…, D, H, W): (D, H, W, 3)."""

    def axis(n: int) -> Tensor:
        return 2 * (torch.arange(n, dtype=like.dtype, device=like.device) / (n - 1)) - 1

    z, y, x = torch.meshgrid(*(axis(n) for n in like.shape[-3:]), indexing="ij")
    return torch.stack((x, y, z), dim=-1)


def sample_volume(volume: Tensor, grid: Tensor) -> Tensor:
    """Trilinear samples of (N, C, D, H, W) at (N, D', H', W', 3); zero outside."""
    return functional.grid_sample(volume, grid, align_corners=False)


def heat_maps(keypoints: Tensor, grid: Tensor) -> Tensor:
    """A Gaussian blob around each of (N, 21, 3): (N, 21, D, H, W)."""
    offset = grid - keypoints[:, :, None, None, None, :]  # 21, D, H, W, 3
    return torch.exp(-0.5 * (offset * offset).sum(dim=-1) / HEAT_VARIANCE)


class HourglassEncoder(nn.Module):
    """Five halvings of height and width; depth stays."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        widths = (inputs, 64, 128, 256, 512, 1024)
        self.down_blocks = nn.ModuleList(ConvNorm3d(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(C, D, H, W) -> itself and the five smaller volumes."""
        levels = [x]
        for block in self.down_blocks:
            levels.append(functional.avg_pool3d(block(levels[-1]), (1, 2, 2)))
        return levels


class HourglassDecoder(nn.Module):
    """Five doublings of height and width, each joined with the encoder's level."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.up_blocks = nn.ModuleList(
            ConvNorm3d(a, b)
            for a, b in ((1024, 512), (1024, 256), (512, 128), (256, 64), (128, 32))
        )
        self.conv = nn.Conv3d(32 + inputs, 32 + inputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(32 + inputs)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """The encoder's levels -> (32 + C, D, H, W)."""
        x = levels[-1]  # 1024, D, H/32, W/32
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            x = block(
                functional.interpolate(x, scale_factor=(1, 2, 2))
            )  # as the skip, other channels
            x = torch.cat((x, skip), dim=1)
        return functional.relu(self.norm(self.conv(x)))


class Hourglass3d(nn.Module):
    """A U-Net over height and width of a volume."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.encoder = HourglassEncoder(inputs)
        self.decoder = HourglassDecoder(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(C, D, H, W) -> (32 + C, D, H, W)."""
        y: Tensor = self.decoder(self.encoder(x))
        return y


class DenseMotionNetwork(nn.Module):
    """From sparse keypoints to where each point of the volume comes from."""

    def __init__(self) -> None:
        super().__init__()
        motions = KEYPOINTS + 1
        self.hourglass = Hourglass3d(motions * 5)
        self.mask = nn.Conv3d(142, motions, 7, padding=3)
        self.compress = nn.Conv3d(32, 4, 1)
        self.norm = nn.BatchNorm3d(4)
        self.occlusion = nn.Conv2d(142 * 16, 1, 7, padding=3)

    def forward(
        self, volume: Tensor, kp_driving: Tensor, kp_source: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Volume (32, 16, 64, 64), keypoints (21, 3) -> deformation and occlusion map.

        The deformation is (16, 64, 64, 3) in (x, y, z), the occlusion map (1, 64, 64) in [0, 1].
        """
        small = functional.relu(self.norm(self.compress(volume)))  # 4, 16, 64, 64
        grid = volume_grid(volume)  # 16, 64, 64, 3
        shift = functional.pad(kp_source - kp_driving, (0, 0, 1, 0))  # 22, 3: the first stays
        motions = grid + shift[:, :, None, None, None, :]  # 22, 16, 64, 64, 3
        moved = self.resample(small, motions)  # 22, 4, 16, 64, 64
        heat = heat_maps(kp_driving, grid) - heat_maps(kp_source, grid)  # 21, 16, 64, 64
        heat = functional.pad(heat, (0, 0, 0, 0, 0, 0, 1, 0))  # 22, 16, 64, 64
        x = torch.cat((heat[:, :, None], moved), dim=2).flatten(1, 2)  # 110, 16, 64, 64
        x = self.hourglass(x)  # 142, 16, 64, 64
        weights = self.mask(x).softmax(dim=1)  # 22, 16, 64, 64
        deformation = (motions * weights[..., None]).sum(dim=1)  # 16, 64, 64, 3
        occlusion = torch.sigmoid(self.occlusion(x.flatten(1, 2)))  # 1, 64, 64
        return deformation, occlusion

    def resample(self, small: Tensor, motions: Tensor) -> Tensor:
        """The volume (4, D, H, W) seen through each motion: (22, 4, D, H, W)."""
        count = motions.shape[1]
        volumes = small[:, None].expand(-1, count, -1, -1, -1, -1).flatten(0, 1)
        moved = sample_volume(volumes, motions.flatten(0, 1))  # 22, 4, 16, 64, 64
        return moved.unflatten(0, (-1, count))


class WarpingModule(nn.Module):
    """W: the source's volume in the driver's pose, flattened to a feature map. Once a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotionNetwork()
        self.third = ConvNorm2d(512, 256, slope=0.01)
        self.fourth = nn.Conv2d(256, 256, 1)

    def forward(
        self, feature_3d: Tensor, kp_driving: Tensor, kp_source: Tensor
    ) -> dict[str, Tensor]:
        """Volume (32, 16, 64, 64), keypoints (21, 3) each -> features and how they came about.

        ``out`` (256, 64, 64) is G's input; ``deformation`` (16, 64, 64, 3) and
        ``occlusion_map`` (1, 64, 64) are as in :class:`DenseMotionNetwork`.
        """
        deformation, occlusion = self.dense_motion_network(feature_3d, kp_driving, kp_source)
        x = sample_volume(feature_3d, deformation)  # 32, 16, 64, 64
        x = self.fourth(self.third(x.flatten(1, 2)))  # 256, 64, 64
        return {"occlusion_map": occlusion, "deformation": deformation, "out": x * occlusion}


class SpectralConv2d(nn.Module):
    """A convolution whose weight is divided by its largest singular value (arXiv 1802.05957).

    The singular vectors come with the checkpoint; in eval mode they are never refined.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.weight_orig = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight_orig, a=5**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("weight_u", torch.full((outputs,), outputs**-0.5))
        columns = inputs * kernel * kernel
        self.register_buffer("weight_v", torch.full((columns,), columns**-0.5))

    def weight(self) -> Tensor:
        """The divided weight: (outputs, inputs, kernel, kernel)."""
        flat = self.weight_orig.flatten(1)  # outputs, inputs·kernel²
        sigma = self.weight_u @ (flat @ self.weight_v)  # a number
        return self.weight_orig / sigma

    def forward(self, x: Tensor) -> Tensor:
        """(C, H, W) -> (outputs, H, W)."""
        return functional.conv2d(x, self.weight(), self.bias, padding=self.padding)


class Spade(nn.Module):
    """Normalisation whose scale and shift are computed from a map (arXiv 1903.07291)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(256, 128, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(128, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(128, channels, 3, padding=1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """(C, H, W) and the map (256, 64, 64) -> (C, H, W)."""
        label = functional.interpolate(label, size=x.shape[2:], mode="nearest")  # 256, H, W
        shared = self.mlp_shared(label)  # 128, H, W
        return functional.instance_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


class SpadeBlock(nn.Module):
    """Two modulated convolutions around an identity, or a 1×1 where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = SpectralConv2d(inputs, middle, 3)
        self.conv_1 = SpectralConv2d(middle, outputs, 3)
        self.norm_0 = Spade(inputs)
        self.norm_1 = Spade(middle)
        self.narrows = inputs != outputs
        if self.narrows:
            self.conv_s = SpectralConv2d(inputs, outputs, 1, bias=False)
            self.norm_s = Spade(inputs)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """(C, H, W) and the map (256, 64, 64) -> (outputs, H, W)."""
        y = self.conv_0(functional.leaky_relu(self.norm_0(x, label), 0.2))  # middle, H, W
        y = self.conv_1(functional.leaky_relu(self.norm_1(y, label), 0.2))  # outputs, H, W
        if self.narrows:
            x = self.conv_s(self.norm_s(x, label))  # outputs, H, W
        return x + y


class SpadeGenerator(nn.Module):
    """G: the picture from the warped features. Once a frame; most of a frame's work."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(256, 512, 3, padding=1)
        for i in range(6):
            self.add_module(f"G_middle_{i}", SpadeBlock(512, 512))
        self.up_0 = SpadeBlock(512, 256)
        self.up_1 = SpadeBlock(256, 64)
        self.conv_img = nn.Sequential(nn.Conv2d(64, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, feature: Tensor) -> Tensor:
        """Features (256, 64, 64) -> image (3, 512, 512)."""
        x = self.fc(feature)  # 512, 64, 64
        for i in range(6):
            x = self.get_submodule(f"G_middle_{i}")(x, feature)  # 512, 64, 64
        x = self.up_0(functional.interpolate(x, scale_factor=2), feature)  # 256, 128, 128
        x = self.up_1(functional.interpolate(x, scale_factor=2), feature)  # 64, 256, 256
        return torch.sigmoid(self.conv_img(functional.leaky_relu(x, 0.2)))  # 3, 512, 512


class RetargetingNetwork(nn.Module):
    """A stack of linear layers with ReLU between: stitching, lip and eye retargeting."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(first width) -> (last width)."""
        y: Tensor = self.mlp(x)
        return y


def _stitching() -> nn.Module:
    return RetargetingNetwork(126, 128, 128, 64, 65)


def _lip() -> nn.Module:
    return RetargetingNetwork(65, 128, 128, 64, 63)


def _eye() -> nn.Module:
    return RetargetingNetwork(66, 256, 256, 128, 128, 64, 63)


PARTS: dict[str, Callable[[], nn.Module]] = {
    "appearance_feature_extractor": AppearanceFeatureExtractor,
    "motion_extractor": MotionExtractor,
    "warping_module": WarpingModule,
    "spade_generator": SpadeGenerator,
    "stitching_retargeting_module/stitching": _stitching,
    "stitching_retargeting_module/lip": _lip,
    "stitching_retargeting_module/eye": _eye,
}
