"""First Order Motion Model: a picture moves by keypoints and their jacobians (arXiv 2003.00196).

Names of parameters are those of ``vox-adv-cpk.pth.tar``. Convention: coordinates (x, y) lie in
[−1, 1] and a grid's point i of n stands at 2i/(n−1) − 1; sampling reads those numbers with
``align_corners=False``, outside is zero, as the weights were trained. Pictures are RGB, 256×256,
float32 in [0, 1]. Shapes in comments leave the batch axis out.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

KEYPOINTS = 10
HEAT_VARIANCE = 0.01
TEMPERATURE = 0.1


class ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(C, H, W) -> (outputs, H, W)."""
        return functional.relu(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two pre-activated convolutions around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(C, H, W) -> the same shape."""
        y = self.conv1(functional.relu(self.norm1(x)))
        y = self.conv2(functional.relu(self.norm2(y)))
        return x + y


class HourglassEncoder(nn.Module):
    """Halvings with growing width."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.down_blocks = nn.ModuleList(ConvNorm(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(C, H, W) -> itself and the smaller maps."""
        levels = [x]
        for block in self.down_blocks:
            levels.append(functional.avg_pool2d(block(levels[-1]), 2))
        return levels


class HourglassDecoder(nn.Module):
    """Doublings, each joined with the encoder's level."""

    def __init__(self, widths: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.up_blocks = nn.ModuleList(ConvNorm(a, b) for a, b in widths)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """The encoder's levels -> (last width + C, H, W)."""
        x = levels[-1]
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            x = block(functional.interpolate(x, scale_factor=2))  # as the skip, other channels
            x = torch.cat((x, skip), dim=1)
        return x


class Hourglass(nn.Module):
    """A U-Net of five levels; its widths double from ``width`` up to 1024."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        down = (inputs, *(min(1024, width * 2 ** (i + 1)) for i in range(5)))
        ups = tuple(min(1024, width * 2**i) for i in range(5))
        self.encoder = HourglassEncoder(down)
        self.decoder = HourglassDecoder(
            tuple(
                (min(1024, width * 2 ** (i + 1)) * (1 if i == 4 else 2), ups[i])
                for i in reversed(range(5))
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(C, H, W) -> (width + C, H, W)."""
        y: Tensor = self.decoder(self.encoder(x))
        return y


class QuarterSize(nn.Module):
    """A picture at a quarter of its size, blurred first so that nothing aliases.

    The kernel is a buffer because the checkpoint has it: 13 wide, Gaussian, sigma 1.5.
    """

    def __init__(self) -> None:
        super().__init__()
        offset = torch.arange(13, dtype=torch.float32) - 6
        bell = torch.exp(-0.5 * (offset / 1.5) ** 2)
        kernel = bell[:, None] * bell[None, :]
        kernel = kernel / kernel.sum()
        self.register_buffer("weight", kernel.expand(3, 1, 13, 13).clone())

    def forward(self, image: Tensor) -> Tensor:
        """(3, H, W) -> (3, H/4, W/4)."""
        weight: Tensor = self.get_buffer("weight")
        return functional.conv2d(image, weight, padding=6, stride=4, groups=3)


def plane_grid(like: Tensor) -> Tensor:
    """Coordinates (x, y) of the points of (…, H, W): (H, W, 2)."""

    def axis(n: int) -> Tensor:
        return 2 * (torch.arange(n, dtype=like.dtype, device=like.device) / (n - 1)) - 1

    y, x = torch.meshgrid(*(axis(n) for n in like.shape[-2:]), indexing="ij")
    return torch.stack((x, y), dim=-1)


class KeypointDetector(nn.Module):
    """Ten keypoints and how the picture is stretched around each. Once a driving frame."""

    def __init__(self) -> None:
        super().__init__()
        self.predictor = Hourglass(3, 32)
        self.kp = nn.Conv2d(35, KEYPOINTS, 7)
        self.jacobian = nn.Conv2d(35, 4 * KEYPOINTS, 7)
        self.down = QuarterSize()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Image (3, 256, 256) -> ``value`` (10, 2) in (x, y) and ``jacobian`` (10, 2, 2)."""
        x = self.predictor(self.down(image))  # 35, 64, 64
        return read_keypoints(self.kp(x), self.jacobian(x))


def read_keypoints(heat: Tensor, stretch: Tensor) -> dict[str, Tensor]:
    """Heat maps (10, H, W) and jacobian maps (40, H, W) -> ``value`` and ``jacobian``."""
    grid = plane_grid(heat).flatten(0, 1)  # H·W, 2
    heat = (heat.flatten(2) / TEMPERATURE).softmax(dim=2)  # 10, H·W
    value = (heat[..., None] * grid).sum(dim=2)  # 10, 2
    stretch = stretch.flatten(2).unflatten(1, (KEYPOINTS, 4))  # 10, 4, H·W
    stretch = (stretch * heat[:, :, None]).sum(dim=3)  # 10, 4
    return {"value": value, "jacobian": stretch.unflatten(2, (2, 2))}


def heat_maps(keypoints: Tensor, grid: Tensor) -> Tensor:
    """A Gaussian blob around each of (N, 10, 2): (N, 10, H, W)."""
    offset = grid - keypoints[:, :, None, None, :]  # 10, H, W, 2
    return torch.exp(-0.5 * (offset * offset).sum(dim=-1) / HEAT_VARIANCE)


def inverse_2x2(m: Tensor) -> Tensor:
    """The inverse of (…, 2, 2) in closed form: no runtime needs a solver for it."""
    a, b, c, d = m[..., 0, 0], m[..., 0, 1], m[..., 1, 0], m[..., 1, 1]
    adjugate = torch.stack((d, -b, -c, a), dim=-1).unflatten(-1, (2, 2))
    return adjugate / (a * d - b * c)[..., None, None]


def product_2x2(a: Tensor, b: Tensor) -> Tensor:
    """(…, 2, 2) times (…, 2, n), written out: it stays in float32 where products become fp16."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(dim=-2)


class DenseMotionNetwork(nn.Module):
    """From ten local motions to where each point of the picture comes from."""

    def __init__(self) -> None:
        super().__init__()
        motions = KEYPOINTS + 1
        self.hourglass = Hourglass(motions * 4, 64)
        self.mask = nn.Conv2d(108, motions, 7, padding=3)
        self.occlusion = nn.Conv2d(108, 1, 7, padding=3)
        self.down = QuarterSize()

    def forward(
        self,
        small: Tensor,
        source_value: Tensor,
        source_jacobian: Tensor,
        driving_value: Tensor,
        driving_jacobian: Tensor,
    ) -> dict[str, Tensor]:
        """The source at a quarter (3, 64, 64), keypoints (10, 2), jacobians (10, 2, 2).

        Gives ``mask`` (11, 64, 64), ``deformation`` (64, 64, 2), ``occlusion_map`` (1, 64, 64).
        """
        x, motions = self.prepare(
            small, source_value, source_jacobian, driving_value, driving_jacobian
        )
        x = self.hourglass(x)  # 108, 64, 64
        return read_motion(self.mask(x), self.occlusion(x), motions)

    def prepare(
        self,
        small: Tensor,
        source_value: Tensor,
        source_jacobian: Tensor,
        driving_value: Tensor,
        driving_jacobian: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The hourglass's input (44, 64, 64) and the candidate motions (11, 64, 64, 2)."""
        grid = plane_grid(small)  # 64, 64, 2
        stretch = product_2x2(source_jacobian, inverse_2x2(driving_jacobian))  # 10, 2, 2
        motions = grid - driving_value[:, :, None, None]  # 10, 64, 64, 2
        motions = product_2x2(stretch[:, :, None, None], motions[..., None])[
            ..., 0
        ]  # 10, 64, 64, 2
        motions = motions + source_value[:, :, None, None]  # 10, 64, 64, 2
        still = grid.expand(small.shape[0], 1, -1, -1, -1)  # 1, 64, 64, 2
        motions = torch.cat((still, motions), dim=1)  # 11, 64, 64, 2
        heat = heat_maps(driving_value, grid) - heat_maps(source_value, grid)  # 10, 64, 64
        heat = functional.pad(heat, (0, 0, 0, 0, 1, 0))  # 11, 64, 64
        moved = self.resample(small, motions)  # 11, 3, 64, 64
        return torch.cat((heat[:, :, None], moved), dim=2).flatten(1, 2), motions

    def resample(self, small: Tensor, motions: Tensor) -> Tensor:
        """The picture (3, H, W) seen through each motion: (11, 3, H, W)."""
        count = motions.shape[1]
        pictures = small[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)
        moved = functional.grid_sample(pictures, motions.flatten(0, 1), align_corners=False)
        return moved.unflatten(0, (-1, count))


def read_motion(mask: Tensor, occlusion: Tensor, motions: Tensor) -> dict[str, Tensor]:
    """Maps (11, H, W) and (1, H, W) before their activation, motions (11, H, W, 2) -> outputs."""
    mask = mask.softmax(dim=1)  # 11, 64, 64
    return {
        "mask": mask,
        "deformation": (motions * mask[..., None]).sum(dim=1),  # 64, 64, 2
        "occlusion_map": torch.sigmoid(occlusion),  # 1, 64, 64
    }


class Generator(nn.Module):
    """The source picture with the driver's motion. Once a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotionNetwork()
        self.first = ConvNorm(3, 64, 7)
        self.down_blocks = nn.ModuleList([ConvNorm(64, 128), ConvNorm(128, 256)])
        self.up_blocks = nn.ModuleList([ConvNorm(256, 128), ConvNorm(128, 64)])
        self.bottleneck = nn.Sequential()
        for i in range(6):
            self.bottleneck.add_module(f"r{i}", ResidualBlock(256))
        self.final = nn.Conv2d(64, 3, 7, padding=3)

    def forward(
        self,
        source: Tensor,
        source_value: Tensor,
        source_jacobian: Tensor,
        driving_value: Tensor,
        driving_jacobian: Tensor,
    ) -> dict[str, Tensor]:
        """Source (3, 256, 256), keypoints (10, 2) and jacobians (10, 2, 2) of both pictures.

        ``prediction`` (3, 256, 256) is the picture; ``deformed`` is the source moved without
        repair; ``mask`` and ``occlusion_map`` are as in :class:`DenseMotionNetwork`.
        """
        small, features = self.encode(source)
        motion = self.dense_motion_network(
            small, source_value, source_jacobian, driving_value, driving_jacobian
        )
        full = motion["deformation"].permute(0, 3, 1, 2)  # 2, 64, 64
        full = functional.interpolate(full, size=source.shape[2:], mode="bilinear")  # 2, 256, 256
        deformed = functional.grid_sample(source, full.permute(0, 2, 3, 1), align_corners=False)
        prediction = self.decode(features, motion["deformation"], motion["occlusion_map"])
        return {
            "mask": motion["mask"],
            "occlusion_map": motion["occlusion_map"],
            "deformed": deformed,
            "prediction": prediction,
        }

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """All that depends on the source alone: it at a quarter, and its features.

        Image (3, 256, 256) -> (3, 64, 64) and (256, 64, 64).
        """
        x = self.first(source)  # 64, 256, 256
        for block in self.down_blocks:
            x = functional.avg_pool2d(block(x), 2)  # 128, 128, 128; 256, 64, 64
        return self.dense_motion_network.down(source), x

    def decode(self, features: Tensor, deformation: Tensor, occlusion: Tensor) -> Tensor:
        """Features (256, 64, 64), deformation (64, 64, 2), occlusion (1, 64, 64) -> image."""
        x = functional.grid_sample(features, deformation, align_corners=False)  # 256, 64, 64
        x = self.bottleneck(x * occlusion)  # 256, 64, 64
        for block in self.up_blocks:
            x = block(functional.interpolate(x, scale_factor=2))  # 128, 128, 128; 64, 256, 256
        return torch.sigmoid(self.final(x))  # 3, 256, 256


PARTS: dict[str, Callable[[], nn.Module]] = {
    "kp_detector": KeypointDetector,
    "generator": Generator,
}
