"""The published networks as teachers: opened, described, and drawing a face that can be tracked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.learn.generator.lessons import crop_head, motions, plan, reference_of
from avatar.learn.generator.teacher import Teacher, open_again, open_teacher
from avatar.learn.generator.watch import WatchedClip
from avatar.library.models import store
from avatar.library.models.catalog import find
from avatar.library.models.store import Checked
from avatar.sessions.avatars import AvatarPhoto
from avatar.stages.track.choice import detect_faces
from tests.stages.generate.neural.toys import ToyRunner

OPTIONS = Options(backend="openvino", retarget_eyes=True)


@pytest.fixture(scope="module", autouse=True)
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Installed sets whose checkpoints are empty, and toy networks in their place."""
    pytest.importorskip("openvino", reason="the backend that is chosen")
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVATAR_MODELS", str(root))
        patch.setattr(
            "avatar.sessions.engines.published.open_model",
            lambda model, *_, **__: ToyRunner(model),
        )
        install(root, "first")
        yield


def install(root: Path, content: str) -> None:
    entry = find("liveportrait")
    files = []
    for name in entry.networks:
        path = root / f"{name.replace('/', '-')}.pth"
        path.write_text(content)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append(Checked(path, path.name, digest, (name,), "a toy"))
    store.add(root, entry, files)


@pytest.fixture(scope="module")
def teacher(toys: None) -> Teacher:
    return open_teacher("liveportrait", OPTIONS, Home.of_user(), lambda _line: None)


def test_it_draws_the_photograph_as_the_driver_moves(
    teacher: Teacher,
    driver: WatchedClip,
    portrait: UInt8Image,
    portrait_face: Face,
    face_model: Path,
) -> None:
    source = crop_head(portrait, portrait_face)
    lesson = plan(driver, "0" * 64, 1.0, 4)
    reference = reference_of(driver, lesson, face_model)
    with teacher.artist(AvatarPhoto("sitter", source.photo, source.face)) as artist:
        drawn = [
            artist.generate(motion).image for _, motion in motions(driver, lesson.train, reference)
        ]
    assert all(image.shape == source.photo.shape for image in drawn)
    assert any(not np.array_equal(image, drawn[0]) for image in drawn)
    # Toys move the photograph as a whole, some pixels.
    at = source.face.landmarks_px[:, :2].mean(axis=0)
    for image in drawn:
        face = detect_faces(image, face_model)[0]
        assert np.linalg.norm(face.landmarks_px[:, :2].mean(axis=0) - at) < 60


def test_the_card_names_weights_licence_and_options(teacher: Teacher) -> None:
    card = teacher.card
    assert len(card.weights_sha256) == len(find("liveportrait").networks)
    assert (card.title, card.licence) == ("LivePortrait, people", "MIT")
    assert card.licence_url.startswith("https://")
    assert (card.backend, card.precision) == ("openvino", "fp32")
    assert (card.stitching, card.retarget_eyes, card.retarget_lips) == (True, True, False)
    assert teacher.frame_s is not None


def test_it_is_opened_again_as_it_was(teacher: Teacher) -> None:
    assert open_again(teacher.card, Home.of_user(), lambda _line: None).card == teacher.card


def test_other_weights_are_another_teacher(teacher: Teacher) -> None:
    changed = dict.fromkeys(teacher.card.weights_sha256, "0" * 64)
    card = teacher.card.model_copy(update={"weights_sha256": changed})
    with pytest.raises(UsageError, match="start over with --force"):
        open_again(card, Home.of_user(), lambda _line: None)


@pytest.mark.parametrize(
    ("engine", "options", "said"),
    [
        ("liveportait", {}, "expected one of liveportrait, fomm"),
        ("liveportrait", {"variant": "animals", "crop": "1,2,99"}, "leave out --variant"),
        ("fomm", {"retarget_eyes": True}, "fomm"),
    ],
)
def test_what_no_teacher_can_do_is_told(engine: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_teacher(engine, Options(**options), Home.of_user(), lambda _line: None)
