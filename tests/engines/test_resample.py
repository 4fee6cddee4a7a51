"""Graphs with volumetric resampling become runnable elsewhere and keep their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.errors import EngineError
from engines import resample
from tests.engines.conftest import relative_error

onnx = pytest.importorskip("onnx", reason="graphs are read and written by onnx")
ort = pytest.importorskip("onnxruntime", reason="runs the graphs before and after")

LIMIT = {"rows": 3e-6, "tile4c": 3e-4}


def graph(
    volume: tuple[int, ...],
    points: tuple[int, ...],
    *,
    batch: int | None = None,
    opset: int = 20,
    **attributes: Any,
) -> Any:
    """volume (N, C, D, H, W) and grid (N, points, 3) -> twice the samples."""
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    lead = ["N"] if batch is None else [batch]
    nodes = [
        h.make_node("GridSample", ["volume", "grid"], ["samples"], name="warp", **attributes),
        h.make_node("Add", ["samples", "samples"], ["out"]),
    ]
    inputs = [
        h.make_tensor_value_info("volume", kind, [*lead, *volume]),
        h.make_tensor_value_info("grid", kind, [*lead, *points, 3]),
    ]
    outputs = [h.make_tensor_value_info("out", kind, [*lead, volume[0], *points])]
    body = h.make_graph(nodes, "sampling", inputs, outputs)
    return h.make_model(body, opset_imports=[h.make_opsetid("", opset)], ir_version=10)


def run(model: Any, feeds: dict[str, Any]) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)[0]


def feeds(volume: tuple[int, ...], points: tuple[int, ...], batch: int, seed: int) -> Any:
    """Points inside, on the borders, far outside, and exactly on voxels."""
    rng = np.random.default_rng(seed)
    grid = rng.uniform(-1.6, 1.6, (batch, *points, 3))
    special = rng.choice([-1.0, 1.0, 0.0, -3.0, 3.0], grid.shape)
    grid = np.where(rng.random(grid.shape) < 0.2, special, grid)
    return {
        "volume": rng.standard_normal((batch, *volume)).astype(np.float32),
        "grid": grid.astype(np.float32),
    }


sizes = st.tuples(st.integers(1, 3), st.integers(2, 7), st.integers(2, 6), st.integers(2, 6))
places = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(
    volume=sizes,
    points=places,
    batch=st.integers(1, 3),
    fixed=st.booleans(),
    padding=st.sampled_from(["zeros", "border", "reflection"]),
    align=st.integers(0, 1),
    form=st.sampled_from(["rows", "tile4c"]),
    seed=st.integers(0, 2**16),
)
def test_linear_sampling_keeps_its_numbers(
    volume: tuple[int, ...],
    points: tuple[int, ...],
    batch: int,
    fixed: bool,
    padding: str,
    align: int,
    form: resample.Form,
    seed: int,
) -> None:
    model = graph(
        volume,
        points,
        batch=batch if fixed else None,
        mode="linear",
        padding_mode=padding,
        align_corners=align,
    )
    inputs = feeds(volume, points, batch, seed)
    expected = run(model, inputs)
    rewritten = resample.rewrite(model, form)
    assert resample.count(model) == 1 and resample.count(rewritten) == 0
    found = run(rewritten, inputs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=20 * LIMIT[form])


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_nearest_sampling_keeps_its_numbers(padding: str, align: int) -> None:
    volume, points = (2, 5, 4, 6), (3, 4, 5)
    model = graph(volume, points, mode="nearest", padding_mode=padding, align_corners=align)
    inputs = feeds(volume, points, 2, 0)
    inputs["grid"] = inputs["grid"] * 0.987 + 0.0031  # no point halfway between two voxels
    expected = run(model, inputs)
    np.testing.assert_array_equal(run(resample.rewrite(model, "rows"), inputs), expected)


@pytest.mark.parametrize("form", ["rows", "tile4c"])
def test_the_size_of_a_portrait(form: resample.Form) -> None:
    volume, points = (8, 16, 64, 64), (16, 64, 64)
    model = graph(volume, points, batch=1, mode="linear")
    inputs = feeds(volume, points, 1, 5)
    error = relative_error(run(resample.rewrite(model, form), inputs), run(model, inputs))
    assert error < LIMIT[form]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("form", ["rows", "tile4c"])
def test_a_backend_without_volumes_runs_what_was_rewritten(form: resample.Form, batch: int) -> None:
    pytest.importorskip("openvino", reason="a runtime that has no volumetric GridSample")
    from engines.openvino import OpenVinoRunner

    volume, points = (3, 5, 6, 7), (4, 5, 6)
    model = graph(volume, points, batch=batch, mode="linear", padding_mode="zeros")
    inputs = feeds(volume, points, batch, 11)
    with pytest.raises(EngineError, match=r"cannot load the model.*engines\.resample"):
        OpenVinoRunner(model, threads=1)
    with OpenVinoRunner(resample.rewrite(model, form), threads=1) as runner:
        found = runner.infer(inputs)["out"]
    np.testing.assert_allclose(found, run(model, inputs), atol=20 * LIMIT[form])


def test_sampling_of_a_plane_is_left_alone() -> None:
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = h.make_node("GridSample", ["x", "g"], ["y"])
    shapes = {"x": [1, 2, 4, 4], "g": [1, 3, 3, 2], "y": [1, 2, 3, 3]}
    values = {name: h.make_tensor_value_info(name, kind, s) for name, s in shapes.items()}
    body = h.make_graph([node], "plane", [values["x"], values["g"]], [values["y"]])
    model = h.make_model(body, opset_imports=[h.make_opsetid("", 20)], ir_version=10)
    assert resample.rewrite(model, "rows") is model


def test_the_plug_in_of_community_exports_is_known() -> None:
    volume, points = (2, 4, 5, 6), (2, 3, 4)
    model = graph(volume, points, batch=1, mode="linear", padding_mode="zeros", align_corners=0)
    plug_in = graph(volume, points, batch=1, interpolation_mode=0, padding_mode=0, align_corners=0)
    plug_in.graph.node[0].op_type = "GridSample3D"
    inputs = feeds(volume, points, 1, 3)
    found = run(resample.rewrite(plug_in, "rows"), inputs)
    np.testing.assert_allclose(found, run(model, inputs), atol=1e-5)


def test_an_older_opset_uses_the_older_name_of_the_mode() -> None:
    volume, points = (2, 4, 5, 6), (2, 3, 4)
    plug_in = graph(volume, points, batch=1, opset=16, interpolation_mode=0, padding_mode=0)
    plug_in.graph.node[0].op_type = "GridSample3D"
    model = graph(volume, points, batch=1, mode="linear")
    inputs = feeds(volume, points, 1, 3)
    found = run(resample.rewrite(plug_in, "tile4c"), inputs)
    np.testing.assert_allclose(found, run(model, inputs), atol=1e-3)


def test_an_unknown_mode_is_named() -> None:
    model = graph((1, 2, 2, 2), (1, 1, 1), batch=1, mode="cubic")
    with pytest.raises(EngineError, match=r"'warp' has mode 'cubic'.*linear or nearest"):
        resample.rewrite(model, "rows")


def test_unknown_shapes_are_named() -> None:
    model = graph((1, 2, 2, 2), (1, 1, 1), batch=1, mode="linear")
    model.graph.input[1].type.tensor_type.shape.dim[2].Clear()
    with pytest.raises(EngineError, match=r"'warp' has a volume .* fixed shapes"):
        resample.rewrite(model, "rows")


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(EngineError, match="rows and tile4c"):
        resample.rewrite(graph((1, 2, 2, 2), (1, 1, 1), mode="linear"), "native")  # type: ignore[arg-type]
