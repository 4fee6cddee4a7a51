"""What goes into a model and comes out; reading and checking ONNX graphs.

ONNX is the form in which every model here travels between PyTorch, the rewriting passes and the
runtimes. Graphs are handled as ``onnx.ModelProto``, below the 2 GB that one file may hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avatar.core.errors import EngineError, MissingDependencyError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of one input or output; ``None`` is an axis of any length."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        axes = ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name}: {self.dtype} ({axes})"

    def mismatch(self, value: Array) -> str | None:
        """How ``value`` differs from this, as "expected …, found …"; ``None`` when it fits."""
        fits = len(value.shape) == len(self.shape) and all(
            n is None or n == m for n, m in zip(self.shape, value.shape, strict=True)
        )
        if fits and value.dtype == self.dtype:
            return None
        axes = ", ".join(str(n) for n in value.shape)
        return f"expected {self}, found {value.dtype} ({axes})"


@dataclass(frozen=True)
class ModelSpec:
    """The inputs and outputs of a model, in the order of its graph."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def check_inputs(self, feeds: Mapping[str, Array]) -> None:
        """Raise ``EngineError`` unless ``feeds`` has exactly the inputs, each as it should be."""
        _check("input", self.inputs, feeds)

    def check_outputs(self, found: Mapping[str, Array]) -> None:
        """Raise ``EngineError`` unless ``found`` has exactly the outputs, each as it should be."""
        _check("output", self.outputs, found)


def _check(kind: str, specs: tuple[TensorSpec, ...], values: Mapping[str, Array]) -> None:
    names = [spec.name for spec in specs]
    if set(names) != set(values):
        raise EngineError(
            f"expected the {kind}s {', '.join(names)}; found {', '.join(sorted(values)) or 'none'}"
        )
    for spec in specs:
        if difference := spec.mismatch(values[spec.name]):
            raise EngineError(f"{kind} {spec.name}: {difference}")


def import_onnx() -> Any:
    """The ``onnx`` package; without it a ``MissingDependencyError`` that says how to get it."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "reading and rewriting ONNX graphs needs the onnx package: pip install onnx"
        ) from error
    return onnx


def read(path: str | Path) -> ModelProto:
    """The graph in the file ``path``, checked.

    Raises ``EngineError`` when there is no such file or it is no valid ONNX graph.
    """
    onnx = import_onnx()
    if not Path(path).is_file():
        raise EngineError(f"no ONNX file at {path}")
    try:
        model: ModelProto = onnx.load(str(path))
    except Exception as error:  # the reader's own errors share no base
        raise EngineError(f"{path} is not a readable ONNX file: {_first_line(error)}") from error
    if not model.graph.node:
        raise EngineError(f"{path} holds no ONNX graph: no node was found in it")
    return model


def check(model: ModelProto) -> None:
    """Raise ``EngineError`` when a graph breaks the ONNX rules."""
    onnx = import_onnx()
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise EngineError(f"the ONNX graph is not valid: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def model_spec(model: ModelProto) -> ModelSpec:
    """The inputs and outputs of a graph; initializers are no inputs."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return ModelSpec(
        tuple(_spec(value) for value in model.graph.input if value.name not in weights),
        tuple(_spec(value) for value in model.graph.output),
    )


def _spec(value: Any) -> TensorSpec:
    onnx = import_onnx()
    tensor = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return TensorSpec(value.name, dtype, _shape(tensor))


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)


def value_shapes(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """The shape of every value of the graph that shape inference finds."""
    onnx = import_onnx()
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    shapes = {v.name: _shape(v.type.tensor_type) for v in values if v.type.HasField("tensor_type")}
    shapes.update({tensor.name: tuple(tensor.dims) for tensor in graph.initializer})
    return shapes


def digest(model: ModelProto) -> str:
    """A hash of everything in the graph that changes what it computes: 64 hex digits."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes; texts as ``str``."""
    onnx = import_onnx()
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def opset(model: ModelProto) -> int:
    """The version of the standard operators that a graph is written in."""
    return int(next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")))


def constants(graph: GraphProto) -> dict[str, Array]:
    """Initializers and outputs of Constant nodes, by name."""
    onnx = import_onnx()
    found = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        value = attributes(node).get("value") if node.op_type == "Constant" else None
        if value is not None:
            found[node.output[0]] = onnx.numpy_helper.to_array(value)
    return found


class NodeWriter:
    """Writes the nodes of a rewriting, with fresh names that all begin with ``prefix``.

    ``writer("Add", a, b)`` appends a node and gives the name of its output; numbers and arrays
    among the inputs become initializers.
    """

    def __init__(self, prefix: str, opset: int) -> None:
        self.prefix = prefix
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._onnx = import_onnx()

    def __call__(self, op: str, *inputs: Any, output: str | None = None, **attributes: Any) -> str:
        """Append one node; the result is the name of its only output."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        name = output or f"{self.prefix}/{len(self.nodes)}_{op}"
        self.nodes.append(
            self._onnx.helper.make_node(op, names, [name], name=f"{name}/node", **attributes)
        )
        return name

    def constant(self, value: Any) -> str:
        """An initializer: floats become float32, integers int64; arrays keep their dtype."""
        if not isinstance(value, np.ndarray):
            value = np.asarray(value)
            value = value.astype(np.float32 if value.dtype.kind == "f" else np.int64)
        name = f"{self.prefix}/c{len(self.initializers)}"
        self.initializers.append(self._onnx.numpy_helper.from_array(value, name))
        return name


def replaced(
    model: ModelProto, rewritten: Mapping[int, Iterable[Any]], initializers: Iterable[Any]
) -> ModelProto:
    """A copy of ``model`` with the nodes at some indices replaced by lists of nodes."""
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    copy.graph.node.extend(_nodes(model, rewritten))
    copy.graph.initializer.extend(initializers)
    return copy


def _nodes(model: ModelProto, rewritten: Mapping[int, Iterable[Any]]) -> Iterator[Any]:
    for i, node in enumerate(model.graph.node):
        yield from rewritten.get(i, (node,))
