"""First Order Motion Model's networks in the form that is fast; see ``engines.deploy``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.deploy import Colour, DeployedHourglass, PictureIn, PictureOut, fused
from engines.deploy_convolutions import DoubledConv2d, NarrowConv
from engines.networks.fomm import published


class Keypoints(nn.Module):
    """The detector in deployed form."""

    def __init__(self, network: published.KeypointDetector) -> None:
        super().__init__()
        self.down = network.down
        self.hourglass = DeployedHourglass(network.predictor)
        self.heads = NarrowConv(network.kp, network.jacobian)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """As ``KeypointDetector.forward``."""
        maps = self.heads(self.hourglass(self.down(image)))  # 1, 50, 58, 58
        return published.read_keypoints(
            maps[:, : published.KEYPOINTS], maps[:, published.KEYPOINTS :]
        )


class SourceEncoder(nn.Module):
    """All of The generator that depends on the source alone."""

    def __init__(self, network: published.Generator, colour: Colour) -> None:
        super().__init__()
        self.picture = PictureIn(colour)
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Picture (256, 256, 3) -> it at a quarter (1, 3, 64, 64), features (1, 256, 64, 64)."""
        encoded: tuple[Tensor, Tensor] = self.network.encode(self.picture(picture))
        return encoded


class FirstOrderFrame(nn.Module):
    """The frame: the encoded source and keypoints in, a picture out."""

    def __init__(self, network: published.Generator, colour: Colour) -> None:
        super().__init__()
        self.motion = network.dense_motion_network
        self.hourglass = DeployedHourglass(network.dense_motion_network.hourglass)
        dense = network.dense_motion_network
        self.heads = NarrowConv(dense.mask, dense.occlusion)
        self.bottleneck = network.bottleneck
        self.up = nn.ModuleList(DoubledConv2d(fused(block)) for block in network.up_blocks)
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
        motion = published.read_motion(maps[:, :-1], maps[:, -1:], motions)
        x = functional.grid_sample(features, motion["deformation"], align_corners=False)
        x = self.bottleneck(x * motion["occlusion_map"])  # 1, 256, 64, 64
        for block in self.up:
            x = block(x)  # 1, 128, 128, 128; 1, 64, 256, 256
        picture: Tensor = self.picture(torch.sigmoid(self.final(x)))
        return picture
