"""``avatar train --teacher`` end to end, and what it says when something is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training is done with PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")

from avatar.app.cli import app
from avatar.core.errors import EngineError, UsageError
from avatar.core.files import file_sha256
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.core.options import Options, declared
from avatar.learn.generator.command import INTERRUPTED, train
from avatar.learn.generator.distil import go_on
from avatar.learn.generator.lessons import See
from avatar.learn.generator.record import GIVEN, TrainingRecord
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.teacher import TEACHERS, NeuralTeacher
from avatar.library.avatars import AvatarStore, StoredAvatar
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import (
    neural_folder,
    pairs_folder,
    pictures_folder,
    read_card,
    training_folder,
)
from avatar.measure.trained.comparison import PAGE, compare
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.track.choice import detect_faces
from tests.engines.training.conftest import one_thread as one_thread
from tests.learn.generator.teachers import PaintingTeacher
from tests.learn.generator.test_train import stopped_at_once

# Enough to see the way, too few to learn from: each picture is tracked.
FEW = 12
ASKED: dict[str, Any] = {"teacher": "liveportrait", "moments": FEW}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder of the tests' own, without networks."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("data")
        patch.setenv("XDG_DATA_HOME", str(folder))
        patch.setenv("AVATAR_MODELS", str(folder / "models"))
        yield folder


@pytest.fixture(scope="module")
def photo(home: Path) -> Path:
    return Path(shutil.copy(builtin_photo(), home / "sitter.jpg"))


@pytest.fixture(autouse=True, scope="module")
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        options = declared(TrainRequest)
        patch.setitem(options, "moments", replace(options["moments"], bounds=(FEW, 480, 1)))
        patch.setattr("avatar.learn.generator.distil._MIN_TRAIN", FEW - 2)
        patch.setattr("avatar.learn.generator.distil._COMPARED", FEW)
        yield


@pytest.fixture(scope="module")
def wish(photo: Path, driving_clip: Path) -> TrainRequest:
    return TrainRequest("pupil", (driving_clip, photo), rights="self", share=0.6, **ASKED)


@contextmanager
def teaching(teacher: PaintingTeacher) -> Iterator[PaintingTeacher]:
    """Let ``--teacher liveportrait`` mean ``teacher``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TEACHERS, "liveportrait", teacher)
        yield teacher


def pictures(stored: StoredAvatar) -> list[Path]:
    return sorted(pictures_folder(stored.folder).rglob("*.png"))


@pytest.fixture(scope="module")
def killed(wish: TrainRequest) -> list[bytes]:
    """The pictures of a training that died while the teacher drew."""

    def die(drawn: int) -> None:
        if drawn == 7:
            raise KeyboardInterrupt

    with teaching(PaintingTeacher(before=die)), pytest.raises(KeyboardInterrupt):
        train(wish, Home.of_user())
    return [
        path.read_bytes() for path in pictures(AvatarStore(Home.of_user().avatars).load("pupil"))
    ]


@pytest.fixture(scope="module")
def taught(killed: list[bytes]) -> tuple[StoredAvatar, int]:
    """An avatar that went on from there and was trained; and how many pictures that took."""
    with teaching(PaintingTeacher()) as teacher:
        assert (
            train(TrainRequest("pupil", rights="self", resume=True, steps=1), Home.of_user()) == 0
        )
    return AvatarStore(Home.of_user().avatars).load("pupil"), teacher.drawn


def test_it_goes_on_where_the_teacher_was_killed(
    killed: list[bytes], taught: tuple[StoredAvatar, int]
) -> None:
    stored, drawn = taught
    everything = pictures(stored)
    assert len(killed) == 7 and len(everything) == 7 + drawn
    assert [path.read_bytes() for path in everything[:7]] == killed


def test_the_card_says_who_taught(
    taught: tuple[StoredAvatar, int], wish: TrainRequest, driving_clip: Path
) -> None:
    stored, _ = taught
    card = read_card(stored.folder, stored.sha256)
    assert card.taught is not None
    assert card.taught.teacher == PaintingTeacher().card
    assert card.taught.drawn == len(pictures(stored)) == card.taught.usable + card.taught.lost
    assert card.recordings[0].sha256 == file_sha256(driving_clip)
    # Both with creases and without.
    assert card.train_pairs == 2 * FEW and card.held_out_pairs >= 8
    text = (neural_folder(stored.folder) / "card.json").read_text()
    assert "driving" not in text and "sitter" not in text
    # The photograph is the user's own, not what the teacher saw of it.
    assert stored.sha256 == file_sha256(wish.inputs[1])


def test_its_pictures_are_for_the_user_alone(taught: tuple[StoredAvatar, int]) -> None:
    stored, _ = taught
    assert training_folder(stored.folder).stat().st_mode & 0o077 == 0
    assert not list(neural_folder(stored.folder).rglob("*.png"))


def test_another_training_with_the_same_pictures_draws_none(
    taught: tuple[StoredAvatar, int],
    wish: TrainRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored, _ = taught
    monkeypatch.setattr(
        "avatar.learn.generator.distil.write_pairs", lambda *_: pytest.skip("it got so far")
    )
    kept = shutil.copytree(stored.folder, stored.folder.parent.parent / "kept")
    try:
        with teaching(PaintingTeacher()) as teacher, pytest.raises(pytest.skip.Exception):
            moved = Path(shutil.copy(wish.inputs[0], tmp_path / "moved.mp4"))
            train(
                replace(wish, inputs=(moved, wish.inputs[1]), size="head", force=True),
                Home.of_user(),
            )
        assert teacher.drawn == 0
    finally:
        shutil.rmtree(stored.folder)
        shutil.copytree(kept, stored.folder)
        shutil.rmtree(kept)


def test_it_is_compared_with_what_the_teacher_draws_of_other_moments(
    taught: tuple[StoredAvatar, int], driving_clip: Path, tmp_path: Path
) -> None:
    pytest.importorskip("dlib", reason="the detectors that measure")
    pytest.importorskip("openvino", reason="what runs the trained network")
    stored, _ = taught
    with teaching(PaintingTeacher()) as teacher:
        config = Options(backend="openvino")
        assert compare("pupil", driving_clip, tmp_path / "out", config, Home.of_user()) == 0
    assert teacher.drawn == FEW
    metrics = read_card(stored.folder, stored.sha256).metrics
    assert 0 < metrics["neural"]["regions_l1"] < 0.2
    page = (tmp_path / "out" / PAGE).read_text()
    assert "teacher, portrait engine, trained" in page and "camera" not in page


def test_other_networks_do_not_go_on_with_it(taught: tuple[StoredAvatar, int]) -> None:
    stored, _ = taught
    given = TrainingRecord.model_validate_json(
        (training_folder(stored.folder) / GIVEN).read_bytes()
    )
    record = pairs_folder(stored.folder) / "pairs.json"
    kept = record.read_bytes()
    record.unlink()
    try:
        with (
            teaching(PaintingTeacher(weights="1" * 64)),
            pytest.raises(UsageError, match="not those that drew"),
        ):
            go_on(stored, given, TrainRequest("pupil"), Home.of_user())
        lesson = given.teaching.lessons[0].model_copy(update={"sha256": "0" * 64})
        given.teaching.lessons[:] = [lesson]
        with teaching(PaintingTeacher()), pytest.raises(UsageError, match="found another one"):
            go_on(stored, given, TrainRequest("pupil"), Home.of_user())
    finally:
        record.write_bytes(kept)


def test_ctrl_c_while_it_draws_pauses(
    wish: TrainRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatar.learn.generator.distil.ended_by_signals", stopped_at_once)
    with teaching(PaintingTeacher()) as teacher:
        assert train(replace(wish, name="paused"), Home.of_user()) == INTERRUPTED
    assert teacher.drawn == 0
    said = capsys.readouterr().err
    assert "pictures to draw, about 4 s each on two cores: 1 min" in said
    assert 'paused; to continue: avatar train --name "paused" --resume --rights self' in said
    with pytest.raises(EngineError, match="not finished"):
        read_card(AvatarStore(Home.of_user().avatars).load("paused").folder, "")


def test_too_few_usable_pictures_are_refused(
    wish: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def see(_model: Path) -> See:
        seen = iter([True] * 9 + [False] * 99)
        return lambda image: detected(image) if next(seen) else None

    def detected(image: UInt8Image) -> Face:
        found = detect_faces(image, find_face_model(None, Home.of_user(), allow_download=False))
        return found[0]

    monkeypatch.setattr("avatar.learn.generator.distil._tracked", see)
    with teaching(PaintingTeacher()), pytest.raises(UsageError, match="found 9 and 0"):
        train(replace(wish, name="few"), Home.of_user())


def test_a_share_that_leaves_too_little_is_told_before_anything_is_drawn(
    wish: TrainRequest,
) -> None:
    with teaching(PaintingTeacher()) as teacher, pytest.raises(UsageError, match="larger --share"):
        train(replace(wish, name="x", share=0.2), Home.of_user())
    assert teacher.drawn == 0 and AvatarStore(Home.of_user().avatars).find("x") is None


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ((), "found none"),
        (("a.mp4",), "found none"),
        (("a.jpg", "b.png", "a.mp4"), "found a.jpg, b.png"),
        (("a.jpg",), "needs clips that say how a.jpg is to move"),
    ],
)
def test_inputs_that_do_not_go_with_a_teacher_are_told(inputs: tuple[str, ...], said: str) -> None:
    paths = tuple(Path(name) for name in inputs)
    with pytest.raises(UsageError, match=said):
        train(TrainRequest("x", paths, rights="self", **ASKED), Home.of_user())


@pytest.mark.parametrize("moments", [FEW - 1, 481, 0])
def test_a_number_of_moments_out_of_range_is_told(wish: TrainRequest, moments: int) -> None:
    with pytest.raises(UsageError, match=f"{FEW} to 480"):
        train(replace(wish, name="x", moments=moments), Home.of_user())


def test_networks_that_are_not_installed_are_told_before_anything_is_stored(
    wish: TrainRequest,
) -> None:
    with pytest.raises(EngineError, match="avatar models pull liveportrait"):
        train(replace(wish, name="x"), Home.of_user())
    assert AvatarStore(Home.of_user().avatars).find("x") is None


def test_animals_are_refused() -> None:
    with pytest.raises(UsageError, match="leave out --variant"):
        NeuralTeacher(
            "liveportrait", Options(variant="animals", crop="1,2,99"), Home.of_user(), print
        )


def test_a_face_that_is_too_small_is_refused(
    wish: TrainRequest, driving_clip: Path, tmp_path: Path, portrait: UInt8Image
) -> None:
    from PIL import Image

    path = tmp_path / "small.png"
    Image.fromarray(portrait).resize((256, 300)).save(path)
    with teaching(PaintingTeacher()), pytest.raises(UsageError, match="at least 128 pixels"):
        train(replace(wish, name="x", inputs=(path, driving_clip)), Home.of_user())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--moments 100", "--moments is for train --teacher"),
        ("--no-stitching", "--stitching is for"),
        ("--teacher liveportrait --evaluate", "--evaluate asks the teacher"),
        ("--teacher liveportrait --as-base clips", "--as-base learns from clips"),
        ("--backend openvino", "train --teacher"),
        ("--teacher liveportrait --resume", "leave out --teacher"),
    ],
)
def test_options_that_do_not_go_together_are_told(options: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        app(["train", "--rights", "self", *options.split()], standalone_mode=False)
