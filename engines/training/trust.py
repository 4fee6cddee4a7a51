"""Where the corrections of a trained generator are believed.

A network corrects what its recording taught it to, also where that does not last: hair falls
otherwise a minute later, and an outline that was moved each time was better left. Moments that
were not learnt from tell one from the other, place by place: patches stand still on the skull.
They were recorded in the same minute, though; what is not face is believed less than they say.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engines.graph import Array
from engines.networks.portrait_gan import PortraitGan
from engines.patches import Patch
from engines.training.given import Given
from engines.training.pairs import Pairs

SHARES = tuple(i / 5 for i in range(6))
"""How much of a correction may be left."""

# What is left beside the face of what held-out moments leave, and the map that is the face.
_BESIDE, _FACE = 0.6, "oval"
# How far the face is seen to reach beyond its oval, and its soft edge; in patch sides.
_BEYOND, _EDGE = 0.03, 0.02
_LOOKED_AT = 64
# A standard deviation, in patch sides: errors are compared as they are around a place, not at it.
_AROUND = 0.05
_AT_ONCE = 8


def trust(network: PortraitGan, pairs: Pairs, patch: Patch) -> Array:
    """Return how much of each correction is to be left, float32 (side, side) in [0, 1].

    That of ``SHARES`` with which the held-out pairs have the smallest error around a place, without
    steps between places; all where nothing was held out. Beside the face less of that is left.
    ``network`` is on the processor.
    """
    left = _face(pairs, patch) * (1 - _BESIDE) + _BESIDE
    if len(pairs.held_out) > 0:
        left = left * _gained(network, pairs, patch)
    kept: Array = left[0, 0].clamp(0, 1).numpy()
    return kept


def _gained(network: PortraitGan, pairs: Pairs, patch: Patch) -> Tensor:
    """Return the share that is best for held-out pairs, (1, 1, side, side)."""
    errors = torch.zeros(len(SHARES), 1, patch.side_px, patch.side_px)
    for given in _held_out(pairs, patch):
        with torch.no_grad():
            corrected, mask = network(patch.name, given.picture, given.reference, given.maps)
        change = (corrected - given.picture) * mask * given.border
        for share, error in zip(SHARES, errors, strict=True):
            apart = (given.picture + share * change - given.truth).abs().mean(1, keepdim=True)
            error += (apart * given.weight).sum(0)
    around = _blurred(errors, _AROUND * patch.side_px)
    # Of equals the larger share: nothing that was learnt is taken away without a reason.
    best = len(SHARES) - 1 - around.flip(0).argmin(0, keepdim=True)
    return _blurred(torch.tensor(SHARES)[best], _AROUND * patch.side_px / 2)


def _face(pairs: Pairs, patch: Patch) -> Tensor:
    """Return where the face is, in [0, 1], (1, 1, side, side); everywhere without a map of it."""
    if _FACE not in patch.maps:
        return torch.ones(1, 1, patch.side_px, patch.side_px)
    some = np.linspace(0, len(pairs.train) - 1, min(_LOOKED_AT, len(pairs.train))).astype(int)
    drawn = pairs.batch(patch, pairs.train[some]).maps[..., patch.maps.index(_FACE)]
    cells = torch.from_numpy(drawn).float().mean(0)[None, None] / 255
    face = functional.interpolate(cells, scale_factor=patch.fold, mode="bilinear")
    reach = round(_BEYOND * patch.side_px)
    grown = functional.max_pool2d(face, 2 * reach + 1, stride=1, padding=reach)
    return _blurred(grown, _EDGE * patch.side_px)


def _held_out(pairs: Pairs, patch: Patch) -> Iterator[Given]:
    for start in range(0, len(pairs.held_out), _AT_ONCE):
        yield Given.of(patch, pairs.batch(patch, pairs.held_out[start : start + _AT_ONCE]), "cpu")


def _blurred(x: Tensor, deviation_px: float) -> Tensor:
    """Blur (N, 1, side, side) by a Gaussian."""
    reach = min(int(3 * deviation_px), x.shape[-1] - 1)
    at = torch.arange(-reach, reach + 1)
    taps = torch.exp(-((at / deviation_px) ** 2) / 2)
    taps = (taps / taps.sum())[None, None, None]
    padded = functional.pad(x, (reach, reach, reach, reach), mode="reflect")
    return functional.conv2d(functional.conv2d(padded, taps), taps.mT)
