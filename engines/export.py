"""PyTorch -> ONNX: the models that an application runs, made of the published networks.

A model is what is run as one, so it may join networks, or take a part of one: each family in
``engines/networks`` has a table of its own.

Pictures are uint8 (H, W, 3). All shapes are fixed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from avatar.core.errors import EngineError, MissingDependencyError
from engines import resample
from engines.graph import ModelSpec, check
from engines.networks import FAMILIES
from engines.networks.family import Model

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from engines.deploy import Colour

Form = Literal["native", "rows", "tile4c"]
OPSET = 20  # the first with GridSample of five axes

MODELS: dict[str, Model] = {
    name: model for family in FAMILIES.values() for name, model in family.models.items()
}
"""Every model that :func:`export` makes, by name."""


def model(name: str) -> Model:
    """The model called ``name``; an unknown name is an ``EngineError`` that lists the known."""
    if name not in MODELS:
        raise EngineError(f"no model is called {name!r}; known are: {', '.join(MODELS)}")
    return MODELS[name]


def export(
    name: str,
    networks: Mapping[str, nn.Module],
    *,
    form: Form = "native",
    colour: Colour = "rgb",
) -> ModelProto:
    """The model ``name`` as an ONNX graph in float32, from ``networks`` by their names.

    ``form`` is how a volume is resampled: ``native`` needs a runtime with GridSample of five axes,
    ``rows`` is exact and ``tile4c`` fast on the others. ``colour`` is the order of all pictures.

    Raises ``EngineError`` when a network is missing, ``MissingDependencyError`` without PyTorch,
    onnx or onnxscript.
    """
    wanted = model(name)
    if missing := [n for n in wanted.networks if n not in networks]:
        raise EngineError(f"the model {name} is made from {', '.join(missing)}: load it first")
    module = deployed(name, networks, colour)
    graph = exported(module, wanted.spec)
    if form != "native":
        graph = resample.rewrite(graph, form)
    check(graph)
    return graph


def deployed(name: str, networks: Mapping[str, nn.Module], colour: Colour = "rgb") -> nn.Module:
    """The model ``name`` as a PyTorch module: what :func:`export` writes down."""
    wanted = model(name)
    made = wanted.deploy(wanted, [networks[part] for part in wanted.networks], colour)
    return made.eval().requires_grad_(False)


def exported(module: nn.Module, spec: ModelSpec) -> ModelProto:
    """A module with the inputs and outputs of ``spec``, in its order, as an ONNX graph.

    Raises ``MissingDependencyError`` without PyTorch, onnx or onnxscript.
    """
    import torch

    try:
        import onnx
        import onnxscript  # noqa: F401  (PyTorch's exporter is written with it)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"export needs {error.name}: pip install onnx onnxscript"
        ) from error
    examples = tuple(
        torch.zeros(spec.shape, dtype=getattr(torch, str(spec.dtype))) for spec in spec.inputs
    )
    # Weights are up to 490 MB: a file on disk would only be read back.
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            examples,
            dynamo=True,
            opset_version=OPSET,
            input_names=[value.name for value in spec.inputs],
            output_names=[value.name for value in spec.outputs],
            verbose=False,
        )
    graph: onnx.ModelProto = program.model_proto
    _strip(graph)
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks are about its own parts (torchvision, its progress), not the model."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip(graph: Any) -> None:
    """Take out what says where and how the graph was made: equal models get equal hashes."""
    graph.producer_version = ""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    for entry in (*graph.graph.node, *graph.graph.value_info, *graph.graph.initializer):
        del entry.metadata_props[:]
    for value in (*graph.graph.input, *graph.graph.output):
        del value.metadata_props[:]
