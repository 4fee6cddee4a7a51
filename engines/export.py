"""PyTorch -> ONNX: the models that an application runs, made of the published networks.

A model is what is run as one, so it may join networks, or take a part of one::

    liveportrait/appearance_feature_extractor    picture -> feature_3d                once a source
    liveportrait/motion_extractor                picture -> pitch, yaw, roll, t, …    once a frame
    liveportrait/frame                           feature_3d, keypoints -> picture     once a frame
    liveportrait/stitching_retargeting_module/…  vector -> vector                     once a frame
    fomm/kp_detector                             picture -> value, jacobian           once a frame
    fomm/source                                  picture -> small, features           once a source
    fomm/frame                                   those and keypoints -> picture       once a frame

Pictures are uint8 (H, W, 3). All shapes are fixed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avatar.errors import EngineError, MissingDependencyError
from engines import resample
from engines.graph import ModelSpec, TensorSpec, check
from engines.precision import convolutions

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from engines.deploy import Colour

Form = Literal["native", "rows", "tile4c"]
OPSET = 20  # the first with GridSample of five axes

Shapes = Mapping[str, tuple[int, ...]]

_U8, _F32 = np.dtype(np.uint8), np.dtype(np.float32)


@dataclass(frozen=True)
class Model:
    """A model by its networks, inputs and outputs."""

    networks: tuple[str, ...]
    spec: ModelSpec


def _model(
    networks: tuple[str, ...],
    inputs: Shapes,
    outputs: Shapes,
) -> Model:
    def specs(values: Shapes) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(name, _U8 if name == "picture" else _F32, shape)
            for name, shape in values.items()
        )

    return Model(networks, ModelSpec(specs(inputs), specs(outputs)))


_PICTURE: Shapes = {"picture": (256, 256, 3)}
_VOLUME: Shapes = {"feature_3d": (1, 32, 16, 64, 64)}
_ENCODED: Shapes = {"small": (1, 3, 64, 64), "features": (1, 256, 64, 64)}
_HEADS: Shapes = {
    **dict.fromkeys(("pitch", "yaw", "roll"), (1, 66)),
    "t": (1, 3),
    "exp": (1, 63),
    "scale": (1, 1),
    "kp": (1, 63),
}
_RETARGETING = "liveportrait/stitching_retargeting_module"

MODELS: dict[str, Model] = {
    "liveportrait/appearance_feature_extractor": _model(
        ("liveportrait/appearance_feature_extractor",), _PICTURE, _VOLUME
    ),
    "liveportrait/motion_extractor": _model(("liveportrait/motion_extractor",), _PICTURE, _HEADS),
    "liveportrait/frame": _model(
        ("liveportrait/warping_module", "liveportrait/spade_generator"),
        {**_VOLUME, "kp_driving": (1, 21, 3), "kp_source": (1, 21, 3)},
        {"picture": (512, 512, 3)},
    ),
    **{
        f"{_RETARGETING}/{part}": _model(
            (f"{_RETARGETING}/{part}",), {"input": (1, inputs)}, {"output": (1, outputs)}
        )
        for part, inputs, outputs in (("stitching", 126, 65), ("lip", 65, 63), ("eye", 66, 63))
    },
    "fomm/kp_detector": _model(
        ("fomm/kp_detector",), _PICTURE, {"value": (1, 10, 2), "jacobian": (1, 10, 2, 2)}
    ),
    "fomm/source": _model(("fomm/generator",), _PICTURE, _ENCODED),
    "fomm/frame": _model(
        ("fomm/generator",),
        {
            **_ENCODED,
            "source_value": (1, 10, 2),
            "source_jacobian": (1, 10, 2, 2),
            "driving_value": (1, 10, 2),
            "driving_jacobian": (1, 10, 2, 2),
        },
        {"picture": (256, 256, 3)},
    ),
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


def eight_bit(name: str, graph: ModelProto) -> tuple[str, ...]:
    """The convolutions of the model ``name`` that :func:`engines.precision.to_int8` should take.

    Found by making one group after the other 8-bit (docs/performance.md). In LivePortrait's frame
    the dense motion and the SPADEs' scales and shifts, three fifths of the work, cost a third of
    the error that all would; elsewhere all but the first and the last.
    """
    names = convolutions(graph)
    if name != "liveportrait/frame":
        return names[1:-1]
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    weights = {n.output[0]: shapes.get(n.input[1], ()) for n in graph.graph.node if n.input[1:]}
    # Volumes have kernels of three axes; only scales and shifts read 128 channels.
    return tuple(n for n in names if len(weights[n]) == 5 or weights[n][1:] == (128, 3, 3))


def deployed(name: str, networks: Mapping[str, nn.Module], colour: Colour = "rgb") -> nn.Module:
    """The model ``name`` as a PyTorch module: what :func:`export` writes down."""
    from engines import deploy

    first = networks[model(name).networks[0]]
    outputs = tuple(spec.name for spec in model(name).spec.outputs)
    made: nn.Module
    if name == "liveportrait/frame":
        made = deploy.PortraitFrame(networks, colour)
    elif name == "fomm/frame":
        made = deploy.FirstOrderFrame(first, colour)
    elif name == "fomm/source":
        made = deploy.SourceEncoder(first, colour)
    elif name == "fomm/kp_detector":
        made = deploy.OfPicture(deploy.Keypoints(first), colour, outputs)
    elif name.startswith(_RETARGETING):
        made = first
    else:
        made = deploy.OfPicture(first, colour, outputs)
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
