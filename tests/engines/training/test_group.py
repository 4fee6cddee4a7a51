"""Several processes train one network: on processors here, with what cards would be joined by."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

torch = pytest.importorskip("torch", reason="training is done with PyTorch")

from avatar.core.errors import EngineError, MissingDependencyError  # noqa: E402
from engines.training.group import Group, ProcessGroup, launch  # noqa: E402
from engines.training.loop import CHECKPOINT, DivergedError, Plan, Trainer  # noqa: E402
from engines.training.pairs import Pairs  # noqa: E402
from tests.engines.training.toys import PATCH, write_pairs  # noqa: E402

PLAN = Plan(batch=4, learning_rate=2e-3, warm_up=2, averaging=0.9)
STEPS = 6

Report = dict[str, Any]


def weights(trainer: Trainer) -> dict[str, Any]:
    return {
        f"{name}/{key}": value.numpy().copy()
        for name, network in trainer._networks()
        for key, value in network.state_dict().items()
    }


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def gradients(group: Group, folder: Path) -> Any:
    """Return the generator's gradients after one backward pass and their mean, flat."""
    trainer = Trainer(Pairs(folder, [PATCH]), PLAN, group=group)
    kept: list[Any] = []

    def keep(clipped: Any, free: Any = None) -> bool:
        kept.extend(p.grad.clone().flatten() for p in trainer.generator.parameters())
        return True

    trainer._arithmetic.step = keep  # type: ignore[method-assign]
    trainer.step()
    return torch.cat(kept).numpy()


def trained(folder: Path, out: Path, group: ProcessGroup) -> Report:
    """Train, keep, go on, and write down what this process saw."""
    trainer = Trainer(Pairs(folder, [PATCH]), PLAN, group=group)
    mean = gradients(group, folder)
    for _ in range(STEPS):
        losses = trainer.step()
    if group.rank == 0:
        trainer.save(out, {"note": "kept"})
    agreed = [group.any(False), group.any(group.rank == 1)]
    again = Trainer(Pairs(folder, [PATCH]), Plan(seed=5), group=group)
    group.any(True)  # nobody reads before the first has written
    again.resume(out)
    trainer.step()
    again.step()
    np.savez(out / f"weights-{group.rank}.npz", **weights(trainer))
    return {
        "agreed": agreed,
        "losses": (losses.difference, losses.pyramid, losses.critic),
        "held out": trainer.held_out_error(),
        "resumed alike": same(weights(trainer), weights(again)),
        "mean": mean,
        "listens on": sorted(
            {c.laddr.ip for c in psutil.Process().net_connections() if c.status == "LISTEN"}
        ),
    }


class Numbered(Group):
    """By itself, with another's number: what that one would do alone."""

    def __init__(self, rank: int) -> None:
        self.rank = rank


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("toy") / "pairs")


@pytest.fixture(scope="module")
def together(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    pytest.importorskip("lightning_fabric", reason="it starts and joins the processes")
    out = tmp_path_factory.mktemp("out")
    return launch(partial(trained, folder, out), "cpu", 2), out


def test_gradients_are_the_mean_of_what_each_process_found(
    together: tuple[Report, Path], folder: Path
) -> None:
    alone = [gradients(Numbered(rank), folder) for rank in (0, 1)]
    assert np.abs(alone[0] - alone[1]).max() > 1e-4  # they learn from different batches
    assert np.allclose(together[0]["mean"], (alone[0] + alone[1]) / 2, rtol=1e-4, atol=1e-6)


def test_all_processes_have_the_same_weights(together: tuple[Report, Path]) -> None:
    first, second = (dict(np.load(together[1] / f"weights-{rank}.npz")) for rank in (0, 1))
    assert same(first, second)


def test_they_stop_together(together: tuple[Report, Path]) -> None:
    assert together[0]["agreed"] == [False, True]


def test_a_training_of_several_is_resumed_as_if_uninterrupted(
    together: tuple[Report, Path],
) -> None:
    assert together[0]["resumed alike"]


def test_their_checkpoint_goes_on_in_one_process_with_the_same_held_out_error(
    together: tuple[Report, Path], folder: Path
) -> None:
    report, out = together
    alone = Trainer(Pairs(folder, [PATCH]), Plan())
    assert alone.resume(out)["note"] == "kept" and alone.step_count == STEPS
    kept = dict(np.load(out / "weights-0.npz"))
    averaged = {
        key.removeprefix("averaged/"): torch.from_numpy(value)
        for key, value in kept.items()
        if key.startswith("averaged/")
    }
    alone.averaged.load_state_dict(averaged)
    assert alone.held_out_error() == pytest.approx(report["held out"], rel=1e-6)
    assert all(math.isfinite(value) for value in report["losses"])
    assert sorted(p.name for p in out.iterdir()) == [
        CHECKPOINT, "weights-0.npz", "weights-1.npz"
    ]  # fmt: skip


def test_nothing_outside_this_machine_can_reach_them(together: tuple[Report, Path]) -> None:
    assert set(together[0]["listens on"]) <= {"127.0.0.1", "::1"}


def diverging(folder: Path, group: ProcessGroup) -> None:
    """One of two meets a weight that is no number."""
    trainer = Trainer(Pairs(folder, [PATCH]), PLAN, group=group)
    if group.rank == 1:
        with torch.no_grad():
            next(trainer.generator.parameters()).fill_(math.nan)
    with pytest.raises(DivergedError) as caught:
        trainer.step()
    raise caught.value


def test_a_loss_that_is_no_number_in_one_process_stops_all_and_is_told(folder: Path) -> None:
    pytest.importorskip("lightning_fabric", reason="it starts and joins the processes")
    with pytest.raises(EngineError, match="training diverged: in step 0"):
        launch(partial(diverging, folder), "cpu", 2)


def test_without_fabric_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightning_fabric", None)
    with pytest.raises(MissingDependencyError, match=r"webcam-avatar\[train-cuda\]"):
        launch(diverging, "cpu", 2)  # type: ignore[arg-type]
