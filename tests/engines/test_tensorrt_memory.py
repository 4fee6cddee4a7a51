"""``TensorRtRunner`` with a library in TensorRT's place that only copies.

What is tried is the runner's own: memory, streams, events and CUDA graphs. On a real card, where
any that the driver knows will do, also one that TensorRT-RTX does not run on; and everywhere on a
simulated one, in several orders of its work.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import AvatarError, EngineError
from engines import nvidia, tensorrt
from tests.engines.simulated_cuda import copy_on_card, simulated_cuda

Copy = Callable[[int, int, int, int], None]
"""Starts a copy on the card: addresses to and from, bytes, a stream's handle."""
SHAPE = (3, 64, 64)
COPIES = {"picture": "same", "features": "kept"}


class Context:
    """Copies each input to its output, on the stream that it is given."""

    def __init__(self, copy: Copy) -> None:
        self.addresses: dict[str, int] = {}
        self.launches = 0
        self._copy = copy

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def is_stream_capturable(self, stream: int) -> bool:
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.launches += 1
        for taken, given in COPIES.items():
            size = int(np.prod(SHAPE)) * 4
            self._copy(self.addresses[given], self.addresses[taken], size, stream)
        return True


class Engine:
    names = (*COPIES, *COPIES.values())
    num_io_tensors = len(names)

    def __init__(self, copy: Copy) -> None:
        self.context = Context(copy)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_dtype(self, name: str) -> Any:
        return np.float32

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return SHAPE

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in COPIES else "output"

    def create_execution_context(self) -> Context:
        return self.context


def copy_by_driver(target: int, source: int, size: int, stream: int) -> None:
    from cuda.bindings import driver

    (status,) = driver.cuMemcpyDtoDAsync(target, source, size, stream)
    assert status == driver.CUresult.CUDA_SUCCESS


@pytest.fixture(params=["card", *range(6)])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    if request.param == "card":
        try:
            nvidia.find_gpu()
        except AvatarError as error:
            pytest.skip(str(error))
        made = Engine(copy_by_driver)
    else:
        monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "cuda.core", simulated_cuda(request.param))
        monkeypatch.setattr(tensorrt, "find_gpu", lambda _index: nvidia.Gpu("none", (8, 6), 13000))
        made = Engine(copy_on_card)
    library = SimpleNamespace(
        __version__="11.2",
        ILogger=type("ILogger", (), {"Severity": SimpleNamespace(ERROR=1, INTERNAL_ERROR=0)}),
        Runtime=lambda _messages: SimpleNamespace(deserialize_cuda_engine=lambda _data: made),
        TensorIOMode=SimpleNamespace(INPUT="input"),
        nptype=lambda dtype: dtype,
    )
    monkeypatch.setattr(tensorrt, "import_library", lambda _backend: library)
    return made


def values(seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def test_frames_come_back_whole_before_and_after_the_graph_is_captured(engine: Engine) -> None:
    with tensorrt.TensorRtRunner(b"", "tensorrt") as runner:
        for seed in range(8):
            feeds = {"picture": values(seed), "features": values(100 + seed)}
            found = runner.infer(feeds)
            np.testing.assert_array_equal(found["same"], feeds["picture"])
            np.testing.assert_array_equal(found["kept"], feeds["features"])
    assert engine.context.launches == 2, "the first as it comes, the second into the graph"


def test_two_frames_are_under_way_and_come_back_in_their_order(engine: Engine) -> None:
    with tensorrt.TensorRtRunner(b"", "tensorrt") as runner:
        feeds = [{"picture": values(i), "features": values(i)} for i in range(12)]
        runner.submit(feeds[0])
        for earlier, later in pairwise(feeds):
            runner.submit(later)
            with pytest.raises(EngineError, match="two frames are under way"):
                runner.submit(later)
            np.testing.assert_array_equal(runner.result()["same"], earlier["picture"])
        np.testing.assert_array_equal(runner.result()["same"], feeds[-1]["picture"])
        with pytest.raises(EngineError, match="no frame is under way"):
            runner.result()


def test_what_was_uploaded_stays(engine: Engine) -> None:
    with tensorrt.TensorRtRunner(b"", "tensorrt") as runner:
        features = values(1)
        kept = runner.upload("features", features)
        for seed in range(5):
            found = runner.infer({"picture": values(seed), "features": kept})
            np.testing.assert_array_equal(found["kept"], features)
            np.testing.assert_array_equal(found["same"], values(seed))
        with pytest.raises(EngineError, match="no input 'other'"):
            runner.upload("other", features)


def test_tensors_on_the_card_are_taken_after_what_made_them(engine: Engine) -> None:
    torch = pytest.importorskip("torch", reason="makes arrays on the card")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch was built without CUDA")
    with tensorrt.TensorRtRunner(b"", "tensorrt") as runner, torch.cuda.stream(torch.cuda.Stream()):
        for seed in range(5):
            made = torch.from_numpy(values(seed)).cuda()
            busy = torch.ones(2048, 2048, device="cuda")
            for _ in range(20):
                busy = busy @ busy / 2048
            made = made * busy[0, 0]  # 1, once all of the above is done
            found = runner.infer({"picture": made, "features": values(seed)})
            np.testing.assert_allclose(found["same"], values(seed), rtol=1e-4)
        with pytest.raises(EngineError, match="expected contiguous"):
            runner.infer({"picture": made.transpose(1, 2), "features": values(0)})


def test_frames_may_come_from_another_thread(engine: Engine) -> None:
    found: list[Any] = []
    with tensorrt.TensorRtRunner(b"", "tensorrt") as runner:

        def work() -> None:
            for seed in range(4):
                feeds = {"picture": values(seed), "features": values(seed)}
                found.append(runner.infer(feeds)["same"])

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(found) == 4
    for seed, picture in enumerate(found):
        np.testing.assert_array_equal(picture, values(seed))
