"""Writing ONNX files without the ``onnx`` package: what a small float32 graph needs, no more.

A file is a protocol buffer (https://protobuf.dev/programming-guides/encoding); the numbers are
field numbers of ``onnx/onnx.proto3`` (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engines.graph import Array, TensorSpec

_IR_VERSION, _OPSET = 8, 17
_FLOAT, _INT64 = 1, 7
_INT, _INTS = 2, 7
"""Kinds of attributes."""


class Node(NamedTuple):
    """One operation: its name in ONNX, what it reads and makes, whole numbers that steer it."""

    kind: str
    inputs: Sequence[str]
    output: str
    attributes: Mapping[str, Any]


def model_bytes(
    nodes: Iterable[Node],
    inputs: Iterable[TensorSpec],
    outputs: Iterable[TensorSpec],
    constants: Mapping[str, Array],
) -> bytes:
    """Return an ONNX file of float32 inputs and outputs.

    ``nodes``: in an order in which they can run. ``constants``: float32 or int64, by name.
    """
    graph = b"".join(_part(1, _node(node)) for node in nodes) + _text(2, "graph")
    graph += b"".join(_part(5, _constant(name, array)) for name, array in constants.items())
    graph += b"".join(_part(11, _value(value)) for value in inputs)
    graph += b"".join(_part(12, _value(value)) for value in outputs)
    opset = _text(1, "") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _part(7, graph) + _part(8, opset)


def _node(node: Node) -> bytes:
    names = b"".join(_text(1, name) for name in node.inputs) + _text(2, node.output)
    attributes = b"".join(_part(5, _attribute(*item)) for item in node.attributes.items())
    return names + _text(4, node.kind) + attributes


def _attribute(name: str, value: int | Iterable[int]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT)
    numbers = b"".join(_number(8, int(number)) for number in value)
    return _text(1, name) + numbers + _number(20, _INTS)


def _constant(name: str, array: Array) -> bytes:
    kind = _INT64 if array.dtype.kind == "i" else _FLOAT
    content = np.ascontiguousarray(array, "<i8" if kind == _INT64 else "<f4")
    shape = b"".join(_number(1, length) for length in array.shape)
    return shape + _number(2, kind) + _text(8, name) + _part(9, content.tobytes())


def _value(value: TensorSpec) -> bytes:
    shape = b"".join(_part(1, _number(1, length or 0)) for length in value.shape)
    return _text(1, value.name) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, shape)))


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _part(field, text.encode())


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number & 0xFFFFFFFFFFFFFFFF)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
