"""Inputs of the models as they occur: for comparing, for timing, and for int8's ranges.

A frame's inputs are what the models before it give for two pictures. Without pictures at hand,
smooth random ones stand in for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engines.export import model
from engines.graph import Array

if TYPE_CHECKING:
    from torch import nn

SIZE_PX = 256


def random_pictures(count: int, seed: int = 0) -> list[Array]:
    """Smooth random pictures, uint8 (256, 256, 3)."""
    return [_picture(np.random.default_rng((seed, i))) for i in range(count)]


def _picture(rng: np.random.Generator) -> Array:
    y, x = np.mgrid[0:SIZE_PX, 0:SIZE_PX] / SIZE_PX
    waves = np.zeros((SIZE_PX, SIZE_PX, 3))
    for _ in range(10):
        angle = 2 * np.pi * (rng.uniform(0, 6) * y + rng.uniform(0, 6) * x)
        waves += rng.normal(size=3) * np.cos(angle[..., None] + rng.uniform(0, 6, 3))
    waves -= waves.min(axis=(0, 1))
    picture: Array = np.rint(255 * waves / waves.max(axis=(0, 1))).astype(np.uint8)
    return picture


def random_feeds(name: str, seed: int = 0) -> dict[str, Array]:
    """Unit noise for every input of the model ``name``; a smooth picture for a picture."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for spec in model(name).spec.inputs:
        shape = [n or 1 for n in spec.shape]
        if spec.dtype == np.uint8:
            feeds[spec.name] = _picture(rng)
        elif spec.name.endswith("jacobian"):  # near the identity: it is inverted
            feeds[spec.name] = (np.eye(2) + 0.1 * rng.standard_normal(shape)).astype(np.float32)
        else:
            feeds[spec.name] = (0.3 * rng.standard_normal(shape)).astype(np.float32)
    return feeds


def networks_for(name: str) -> tuple[str, ...]:
    """The networks that :func:`real_feeds` needs to make the inputs of the model ``name``."""
    return model(name).fed_by


def real_feeds(
    name: str, networks: Mapping[str, nn.Module], source: Array, driving: Sequence[Array]
) -> list[dict[str, Array]]:
    """The inputs of the model ``name`` for a source and each driving picture.

    ``networks`` holds those of :func:`networks_for`; pictures are uint8 (256, 256, 3) RGB. Models
    that take no picture and follow none get unit noise.
    """
    from engines.torch import reference

    wanted = model(name)
    if {spec.name for spec in wanted.spec.inputs} == {"picture"}:
        return [{"picture": picture} for picture in (source, *driving)]
    if wanted.feeds is not None:
        return wanted.feeds(lambda other: reference(other, networks), source, driving)
    return [random_feeds(name, seed) for seed in range(len(driving))]
