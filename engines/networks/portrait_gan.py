"""The project's own generator: it corrects a warped picture where a warp cannot be right.

Input are a patch of the warped picture, the person at a moment most like this one (the reference)
and maps drawn from the driving keypoints; output are the corrected picture and its blending mask.
The correction takes away as much of the warp's own detail as it wants (lids that were bent), takes
as much of the reference, and adds its own. Trained against a discriminator
that sees the maps too (conditional GAN, arXiv 1611.07004; hinge loss, arXiv 1705.02894).

Convention: pictures and maps are float32 in [0, 1], RGB; shapes in comments leave the batch out.
Dense 3×3 convolutions of few channels: on a CPU they beat depthwise ones of fewer operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.patches import Patch

SLOPE, CRITIC_SLOPE = 0.1, 0.2
# What is finer than this, pixels of a patch, counts as detail. All patches' sides are multiples.
DETAIL_PX = 8


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


class PatchNet(nn.Module):
    """A U-Net for one kind of patch."""

    def __init__(self, patch: Patch) -> None:
        super().__init__()
        self.fold = patch.fold
        fine, *coarse = patch.widths
        folded = patch.fold**2
        self.fold_in = nn.Conv2d(6 * folded + len(patch.maps), fine, 1)
        self.stem = _conv(fine, fine)
        self.down = nn.ModuleList(_conv(a, b, 2) for a, b in pairwise(patch.widths))
        self.inner = nn.ModuleList(_conv(width, width) for width in coarse)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(patch.widths))
        self.joined = nn.ModuleList(_conv(width, width) for width in patch.widths[:-1])
        self.out = _conv(fine, 6 * folded)
        with torch.no_grad():  # begins as the warp itself
            self.out.weight.mul_(0.05)
            self.out.bias.zero_()

    def forward(self, picture: Tensor, reference: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the corrected picture (3, side, side) and its mask in [0, 1] (1, side, side).

        ``picture`` and ``reference``: (3, side, side); ``maps``: (M, cells, cells); of the patch or
        of a window of it.
        """
        coarse = functional.avg_pool2d(picture, DETAIL_PX)
        detail = picture - functional.interpolate(coarse, scale_factor=DETAIL_PX, mode="bilinear")
        folded = functional.pixel_unshuffle(torch.cat([picture, reference], 1), self.fold)
        x = self.fold_in(torch.cat([folded * 2 - 1, maps], 1))
        x = self.body(functional.leaky_relu(self.stem(x), SLOPE))
        y = functional.pixel_shuffle(self.out(x), self.fold)
        erased, taken = torch.sigmoid(y[:, 3:4] - 2), torch.sigmoid(y[:, 5:6] - 2)
        corrected = picture - detail * erased + (reference - picture) * taken + torch.tanh(y[:, :3])
        return corrected, torch.sigmoid(y[:, 4:5] + 2)

    def hidden_weights(self) -> list[nn.Parameter]:
        """Return the weights of all convolutions but the first and the last."""
        lists = (self.down, self.inner, self.up, self.joined)
        return [conv.weight for conv in (self.stem, *(conv for part in lists for conv in part))]

    def body(self, x: Tensor) -> Tensor:
        """Return the features that the last convolution reads, (fine, cells, cells).

        ``x``: the first ones, of the same shape.
        """
        skips = [x]
        for down, inner in zip(self.down, self.inner, strict=True):
            x = functional.leaky_relu(down(x), SLOPE)
            x = functional.leaky_relu(x + inner(x), SLOPE)
            skips.append(x)
        skips.pop()
        for up, joined in zip(reversed(self.up), reversed(self.joined), strict=True):
            x = functional.interpolate(up(x), scale_factor=2, mode="nearest") + skips.pop()
            x = functional.leaky_relu(x + joined(x), SLOPE)
        return x


class PortraitGan(nn.Module):
    """The generator: a ``PatchNet`` for each kind of patch."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        super().__init__()
        self.patches = tuple(patches)
        self.nets = nn.ModuleDict({patch.name: PatchNet(patch) for patch in patches})

    def forward(
        self, name: str, picture: Tensor, reference: Tensor, maps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the corrected picture and mask of the patch ``name``; see ``PatchNet``."""
        found: tuple[Tensor, Tensor] = self.nets[name](picture, reference, maps)
        return found


class Critic(nn.Module):
    """The discriminator of one kind of patch: is a window of it real? A score for each 8×8 pixels.

    Sees the picture at full size and the maps. Without normalisation: what is made differs from
    what is real by little, and a spectral norm kept it from ever telling them apart.
    """

    def __init__(self, patch: Patch, widths: Sequence[int] = (24, 48, 64)) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        inputs = 3 * 4 + len(patch.maps)
        for index, width in enumerate(widths):
            conv = nn.Conv2d(inputs, width, 3, 1 if index == 0 else 2, padding=1)
            nn.init.kaiming_normal_(conv.weight, CRITIC_SLOPE)
            self.convs.append(conv)
            inputs = width
        self.score = nn.Conv2d(inputs, 1, 3, padding=1)
        nn.init.normal_(self.score.weight, std=0.02)

    def forward(self, picture: Tensor, maps: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return scores (1, h/8, w/8) and the features of each layer.

        ``picture``: (3, h, w); ``maps``: (M, h/fold, w/fold) of the same window.
        """
        folded = functional.pixel_unshuffle(picture, 2)
        maps = functional.interpolate(maps, size=folded.shape[2:], mode="bilinear")
        x = torch.cat([folded * 2 - 1, maps], 1)
        features = []
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), CRITIC_SLOPE)
            features.append(x)
        return self.score(x), features


class Critics(nn.Module):
    """A ``Critic`` for each kind of patch."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        super().__init__()
        self.nets = nn.ModuleDict({patch.name: Critic(patch) for patch in patches})

    def forward(self, name: str, picture: Tensor, maps: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the scores and features of the patch ``name``; see ``Critic``."""
        found: tuple[Tensor, list[Tensor]] = self.nets[name](picture, maps)
        return found
