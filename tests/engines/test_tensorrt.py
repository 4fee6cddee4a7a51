"""TensorRT as far as a machine without a card can show it: building, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import AvatarError, EngineError, MissingDependencyError
from engines import cuda_card, nvidia, tensorrt
from engines.backends import BACKENDS
from engines.build import build
from engines.export import MODELS, export
from engines.nvidia import Gpu, check_gpu
from tests.engines import graphs


@pytest.fixture
def builder() -> tensorrt.TensorRtBuilder:
    pytest.importorskip("onnx", reason="the graphs are made with onnx")
    try:
        return tensorrt.TensorRtBuilder()
    except MissingDependencyError as error:
        pytest.skip(str(error))


def test_an_engine_is_built_ahead_of_time(
    builder: tensorrt.TensorRtBuilder, tmp_path: Path
) -> None:
    seen: list[tuple[str, float]] = []
    model = graphs.warped_picture()
    lines: list[str] = []
    engine = build(
        "tiny",
        model,
        builder,
        tmp_path,
        progress=lambda what, share: seen.append((what, share)),
        say=lines.append,
    )
    assert engine.built and len(engine.data) > 1000
    assert seen[0][1] == 0 and seen[-1][1] == 1
    assert "building tiny (fp32) for rtx" in lines[0]
    assert not build("tiny", model, builder, tmp_path).built


def test_half_precision_is_built_ahead_of_time(builder: tensorrt.TensorRtBuilder) -> None:
    from engines.precision import to_fp16

    engine = builder.build(to_fp16(graphs.warped_picture()), lambda _what, _share: None)
    assert len(engine) > 1000


def test_a_graph_that_it_cannot_read_is_an_error_with_its_reason(
    builder: tensorrt.TensorRtBuilder,
) -> None:
    model = graphs.sum_and_product()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(EngineError, match=r"cannot read the graph: .*NoSuchOperator"):
        builder.build(model, lambda _what, _share: None)


def test_an_unknown_architecture_is_named(builder: tensorrt.TensorRtBuilder) -> None:
    other = tensorrt.TensorRtBuilder(architectures=("sm99",))
    with pytest.raises(EngineError, match=r"no card of architecture SM99.*sm89"):
        other.build(graphs.sum_and_product(), lambda _what, _share: None)


def test_without_a_driver_it_says_how_to_get_one() -> None:
    pytest.importorskip("cuda.bindings", reason="speaks to the driver")
    try:
        gpu = nvidia.find_gpu()
    except EngineError as error:
        assert "driver" in str(error) and "http" in str(error)
    else:
        pytest.skip(f"this machine has a driver and {gpu.name}")


def test_a_runner_without_a_card_is_an_error_not_a_crash(
    builder: tensorrt.TensorRtBuilder,
) -> None:
    try:
        nvidia.find_gpu()
    except AvatarError as error:
        with pytest.raises(type(error)):
            tensorrt.TensorRtRunner(b"not an engine")
    else:
        pytest.skip("this machine has a card")


def card(capability: tuple[int, int], driver: int = 13000) -> Gpu:
    return Gpu("a card", capability, driver)


@pytest.mark.parametrize("capability", [(8, 6), (8, 9), (12, 0)])
@pytest.mark.parametrize("backend", ["tensorrt-rtx", "tensorrt"])
def test_cards_that_run(capability: tuple[int, int], backend: str) -> None:
    check_gpu(card(capability), backend, "fp32")


@pytest.mark.parametrize(
    ("gpu", "backend", "precision", "message"),
    [
        (card((8, 9), 12040), "tensorrt-rtx", "fp16", r"too old: it speaks CUDA 12\.4.*driver 580"),
        (card((6, 1)), "tensorrt-rtx", "fp16", r"\(sm61\) is too old.*--backend openvino"),
        (card((6, 1)), "tensorrt", "fp16", r"\(sm61\) is too old"),
        (
            card((9, 0)),
            "tensorrt-rtx",
            "fp16",
            r"does not run on a card \(sm90\).*--backend tensorrt, torch",
        ),
        (card((7, 5)), "tensorrt-rtx", "fp32", r"sm75.*--precision fp16"),
    ],
)
def test_cards_that_do_not_run_say_why_and_what_to_do(
    gpu: Gpu, backend: str, precision: str, message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        check_gpu(gpu, backend, precision)


def test_the_causes_have_messages_of_their_own() -> None:
    messages = {str(nvidia.no_driver(RuntimeError("x")))}
    for gpu in (card((8, 9), 12040), card((6, 1)), card((9, 0))):
        with pytest.raises(EngineError) as caught:
            check_gpu(gpu, "tensorrt-rtx", "fp16")
        messages.add(str(caught.value))
    assert len(messages) == 4


def interface(array: Any, strides: Any = None) -> dict[str, Any]:
    return {
        "shape": array.shape,
        "typestr": array.dtype.str,
        "data": (4096, True),
        "strides": strides,
        "version": 3,
    }


def test_arrays_on_the_card_are_checked_without_touching_them() -> None:
    array = np.zeros((2, 3, 4), np.float32)
    for strides in (None, array.strides):
        found = cuda_card.described(interface(array, strides))
        assert found.shape == array.shape and found.dtype == array.dtype
    with pytest.raises(EngineError, match="expected contiguous"):
        cuda_card.described(interface(array, array.transpose(2, 1, 0).strides))


class Told:
    """A stream or a card that keeps what it was told."""

    handle = 77

    def __init__(self) -> None:
        self.waited: list[int] = []
        self.synchronised = 0

    def wait(self, other: Any) -> None:
        self.waited.append(int(other.handle))

    def sync(self) -> None:
        self.synchronised += 1


class Tensor:
    """As PyTorch's: its interface names no stream, its DLPack makes one wait."""

    def __init__(self) -> None:
        self.awaited_by: list[int] = []

    def __dlpack__(self, *, stream: int) -> object:
        self.awaited_by.append(stream)
        return object()


def test_arrays_on_the_card_are_read_after_what_made_them() -> None:
    stream, card_, tensor = Told(), Told(), Tensor()
    anything = interface(np.zeros(3, np.float32))
    cuda_card.await_producer(tensor, anything, stream, card_)
    assert tensor.awaited_by == [stream.handle] and not card_.synchronised
    cuda_card.await_producer(object(), anything, stream, card_)
    assert card_.synchronised == 1
    cuda_card.await_producer(object(), {**anything, "stream": None}, stream, card_)
    assert card_.synchronised == 1 and not stream.waited
    pytest.importorskip("cuda.core", reason="has the streams of cards")
    cuda_card.await_producer(object(), {**anything, "stream": 5}, stream, card_)
    assert card_.synchronised == 1 and stream.waited == [5]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_is_built_ahead_of_time(
    name: str, precision: str, builder: tensorrt.TensorRtBuilder
) -> None:
    pytest.importorskip("torch", reason="models are exported from PyTorch")
    pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")
    from engines.networks.seeded import seeded
    from engines.precision import to_fp16

    networks = {network: seeded(network) for network in MODELS[name].networks}
    model = export(name, networks, form=BACKENDS["tensorrt-rtx"].volume_form())
    if precision == "fp16":
        model = to_fp16(model)
    assert len(builder.build(model, lambda _what, _share: None)) > 10_000
