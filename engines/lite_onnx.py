"""TensorFlow Lite graphs as ONNX: the operations of small convolutional networks and mixers.

TensorFlow Lite keeps channels last, ONNX's convolutions want them second. Values therefore exist in
either order and are turned only where an operation needs the other one; what follows a convolution
element by element stays in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, ModelSpec, TensorSpec
from engines.onnx_bytes import Node, model_bytes
from engines.tflite import LiteGraph, Operation, read_lite

_FIRST = (0, 3, 1, 2)
"""Channels last to channels second."""
_LAST = (0, 2, 3, 1)
_ELEMENTWISE = {
    "ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div", "LOGISTIC": "Sigmoid", "RELU": "Relu",
    "PRELU": "PRelu", "NEG": "Neg", "SQRT": "Sqrt",
}  # fmt: skip
_SAME = 0
_RELU = 1


def lite_to_onnx(data: bytes) -> tuple[bytes, ModelSpec]:
    """Return a TensorFlow Lite file as an ONNX file, both as content, and what it takes and gives.

    Names and layouts of its inputs and outputs stay. Half-precision constants become float32, as
    TensorFlow Lite computes with them. Needs no library for either format. Raises ``EngineError``
    for an operation, or options of one, that are not known here.
    """
    return _Writer(read_lite(data)).model()


class _Writer:
    """Writes one graph. A tensor's name is its index; in the order of ONNX it ends in ``c``."""

    def __init__(self, graph: LiteGraph) -> None:
        self._graph = graph
        self._nodes: list[Node] = []
        self._constants: dict[str, Array] = {}
        self._shapes = [tensor.shape for tensor in graph.tensors]
        self._values: dict[int, Array] = {
            index: tensor.data
            for index, tensor in enumerate(graph.tensors)
            if tensor.data is not None
        }
        self._made: set[str] = {str(index) for index in graph.inputs}

    def model(self) -> tuple[bytes, ModelSpec]:
        for operation in self._graph.operations:
            self._write(operation)
        ends = {str(i): self._end(i) for i in (*self._graph.inputs, *self._graph.outputs)}
        for index in self._graph.outputs:
            self._last(index)
        inputs = [str(i) for i in self._graph.inputs]
        names = {index: end.name for index, end in ends.items()}
        nodes = [
            Node(
                node.kind,
                [names.get(name, name) for name in node.inputs],
                names.get(node.output, node.output),
                node.attributes,
            )
            for node in self._nodes
        ]
        outputs = [ends[str(i)] for i in self._graph.outputs]
        content = model_bytes(nodes, [ends[i] for i in inputs], outputs, self._constants)
        return content, ModelSpec(tuple(ends[i] for i in inputs), tuple(outputs))

    def _end(self, index: int) -> TensorSpec:
        name, shape = self._graph.tensors[index].name, self._shapes[index]
        return TensorSpec(name, np.dtype(np.float32), shape)

    def _write(self, operation: Operation) -> None:
        if operation.kind == "DEQUANTIZE":
            self._values[operation.outputs[0]] = self._constant(operation.inputs[0])
        elif operation.kind in _ELEMENTWISE:
            self._elementwise(operation, _ELEMENTWISE[operation.kind])
        else:
            writers: Mapping[str, Callable[[Operation], None]] = {
                "CONV_2D": self._convolution, "DEPTHWISE_CONV_2D": self._depthwise,
                "MAX_POOL_2D": self._max_pool, "PAD": self._pad, "RESHAPE": self._reshape,
                "CONCATENATION": self._concatenation, "TRANSPOSE": self._transpose,
                "MEAN": self._reduction, "SUM": self._reduction, "RSQRT": self._rsqrt,
                "SQUARED_DIFFERENCE": self._squared_difference, "STRIDED_SLICE": self._slice,
            }  # fmt: skip
            writers[operation.kind](operation)

    # ---------------------------------------------------------------- values in either order

    def _constant(self, index: int) -> Array:
        """Return a constant; halves as float32. Raises ``EngineError`` for a computed value."""
        if index not in self._values:
            raise EngineError(f"expected {self._graph.tensors[index].name} to be a constant")
        value = self._values[index]
        return value.astype(np.float32) if value.dtype == np.float16 else value

    def _held(self, name: str, value: Array) -> str:
        self._constants[name] = np.ascontiguousarray(value)
        return name

    def _last(self, index: int) -> str:
        """Return the name of a value in TensorFlow Lite's order."""
        name = str(index)
        if index in self._values:
            return self._held(name, self._constant(index))
        if name not in self._made:
            self._node("Transpose", [f"{name}c"], name, perm=_LAST)
        return name

    def _first(self, index: int) -> str:
        """Return the name of a value of four axes with its channels second."""
        name = f"{index}c"
        if index in self._values:
            return self._held(name, self._broadcast(self._constant(index)))
        if name not in self._made:
            self._node("Transpose", [str(index)], name, perm=_FIRST)
        return name

    @staticmethod
    def _broadcast(value: Array) -> Array:
        return value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(_FIRST)

    def _is_first(self, operation: Operation) -> bool:
        """Whether an operation goes on in ONNX's order: something it reads exists in it only."""
        return any(f"{i}c" in self._made and str(i) not in self._made for i in operation.inputs)

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._nodes.append(Node(kind, inputs, output, attributes))
        self._made.add(output)
        return output

    def _activated(self, operation: Operation, output: str, write: Callable[[str], str]) -> None:
        """Write what makes ``output``, with the activation that is a part of the operation."""
        activation = operation.options.get("activation", 0)
        if activation not in (0, _RELU):
            raise EngineError(f"activation {activation} of TensorFlow Lite is not known here")
        if activation == 0:
            write(output)
        else:
            self._node("Relu", [write(f"{output}_linear")], output)

    # ---------------------------------------------------------------------------- operations

    def _elementwise(self, operation: Operation, kind: str) -> None:
        first = self._is_first(operation)
        names = [self._first(i) if first else self._last(i) for i in operation.inputs]
        if kind == "PRelu" and first:
            # The slope is for a whole batch: without its axis.
            names[1] = self._held(f"{names[1]}s", self._constants.pop(names[1])[0])
        output = f"{operation.outputs[0]}{'c' if first else ''}"
        self._activated(operation, output, lambda name: self._node(kind, names, name))

    def _convolution(self, operation: Operation) -> None:
        value, kernel, bias = operation.inputs
        weights, options = self._constant(kernel), operation.options
        if weights.shape[1:3] == (1, 1) and str(value) in self._made and options["stride_w"] == 1:
            self._product(operation, weights[:, 0, 0].T)
            return
        held = self._held(f"{kernel}k", weights.transpose(0, 3, 1, 2))
        self._sliding(operation, [self._first(value), held, self._last(bias)], "Conv")

    def _product(self, operation: Operation, weights: Array) -> None:
        """Write a convolution of single points, channels last, as the product that it is."""
        value, kernel, bias = operation.inputs
        output = str(operation.outputs[0])
        matrix = self._held(f"{kernel}m", weights)

        def write(name: str) -> str:
            product = self._node("MatMul", [str(value), matrix], f"{name}_product")
            return self._node("Add", [product, self._last(bias)], name)

        self._activated(operation, output, write)

    def _depthwise(self, operation: Operation) -> None:
        value, kernel, bias = operation.inputs
        weights = self._constant(kernel)
        held = self._held(f"{kernel}k", weights.transpose(3, 0, 1, 2))
        names = [self._first(value), held, self._last(bias)]
        self._sliding(operation, names, "Conv", group=self._shapes[value][3])

    def _max_pool(self, operation: Operation) -> None:
        size = operation.options["filter_h"], operation.options["filter_w"]
        self._sliding(operation, [self._first(operation.inputs[0])], "MaxPool", kernel_shape=size)

    def _sliding(
        self, operation: Operation, names: list[str], kind: str, **attributes: Any
    ) -> None:
        """Write what slides a window over a picture."""
        options = operation.options
        strides = options["stride_h"], options["stride_w"]
        dilations = options.get("dilation_h", 1), options.get("dilation_w", 1)
        window = attributes.get("kernel_shape") or self._constants[names[1]].shape[2:]
        pads: tuple[int, ...] = (0, 0, 0, 0)
        if options["padding"] == _SAME:
            picture = self._shapes[operation.inputs[0]][1:3]
            pads = _same_pads(picture, window, strides, dilations)
        attributes |= {"strides": strides, "dilations": dilations, "pads": pads}
        output = f"{operation.outputs[0]}c"
        self._activated(operation, output, lambda name: self._node(kind, names, name, **attributes))

    def _pad(self, operation: Operation) -> None:
        value, amounts = operation.inputs
        pads = self._constant(amounts)
        first = self._is_first(operation)
        name = self._first(value) if first else self._last(value)
        pads = pads[list(_FIRST)] if first else pads
        held = self._held(f"{amounts}p{operation.outputs[0]}", pads.T.ravel().astype(np.int64))
        self._node("Pad", [name, held], f"{operation.outputs[0]}{'c' if first else ''}")

    def _concatenation(self, operation: Operation) -> None:
        output = operation.outputs[0]
        axis = operation.options["axis"] % len(self._shapes[output])
        first = self._is_first(operation)
        names = [self._first(i) if first else self._last(i) for i in operation.inputs]
        axis = _FIRST.index(axis) if first else axis
        self._node("Concat", names, f"{output}{'c' if first else ''}", axis=axis)

    def _reshape(self, operation: Operation) -> None:
        output = operation.outputs[0]
        shape = self._held(f"{output}shape", np.array(self._shapes[output], np.int64))
        self._node("Reshape", [self._last(operation.inputs[0]), shape], str(output))

    def _transpose(self, operation: Operation) -> None:
        value, order = operation.inputs
        axes = self._constant(order).tolist()
        self._node("Transpose", [self._last(value)], str(operation.outputs[0]), perm=axes)

    def _reduction(self, operation: Operation) -> None:
        value, over = operation.inputs
        output, keep = str(operation.outputs[0]), operation.options["keep_dims"]
        axes = self._constant(over).ravel().tolist()
        name = self._last(value)
        if operation.kind == "MEAN":
            self._node("ReduceMean", [name], output, axes=axes, keepdims=keep)
            return
        held = self._held(f"{output}axes", np.array(axes, np.int64))
        self._node("ReduceSum", [name, held], output, keepdims=keep)

    def _rsqrt(self, operation: Operation) -> None:
        output = str(operation.outputs[0])
        root = self._node("Sqrt", [self._last(operation.inputs[0])], f"{output}root")
        self._node("Reciprocal", [root], output)

    def _squared_difference(self, operation: Operation) -> None:
        output = str(operation.outputs[0])
        names = [self._last(i) for i in operation.inputs]
        difference = self._node("Sub", names, f"{output}difference")
        self._node("Mul", [difference, difference], output)

    def _slice(self, operation: Operation) -> None:
        value, *places = operation.inputs
        output, options = str(operation.outputs[0]), operation.options
        if options["ellipsis_mask"] or options["new_axis_mask"]:
            raise EngineError("a slice with an ellipsis or a new axis is not known here")
        begin, end, step = (self._constant(place).astype(np.int64) for place in places)
        for axis, length in enumerate(self._shapes[value]):
            begin[axis] = 0 if options["begin_mask"] >> axis & 1 else begin[axis]
            end[axis] = length if options["end_mask"] >> axis & 1 else end[axis]
        axes = np.arange(len(begin))
        parts = {"begin": begin, "end": end, "axes": axes, "step": step}
        names = [self._held(f"{output}{part}", array) for part, array in parts.items()]
        sliced = self._node("Slice", [self._last(value), *names], f"{output}sliced")
        shape = self._held(f"{output}shape", np.array(self._shapes[int(output)], np.int64))
        self._node("Reshape", [sliced, shape], output)


def _same_pads(
    picture: Sequence[int], window: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """Return TensorFlow's padding SAME: top, left, bottom, right; an odd one goes to the end."""
    begins, ends = [], []
    for length, size, stride, dilation in zip(picture, window, strides, dilations, strict=True):
        reach = (size - 1) * dilation + 1
        total = max((-(-length // stride) - 1) * stride + reach - length, 0)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return (*begins, *ends)
