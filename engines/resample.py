"""Volumetric resampling for runtimes that have none.

A network may read a volume of features at computed places: a GridSample of five axes, which
OpenVINO, TensorRT below 11.2 and older execution providers lack. :func:`rewrite` replaces it, in
any ONNX graph, by operations that they have:

``rows``
    The volume as rows of channels, one row a voxel; eight rows are gathered for each point and
    added with their trilinear weights. Exact to float32 rounding.
``tile4c``
    The volume's slices as tiles of one flat map, each in a rim of zeros; two GridSamples of four
    axes read the slices below and above a point. About twice as fast as ``rows``; the map's larger
    coordinates cost digits (largest error about 1e-4). Channels, not voxels, bound its cost.

Convention of ONNX GridSample: the last axis of the grid is (x, y, z) in [−1, 1]; with
``align_corners`` −1 and 1 are centres of the outermost voxels, without it their outer edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import (
    NodeWriter,
    attributes,
    check,
    import_onnx,
    opset,
    replaced,
    value_shapes,
)

if TYPE_CHECKING:
    from onnx import ModelProto

Form = Literal["rows", "tile4c"]

_PADDING = ("zeros", "border", "reflection")
_NEAREST = {"nearest": True, "linear": False, "bilinear": False}
_OPERATORS = ("GridSample", "GridSample3D")  # the second is the plug-in of community exports
_MINIMUM_OPSET = 16  # GridSample of four axes


@dataclass(frozen=True)
class _Sampling:
    """One GridSample of five axes: where it is and what it does."""

    index: int
    volume: str
    grid: str
    output: str
    nearest: bool
    padding: str
    align_corners: bool
    size: tuple[int, int, int]  # depth, height, width of the volume
    channels: int
    points: tuple[int, int, int]  # depth, height, width of the output
    batch: int | None


def count(model: ModelProto) -> int:
    """How many nodes of a graph sample a volume."""
    return len(_find(model))


def rewrite(model: ModelProto, form: Form) -> ModelProto:
    """A copy of ``model`` without volumetric GridSample, in the given form.

    The batch axis may be of any length; the others must be known to shape inference. Raises
    ``EngineError`` naming the node when they are not, or when it has an unknown mode.
    """
    if form not in ("rows", "tile4c"):
        raise EngineError(f"no form of resampling is called {form!r}; known are rows and tile4c")
    found = _find(model)
    if not found:
        return model
    _check_opset(model)
    nodes: dict[int, list[Any]] = {}
    initializers: list[Any] = []
    for sampling in found:
        writer = NodeWriter(f"resample_{sampling.index}", opset(model))
        exact = form == "rows" or sampling.nearest
        _rows(writer, sampling) if exact else _tiles(writer, sampling)
        nodes[sampling.index] = writer.nodes
        initializers += writer.initializers
    result = replaced(model, nodes, initializers)
    check(result)
    return result


def _check_opset(model: ModelProto) -> None:
    """The written nodes are of opset 16; only graphs with a plug-in can be older."""
    if opset(model) < _MINIMUM_OPSET:
        raise EngineError(
            f"the graph is written in ONNX opset {opset(model)}; rewriting its resampling needs "
            f"{_MINIMUM_OPSET} or later. Export it again, or convert it with onnx.version_converter"
        )


def _find(model: ModelProto) -> list[_Sampling]:
    candidates = [i for i, n in enumerate(model.graph.node) if n.op_type in _OPERATORS]
    if not candidates:
        return []
    shapes = value_shapes(model)
    found = (_sampling(model, i, shapes) for i in candidates)
    return [sampling for sampling in found if sampling is not None]


def _sampling(
    model: ModelProto, index: int, shapes: dict[str, tuple[int | None, ...]]
) -> _Sampling | None:
    """The node at ``index``, or ``None`` when it samples a plane."""
    node = model.graph.node[index]
    volume, grid = shapes.get(node.input[0], ()), shapes.get(node.input[1], ())
    if len(volume) == 4 or len(grid) == 4:
        return None
    known = (*volume[1:], *grid[1:])
    if len(volume) != 5 or len(grid) != 5 or None in known:
        raise EngineError(
            f"the resampling {node.name or node.output[0]!r} has a volume of shape "
            f"{volume or 'unknown'} and a grid of shape {grid or 'unknown'}; expected five axes "
            "each, all but the batch known. Export the graph with fixed shapes"
        )
    nearest, padding, align = _modes(node)
    batch = volume[0] if volume[0] is not None else grid[0]
    sizes: tuple[int, ...] = tuple(n for n in known if n is not None)
    return _Sampling(
        index=index,
        volume=node.input[0],
        grid=node.input[1],
        output=node.output[0],
        nearest=nearest,
        padding=padding,
        align_corners=align,
        channels=sizes[0],
        size=(sizes[1], sizes[2], sizes[3]),
        points=(sizes[4], sizes[5], sizes[6]),
        batch=batch,
    )


def _modes(node: Any) -> tuple[bool, str, bool]:
    """Whether it takes the nearest voxel, its padding, its ``align_corners``."""
    found = attributes(node)
    mode = found.get("mode", found.get("interpolation_mode", "linear"))
    padding = found.get("padding_mode", "zeros")
    # The plug-in numbers its modes.
    mode = ("bilinear", "nearest")[mode] if mode in (0, 1) else mode
    padding = _PADDING[padding] if padding in (0, 1, 2) else padding
    if mode not in _NEAREST or padding not in _PADDING:
        raise EngineError(
            f"the resampling {node.name or node.output[0]!r} has mode {mode!r} and padding "
            f"{padding!r}; expected linear or nearest, and one of {', '.join(_PADDING)}"
        )
    return _NEAREST[mode], padding, bool(found.get("align_corners", 0))


def _positions(w: NodeWriter, s: _Sampling) -> list[str]:
    """Where each point reads the volume, in voxels: x, y, z, each (N, points)."""
    count = math.prod(s.points)
    flat = w("Reshape", s.grid, [0, count, 3])
    flat = w("Cast", flat, to=import_onnx().TensorProto.FLOAT)
    return [
        _padded(w, s, _position(w, flat, axis, size, s.align_corners), size)
        for axis, size in enumerate(reversed(s.size))
    ]


def _position(w: NodeWriter, flat: str, axis: int, size: int, align_corners: bool) -> str:
    g = w("Gather", flat, axis, axis=2)
    # ((g + 1)·size − 1)/2, or (g + 1)·(size − 1)/2; centred, so that no digits cancel.
    half = (size - 1) / 2
    return w("Add", w("Mul", g, float(half if align_corners else size / 2)), float(half))


def _padded(w: NodeWriter, s: _Sampling, p: str, size: int) -> str:
    """A position brought inside where the padding says so; with zeros it stays outside."""
    if s.padding == "zeros":
        return p
    if s.padding == "reflection" and size > 1:
        p = _reflected(w, p, size, s.align_corners)
    elif s.padding == "reflection":
        p = w("Mul", p, 0.0)
    return w("Clip", p, 0.0, float(size - 1))


def _reflected(w: NodeWriter, p: str, size: int, align_corners: bool) -> str:
    """Folded back and forth between the outermost centres, or between the outer edges."""
    low = 0.0 if align_corners else -0.5
    span = float(size - 1 if align_corners else size)
    distance = w("Abs", w("Sub", p, low))
    turns = w("Floor", w("Div", distance, span))
    rest = w("Sub", distance, w("Mul", turns, span))
    odd = w("Sub", turns, w("Mul", w("Floor", w("Mul", turns, 0.5)), 2.0))  # 0 or 1
    back = w("Sub", span, w("Mul", rest, 2.0))
    return w("Add", w("Add", rest, w("Mul", odd, back)), low)


@dataclass(frozen=True)
class _Neighbour:
    """The voxel below or above a position on one axis: its index as a float, its weight."""

    index: str
    weight: str | None


def _neighbours(w: NodeWriter, s: _Sampling, p: str, size: int) -> list[_Neighbour]:
    """One voxel for ``nearest``, else the two around; weight 0 for what lies outside."""
    if s.nearest:
        return [_inside(w, w("Round", p), None, size, s.padding)]
    low = w("Floor", p)
    above = w("Sub", p, low)
    below = w("Sub", 1.0, above)
    high = w("Add", low, 1.0)
    return [_inside(w, low, below, size, s.padding), _inside(w, high, above, size, s.padding)]


def _inside(w: NodeWriter, index: str, weight: str | None, size: int, padding: str) -> _Neighbour:
    clipped = w("Clip", index, 0.0, float(size - 1))
    if padding == "zeros":
        within = w("Cast", w("Equal", clipped, index), to=import_onnx().TensorProto.FLOAT)
        weight = within if weight is None else w("Mul", weight, within)
    return _Neighbour(clipped, weight)


def _rows(w: NodeWriter, s: _Sampling) -> None:
    """Eight gathers of rows of channels, added with trilinear weights."""
    voxels = math.prod(s.size)
    rows = w("Reshape", s.volume, [0, s.channels, voxels])
    rows = w("Transpose", rows, perm=[0, 2, 1])  # N, voxels, C
    _, height, width = s.size
    x, y, z = (
        _neighbours(w, s, p, n) for p, n in zip(_positions(w, s), reversed(s.size), strict=True)
    )
    terms = []
    for zi, yi, xi in product(z, y, x):
        index = w("Add", w("Mul", zi.index, float(height)), yi.index)
        index = w("Add", w("Mul", index, float(width)), xi.index)  # exact: below 2^24
        weights = [n.weight for n in (zi, yi, xi) if n.weight is not None]
        terms.append(_weighted(w, s, _taken(w, s, rows, index), weights))
    total = terms[0]
    for term in terms[1:]:
        total = w("Add", total, term)
    total = w("Transpose", total, perm=[0, 2, 1])
    w("Reshape", total, [0, s.channels, *s.points], output=s.output)


def _taken(w: NodeWriter, s: _Sampling, rows: str, index: str) -> str:
    """Rows (N, voxels, C) at ``index`` (N, points): (N, points, C)."""
    index = w("Cast", index, to=import_onnx().TensorProto.INT64)
    if s.batch == 1:  # a plain gather is the faster one
        return w("Gather", rows, w("Squeeze", index, [0]), axis=1)
    return w("GatherND", rows, w("Unsqueeze", index, [2]), batch_dims=1)


def _weighted(w: NodeWriter, s: _Sampling, rows: str, weights: list[str]) -> str:
    if not weights:
        return rows
    weight = weights[0]
    for other in weights[1:]:
        weight = w("Mul", weight, other)
    return w("Mul", rows, w("CastLike", w("Unsqueeze", weight, [2]), rows))


def _tiles(w: NodeWriter, s: _Sampling) -> None:
    """The slices in one flat map; two samplings of it, below and above each point."""
    depth, height, width = s.size
    columns = math.ceil(math.sqrt(depth))
    rows = math.ceil(depth / columns)
    tall, wide = height + 2, width + 2  # a rim of zeros: a tile never reads its neighbour
    pads = [0, 0, 0, 1, 1, 0, 0, rows * columns - depth, 1, 1]
    tiles = w("Pad", s.volume, w.constant(np.array(pads, np.int64)))
    tiles = w("Reshape", tiles, [0, s.channels, rows, columns, tall, wide])
    tiles = w("Transpose", tiles, perm=[0, 1, 2, 4, 3, 5])
    tiles = w("Reshape", tiles, [0, s.channels, rows * tall, columns * wide])
    x, y, z = _positions(w, s)
    x, y = w("Clip", x, -1.0, float(width)), w("Clip", y, -1.0, float(height))
    terms = []
    for slice_ in _neighbours(w, s, z, depth):
        row = w("Floor", w("Div", w("Add", slice_.index, 0.5), float(columns)))
        column = w("Sub", slice_.index, w("Mul", row, float(columns)))
        u = _flat_coordinate(w, column, x, wide, columns)
        v = _flat_coordinate(w, row, y, tall, rows)
        grid = w("Concat", w("Unsqueeze", u, [2]), w("Unsqueeze", v, [2]), axis=2)
        grid = w("Reshape", grid, [0, s.points[0] * s.points[1], s.points[2], 2])
        plane = w("GridSample", tiles, w("CastLike", grid, tiles), align_corners=1, mode=_mode(w))
        weight = w("Reshape", slice_.weight, [0, 1, s.points[0] * s.points[1], s.points[2]])
        terms.append(w("Mul", plane, w("CastLike", weight, plane)))
    total = w("Add", *terms)
    w("Reshape", total, [0, s.channels, *s.points], output=s.output)


def _flat_coordinate(w: NodeWriter, tile: str, p: str, size: int, tiles: int) -> str:
    """A position in a tile as a coordinate of the whole map, from its centre: digits are kept."""
    half = (size * tiles - 1) / 2
    start = w("Add", w("Mul", tile, float(size)), float(1 - half))  # exact: halves of integers
    return w("Mul", w("Add", start, p), float(1 / half))


def _mode(w: NodeWriter) -> str:
    return "bilinear" if w.opset < 20 else "linear"
