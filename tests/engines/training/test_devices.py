"""What a card's training does, as far as a processor can show it: 16 bits, scaling, compiling."""

from __future__ import annotations

import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is done with PyTorch")

from avatar.core.errors import EngineError  # noqa: E402
from engines.training import devices  # noqa: E402
from engines.training.augment import AugmentedBatch  # noqa: E402
from engines.training.devices import Arithmetic, Device, card_errors_as_engine_errors, find_device  # noqa: E402
from engines.training.loop import DivergedError, Plan, Trainer  # noqa: E402
from engines.training.pairs import Pairs  # noqa: E402
from tests.engines.training.toys import PATCH, write_pairs  # noqa: E402

PLAN = Plan(batch=4, learning_rate=2e-3, warm_up=3, averaging=0.9)
BF16, FP16 = Device("cpu", "bf16"), Device("cpu", "fp16")
FIRST_SCALE = 2.0**16


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    return Pairs(write_pairs(tmp_path_factory.mktemp("toy") / "pairs"), [PATCH])


def weights(trainer: Trainer) -> dict[str, Any]:
    return {
        f"{name}/{key}": value.clone()
        for name, network in trainer._networks()
        for key, value in network.state_dict().items()
    }


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("device", [BF16, FP16], ids=str)
def test_in_16_bits_the_held_out_error_falls_to_half_too(pairs: Pairs, device: Device) -> None:
    trainer = Trainer(pairs, PLAN, device)
    before = trainer.held_out_error()
    for _ in range(120):
        trainer.step()
    assert trainer.held_out_error() < before / 2


def test_networks_compute_in_16_bits_and_the_rest_in_32(pairs: Pairs) -> None:
    trainer = Trainer(pairs, PLAN, BF16)
    seen: list[tuple[str, Any]] = []
    for network in (trainer.generator, trainer._critics):
        for name, module in network.named_modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(
                    lambda _module, _given, found, name=name: seen.append((name, found.dtype))
                )
    for _ in range(PLAN.warm_up + 1):
        trainer.step()
    assert len(seen) > 30 and {kind for _, kind in seen} == {torch.bfloat16}
    assert {value.dtype for value in weights(trainer).values()} == {torch.float32}
    batch = pairs.batch(PATCH, pairs.train[:2])
    given = AugmentedBatch.of(PATCH, batch, "cpu")
    assert trainer._made(trainer.generator, given).dtype == torch.float32


def test_in_32_bits_nothing_is_converted(pairs: Pairs) -> None:
    one, other = Trainer(pairs, PLAN), Trainer(pairs, PLAN, Device("cpu"))
    for _ in range(5):
        assert one.step() == other.step()
    assert same(weights(one), weights(other))


def break_gradient(trainer: Trainer) -> Any:
    """Make one gradient infinite from now on; return what ends that."""
    parameter = next(trainer.generator.parameters())
    return parameter.register_hook(lambda gradient: torch.full_like(gradient, math.inf))


def test_a_gradient_beyond_float16_costs_one_step_and_halves_the_scale(pairs: Pairs) -> None:
    trainer = Trainer(pairs, PLAN, FP16)
    trainer.step()
    before = weights(trainer)
    broken = break_gradient(trainer)
    losses = trainer.step()
    broken.remove()
    assert trainer.step_count == 2 and math.isfinite(losses.difference)
    assert same(before, weights(trainer))
    assert trainer._arithmetic.facts()["scaler"]["scale"] == FIRST_SCALE / 2
    trainer.step()
    assert not same(before, weights(trainer))


def test_gradients_that_stay_beyond_float16_are_a_divergence(pairs: Pairs) -> None:
    trainer = Trainer(pairs, PLAN, FP16)
    before = weights(trainer)
    break_gradient(trainer)
    with pytest.raises(DivergedError, match="a gradient is no longer a number"):
        for _ in range(100):
            trainer.step()
    assert trainer.step_count == devices._MOST_SKIPPED - 1
    generator = {k: v for k, v in weights(trainer).items() if not k.startswith("critics")}
    assert same({key: before[key] for key in generator}, generator)


@pytest.mark.parametrize("device", [Device(), BF16], ids=str)
def test_elsewhere_a_gradient_that_is_no_number_stops_before_it_is_learnt(
    pairs: Pairs, device: Device
) -> None:
    trainer = Trainer(pairs, PLAN, device)
    trainer.step()
    before = weights(trainer)
    break_gradient(trainer)
    with pytest.raises(DivergedError, match="step 1 a gradient is no longer a number"):
        trainer.step()
    assert trainer.step_count == 1 and same(before, weights(trainer))


@pytest.mark.parametrize("device", [Device(), BF16, FP16], ids=str)
def test_a_loss_that_is_no_number_stops_in_every_format(pairs: Pairs, device: Device) -> None:
    trainer = Trainer(pairs, PLAN, device)
    with torch.no_grad():
        next(trainer.generator.parameters()).fill_(math.nan)
    with pytest.raises(DivergedError, match="a loss is no longer a number"):
        trainer.step()


def test_the_scale_goes_on_with_the_training(pairs: Pairs, tmp_path: Path) -> None:
    whole = Trainer(pairs, PLAN, FP16)
    broken = break_gradient(whole)
    whole.step()
    broken.remove()
    for _ in range(4):
        whole.step()
    whole.save(tmp_path, {})
    again = Trainer(pairs, PLAN, FP16)
    again.resume(tmp_path)
    assert again._arithmetic.facts() == whole._arithmetic.facts()
    assert again._arithmetic.facts()["scaler"]["scale"] == FIRST_SCALE / 2
    for _ in range(2):
        whole.step()
        again.step()
    assert same(weights(whole), weights(again))


def test_what_a_card_kept_goes_on_on_a_processor(pairs: Pairs, tmp_path: Path) -> None:
    card = Trainer(pairs, PLAN, FP16)
    card.step()
    card.save(tmp_path, {})
    processor = Trainer(pairs, PLAN)
    processor.resume(tmp_path)
    assert same(weights(card), weights(processor))
    processor.step()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # PyTorch's of its own parts
@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",  # traced forward and back, then run as it is: no compiler
        pytest.param("inductor", marks=[pytest.mark.real, pytest.mark.slow]),  # minutes of C++
    ],
)
def test_a_compiled_step_has_the_same_losses(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    if backend == "inductor" and shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("PyTorch compiles for a processor with a C++ compiler, and there is none")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    traced = torch._dynamo.utils.counters["stats"]
    before = traced["unique_graphs"]
    plain, compiled = Trainer(pairs, PLAN), Trainer(pairs, PLAN, Device("cpu", compiled=True))
    for _ in range(PLAN.warm_up + 1):
        wanted, found = plain.step(), compiled.step()
        assert found.difference == pytest.approx(wanted.difference, rel=1e-4)
        assert found.pyramid == pytest.approx(wanted.pyramid, rel=1e-4)
    assert 1 <= traced["unique_graphs"] - before <= 2
    assert weights(plain).keys() == weights(compiled).keys()
    compiled.save(tmp_path, {})
    Trainer(pairs, PLAN).resume(tmp_path)


def test_pictures_come_channels_last(pairs: Pairs) -> None:
    whole = AugmentedBatch.of(PATCH, pairs.batch(PATCH, pairs.train[:2]), "cpu")
    seen = whole.varied(np.random.default_rng(0))
    for tensor in (whole.picture, whole.truth, whole.maps, seen.picture, seen.reference, seen.maps):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert seen.truth.is_contiguous(), "losses read it plane by plane"


class Placed(torch.nn.Module):
    """Notes where it was to be brought, and stays."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Any, Any]] = []

    def to(self, *given: Any, **named: Any) -> Placed:
        self.asked.append((given, named))
        return self


def test_on_a_card_networks_are_channels_last() -> None:
    before = torch.backends.cudnn.benchmark
    network = Placed()
    try:
        Arithmetic(Device("cuda:1")).place(network)
    finally:
        torch.backends.cudnn.benchmark = before
    assert network.asked == [(("cuda:1",), {}), ((), {"memory_format": torch.channels_last})]


@pytest.mark.parametrize(
    ("capability", "triton", "wanted"),
    [
        ((8, 6), True, Device("cuda", "bf16", compiled=True)),
        ((8, 6), False, Device("cuda", "bf16")),
        ((7, 5), True, Device("cuda", "fp16", compiled=True)),
        ((6, 1), True, Device("cuda", "fp16")),
    ],
)
def test_a_card_trains_in_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], triton: bool, wanted: Device
) -> None:
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0)
    )
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(devices, "find_spec", lambda _name: object() if triton else None)
    assert find_device("cuda") == wanted
    assert find_device("cpu") == Device("cpu", "fp32", compiled=False)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "too little memory.*--size regions"),
        (torch.AcceleratorError("CUDA error: unspecified launch failure\nmore"), "launch failure."),
    ],
)
def test_a_card_that_fails_is_told_with_what_to_do(error: Exception, said: str) -> None:
    with pytest.raises(EngineError, match=said) as caught, card_errors_as_engine_errors():
        raise error
    assert "--device cpu" in str(caught.value) and "--resume" in str(caught.value)
