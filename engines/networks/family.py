"""What is known of a family of networks without PyTorch: each folder here says it of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.graph import Array, ModelSpec, TensorSpec
from engines.precision import convolutions

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from engines.deploy import Colour
    from engines.runner import Runner

Shapes = Mapping[str, tuple[int, ...]]
Function = Callable[..., Mapping[str, Any]]
"""Tensors by the names of the inputs -> tensors by the names of the outputs."""
Feeds = dict[str, Array]


def all_but_ends(graph: ModelProto) -> tuple[str, ...]:
    """The convolutions of a graph but the first and the last, which cost the most error."""
    return convolutions(graph)[1:-1]


def of_picture(model: Model, networks: Sequence[nn.Module], colour: Colour) -> nn.Module:
    """The model's one network behind a picture."""
    from engines.deploy import OfPicture

    return OfPicture(networks[0], colour, tuple(spec.name for spec in model.spec.outputs))


@dataclass(frozen=True)
class Model:
    """What is run as one: networks by their names, inputs and outputs.

    ``deploy``: makes the module that is exported, of the model, its networks and the order of
    colours. ``published``: makes the function that its networks compute as published, of them,
    ``PictureIn`` and ``PictureOut``; None where that is its one network alone. ``feeds``: gives its
    inputs of what opens other models, a source and driving pictures; None where it follows no
    other, ``fed_by``: the networks of those. ``eight_bit``: names the convolutions of its graph
    that are 8-bit in int8.
    """

    networks: tuple[str, ...]
    spec: ModelSpec
    deploy: Callable[[Model, Sequence[nn.Module], Colour], nn.Module] = of_picture
    published: Callable[[Sequence[nn.Module], nn.Module, nn.Module], Function] | None = None
    feeds: Callable[[Callable[[str], Runner], Array, Sequence[Array]], list[Feeds]] | None = None
    fed_by: tuple[str, ...] = ()
    eight_bit: Callable[[ModelProto], tuple[str, ...]] = all_but_ends


@dataclass(frozen=True)
class NetworkFamily:
    """A family of published networks; all names begin with its own and a slash.

    ``sections``: each network, and where in its file it lies when the file holds several, else "".
    ``models``: what is made of them. ``each_frame``: the models that run once a frame; the source's
    own run once a source. ``whole``: what the published code also does in every frame, although it
    depends on the source alone.
    """

    name: str
    sections: Mapping[str, str]
    models: Mapping[str, Model]
    each_frame: tuple[str, ...]
    whole: tuple[str, ...] = ()


PICTURE: Shapes = {"picture": (256, 256, 3)}


def spec_of_shapes(inputs: Shapes, outputs: Shapes) -> ModelSpec:
    """A model's inputs and outputs: ``picture`` is uint8, all others float32."""

    def specs(values: Shapes) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(name, np.dtype(np.uint8 if name == "picture" else np.float32), shape)
            for name, shape in values.items()
        )

    return ModelSpec(specs(inputs), specs(outputs))
