"""What every backend promises, on tiny graphs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import AvatarError, EngineError
from engines.graph import model_spec
from engines.runner import Runner
from tests.engines import graphs

pytest.importorskip("onnx", reason="the graphs are made with onnx")

Open = Callable[[str], Runner]
"""Opens a runner of one of the graphs below, by name."""

GRAPHS: dict[str, Callable[[], Any]] = {
    "sum": graphs.sum_and_product,
    "picture": graphs.picture_filter,
    "warp": graphs.warped_picture,
}


def open_onnxruntime(name: str) -> Runner:
    pytest.importorskip("onnxruntime", reason="the backend under test")
    from engines.onnxruntime import OnnxRuntimeRunner

    return OnnxRuntimeRunner(GRAPHS[name](), threads=1)


def open_openvino(name: str) -> Runner:
    pytest.importorskip("openvino", reason="the backend under test")
    from engines.openvino import OpenVinoRunner

    return OpenVinoRunner(GRAPHS[name](), threads=1)


def open_torch(name: str) -> Runner:
    pytest.importorskip("torch", reason="the backend under test")
    from engines.torch import TorchRunner

    return TorchRunner(torch_function(name), model_spec(GRAPHS[name]()))


def open_torch_on_card(name: str) -> Runner:
    """As the networks: channels last, one CUDA graph, two frames under way."""
    pytest.importorskip("torch", reason="the backend under test")
    from engines.overlap import OverlappedRunner
    from engines.torch_card import TorchCard, find_card

    try:
        find_card()
    except AvatarError as error:
        pytest.skip(str(error))
    card, function = TorchCard(), torch_function(name, "cuda")

    def work(inputs: Any, stream: Any) -> Any:
        return card.captured(function, inputs, stream, lambda line: pytest.fail(line))

    return OverlappedRunner("torch", model_spec(GRAPHS[name]()), card, work)


def open_simulated(name: str) -> Runner:
    """Everything of the same but the card."""
    torch = pytest.importorskip("torch", reason="does the work")
    from engines.overlap import OverlappedRunner
    from tests.engines.simulated_card import SimulatedCard

    spec, function = model_spec(GRAPHS[name]()), torch_function(name)

    def work(**arrays: Any) -> Any:
        found = function(**{key: torch.from_numpy(value) for key, value in arrays.items()})
        return {key: value.numpy() for key, value in found.items()}

    card = SimulatedCard(spec, work, Random(0))
    return OverlappedRunner("torch", spec, card, card.work)


def torch_function(name: str, device: str = "cpu") -> Any:
    """What a graph computes, written in PyTorch."""
    import torch
    from torch.nn import functional

    model = GRAPHS[name]()
    weights = {
        w.name: torch.from_numpy(_array(w).copy()).to(device) for w in model.graph.initializer
    }

    def add_and_multiply(a: Any, b: Any) -> Any:
        return {"sum": a + b, "product": a * b}

    def mean(picture: Any) -> Any:
        x = picture.permute(2, 0, 1)[None].float()
        x = functional.conv2d(x, weights["kernel"], padding=1).clamp(0, 255).round()
        return {"out": x[0].permute(1, 2, 0).to(torch.uint8)}

    def warp(image: Any, shift: Any) -> Any:
        x = functional.conv2d(image, weights["w1"], padding=1)
        grid = weights["points"] + shift.reshape(1, 1, 1, 2)
        x = functional.relu(functional.grid_sample(x, grid, align_corners=False))
        return {"out": functional.conv2d(x, weights["w2"], weights["b2"], padding=1)}

    functions: dict[str, Any] = {"sum": add_and_multiply, "picture": mean, "warp": warp}
    return functions[name]


def _array(weight: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.to_array(weight)


def open_tensorrt(backend: str) -> Open:
    def opened(name: str) -> Runner:
        from engines import tensorrt
        from engines.backends import BACKENDS

        try:
            BACKENDS[backend].probe("cuda")
        except AvatarError as error:
            pytest.skip(str(error))
        builder = tensorrt.TensorRtBuilder(backend)
        engine = builder.build(GRAPHS[name](), lambda _what, _share: None)
        return tensorrt.TensorRtRunner(engine, backend)

    return opened


OPENERS: dict[str, Open] = {
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "torch": open_torch,
    "torch on a card": open_torch_on_card,
    "a simulated card": open_simulated,
    "tensorrt-rtx": open_tensorrt("tensorrt-rtx"),
    "tensorrt": open_tensorrt("tensorrt"),
}


@pytest.fixture(params=list(OPENERS))
def opened(request: pytest.FixtureRequest) -> Open:
    return OPENERS[request.param]


def pair(value: float = 1.0) -> dict[str, Any]:
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {"a": a, "b": np.full((2, 3), value, np.float32)}


def test_names_what_goes_in_and_comes_out(opened: Open) -> None:
    with opened("sum") as runner:
        assert runner.spec == model_spec(graphs.sum_and_product())
        assert runner.backend and runner.device


def test_gives_all_outputs_by_name_in_the_order_of_the_graph(opened: Open) -> None:
    with opened("sum") as runner:
        found = runner.infer(pair(2))
    assert list(found) == ["sum", "product"]
    np.testing.assert_allclose(found["sum"], pair()["a"] + 2)
    np.testing.assert_allclose(found["product"], pair()["a"] * 2)
    runner.spec.check_outputs(found)


def test_pictures_go_in_and_come_out_as_bytes(opened: Open) -> None:
    picture = np.full((8, 8, 3), 90, np.uint8)
    with opened("picture") as runner:
        out = runner.infer({"picture": picture})["out"]
    assert out.dtype == np.uint8 and out.shape == (8, 8, 3)
    assert (out[1:-1, 1:-1] == 90).all() and (out[0, 0] == 40).all()


def test_backends_agree(opened: Open) -> None:
    pytest.importorskip("onnxruntime", reason="what the others are compared with")
    with open_onnxruntime("warp") as reference:
        expected = reference.infer(graphs.warped_feeds())["out"]
    with opened("warp") as runner:
        found = runner.infer(graphs.warped_feeds())["out"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_outputs_belong_to_the_caller(opened: Open) -> None:
    with opened("sum") as runner:
        first = runner.infer(pair(1))
        kept = {name: value.copy() for name, value in first.items()}
        runner.infer(pair(5))
    for name, value in first.items():
        np.testing.assert_array_equal(value, kept[name])
        value += 1  # writable


def test_inputs_are_neither_kept_nor_changed(opened: Open) -> None:
    feeds = pair(3)
    with opened("sum") as runner:
        runner.infer(feeds)
        np.testing.assert_array_equal(feeds["a"], pair()["a"])
        feeds["a"][:] = 100
        found = runner.infer(pair(3))
    np.testing.assert_allclose(found["sum"], pair()["a"] + 3)


def test_inputs_need_not_be_contiguous(opened: Open) -> None:
    feeds = pair(1)
    feeds["a"] = np.asfortranarray(feeds["a"])
    feeds["b"] = np.full((2, 6), 1, np.float32)[:, ::2]
    with opened("sum") as runner:
        np.testing.assert_allclose(runner.infer(feeds)["sum"], pair()["a"] + 1)


def test_read_only_inputs_are_taken(opened: Open) -> None:
    feeds = pair(1)
    feeds["a"].flags.writeable = False
    with opened("sum") as runner:
        np.testing.assert_allclose(runner.infer(feeds)["sum"], pair()["a"] + 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": None}, "expected the inputs a, b; found a"),
        ({"c": np.zeros(1)}, "expected the inputs a, b; found a, b, c"),
        (
            {"a": np.zeros((2, 3))},
            r"input a: expected a: float32 \(2, 3\), found float64 \(2, 3\)",
        ),
        (
            {"a": np.zeros((3, 3), np.float32)},
            r"input a: expected a: float32 \(2, 3\), found float32 \(3, 3\)",
        ),
        ({"a": np.zeros(3, np.float32)}, r"found float32 \(3\)"),
        ({"a": [[0.0] * 3] * 2}, "takes numpy arrays.*found list"),
    ],
)
def test_wrong_inputs_are_named(opened: Open, change: dict[str, Any], message: str) -> None:
    feeds = {k: v for k, v in {**pair(), **change}.items() if v is not None}
    with opened("sum") as runner:
        with pytest.raises(EngineError, match=message):
            runner.infer(feeds)
        runner.infer(pair())  # still usable


def test_closes_once_and_says_so_afterwards(opened: Open) -> None:
    runner = opened("sum")
    runner.close()
    runner.close()
    with pytest.raises(EngineError, match="closed"):
        runner.infer(pair())


def test_warms_up(opened: Open) -> None:
    with opened("picture") as runner:
        runner.warm_up(2)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_axes_of_any_length(backend: str) -> None:
    pytest.importorskip(backend, reason="the backend under test")
    model = graphs.sum_and_product(batch=None)
    runner: Runner
    if backend == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeRunner

        runner = OnnxRuntimeRunner(model, threads=1)
    else:
        from engines.openvino import OpenVinoRunner

        runner = OpenVinoRunner(model, threads=1)
    with runner:
        assert runner.spec.inputs[0].shape == (None, 3)
        for batch in (1, 4):
            ones = np.ones((batch, 3), np.float32)
            assert runner.infer({"a": ones, "b": ones})["sum"].shape == (batch, 3)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_unknown_device_and_a_broken_graph_are_named(backend: str) -> None:
    pytest.importorskip(backend, reason="the backend under test")
    from onnx import helper

    broken = graphs.sum_and_product()
    broken.graph.node.append(helper.make_node("NoSuchOperator", ["a"], ["x"]))
    broken.graph.output.append(helper.make_tensor_value_info("x", 1, [2, 3]))
    if backend == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeRunner

        kind: Any = OnnxRuntimeRunner
    else:
        from engines.openvino import OpenVinoRunner

        kind = OpenVinoRunner
    with pytest.raises(EngineError, match="no device 'toaster'"):
        kind(graphs.sum_and_product(), "toaster")
    with pytest.raises(EngineError, match="cannot load the model"):
        kind(broken)
