"""`avatar avatars` as it is typed, in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar.app.cli import main
from avatar.core.frames import Face, UInt8Image
from avatar.library.avatars import RECORD
from avatar.sessions.driver import Driver
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.label.metadata import AIGC_KEY

Avatar = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's avatars are kept; a picture `me.jpg` lies in the working folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(builtin_photo(), "me.jpg")
    return tmp_path / "data" / "webcam-avatar" / "avatars"


@pytest.fixture
def avatar(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Avatar:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["avatar", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


def test_an_avatar_is_added_listed_shown_and_removed(avatar: Avatar, root: Path) -> None:
    status, _, said = avatar("avatars", "list")
    assert status == 0
    assert "avatar avatars add PHOTO" in said

    status, _, said = avatar("avatars", "add", "me.jpg", "--name", "Grace H")
    assert status == 0
    assert "added Grace H in " in said
    assert "512×600" in said
    assert 'avatar run --avatar "Grace H"' in said

    status, table, _ = avatar("avatars", "list")
    assert status == 0
    assert "Grace H" in table and "512×600" in table

    status, shown, _ = avatar("avatars", "show", "grace h")
    assert status == 0
    assert "SHA-256" in shown and "yaw" in shown and str(root / "Grace H") in shown

    status, _, said = avatar("avatars", "remove", "Grace H")
    assert status == 0
    assert str(root / "Grace H") in said
    assert list(root.iterdir()) == []
    assert Path("me.jpg").exists()


def test_a_taken_name_and_an_unfit_one_are_refused(avatar: Avatar, root: Path) -> None:
    avatar("avatars", "add", "me.jpg")
    status, _, said = avatar("avatars", "add", "me.jpg")
    assert status == 2
    assert "--force" in said
    assert avatar("avatars", "add", "me.jpg", "--force")[0] == 0
    status, _, said = avatar("avatars", "add", "me.jpg", "--name", "../x")
    assert status == 2
    assert "'/'" in said
    assert [path.name for path in root.iterdir()] == ["me"]


def test_the_same_photograph_under_another_name_is_said(avatar: Avatar) -> None:
    avatar("avatars", "add", "me.jpg")
    status, _, said = avatar("avatars", "add", "me.jpg", "--name", "again")
    assert status == 0
    assert "the same photograph is stored as me" in said


def test_a_photograph_without_such_a_face_is_not_stored(avatar: Avatar, root: Path) -> None:
    status, _, said = avatar("avatars", "add", "me.jpg", "--face", "2")
    assert status == 2
    assert "1 (the largest) to 1" in said
    assert avatar("avatars", "add", "absent.jpg")[0] == 2
    assert not root.exists()


def test_a_head_that_is_turned_is_told(avatar: Avatar, shared_media: Path) -> None:
    picture = shared_media / "avatars" / "pearl-earring.jpg"
    status, _, said = avatar("avatars", "add", str(picture))
    assert status == 0
    assert "to the picture's left: head turns will be limited" in said


def test_the_list_goes_on_past_a_broken_avatar(avatar: Avatar, root: Path) -> None:
    avatar("avatars", "add", "me.jpg")
    avatar("avatars", "add", "me.jpg", "--name", "other")
    (root / "me" / RECORD).write_text("{}")
    status, table, said = avatar("avatars", "list")
    assert status == 0
    assert "not readable" in table and "other" in table
    assert str(root / "me" / RECORD) in said


def test_the_preview_is_a_labelled_portrait(avatar: Avatar, face_model: Path) -> None:
    avatar("avatars", "add", "me.jpg")
    assert avatar("avatars", "show", "me", "--preview", "me.png")[0] == 0
    with Image.open("me.png") as picture:
        assert picture.size == (720, 720)
        assert AIGC_KEY in picture.info
        plain = np.asarray(picture)[:70, -120:]
    assert plain.min() < 40 and plain.max() > 240  # the dark plate with its light text
    status, _, said = avatar("avatars", "show", "me", "--preview", "me.png")
    assert status == 2
    assert "--force" in said
    assert avatar("avatars", "show", "me", "--preview", "me.png", "--force")[0] == 0
    assert avatar("avatars", "show", "me", "--preview", "me.jpg", "--force")[0] == 2
    assert avatar("avatars", "show", "me", "--preview", "no/me.png")[0] == 2


def test_names_work_where_photographs_do(
    avatar: Avatar, root: Path, portrait: UInt8Image, portrait_face: Face
) -> None:
    avatar("avatars", "add", "me.jpg", "--name", "Grace")
    with Driver("grace") as by_name, Driver("me.jpg") as by_path:
        one, other = by_name.step(portrait, 1), by_path.step(portrait, 1)
    assert one is not None and other is not None
    assert np.array_equal(one.image, other.image)
    run = ["run", "--camera", "demo", "--out", "none", "--size", "320x240", "--seconds", "0.3"]
    assert avatar(*run, "--avatar", "Grace")[0] == 0
    status, _, said = avatar(*run, "--avatar", "Graze")
    assert status == 2
    assert "Did you mean `Grace`" in said
    animate = ["animate", "--driving", "absent.mp4", "--out", "a.mp4"]
    assert avatar(*animate, "--avatar", "Grace")[0] == 2


def test_several_photographs_of_one_person_are_added_and_drive_together(
    avatar: Avatar, root: Path, portrait: UInt8Image
) -> None:
    Path("us").mkdir()
    Image.fromarray(np.ascontiguousarray(portrait[:, ::-1])).save("us/2.png")
    status, _, said = avatar("avatars", "add", "me.jpg", "us", "--name", "Grace")
    assert status == 0, said
    assert "2 photographs of one person" in said
    assert "not checked" in said
    status, out, _ = avatar("avatars", "show", "Grace")
    assert status == 0
    assert "photo 2" in out
    with Driver(avatar="Grace", size_px=(256, 256)) as driver:
        frame = driver.step(np.ascontiguousarray(portrait), 1)
    assert frame is not None
    status, _, said = avatar("avatars", "add", "me.jpg", "us", "--name", "Two", "--face", "2")
    assert status != 0
    assert "the largest face of each" in said
