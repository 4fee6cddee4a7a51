"""fp16 and int8 forms of a float32 graph.

Precision is written into the graph itself, so every runtime computes the same thing: TensorRT 11
has no other way, and a cached engine can be told from another by its graph.

**fp16**: convolutions and matrix products, and what lies between them, in half precision. What
says *where* to read stays in float32: resampling, the coordinates that lead to it, everything
computed before the first convolution (keypoints, grids, Gaussians), and sums over a whole picture.
Inputs and outputs keep their types.

**int8**: 8-bit convolutions, as pairs of QuantizeLinear and DequantizeLinear around their inputs
and weights. Ranges come from running samples through the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, attributes, check, import_onnx, model_spec

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_HEAVY = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_FULL = (
    "GridSample",
    "GridSample3D",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "ReduceL2",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Softmax",
    "Exp",
    "Pow",
    "CumSum",
    "Range",
)
_LARGEST = float(np.finfo(np.float16).max)


def to_fp16(model: ModelProto) -> ModelProto:
    """A copy of ``model`` that computes in half precision where that is safe (see the module).

    Raises ``EngineError`` when the type of a value cannot be inferred.
    """
    onnx = import_onnx()
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    converter = _HalfConverter(inferred)
    for node in inferred.graph.node:
        converter.add(node)
    result: ModelProto = onnx.ModelProto()
    result.CopyFrom(inferred)
    graph = result.graph
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    converter.finish()
    graph.node.extend(converter.nodes)
    used = {name for node in graph.node for name in node.input}
    weights = (*inferred.graph.initializer, *converter.initializers)
    graph.initializer.extend(w for w in weights if w.name in used)
    check(result)
    return result


class _HalfConverter:
    """Copies nodes in order, casting their inputs to the precision each computes in."""

    def __init__(self, model: ModelProto) -> None:
        self._onnx = import_onnx()
        self._graph = model.graph
        self._float, self._half = (
            self._onnx.TensorProto.FLOAT,
            self._onnx.TensorProto.FLOAT16,
        )
        self._weights = {t.name: t for t in model.graph.initializer}
        self._types = self._value_types()
        self._heavy_before: set[str] = set()
        self._leads_to_grid = _ancestors_of_grids(model.graph.node)
        self._available: dict[tuple[str, int], str] = {}
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def _value_types(self) -> dict[str, int]:
        graph = self._graph
        values = (*graph.input, *graph.value_info, *graph.output)
        types = {v.name: v.type.tensor_type.elem_type for v in values}
        types.update({t.name: t.data_type for t in graph.initializer})
        return types

    def add(self, node: NodeProto) -> None:
        """Append a copy of ``node`` in its precision."""
        heavy = node.op_type in _HEAVY or any(n in self._heavy_before for n in node.input)
        if heavy:
            self._heavy_before.update(node.output)
        half = node.op_type in _HEAVY or (
            heavy and node.op_type not in _FULL and node.output[0] not in self._leads_to_grid
        )
        kind = self._half if half else self._float
        copy = self._onnx.NodeProto()
        copy.CopyFrom(node)
        for i, name in enumerate(node.input):
            if name and self._is_value(node, i) and self._of_type(name) == self._float:
                copy.input[i] = self._as(name, kind)
        for name in node.output:
            if name and self._of_type(name) == self._float:
                made = self._float if node.op_type == "Cast" else kind
                self._available[name, made] = name
        self.nodes.append(copy)

    def _is_value(self, node: NodeProto, i: int) -> bool:
        return not (node.op_type == "Resize" and i > 0)  # a region and scales, always float32

    def _of_type(self, name: str) -> int:
        if not self._types.get(name):
            raise EngineError(f"the type of {name!r} cannot be inferred; export the graph again")
        return self._types[name]

    def _as(self, name: str, kind: int) -> str:
        """The value ``name`` in precision ``kind``, cast where it has the other."""
        if (name, kind) in self._available:
            return self._available[name, kind]
        given = name in self._weights or (name, self._half) not in self._available
        if given and kind == self._float:
            return name
        target = f"{name}/{'half' if kind == self._half else 'float'}"
        if name in self._weights:
            array = self._onnx.numpy_helper.to_array(self._weights[name])
            array = np.clip(array, -_LARGEST, _LARGEST).astype(np.float16)
            self.initializers.append(self._onnx.numpy_helper.from_array(array, target))
        else:
            self.nodes.append(self._onnx.helper.make_node("Cast", [name], [target], to=kind))
        self._available[name, kind] = target
        return target

    def finish(self) -> None:
        """Give the graph's float outputs back in float32, under their names."""
        for value in self._graph.output:
            if (value.name, self._half) not in self._available:
                continue
            inner = f"{value.name}/half"
            for node in self.nodes:
                for names in (node.input, node.output):
                    for i, name in enumerate(names):
                        if name == value.name:
                            names[i] = inner
            cast = self._onnx.helper.make_node("Cast", [inner], [value.name], to=self._float)
            self.nodes.append(cast)


def _ancestors_of_grids(nodes: Iterable[NodeProto]) -> set[str]:
    """Values from which a GridSample's grid is computed, back to convolutions and products."""
    ordered = list(nodes)
    wanted = {n.input[1] for n in ordered if n.op_type in ("GridSample", "GridSample3D")}
    for node in reversed(ordered):
        if node.op_type not in _HEAVY and any(name in wanted for name in node.output):
            wanted.update(node.input)
    return wanted


Feeds = Mapping[str, Array]
Progress = Callable[[str, float], None]


def convolutions(model: ModelProto) -> tuple[str, ...]:
    """The names of the convolutions whose weights are constant, in the order of the graph."""
    weights = {t.name for t in model.graph.initializer}
    return tuple(
        n.output[0] for n in model.graph.node if n.op_type == "Conv" and n.input[1] in weights
    )


def to_int8(
    model: ModelProto,
    samples: Iterable[Feeds],
    *,
    only: Collection[str] | None = None,
    weight_bits: int | None = None,
) -> ModelProto:
    """A copy of ``model`` with 8-bit convolutions: all, or those in ``only`` (by their output).

    ``samples`` are inputs as they occur: a dozen frames give good ranges. Weights take
    ``weight_bits`` of their 8 bits, else as many as this processor is safe with.

    Raises ``EngineError`` without samples, ``MissingDependencyError`` without ONNX Runtime.
    """
    names = [name for name in convolutions(model) if only is None or name in only]
    weight_bits = weight_bits or safe_weight_bits()
    ranges = _ranges(model, names, samples)
    quantiser = _Quantiser(model, ranges, 2 ** (weight_bits - 1) - 1)
    onnx = import_onnx()
    result: ModelProto = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:]
    for node in model.graph.node:
        quantised = node.op_type == "Conv" and node.output[0] in names
        graph.node.extend(quantiser.rewritten(node) if quantised else (node,))
    used = {name for node in graph.node for name in node.input}
    weights = [*model.graph.initializer, *quantiser.initializers]
    del graph.initializer[:]
    graph.initializer.extend(w for w in weights if w.name in used)
    check(result)
    return result


def safe_weight_bits() -> int:
    """8 where the processor adds products of bytes in 32 bits (VNNI), else 7.

    Without VNNI two products are added in 16 bits, which 8-bit weights overflow. Known on Linux;
    elsewhere the careful answer is given.
    """
    info = Path("/proc/cpuinfo")
    return 8 if info.is_file() and "vnni" in info.read_text() else 7


def _ranges(
    model: ModelProto, names: Collection[str], samples: Iterable[Feeds]
) -> dict[str, tuple[float, float]]:
    """The least and greatest number that reaches each convolution, by its input's name."""
    from engines.onnxruntime import OnnxRuntimeRunner

    onnx = import_onnx()
    values = sorted({n.input[0] for n in model.graph.node if n.output[0] in names})
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    extremes = (("ReduceMin", "least"), ("ReduceMax", "greatest"))
    for value in values:
        for op, suffix in extremes:
            name = f"{value}/{suffix}"
            probe.graph.node.append(onnx.helper.make_node(op, [value], [name], keepdims=0))
            probe.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [])
            )
    ranges = dict.fromkeys(values, (0.0, 0.0))  # zero is always needed: borders are zero
    count = 0
    with OnnxRuntimeRunner(probe) as runner:
        for feeds in samples:
            found, count = runner.infer(feeds), count + 1
            for value, (least, greatest) in ranges.items():
                ranges[value] = (
                    min(least, float(found[f"{value}/least"])),
                    max(greatest, float(found[f"{value}/greatest"])),
                )
    if count == 0:
        raise EngineError(
            "int8 needs samples of the model's inputs to find ranges; expected at least one, "
            f"found none (inputs: {', '.join(str(s) for s in model_spec(model).inputs)})"
        )
    return ranges


class _Quantiser:
    """Writes quantised convolutions; a value that feeds several is quantised once."""

    def __init__(
        self, model: ModelProto, ranges: Mapping[str, tuple[float, float]], limit: int
    ) -> None:
        self._onnx = import_onnx()
        self._weights = {t.name: t for t in model.graph.initializer}
        self._ranges = ranges
        self._limit = limit
        self._done: dict[str, str] = {}
        self.initializers: list[Any] = []

    def rewritten(self, node: NodeProto) -> list[Any]:
        """The convolution with its input and weights quantised, and the nodes that do so."""
        nodes: list[Any] = []
        copy = self._onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[0] = self._activation(node.input[0], nodes)
        copy.input[1] = self._weight(node.input[1], nodes)
        return [*nodes, copy]

    def _activation(self, name: str, nodes: list[Any]) -> str:
        """uint8 with one scale for the whole tensor."""
        if name not in self._done:
            low, high = self._ranges[name]
            scale = max(high - low, 1e-6) / 255
            parts = (
                self._constant(f"{name}/scale", np.float32(scale)),
                self._constant(f"{name}/zero", np.uint8(np.clip(round(-low / scale), 0, 255))),
            )
            make = self._onnx.helper.make_node
            nodes.append(make("QuantizeLinear", [name, *parts], [f"{name}/u8"]))
            nodes.append(make("DequantizeLinear", [f"{name}/u8", *parts], [f"{name}/q"]))
            self._done[name] = f"{name}/q"
        return self._done[name]

    def _weight(self, name: str, nodes: list[Any]) -> str:
        """int8, symmetric, with a scale for each output channel."""
        if name not in self._done:
            weight = self._onnx.numpy_helper.to_array(self._weights[name])
            top = np.abs(weight.reshape(weight.shape[0], -1)).max(axis=1)
            scale = np.maximum(top, 1e-12).astype(np.float32) / self._limit
            levels = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
            parts = (
                self._constant(f"{name}/scale", scale),
                self._constant(f"{name}/zero", np.zeros(scale.shape, np.int8)),
            )
            integers = self._constant(f"{name}/s8", levels.astype(np.int8))
            nodes.append(
                self._onnx.helper.make_node(
                    "DequantizeLinear", [integers, *parts], [f"{name}/q"], axis=0
                )
            )
            self._done[name] = f"{name}/q"
        return self._done[name]

    def _constant(self, name: str, value: Any) -> str:
        self.initializers.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name


def is_quantised(model: ModelProto) -> bool:
    """Whether a graph has 8-bit parts."""
    return any(n.op_type == "QuantizeLinear" for n in model.graph.node)


def precision_of(model: ModelProto) -> str:
    """``int8``, ``fp16`` or ``fp32``: the narrowest that a graph's convolutions compute in."""
    if is_quantised(model):
        return "int8"
    half = import_onnx().TensorProto.FLOAT16
    casts = (attributes(n).get("to") for n in model.graph.node if n.op_type == "Cast")
    return "fp16" if half in casts else "fp32"
