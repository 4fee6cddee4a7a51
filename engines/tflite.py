"""Reading TensorFlow Lite files: tensors, constants and operations, without TensorFlow.

The format is a FlatBuffer (https://flatbuffers.dev/internals) whose tables and fields are those of
``tensorflow/lite/schema/schema.fbs`` (version 3, Apache-2.0); the numbers here are its field ids.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array

_IDENTIFIER = b"TFL3"
_TYPES: Mapping[int, Any] = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 9: "i1"}
_KINDS: Mapping[int, str] = {
    0: "ADD", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE",
    14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 22: "RESHAPE", 34: "PAD",
    39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 42: "DIV", 45: "STRIDED_SLICE", 54: "PRELU", 59: "NEG",
    74: "SUM", 75: "SQRT", 76: "RSQRT", 99: "SQUARED_DIFFERENCE",
}  # fmt: skip
# Of each operation the fields of its options: name, field id, struct code, default.
_CONVOLUTION = (("padding", 0, "b", 0), ("stride_w", 1, "i", 0), ("stride_h", 2, "i", 0))
_OPTIONS: Mapping[str, tuple[tuple[str, int, str, int], ...]] = {
    "ADD": (("activation", 0, "b", 0),),
    "SUB": (("activation", 0, "b", 0),),
    "MUL": (("activation", 0, "b", 0),),
    "DIV": (("activation", 0, "b", 0),),
    "CONCATENATION": (("axis", 0, "i", 0), ("activation", 1, "b", 0)),
    "CONV_2D": (
        *_CONVOLUTION, ("activation", 3, "b", 0), ("dilation_w", 4, "i", 1),
        ("dilation_h", 5, "i", 1),
    ),
    "DEPTHWISE_CONV_2D": (
        *_CONVOLUTION, ("activation", 4, "b", 0), ("dilation_w", 5, "i", 1),
        ("dilation_h", 6, "i", 1),
    ),
    "MAX_POOL_2D": (
        *_CONVOLUTION, ("filter_w", 3, "i", 0), ("filter_h", 4, "i", 0), ("activation", 5, "b", 0),
    ),
    "MEAN": (("keep_dims", 0, "b", 0),),
    "SUM": (("keep_dims", 0, "b", 0),),
    "STRIDED_SLICE": (
        ("begin_mask", 0, "i", 0), ("end_mask", 1, "i", 0), ("ellipsis_mask", 2, "i", 0),
        ("new_axis_mask", 3, "i", 0), ("shrink_mask", 4, "i", 0),
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in a graph; ``data`` is a constant's content, None for what is computed."""

    name: str
    shape: tuple[int, ...]
    data: Array | None


@dataclass(frozen=True)
class Operation:
    """One step: its kind as the schema calls it, indices of its tensors, its options."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LiteGraph:
    """What one TensorFlow Lite file computes; ``inputs`` and ``outputs`` index ``tensors``."""

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_lite(data: bytes) -> LiteGraph:
    """Return the graph in a file's content. Raises ``EngineError`` for what is not understood."""
    if data[4:8] != _IDENTIFIER:
        raise EngineError("expected a TensorFlow Lite file, found something else")
    try:
        return _graph(_Table(data, _offset(data, 0)))
    except (struct.error, IndexError, ValueError) as error:
        raise EngineError(f"this is no readable TensorFlow Lite file: {error}") from error


def _graph(model: _Table) -> LiteGraph:
    (graph, *more) = model.tables(2)
    if more:
        raise EngineError("expected a TensorFlow Lite file with one graph, found several")
    buffers = model.tables(4)
    # Codes above 127 stand in a newer field; the old one has the smaller number then.
    kinds = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
    return LiteGraph(
        tuple(_tensor(tensor, buffers) for tensor in graph.tables(0)),
        tuple(_operation(operation, kinds) for operation in graph.tables(3)),
        tuple(graph.integers(1)),
        tuple(graph.integers(2)),
    )


def _tensor(table: _Table, buffers: list[_Table]) -> Tensor:
    name, shape = table.bytes(3).decode(), tuple(table.integers(0))
    content = buffers[table.number(2, "I")].bytes(0)
    if not content:
        return Tensor(name, shape, None)
    kind = table.number(1, "b")
    if kind not in _TYPES:
        raise EngineError(f"the constant {name} is of a type that is not read here: {kind}")
    return Tensor(name, shape, np.frombuffer(content, _TYPES[kind]).reshape(shape))


def _operation(table: _Table, kinds: list[int]) -> Operation:
    code = kinds[table.number(0, "I")]
    if code not in _KINDS:
        raise EngineError(f"operation {code} of TensorFlow Lite is not read here")
    kind, given = _KINDS[code], table.table(4)
    options = {
        name: default if given is None else given.number(at, code_, default)
        for name, at, code_, default in _OPTIONS.get(kind, ())
    }
    return Operation(kind, tuple(table.integers(1)), tuple(table.integers(2)), options)


def _offset(data: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


class _Table:
    """A table of a FlatBuffer: ``at`` points to it; its vtable says where its fields lie."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        self._count = (struct.unpack_from("<H", data, self._fields)[0] - 4) // 2

    def _field(self, index: int) -> int | None:
        """Return where a field lies, None when it has its default."""
        if index >= self._count:
            return None
        offset = struct.unpack_from("<H", self._data, self._fields + 4 + 2 * index)[0]
        return self._at + offset if offset else None

    def number(self, index: int, code: str, default: int = 0) -> int:
        at = self._field(index)
        return default if at is None else int(struct.unpack_from(f"<{code}", self._data, at)[0])

    def table(self, index: int) -> _Table | None:
        at = self._field(index)
        return None if at is None else _Table(self._data, _offset(self._data, at))

    def _vector(self, index: int) -> tuple[int, int]:
        """Return where a vector's content begins, and its length."""
        at = self._field(index)
        if at is None:
            return 0, 0
        start = _offset(self._data, at)
        return start + 4, struct.unpack_from("<I", self._data, start)[0]

    def tables(self, index: int) -> list[_Table]:
        start, count = self._vector(index)
        places = range(start, start + 4 * count, 4)
        return [_Table(self._data, _offset(self._data, place)) for place in places]

    def integers(self, index: int) -> list[int]:
        start, count = self._vector(index)
        return list(struct.unpack_from(f"<{count}i", self._data, start))

    def bytes(self, index: int) -> bytes:
        start, count = self._vector(index)
        return self._data[start : start + count]
