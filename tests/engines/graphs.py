"""Tiny ONNX graphs, made when a test asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np


def _model(nodes: list[Any], inputs: Any, outputs: Any, weights: dict[str, Any]) -> Any:
    import onnx

    def values(entries: Any) -> list[Any]:
        return [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
            )
            for name, (dtype, shape) in entries.items()
        ]

    body = onnx.helper.make_graph(
        nodes,
        "tiny",
        values(inputs),
        values(outputs),
        [onnx.numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 20)]
    return onnx.helper.make_model(body, opset_imports=opsets, ir_version=10)


def sum_and_product(batch: int | None = 2) -> Any:
    """``a`` and ``b``, float32 (batch, 3) -> ``sum`` and ``product``."""
    from onnx import helper

    axes = ["N" if batch is None else batch, 3]
    return _model(
        [
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Mul", ["a", "b"], ["product"]),
        ],
        {"a": (np.float32, axes), "b": (np.float32, axes)},
        {"sum": (np.float32, axes), "product": (np.float32, axes)},
        {},
    )


def picture_filter(scale: float = 1.0) -> Any:
    """``picture``, uint8 (8, 8, 3) -> ``out``, uint8 (8, 8, 3): a 3×3 mean, times ``scale``."""
    from onnx import TensorProto, helper

    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for channel in range(3):
        kernel[channel, channel] = scale / 9
    return _model(
        [
            helper.make_node("Cast", ["picture"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["f"], ["chw"], perm=[2, 0, 1]),
            helper.make_node("Unsqueeze", ["chw", "axis"], ["nchw"]),
            helper.make_node("Conv", ["nchw", "kernel"], ["mean"], pads=[1, 1, 1, 1]),
            helper.make_node("Clip", ["mean", "low", "high"], ["level"]),
            helper.make_node("Round", ["level"], ["rounded"]),
            helper.make_node("Squeeze", ["rounded", "axis"], ["chw_out"]),
            helper.make_node("Transpose", ["chw_out"], ["hwc"], perm=[1, 2, 0]),
            helper.make_node("Cast", ["hwc"], ["out"], to=TensorProto.UINT8),
        ],
        {"picture": (np.uint8, [8, 8, 3])},
        {"out": (np.uint8, [8, 8, 3])},
        {
            "axis": np.array([0]),
            "kernel": kernel,
            "low": np.float32(0),
            "high": np.float32(255),
        },
    )


def warped_picture() -> Any:
    """``image`` (1, 3, 16, 16) and ``shift`` (1, 2) -> ``out`` (1, 4, 16, 16), all float32.

    Features of a convolution, sampled where a grid and the shift say, then convolved again.
    """
    from onnx import helper

    rng = np.random.default_rng(0)
    axis = np.linspace(-1, 1, 16, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)[None]
    return _model(
        [
            helper.make_node("Conv", ["image", "w1"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("Reshape", ["shift", "shape"], ["offset"]),
            helper.make_node("Add", ["points", "offset"], ["grid"]),
            helper.make_node("GridSample", ["features", "grid"], ["warped"]),
            helper.make_node("Relu", ["warped"], ["positive"]),
            helper.make_node("Conv", ["positive", "w2", "b2"], ["out"], pads=[1, 1, 1, 1]),
        ],
        {"image": (np.float32, [1, 3, 16, 16]), "shift": (np.float32, [1, 2])},
        {"out": (np.float32, [1, 4, 16, 16])},
        {
            "w1": rng.standard_normal((8, 3, 3, 3)).astype(np.float32) / 5,
            "w2": rng.standard_normal((4, 8, 3, 3)).astype(np.float32) / 8,
            "b2": np.ones(4, np.float32),
            "shape": np.array([1, 1, 1, 2]),
            "points": points,
        },
    )


def warped_feeds(seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.random((1, 3, 16, 16), np.float32),
        "shift": np.array([[0.1, -0.05]], np.float32),
    }
