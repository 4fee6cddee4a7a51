"""What a graph costs: operations and bytes, and the least time a device can need for them.

Counted from shapes, not measured: convolutions and matrix products (2 operations a product and
sum), the weights once, and the inputs and outputs of those nodes. All else is taken to be fused
into them, so the bytes are a floor as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avatar.core.errors import EngineError
from engines.graph import value_shapes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Shapes = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True)
class Cost:
    """Operations and values of one inference; multiply values by 4 bytes for fp32, 2 for fp16."""

    operations: int
    weights: int
    activations: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.operations + other.operations,
            self.weights + other.weights,
            self.activations + other.activations,
        )

    def bytes(self, size: int) -> int:
        """Bytes moved when a value takes ``size`` of them."""
        return (self.weights + self.activations) * size


@dataclass(frozen=True)
class DeviceSpec:
    """A device by its data sheet: dense fp16 operations a second (fp32 sums), bytes a second."""

    name: str
    operations_per_s: float
    bytes_per_s: float

    def floor_ms(self, cost: Cost) -> float:
        """The least time in fp16: all products at the peak rate, or all bytes at the peak rate."""
        arithmetic = cost.operations / self.operations_per_s
        memory = cost.bytes(2) / self.bytes_per_s
        return 1e3 * max(arithmetic, memory)


# Tensor cores at the boost clock: cores × clock × 4 operations a core, with sums in fp32 (twice
# that with sums in fp16). Data sheets of GA106, AD104, AD102.
DEVICES = (
    DeviceSpec("RTX 3060", 25.5e12, 360e9),
    DeviceSpec("RTX 4070", 58.3e12, 504e9),
    DeviceSpec("RTX 4090", 165.2e12, 1008e9),
)


def cost(model: ModelProto) -> Cost:
    """The cost of one inference of a graph with fixed shapes."""
    shapes = value_shapes(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    total = Cost(0, 0, 0)
    for node in model.graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            total = total + _node_cost(node, shapes, weights)
    return total


def _node_cost(node: NodeProto, shapes: Shapes, weights: set[str]) -> Cost:
    inputs, output = node.input, _size(shapes, node.output[0])
    if node.op_type == "Conv":
        products = _size(shapes, inputs[1]) // _shape(shapes, inputs[1])[0]  # of one output
    else:
        products = _shape(shapes, inputs[0])[-1]
    constant = sum(_size(shapes, name) for name in inputs if name in weights)
    moved = sum(_size(shapes, name) for name in inputs if name and name not in weights)
    return Cost(2 * output * products, constant, moved + output)


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None or None in shape:
        raise EngineError(f"the shape of {name!r} is not known; export with fixed shapes")
    return tuple(n for n in shape if n is not None)


def _size(shapes: Shapes, name: str) -> int:
    return math.prod(_shape(shapes, name))
