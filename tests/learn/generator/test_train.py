"""``avatar train`` end to end on a drawn person, and what it says when something is wrong."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training is done with PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")

from avatar.core.errors import EngineError, UsageError
from avatar.core.frames import UInt8Image
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.learn.generator.base import train_base
from avatar.learn.generator.command import INTERRUPTED, run_session, train
from avatar.learn.generator.inputs import prepare
from avatar.learn.generator.prepare import Take, split, take_source, write_pairs
from avatar.learn.generator.record import GIVEN, TrainingRecord, read_given
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.watch import watch
from avatar.library.avatars import AvatarStore
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import neural_folder, read_card, training_folder
from avatar.measure.trained.comparison import PAGE, VIDEO, compare
from avatar.sessions.film import animate
from avatar.stages.sources.demo import performance
from avatar.stages.sources.illustration import Illustrator
from engines.patches import Patch, patches_of
from engines.training import checkpoint
from engines.training.loop import BEST, CHECKPOINT, Plan, Trainer
from engines.training.pairs import Pairs
from tests.measure.pages import Page
from tests.sessions.test_film import write_film

PERSON_PX = (480, 400)
NEURAL = Options(engine="neural", size="256x256", avatar=("drawn",))


@pytest.fixture(scope="module")
def acting() -> list[UInt8Image]:
    illustrator = Illustrator(PERSON_PX)
    return [illustrator.draw(performance(1.0 + k / 25)) for k in range(84)]


@pytest.fixture(scope="module")
def clip(acting: list[UInt8Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("person") / "acting.mp4"
    return write_film(path, acting, range(len(acting)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A data folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def trained(home: object, clip: Path) -> AvatarStore:
    """The store with an avatar that was trained for a moment."""
    wish = TrainRequest("drawn", (clip,), rights="self", steps=3, share=0.8)
    assert train(wish, Home.of_user()) == 0
    return AvatarStore(Home.of_user().avatars)


@pytest.fixture
def untrained(trained: AvatarStore, tmp_path: Path) -> Path:
    """The trained avatar's folder, put back as it was at the end."""
    folder = trained.load("drawn").folder
    shutil.copytree(folder, tmp_path / "kept")
    yield folder
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)


def test_the_avatar_is_stored_with_weights_and_a_card(trained: AvatarStore) -> None:
    stored = trained.load("drawn")
    card = read_card(stored.folder, stored.sha256)
    assert (card.size, card.rights, card.steps) == ("regions", "self", 3)
    assert card.recordings[0].frames == 84 and card.train_pairs > 80
    assert card.held_out_error > 0 and card.untrained_error > 0
    assert card.int8_error is not None and card.int8_error < 10
    folder = neural_folder(stored.folder)
    assert {p.name for p in folder.iterdir()} == {
        "card.json", "weights.safetensors", "references.npz", "fp32.onnx", "fp16.onnx", "int8.onnx"
    }  # fmt: skip
    # The card names no file and holds no picture.
    assert "acting" not in (folder / "card.json").read_text()
    assert (training_folder(stored.folder) / "sheet.png").stat().st_size > 10_000


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_it_animates_on_every_backend(
    trained: AvatarStore, clip: Path, tmp_path: Path, backend: str
) -> None:
    pytest.importorskip(backend, reason="the backend under test")
    out = tmp_path / "out.mp4"
    config = replace(NEURAL, backend=backend, seconds=0.2)
    assert (
        animate(
            config, Home.of_user(), driving=clip, out=out, size_px=(256, 256), audio="none", face=1
        )
        == 0
    )
    assert out.stat().st_size > 1000


def test_it_is_compared_with_the_portrait_engine_on_what_it_has_not_seen(
    trained: AvatarStore, clip: Path, tmp_path: Path
) -> None:
    pytest.importorskip("dlib", reason="the detectors that measure")
    assert compare("drawn", clip, tmp_path / "out", Options(), Home.of_user()) == 0
    stored = trained.load("drawn")
    metrics = read_card(stored.folder, stored.sha256).metrics
    assert set(metrics) == {"portrait", "neural"}
    assert 0 < metrics["neural"]["regions_l1"] < 1
    assert (tmp_path / "out" / VIDEO).stat().st_size > 1000
    shown = Page((tmp_path / "out" / PAGE).read_text())
    assert shown.count("video") == 1 and shown.count("img") > 0


def test_it_goes_on_where_it_ended(
    trained: AvatarStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(TrainRequest("drawn", rights="self", resume=True, steps=5), Home.of_user()) == 0
    stored = trained.load("drawn")
    assert read_card(stored.folder, stored.sha256).steps == 5


@contextmanager
def stopped_at_once(stop: Callable[[], None]) -> Iterator[None]:
    """In place of ``ended_by_signals``: Ctrl-C comes before the first step."""
    stop()
    yield


def test_ctrl_c_pauses_and_says_how_to_go_on(
    untrained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatar.learn.generator.command.ended_by_signals", stopped_at_once)
    assert (
        train(TrainRequest("drawn", rights="self", resume=True, steps=99), Home.of_user())
        == INTERRUPTED
    )
    assert 'paused; to continue: avatar train --name "drawn" --resume' in capsys.readouterr().err
    card = json.loads((neural_folder(untrained) / "card.json").read_text())
    assert card["steps"] < 99


def test_a_full_disk_is_said_and_costs_no_checkpoint(untrained: Path) -> None:
    path = training_folder(untrained) / "checkpoint.safetensors"
    kept = path.read_bytes()
    with full_disk(), pytest.raises(UsageError, match="some space, then continue with --resume"):
        train(TrainRequest("drawn", rights="self", resume=True, steps=8), Home.of_user())
    assert path.read_bytes() == kept


@contextmanager
def full_disk() -> Iterator[None]:
    """Files of this process cannot grow beyond 4 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def take(home: object, clip: Path) -> Take:
    """The drawn person's clip, watched: the track that trainings replay."""
    face_model = find_face_model(None, Home.of_user())
    watched = watch(clip, face_model)
    chosen = split(watched, 1.0)
    source = take_source(watched, chosen.train, face_model)
    return Take(source, watched, chosen.train, chosen.held_out)


TINY = Patch(
    "mouth", 1, 32, 2, ("valid", "lips", "inner mouth", "oval"), (0.0, 1.0, 3.0, 0.0), (8, 12, 16),
    32, 16,
)  # fmt: skip


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small tensors are slower on several threads, and far slower where these are busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_tiny_model_learns_from_a_replayed_track(
    take: Take, tmp_path: Path, one_thread: None
) -> None:
    write_pairs(tmp_path, "tiny", [TINY], [take])
    trainer = Trainer(Pairs(tmp_path, [TINY]), Plan(batch=4, learning_rate=4e-3, averaging=0.9))
    learnt = [trainer.step().pyramid for _ in range(160)]
    assert np.mean(learnt[-20:]) < 0.7 * np.mean(learnt[:20])


def test_a_full_disk_while_preparing_is_said(take: Take, tmp_path: Path) -> None:
    given = TrainingRecord(size="regions", rights="self", share=1.0, seed=0, recordings=[])
    folder = tmp_path / "training"
    with full_disk(), pytest.raises(UsageError, match="Free some space, then begin again"):
        prepare(folder, folder / "pairs", [take], given)


def test_a_training_that_diverges_says_so_and_keeps_the_last_checkpoint(untrained: Path) -> None:
    path = training_folder(untrained) / CHECKPOINT
    tensors, facts = checkpoint.read(path)
    name = next(key for key in tensors if key.startswith("generator/"))
    tensors[name].fill_(float("nan"))
    checkpoint.write(path, tensors, facts)
    kept = path.read_bytes()
    best = (training_folder(untrained) / BEST).read_bytes()
    with pytest.raises(UsageError, match=r'no longer a number.*drawn" --resume.*continues from it'):
        train(TrainRequest("drawn", rights="self", resume=True, steps=99), Home.of_user())
    assert path.read_bytes() == kept
    assert (training_folder(untrained) / BEST).read_bytes() == best


@pytest.mark.parametrize("content", ["", "{", '{"size": "huge"}'])
def test_a_broken_record_of_the_beginning_is_said(untrained: Path, content: str) -> None:
    (training_folder(untrained) / GIVEN).write_text(content)
    with pytest.raises(UsageError, match=r"is broken.*--force instead of --resume"):
        train(TrainRequest("drawn", rights="self", resume=True, steps=99), Home.of_user())


def test_best_weights_that_are_damaged_are_not_exported(untrained: Path) -> None:
    path = training_folder(untrained) / BEST
    path.write_bytes(path.read_bytes()[:-1000])
    shutil.rmtree(neural_folder(untrained))
    with pytest.raises(EngineError, match="not a complete checkpoint"):
        train(TrainRequest("drawn", rights="self", resume=True, minutes=0), Home.of_user())
    assert not (neural_folder(untrained) / "card.json").exists()


def test_a_name_that_is_taken_is_kept(trained: AvatarStore, clip: Path) -> None:
    with pytest.raises(UsageError, match="already"):
        train(TrainRequest("drawn", (clip,), rights="self"), Home.of_user())


def draw(clip: Path, out: Path, config: Options = NEURAL) -> int:
    return animate(
        config, Home.of_user(), driving=clip, out=out, size_px=(256, 256), audio="none", face=1
    )


def test_without_a_generator_there_is_no_fall_back(
    untrained: Path, clip: Path, tmp_path: Path
) -> None:
    shutil.rmtree(neural_folder(untrained))
    with pytest.raises(EngineError, match="not finished"):
        draw(clip, tmp_path / "out.mp4")
    shutil.rmtree(training_folder(untrained))
    with pytest.raises(EngineError, match="avatar train --name NAME CLIP"):
        draw(clip, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_lost_references_are_refused(untrained: Path, clip: Path, tmp_path: Path) -> None:
    (neural_folder(untrained) / "references.npz").unlink()
    with pytest.raises(EngineError, match=r"references\.npz.*Export it again: avatar train"):
        animate(
            NEURAL,
            Home.of_user(),
            driving=clip,
            out=tmp_path / "a.mp4",
            size_px=(256, 256),
            audio="none",
            face=1,
        )


def test_a_graph_of_another_version_is_refused(untrained: Path, clip: Path, tmp_path: Path) -> None:
    import onnx

    path = neural_folder(untrained) / "fp32.onnx"
    graph = onnx.load(str(path))
    del graph.graph.output[-1]
    onnx.save(graph, str(path))
    with pytest.raises(EngineError, match="another version"):
        draw(clip, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("harm", "said"),
    [("broken", "is broken"), ("newer", "newer program"), ("other photo", "another photograph")],
)
def test_a_card_that_does_not_fit_is_refused(
    untrained: Path, clip: Path, tmp_path: Path, harm: str, said: str
) -> None:
    path = neural_folder(untrained) / "card.json"
    values = json.loads(path.read_text())
    if harm == "newer":
        values["schema_version"] = 99
    if harm == "other photo":
        values["photo_sha256"] = "0" * 64
    path.write_text("{" if harm == "broken" else json.dumps(values))
    with pytest.raises(EngineError, match=said):
        draw(clip, tmp_path / "out.mp4")


def test_a_damaged_checkpoint_is_said_and_not_replaced(untrained: Path) -> None:
    path = training_folder(untrained) / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match="not a complete checkpoint"):
        train(TrainRequest("drawn", rights="self", resume=True, steps=6), Home.of_user())
    assert path.stat().st_size == 1000


def test_a_photograph_that_was_never_trained_is_refused(
    home: object, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="takes the name of an avatar"):
        draw(clip, tmp_path / "out.mp4", replace(NEURAL, avatar=("builtin",)))


def test_the_drivers_own_teeth_are_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mouth driver"):
        draw(clip, tmp_path / "out.mp4", replace(NEURAL, mouth="driver"))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (TrainRequest("x", (Path("clip.mp4"),)), "--rights self"),
        (TrainRequest("x", (Path("clip.mp4"),), rights="mine"), "found mine"),
        (TrainRequest("x", rights="self"), "needs a clip"),
        (TrainRequest("x", (Path("clip.mp4"),), rights="self", resume=True), "leave out clip.mp4"),
        (TrainRequest("x", (Path("clip.mp4"),), rights="self", share=0.1), "0.2 to 1"),
        (TrainRequest("x", (Path("clip.mp4"),), rights="self", minutes=0), "more than 0"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(home: object, wish: TrainRequest, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        train(wish, Home.of_user())


def test_what_goes_on_is_what_was_asked_for() -> None:
    assert TrainRequest("a", rights="self").going_on("self") == "--resume --rights self"
    asked = TrainRequest("a", rights="self", minutes=7.5, device="cpu", devices="2")
    assert asked.going_on("self") == "--resume --rights self --minutes 7.5 --device cpu --devices 2"
    assert (
        TrainRequest("a", steps=900).going_on("licensed")
        == "--resume --rights licensed --steps 900"
    )


def test_a_training_that_was_never_begun_cannot_be_resumed(trained: AvatarStore) -> None:
    with pytest.raises(UsageError, match=r"no training of nobody to resume.*\"nobody\" CLIP"):
        train(TrainRequest("nobody", rights="self", resume=True), Home.of_user())
    with pytest.raises(UsageError, match="--steps: expected more than 0, found -5"):
        train(TrainRequest("nobody", rights="self", resume=True, steps=-5), Home.of_user())


@pytest.fixture(scope="module")
def base(home: object, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of three people, who are the same drawn one; the last is held out."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(clip, folder / name)
    out = folder / "base.safetensors"
    assert (
        train_base(TrainRequest("", rights="licensed", steps=2), folder, out, Home.of_user()) == 0
    )
    return out


def test_a_base_learns_of_all_people(base: Path) -> None:
    from engines.training import checkpoint

    _, facts = checkpoint.read(base)
    assert facts["size"] == "regions"
    card = json.loads(base.with_suffix(".json").read_text())
    assert len(card["recordings"]) == 3 and card["rights"] == "licensed"
    assert card["person_held_out"]
    with pytest.raises(UsageError, match="exists already"):
        train_base(TrainRequest("", rights="licensed", steps=2), base.parent, base, Home.of_user())


def test_photographs_personalise_a_base(
    trained: AvatarStore, base: Path, acting: list[UInt8Image], tmp_path: Path
) -> None:
    from PIL import Image

    photos = []
    for index in (0, 40, 80):
        photos.append(tmp_path / f"{index}.png")
        Image.fromarray(acting[index]).save(photos[-1])
    with pytest.raises(UsageError, match="give --base"):
        train(TrainRequest("few", tuple(photos), rights="self", steps=1), Home.of_user())
    assert (
        train(TrainRequest("few", tuple(photos), rights="self", steps=1, base=base), Home.of_user())
        == 0
    )
    stored = trained.load("few")
    card = read_card(stored.folder, stored.sha256)
    assert card.base_sha256 is not None and card.recordings == []
    # Each of three is drawn as the other two show the person, with creases and without.
    assert (card.train_pairs, card.held_out_pairs) == (8, 4)
    # Photographs are not near in time: one may be shown while another is learnt.
    patches = patches_of("regions")
    pairs = Pairs(training_folder(stored.folder) / "pairs", patches)
    for patch in patches:
        batch = pairs.batch(patch, pairs.train)
        shown = np.abs(batch.reference.astype(int) - batch.picture).max(axis=(1, 2, 3))
        assert (shown > 8).sum() >= len(shown) // 2


def film(path: Path, images: list[UInt8Image]) -> Path:
    return write_film(path, images, range(len(images)))


def test_a_clip_without_a_face_is_refused(home: object, tmp_path: Path) -> None:
    grey = [np.full((240, 320, 3), 90, np.uint8)] * 12
    with pytest.raises(UsageError, match="found none in the 12 frames"):
        train(
            TrainRequest("x", (film(tmp_path / "grey.mp4", grey),), rights="self"), Home.of_user()
        )
    assert AvatarStore(Home.of_user().avatars).find("x") is None


def test_a_clip_that_is_too_short_is_refused(
    home: object, acting: list[UInt8Image], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="at least 60 usable frames"):
        train(
            TrainRequest("x", (film(tmp_path / "short.mp4", acting[:20]),), rights="self"),
            Home.of_user(),
        )


def test_two_people_are_refused(home: object, acting: list[UInt8Image], tmp_path: Path) -> None:
    both = [np.ascontiguousarray(np.hstack([image, image])) for image in acting[:16]]
    with pytest.raises(UsageError, match="expected one person"):
        train(TrainRequest("x", (film(tmp_path / "two.mp4", both),), rights="self"), Home.of_user())


def test_an_empty_file_is_refused(home: object, tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    from avatar.core.errors import AvatarError

    with pytest.raises(AvatarError):
        train(TrainRequest("x", (empty,), rights="self"), Home.of_user())


def test_it_goes_on_in_two_processes_and_ends_as_one(
    untrained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning_fabric", reason="it starts and joins the processes")
    folder = training_folder(untrained)
    before = json.loads((neural_folder(untrained) / "card.json").read_text())["steps"]
    wish = TrainRequest(
        "drawn", rights="self", resume=True, steps=before + 1, device="cpu", devices="2"
    )
    done = run_session(wish, read_given(folder, ""), folder, folder / "pairs", "again")
    assert done is not None
    trainer, session = done
    assert trainer.step_count == before + 1 and session.spent_s > 0
    assert "training regions on 2 × cpu" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("device", "devices", "said"),
    [
        ("cuda", "1", "no CUDA card"),
        ("cuda", "all", "no CUDA card"),
        ("auto", "2", "no CUDA card.*--device"),
        ("cpu", "0", "number from 1"),
        ("cpu", "both", "found 'both'"),
    ],
)
def test_devices_that_are_not_there_are_said_at_once(
    home: object, clip: Path, device: str, devices: str, said: str
) -> None:
    import torch

    if torch.cuda.is_available() and device != "cpu":
        pytest.skip("this machine has a CUDA card")
    with pytest.raises(UsageError, match=said):
        train(
            TrainRequest("x", (clip,), rights="self", device=device, devices=devices),
            Home.of_user(),
        )
    assert AvatarStore(Home.of_user().avatars).find("x") is None
