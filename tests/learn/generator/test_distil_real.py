"""``avatar train --teacher liveportrait`` with the real networks, whose weights are seeded.

Such a teacher draws noise: no face is in it. So the command has to refuse it, and where a face lies
is told by the test where the rest of the way is to be shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training is done with PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")
pytest.importorskip("openvino", reason="the networks run on OpenVINO here")

from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.core.options import Options, declared
from avatar.learn.generator.command import train
from avatar.learn.generator.lessons import See, crop_head, read_picture
from avatar.learn.generator.request import TrainRequest
from avatar.library.avatars import AvatarStore, StoredAvatar
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import pairs_folder, pictures_folder, read_card
from avatar.library.models.store import model_folder, read_record
from avatar.sessions.film import animate
from avatar.stages.generate.deform import FaceDeformer
from avatar.stages.generate.framing import View, make_canvas
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.generate.trained.generator import PatchCutter
from avatar.stages.track.choice import detect_faces
from engines.patches import patches_of
from engines.training.pairs import Pairs
from tests.sessions.test_neural import install

pytestmark = [pytest.mark.slow, pytest.mark.real]

# Seeded stitching puts keypoints where no face is, and the engine then draws the photograph's own.
ASKED: dict[str, Any] = {
    "teacher": "liveportrait", "moments": 6, "backend": "openvino", "stitching": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The built-in portrait, with data and networks of the tests' own."""
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVATAR_MODELS", str(root))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        # Some seconds a picture: enough of them to show the way, too few to learn from.
        options = declared(TrainRequest)
        patch.setitem(options, "moments", replace(options["moments"], bounds=(6, 480, 1)))
        patch.setattr("avatar.learn.generator.distil._MIN_TRAIN", 6)
        install("liveportrait", root)
        yield builtin_photo()


@pytest.fixture(scope="module")
def wish(photo: Path, driving_clip: Path) -> TrainRequest:
    return TrainRequest(
        "taught", (photo, driving_clip), rights="licensed", share=0.5, steps=1, **ASKED
    )


@pytest.fixture(scope="module")
def refused(wish: TrainRequest) -> dict[str, int]:
    """When each picture was drawn that the command looked at and refused."""
    with pytest.raises(UsageError, match="found none in its first 8 pictures"):
        train(wish, Home.of_user())
    return drawn_at()


def drawn_at() -> dict[str, int]:
    folder = pictures_folder(AvatarStore(Home.of_user().avatars).load("taught").folder)
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_noise_is_refused(refused: dict[str, int]) -> None:
    assert len(refused) == 8


@pytest.fixture(scope="module")
def taught(wish: TrainRequest, refused: dict[str, int]) -> tuple[StoredAvatar, Face]:
    """An avatar that was trained on the networks' pictures, and where its face was said to be."""
    picture = load_photo(wish.inputs[0])
    face_model = find_face_model(None, Home.of_user(), allow_download=False)
    sitter = crop_head(picture, detect_faces(picture, face_model)[0])

    def told(_model: Path) -> See:
        return lambda _image: sitter.face

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avatar.learn.generator.distil._tracked", told)
        assert train(replace(wish, force=True), Home.of_user()) == 0
    return AvatarStore(Home.of_user().avatars).load("taught"), sitter.face


def test_what_was_drawn_before_is_not_drawn_again(
    refused: dict[str, int], taught: tuple[StoredAvatar, Face]
) -> None:
    now = drawn_at()
    assert len(now) == 11  # 6 to learn from and 5 held out
    assert {name: now[name] for name in refused} == refused


def test_the_truth_is_what_the_networks_drew(taught: tuple[StoredAvatar, Face]) -> None:
    stored, face = taught
    folder = pictures_folder(stored.folder) / "0"
    names = sorted(int(path.stem) for path in folder.iterdir())
    patches = patches_of("regions")
    pairs = Pairs(pairs_folder(stored.folder), patches)
    source = crop_head(load_photo(stored.photo), stored.face)
    height, width = source.photo.shape[:2]
    canvas = make_canvas(source.photo, face, "photo", (width, height), View())
    cutter = PatchCutter(patches, decompose(face))
    matrices = cutter.matrices(FaceDeformer(canvas).rest())
    assert matrices is not None
    truths: list[UInt8Image] = []
    for k, index in enumerate(names):
        drawn = read_picture(folder, index)
        assert drawn is not None and drawn.shape == source.photo.shape
        # Noise within the square, the photograph beyond it.
        middle = (slice(height // 3, height // 2), slice(width // 3, width // 2))
        assert np.abs(drawn[middle].astype(int) - source.photo[middle]).mean() > 20
        assert np.array_equal(drawn[-4:], source.photo[-4:])
        cut = cutter.pictures(drawn, matrices)
        for patch in patches:
            truth = pairs.batch(patch, np.array([2 * k])).truth
            assert np.abs(truth.astype(int) - cut[patch.name]).mean() < 6
        truths.append(cut["mouth"])
    assert any(not np.array_equal(truth, truths[0]) for truth in truths)


def test_the_card_names_the_networks(taught: tuple[StoredAvatar, Face]) -> None:
    stored, _ = taught
    card = read_card(stored.folder, stored.sha256)
    record = read_record(model_folder(Home.of_user().models, "liveportrait"))
    assert card.taught is not None and record is not None
    teacher = card.taught.teacher
    assert teacher.weights_sha256 == {file.name: file.sha256 for file in record.files}
    assert (teacher.title, teacher.licence) == ("LivePortrait, people", "MIT")
    assert (teacher.backend, teacher.precision) == ("openvino", "fp32")
    assert card.taught.drawn == card.taught.usable == 11


def test_it_animates_as_any_other(
    taught: tuple[StoredAvatar, Face], driving_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    config = Options(
        engine="neural", size="256x256", avatar=("taught",), backend="openvino", seconds=0.2
    )
    assert (
        animate(
            config,
            Home.of_user(),
            driving=driving_clip,
            out=out,
            size_px=(256, 256),
            audio="none",
            face=1,
        )
        == 0
    )
    import av

    with av.open(str(out)) as film:
        assert json.loads(film.metadata["AIGC"])["Label"] == "1"
        assert sum(1 for _ in film.decode(video=0)) == 5
