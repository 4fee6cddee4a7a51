"""PyTorch on a card, as far as a machine without one can show it; what a card alone shows skips.

``StandIn`` is PyTorch with streams, events and graphs that note what is done with them; a graph
keeps the function that was captured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import AvatarError, EngineError, MissingDependencyError
from engines import samples, torch_card
from engines.backends import BACKENDS, TorchBackend
from engines.compare import LIMITS, compare, table
from engines.export import model
from engines.networks import FAMILIES

torch = pytest.importorskip("torch", reason="the backend under test")

LIP = "liveportrait/stitching_retargeting_module/lip"
DETECTOR = "fomm/kp_detector"


class StandIn:
    """PyTorch whose card ``cuda:0`` is the processor's memory."""

    def __init__(self, fails: str = "") -> None:
        self.log: list[str] = []
        self._fails = fails
        self.cuda = SimpleNamespace(
            Stream=lambda device: SimpleNamespace(
                wait_event=lambda event: self.log.append("wait"),
                wait_stream=lambda other: self.log.append("wait for the producer"),
                synchronize=lambda: self.log.append("synchronize stream"),
            ),
            Event=lambda: SimpleNamespace(
                record=lambda stream: self.log.append("record"),
                synchronize=lambda: self.log.append("finish"),
            ),
            CUDAGraph=lambda: SimpleNamespace(replay=self._replay),
            current_stream=lambda device: "the caller's stream",
            device=lambda device: self._within(f"on {device}"),
            stream=lambda stream: self._within("stream"),
            graph=self._capture,
            get_device_name=lambda index: "a card",
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def empty(self, shape: Any, *, dtype: Any, pin_memory: bool) -> Any:
        assert pin_memory
        return torch.empty(shape, dtype=dtype)

    def zeros(self, shape: Any, *, dtype: Any, device: str) -> Any:
        assert device == "cuda:0"
        return torch.zeros(shape, dtype=dtype)

    @contextmanager
    def _within(self, _what: str) -> Iterator[None]:
        yield

    @contextmanager
    def _capture(self, graph: Any, *, stream: Any, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        self.log.append("capture")
        yield
        if self._fails:
            raise RuntimeError(f"{self._fails}\nand more")

    def _replay(self) -> None:
        self.log.append("replay")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return with_stand_in(monkeypatch)


def with_stand_in(monkeypatch: pytest.MonkeyPatch, fails: str = "") -> StandIn:
    made = StandIn(fails)
    monkeypatch.setattr(torch_card, "import_torch", lambda: made)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_: self)
    return made


def opened(name: str, precision: Any = "fp16", say: Any = print) -> Any:
    from engines.networks.seeded import seeded

    networks = {part: seeded(part) for part in model(name).networks}
    return TorchBackend().open_networks(name, networks, precision=precision, device="cuda", say=say)


def test_a_model_is_captured_once_and_then_replayed(stand_in: StandIn) -> None:
    with opened(LIP) as runner:
        assert runner.device == "a card" and runner.backend == "torch"
        assert stand_in.log == ["synchronize stream", "capture"], "after the first runs"
        stand_in.log.clear()
        runner.infer(samples.random_feeds(LIP))
        assert stand_in.log.count("replay") == 1 and "capture" not in stand_in.log
        # Up beside the work, behind which the copy back is; then the processor waits.
        assert stand_in.log == ["record", "wait", "replay", "record", "finish"]


def test_what_cannot_be_captured_runs_all_the_same_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in = with_stand_in(monkeypatch, "operation not permitted when stream is capturing")
    said: list[str] = []
    with opened(LIP, "fp32", said.append) as runner:
        feeds = samples.random_feeds(LIP)
        found = runner.infer(feeds)["output"]
    assert said == [
        f"{LIP} runs without a CUDA graph, and more slowly: operation not permitted when stream is "
        "capturing"
    ]
    assert "replay" not in stand_in.log
    from engines.networks.seeded import seeded

    wanted = seeded(LIP)(torch.from_numpy(feeds["input"])).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_weights_lie_channels_last_and_in_half(stand_in: StandIn) -> None:
    from engines.deploy import HalvedBlock
    from engines.networks.liveportrait.published import ConvNorm3d
    from engines.torch import computed

    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), HalvedBlock(ConvNorm3d(2, 3).eval()))
    card = torch_card.TorchCard()
    computed(module, model(LIP).spec, "fp16", emulated=False)
    card.place(module)
    flat, volume = module[0].weight, module[1].conv.weight
    assert flat.is_contiguous(memory_format=torch.channels_last)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    assert flat.dtype == volume.dtype == torch.float16
    assert module[0].bias.dtype == torch.float32, "norms' stay as well"


def test_values_on_the_card_are_described_and_awaited(stand_in: StandIn) -> None:
    card = torch_card.TorchCard()
    assert card.described(np.zeros(3)) is None
    assert card.described(torch.zeros(2, 3)) is None, "it lies on the processor"
    card._device = "cpu"
    found = card.described(torch.zeros(2, 3, dtype=torch.float16))
    assert found is not None and found.shape == (2, 3) and found.dtype == np.float16
    tensor = SimpleNamespace(record_stream=lambda stream: stand_in.log.append("keep"))
    assert card.taken(tensor, card.stream()) is tensor
    assert stand_in.log == ["wait for the producer", "keep"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "too little memory.*--precision fp16"),
        (torch.AcceleratorError("CUDA error: an illegal access\nmore"), "an illegal access. Look"),
    ],
)
def test_what_a_card_says_becomes_a_message(
    stand_in: StandIn, error: Exception, words: str
) -> None:
    with pytest.raises(EngineError, match=words), torch_card.TorchCard().guard():
        raise error


def card_of(**given: Any) -> Any:
    """PyTorch as far as ``find_card`` looks at it."""
    facts: dict[str, Any] = {
        "cuda": "13.0", "available": True, "name": "NVIDIA H100", "capability": (9, 0),
        "built": ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"],
    }  # fmt: skip
    facts |= given
    return SimpleNamespace(
        __version__="2.13.0",
        version=SimpleNamespace(cuda=facts["cuda"]),
        cuda=SimpleNamespace(
            is_available=lambda: facts["available"],
            get_device_name=lambda: facts["name"],
            get_device_capability=lambda: facts["capability"],
            get_arch_list=lambda: facts["built"],
        ),
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"cuda": None}, r"was built without CUDA.*pip install --force-reinstall torch"),
        ({"available": False}, r"finds no card that it can use\. Check nvidia-smi"),
        ({"capability": (6, 1)}, r"no kernels for NVIDIA H100 \(sm61\); it has sm_75.*openvino"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    found: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_card, "has_driver", lambda: True)
    monkeypatch.setattr(torch_card, "import_torch", lambda: card_of(**found))
    with pytest.raises((EngineError, MissingDependencyError), match=words):
        torch_card.find_card()


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (9, 0), (12, 0), (12, 1)])
def test_cards_that_run(capability: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_card, "has_driver", lambda: True)
    monkeypatch.setattr(torch_card, "import_torch", lambda: card_of(capability=capability))
    sm = "".join(map(str, capability))
    assert torch_card.find_card() == f"PyTorch 2.13.0 on NVIDIA H100 (sm{sm})"


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((8, 9), ["sm_86"], True),  # a later card of the same major number
        ((9, 0), ["sm_86"], False),
        ((9, 0), ["compute_80"], True),  # compiled by the driver
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100a"], False),  # for exactly that card
        ((8, 0), ["compute_90"], False),
    ],
)
def test_kernels_run_where_cuda_says(
    capability: tuple[int, int], built: list[str], runs: bool
) -> None:
    assert torch_card._has_kernels(capability, built) == runs


def test_without_a_driver_pytorch_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_card, "has_driver", lambda: False)
    monkeypatch.setattr(torch_card, "import_torch", lambda: pytest.fail("it was loaded"))
    with pytest.raises(EngineError, match=r"no NVIDIA driver.*driver 580"):
        BACKENDS["torch"].probe("cuda")


@pytest.fixture
def real_card() -> str:
    try:
        return BACKENDS["torch"].probe("cuda")
    except AvatarError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_card_computes_what_was_published(real_card: str, family: str, precision: Any) -> None:
    from engines.networks.seeded import seeded
    from engines.torch import reference

    networks = {name: seeded(name) for name in FAMILIES[family].sections}
    source, *driving = samples.random_pictures(3)
    for name in FAMILIES[family].models:
        feeds = samples.real_feeds(name, networks, source, driving)
        said: list[str] = []
        with TorchBackend().open_networks(
            name, networks, precision=precision, device="cuda", say=said.append
        ) as runner:
            found = compare(runner, reference(name, networks), feeds[-1:])
            again = runner.infer(feeds[0])
            runner.infer(feeds[-1])
            for key, value in runner.infer(feeds[0]).items():
                np.testing.assert_array_equal(value, again[key])
        assert not said, "it is one CUDA graph"
        assert all(d.within(LIMITS[precision]) for d in found), table(found, LIMITS[precision])


def test_a_card_takes_tensors_after_what_made_them(real_card: str) -> None:
    with opened(DETECTOR) as runner:
        (feeds,) = [samples.random_feeds(DETECTOR)]
        expected = runner.infer(feeds)["value"]
        for _ in range(5):
            busy = torch.ones(4096, 4096, device="cuda")
            for _ in range(20):
                busy = busy @ busy / 4096
            picture = (torch.from_numpy(feeds["picture"]).cuda() * busy[0, 0]).round().byte()
            np.testing.assert_array_equal(runner.infer({"picture": picture})["value"], expected)
