"""Half precision and 8-bit forms stay near the graph they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avatar.core.errors import EngineError
from engines import precision
from tests.engines import graphs
from tests.engines.conftest import relative_error

onnx = pytest.importorskip("onnx", reason="graphs are rewritten with onnx")
pytest.importorskip("onnxruntime", reason="runs the graphs before and after")


def run(model: Any, feeds: Any) -> Any:
    from engines.onnxruntime import OnnxRuntimeRunner

    with OnnxRuntimeRunner(model, threads=1) as runner:
        return runner.infer(feeds)


def types(model: Any) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model)
    return {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}


def test_half_precision_keeps_inputs_outputs_and_numbers() -> None:
    model, feeds = graphs.warped_picture(), graphs.warped_feeds()
    half = precision.to_fp16(model)
    assert precision.precision_of(half) == "fp16"
    expected, found = run(model, feeds), run(half, feeds)
    assert found["out"].dtype == np.float32
    assert 0 < relative_error(found["out"], expected["out"]) < 5e-3


def test_half_precision_leaves_resampling_and_what_leads_to_it_alone() -> None:
    found = types(precision.to_fp16(graphs.warped_picture()))
    assert found["features"] == onnx.TensorProto.FLOAT16
    assert found["grid"] == onnx.TensorProto.FLOAT
    assert found["warped"] == onnx.TensorProto.FLOAT


def test_half_precision_survives_weights_that_are_too_large() -> None:
    model = graphs.picture_filter(scale=1e6)
    weights = [w for w in precision.to_fp16(model).graph.initializer if w.data_type == 10]
    assert weights
    assert all(np.isfinite(onnx.numpy_helper.to_array(w)).all() for w in weights)


def test_eight_bits_stay_near() -> None:
    model, feeds = graphs.warped_picture(), graphs.warped_feeds()
    small = precision.to_int8(model, [feeds])
    assert precision.precision_of(small) == "int8"
    assert relative_error(run(small, feeds)["out"], run(model, feeds)["out"]) < 0.05


def test_only_the_convolutions_asked_for_are_narrowed() -> None:
    model, feeds = graphs.warped_picture(), graphs.warped_feeds()
    names = precision.convolutions(model)
    assert len(names) == 2
    assert not precision.is_quantised(precision.to_int8(model, [feeds], only=()))
    one = precision.to_int8(model, [feeds], only=names[:1])
    assert sum(n.op_type == "QuantizeLinear" for n in one.graph.node) == 1


@pytest.mark.parametrize("bits", [7, 8])
def test_weights_take_as_many_bits_as_they_may(bits: int) -> None:
    model, feeds = graphs.warped_picture(), graphs.warped_feeds()
    small = precision.to_int8(model, [feeds], weight_bits=bits)
    levels = [onnx.numpy_helper.to_array(w) for w in small.graph.initializer if w.data_type == 3]
    assert max(int(np.abs(w).max()) for w in levels) == 2 ** (bits - 1) - 1
    assert precision.safe_weight_bits() in (7, 8)


def test_eight_bits_need_samples() -> None:
    with pytest.raises(EngineError, match="expected at least one, found none"):
        precision.to_int8(graphs.warped_picture(), [])
