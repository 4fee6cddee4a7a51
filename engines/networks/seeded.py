"""Networks with weights made from a seed: for timing and comparing without a checkpoint.

What is drawn has the spread of trained weights, so that activations keep unit size through deep
networks and numerical errors are those that occur.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from engines.networks import create

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def seeded(name: str, seed: int = 0) -> nn.Module:
    """The network ``name`` in eval mode; equal seeds give equal weights on every machine."""
    import torch

    with torch.device("meta"):
        network = create(name)
    state = {key: _drawn(key, value, seed) for key, value in network.state_dict().items()}
    for key in [key for key in state if key.endswith("weight_orig")]:
        _normalise(state, key.removesuffix("weight_orig"))
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False)


def _drawn(key: str, like: Tensor, seed: int) -> Tensor:
    import torch

    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) + seed)

    def normal() -> Tensor:
        return torch.randn(like.shape, generator=generator)

    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.zeros(like.shape, dtype=like.dtype)
    if leaf == "running_var":
        return 0.5 + torch.rand(like.shape, generator=generator)
    if leaf in ("running_mean", "bias", "beta"):
        return 0.1 * normal()
    if leaf == "gamma":
        return 0.5 + 0.1 * normal()
    if like.dim() < 2:  # the scale of a norm
        return 1 + 0.1 * normal()
    return normal() * (1.6 / like[0].numel()) ** 0.5


def _normalise(state: dict[str, torch.Tensor], stem: str) -> None:
    """Set a spectral norm's vectors to the leading singular ones, as training leaves them."""
    flat = state[f"{stem}weight_orig"].flatten(1)
    u = flat.new_ones(flat.shape[0])
    for _ in range(20):
        v = (flat.t() @ u) / (flat.t() @ u).norm()
        u = (flat @ v) / (flat @ v).norm()
    state[f"{stem}weight_u"], state[f"{stem}weight_v"] = u, v
