"""The training loop learns, goes on as if uninterrupted, and loses nothing that it kept."""

from __future__ import annotations

import copy
import math
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training is done with PyTorch")

from avatar.core.errors import EngineError  # noqa: E402
from engines.training import checkpoint  # noqa: E402
from engines.training.augment import AugmentedBatch  # noqa: E402
from engines.training.devices import Device, Precision  # noqa: E402
from engines.training.loop import BEST, CHECKPOINT, DivergedError, Plan, Trainer  # noqa: E402
from engines.training.pairs import Pairs  # noqa: E402
from tests import ROOT  # noqa: E402
from tests.engines.training.toys import HELD_OUT, PAIRS, PATCH, write_pairs  # noqa: E402

FACE = replace(PATCH, maps=("valid", "oval"))
# The critic takes part early, so that what it keeps is under test as well.
PLAN = Plan(batch=4, learning_rate=2e-3, warm_up=3, averaging=0.9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("toy") / "pairs")


@pytest.fixture
def pairs(folder: Path) -> Pairs:
    return Pairs(folder, [PATCH])


@pytest.fixture
def faces(folder: Path) -> Pairs:
    """The same pairs; what is painted is called the face."""
    return Pairs(folder, [FACE])


def state(trainer: Trainer) -> dict[str, object]:
    return {
        f"{name}/{key}": value.clone()
        for name, network in trainer._networks()
        for key, value in network.state_dict().items()
    }


def test_the_held_out_error_falls_to_half(pairs: Pairs) -> None:
    trainer = Trainer(pairs, PLAN)
    before = trainer.held_out_error()
    for _ in range(120):
        trainer.step()
    assert trainer.held_out_error() < before / 2


def test_the_untrained_error_is_that_of_the_pictures_whatever_the_weights(pairs: Pairs) -> None:
    trainer = Trainer(pairs, PLAN)
    error = trainer.untrained_error()
    assert error > 0
    for _ in range(20):
        trainer.step()
    assert trainer.untrained_error() == error and trainer.held_out_error() < error
    # With weights that change nothing both are the same.
    with torch.no_grad():
        for net in trainer.averaged.nets.values():
            net.out.weight.zero_()
            net.out.bias.fill_(-50)
            net.out.bias[: 3 * net.fold**2] = 0
    assert trainer.held_out_error() == pytest.approx(error, rel=1e-4)


def test_held_out_pairs_are_never_learnt_from(pairs: Pairs) -> None:
    assert len(pairs.held_out) == HELD_OUT and len(pairs.train) == PAIRS - HELD_OUT
    assert not set(pairs.held_out) & set(pairs.train)


def test_a_resumed_training_equals_one_without_interruption(pairs: Pairs, tmp_path: Path) -> None:
    whole = Trainer(pairs, PLAN)
    for _ in range(8):
        whole.step()
    first = Trainer(pairs, PLAN)
    for _ in range(5):
        first.step()
    first.save(tmp_path, {"note": "five"})
    # Another seed in the constructor: the checkpoint's own plan counts.
    second = Trainer(pairs, Plan(seed=9))
    assert second.resume(tmp_path)["note"] == "five"
    for _ in range(3):
        second.step()
    wanted, found = state(whole), state(second)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def test_parts_learn_the_same_at_once_as_one_after_the_other(pairs: Pairs) -> None:
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        trainer = Trainer(pairs, PLAN)
        for _ in range(8):
            trainer.step()
        found.append(state(trainer))
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_gradients_are_the_batchs_and_lie_as_the_weights_do(pairs: Pairs) -> None:
    """Optimizers that read memory as it lies mixed up those of convolutions, channels last."""
    trainer = Trainer(pairs, PLAN)
    trainer.step()
    trained = [*trainer.generator.parameters(), *trainer._critics.parameters()]
    before = copy.deepcopy(trainer.generator)
    sizes = trainer._parts.sizes(PLAN.batch)
    assert sizes == [2, 2]
    parts = [trainer._learn_part(part, size) for part, size in enumerate(sizes)]
    trainer.step()
    for parameter in trained:
        assert parameter.grad is None or parameter.grad.stride() == parameter.stride()
    mean = [(a + b) / 2 for a, b in zip(*(part.generator for part in parts), strict=True)]
    norm = torch.stack([gradient.norm() for gradient in mean]).norm().clamp(min=1)
    for parameter, gradient in zip(trainer.generator.parameters(), mean, strict=True):
        torch.testing.assert_close(parameter.grad, gradient / norm)
    # Weights went where gradients do not point, on the whole.
    moved = sum(
        float(((new - old).detach() * new.grad).sum())
        for new, old in zip(trainer.generator.parameters(), before.parameters(), strict=True)
    )
    assert moved < 0


@pytest.mark.parametrize("interrupted_after", [2, 4, 6])
def test_a_resumption_before_and_after_hair_has_settled_changes_nothing(
    faces: Pairs, tmp_path: Path, interrupted_after: int
) -> None:
    plan = replace(PLAN, settled=4)
    whole = Trainer(faces, plan)
    for _ in range(8):
        whole.step()
    first = Trainer(faces, plan)
    for _ in range(interrupted_after):
        first.step()
    first.save(tmp_path, {})
    second = Trainer(faces, PLAN)
    second.resume(tmp_path)
    for _ in range(8 - interrupted_after):
        second.step()
    wanted, found = state(whole), state(second)
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def test_beside_the_face_what_has_settled_is_learnt(faces: Pairs) -> None:
    trainer = Trainer(faces, replace(PLAN, settled=3))
    given = AugmentedBatch.of(FACE, faces.batch(FACE, faces.train[:4]), "cpu")
    for _ in range(3):
        trainer.step()
    assert trainer._as_settled(given) is given
    trainer.step()
    settled = trainer._made(trainer._settled, given)
    for _ in range(3):
        trainer.step()  # goes on, and what has settled stays
    learnt, face = trainer._as_settled(given).truth, given.face
    assert (face == 1).any() and (face == 0).any()
    inside, beside = (where.expand_as(learnt) for where in (face == 1, face == 0))
    torch.testing.assert_close(learnt[inside], given.truth[inside])
    torch.testing.assert_close(learnt[beside], settled[beside])
    assert not torch.allclose(learnt[beside], given.truth[beside], atol=1e-3)


def test_without_a_map_of_the_face_all_is_learnt_as_it_is(pairs: Pairs) -> None:
    trainer = Trainer(pairs, replace(PLAN, settled=1))
    given = AugmentedBatch.of(PATCH, pairs.batch(PATCH, pairs.train[:4]), "cpu")
    for _ in range(3):
        trainer.step()
    assert given.face is None and trainer._as_settled(given) is given


def test_good_weights_are_kept_and_worse_ones_are_not(pairs: Pairs, tmp_path: Path) -> None:
    trainer = Trainer(pairs, PLAN)
    assert trainer.keep_good(tmp_path, 0.5)
    kept = (tmp_path / BEST).read_bytes()
    trainer.step()
    assert not trainer.keep_good(tmp_path, 0.6)
    assert not trainer.keep_good(tmp_path, math.nan)
    assert (tmp_path / BEST).read_bytes() == kept
    assert trainer.best == trainer.kept_error == 0.5


def test_of_weights_that_are_as_good_the_later_are_kept(pairs: Pairs, tmp_path: Path) -> None:
    trainer = Trainer(pairs, PLAN)
    trainer.keep_good(tmp_path, 0.5)
    trainer.step()
    assert trainer.keep_good(tmp_path, 0.51)
    assert (trainer.best, trainer.kept_error) == (0.5, 0.51)
    # Measured against the best, not against the last: no creeping.
    assert not trainer.keep_good(tmp_path, 0.52)
    _, facts = checkpoint.read(tmp_path / BEST)
    assert facts["step"] == 1
    trainer.save(tmp_path, {})
    again = Trainer(pairs, PLAN)
    again.resume(tmp_path)
    assert (again.best, again.kept_error) == (0.5, 0.51)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good(
    pairs: Pairs, tmp_path: Path
) -> None:
    trainer = Trainer(pairs, PLAN)
    trainer.step()
    trainer.save(tmp_path, {})
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with torch.no_grad():
        next(trainer.generator.parameters()).fill_(math.nan)
    with pytest.raises(DivergedError, match="no longer a number"):
        trainer.step()
    assert trainer.step_count == 1
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
    again = Trainer(pairs, PLAN)
    again.resume(tmp_path)
    assert all(bool(p.isfinite().all()) for p in again.generator.parameters())


def test_other_pictures_than_those_it_was_begun_with_are_refused(
    pairs: Pairs, tmp_path: Path
) -> None:
    Trainer(pairs, PLAN).save(tmp_path, {})
    others = Pairs(write_pairs(tmp_path / "others", seed=1), [PATCH])
    with pytest.raises(EngineError, match="other pictures"):
        Trainer(others, PLAN).resume(tmp_path)


@pytest.mark.parametrize("harm", ["cut short", "changed", "another kind", "absent"])
def test_a_checkpoint_that_is_not_whole_is_refused(pairs: Pairs, tmp_path: Path, harm: str) -> None:
    Trainer(pairs, PLAN).save(tmp_path, {})
    path = tmp_path / CHECKPOINT
    data = bytearray(path.read_bytes())
    if harm == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "changed":
        data[-100] ^= 1
        path.write_bytes(data)
    elif harm == "another kind":
        path.write_bytes(b"PK\x03\x04 a pickle, for all we know")
    else:
        path.unlink()
    with pytest.raises(EngineError, match="not a complete checkpoint"):
        Trainer(pairs, PLAN).resume(tmp_path)


@pytest.fixture
def full_disk() -> object:
    """Files of this process cannot grow beyond 4 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_checkpoint_before(
    pairs: Pairs, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trainer = Trainer(pairs, PLAN)
    trainer.save(tmp_path, {})
    kept = (tmp_path / CHECKPOINT).read_bytes()
    trainer.step()
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError):
        trainer.save(tmp_path, {})
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


KEEP = """
import sys
from pathlib import Path
from engines.training.loop import Trainer
from engines.training.pairs import Pairs
from tests.engines.training.test_loop import PLAN
from tests.engines.training.toys import PATCH
trainer = Trainer(Pairs(Path(sys.argv[1]), [PATCH]), PLAN)
while True:
    trainer.save(Path(sys.argv[2]), {})
    print("kept", flush=True)
"""


def test_a_process_that_is_killed_leaves_a_whole_checkpoint(
    pairs: Pairs, folder: Path, tmp_path: Path
) -> None:
    root = ROOT
    with subprocess.Popen(
        [sys.executable, "-c", KEEP, str(folder), str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
    ) as saving:
        assert saving.stdout is not None
        for _ in range(3):
            assert saving.stdout.readline() == b"kept\n"
        saving.kill()  # most likely in the middle of the next
    Trainer(pairs, PLAN).resume(tmp_path)


def test_pairs_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "pairs")
    (folder / f"{PATCH.name}.truth.npy").write_bytes(b"")
    with pytest.raises(EngineError, match="prepare them again"):
        Pairs(folder, [PATCH])


def test_no_pickle_is_written(pairs: Pairs, tmp_path: Path) -> None:
    Trainer(pairs, PLAN).save(tmp_path, {"a": 1})
    tensors, facts = checkpoint.read(tmp_path / CHECKPOINT)
    assert facts["a"] == 1 and tensors
    # safetensors begins with the length of a JSON header
    assert (tmp_path / CHECKPOINT).read_bytes()[8:9] == b"{"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no card here")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_on_a_card_it_learns_and_goes_on_where_it_was(
    faces: Pairs, tmp_path: Path, precision: Precision
) -> None:
    card = Device("cuda", precision)
    first = Trainer(faces, replace(PLAN, settled=20), card)
    before = first.held_out_error()
    for _ in range(60):
        first.step()
    assert first.held_out_error() < 0.6 * before
    first.save(tmp_path, {})
    second = Trainer(faces, PLAN, card)
    second.resume(tmp_path)
    wanted, found = state(first), state(second)
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    second.step()
    assert second.step_count == 61
