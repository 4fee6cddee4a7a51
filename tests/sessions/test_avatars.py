import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import PhotoError, UsageError
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.library.avatars import AvatarStore
from avatar.sessions.avatars import MIN_FACE_PX, choose_all, open_avatar


def without_heights(said: list[str]) -> list[str]:
    """Return what was said with no number of pixels: trackers differ by one."""
    return [re.sub(r"\d+ pixels", "… pixels", line) for line in said]


def _silent(line: str) -> None:
    raise AssertionError(f"nothing was to be said, but: {line}")


def test_the_built_in_portrait_has_a_face(face_model: Path, home: Home) -> None:
    opened = open_avatar("builtin", face_model, home, _silent)
    assert opened.name == "grace_hopper"
    assert 100 < np.ptp(opened.face.landmarks_px[:, 1]) < 400


def test_a_cut_out_portrait_keeps_its_own_outline_in_the_store_too(
    portrait: UInt8Image, face_model: Path, home: Home, tmp_path: Path
) -> None:
    alpha = np.full(portrait.shape[:2], 255, np.uint8)
    alpha[:, :60] = 0
    path = tmp_path / "cut.png"
    Image.fromarray(np.dstack([portrait, alpha])).save(path)
    opened = open_avatar(path, face_model, home, lambda line: None)
    AvatarStore(home.avatars).add("Cut", path, opened.face)
    stored = open_avatar("Cut", face_model, home, lambda line: None)
    for avatar in (opened, stored):
        assert avatar.matte is not None
        assert np.array_equal(avatar.matte > 0.5, alpha > 127)


def test_alpha_that_hides_the_face_is_no_outline(
    portrait: UInt8Image, face_model: Path, home: Home, tmp_path: Path
) -> None:
    alpha = np.full(portrait.shape[:2], 255, np.uint8)
    alpha[150:400] = 60
    path = tmp_path / "veiled.png"
    Image.fromarray(np.dstack([portrait, alpha])).save(path)
    assert open_avatar(path, face_model, home, lambda line: None).matte is None


def test_a_picture_of_nobody_is_an_error_that_says_what_to_choose(
    face_model: Path, home: Home
) -> None:
    grey = np.full((300, 300, 3), 120, np.uint8)
    with pytest.raises(PhotoError, match="found none"):
        open_avatar(grey, face_model, home, _silent)


def test_of_several_faces_the_largest_is_taken_and_said(
    portrait: UInt8Image, face_model: Path, home: Home
) -> None:
    small = np.asarray(Image.fromarray(portrait).resize((256, 300)))
    both = np.full((600, 800, 3), 128, np.uint8)
    both[:300, :256] = small
    both[:, 288:] = portrait
    said: list[str] = []
    opened = open_avatar(both, face_model, home, said.append)
    assert opened.face.landmarks_px[:, 0].min() > 288
    assert len(said) == 1
    assert "2 faces in picture: the largest moves" in said[0]
    assert "the others stay still" in said[0]


def test_all_faces_that_are_large_enough_are_taken_and_said(portrait_face: Face) -> None:
    faces = [
        replace(portrait_face, landmarks_px=portrait_face.landmarks_px * np.float32(scale))
        for scale in (1, 0.5, 0.2)
    ]
    said: list[str] = []
    assert choose_all("us", faces, said.append) == faces[:2]
    assert said == ["3 faces in us: 2 are animated; 1 smaller than 64 pixels stay still"]
    assert choose_all("us", faces[:1], said.append) == faces[:1]
    assert without_heights(said[1:]) == ["one face in us, … pixels high"]
    with pytest.raises(PhotoError, match="at least 64 pixels"):
        choose_all("us", [faces[2]] * 2, _silent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, portrait: UInt8Image) -> Path:
    """A folder with two photographs of one person, and a note."""
    path = tmp_path_factory.mktemp("person") / "grace"
    path.mkdir()
    Image.fromarray(portrait).save(path / "1 front.jpg")
    Image.fromarray(np.ascontiguousarray(portrait[:, ::-1])).save(path / "2 mirrored.png")
    (path / "notes.txt").write_text("not a photograph")
    return path


def test_photographs_of_one_person_are_opened_together(
    folder: Path, face_model: Path, home: Home
) -> None:
    said: list[str] = []
    one, other = folder / "1 front.jpg", folder / "2 mirrored.png"
    by_folder = open_avatar(folder, face_model, home, said.append)
    by_names = open_avatar(f"{one}+{other}", face_model, home, said.append)
    assert (by_folder.name, by_names.name) == ("grace", "1 front")
    for opened in (by_folder, by_names):
        assert len(opened.more) == 1
        assert opened.more[0][0].shape == opened.photo.shape
    assert [line.partition(",")[0] for line in said] == [
        "one face in 1 front.jpg",
        "one face in 2 mirrored.png",
        "2 photographs of one person; that all show the same one is not checked",
    ] * 2


def test_a_file_may_have_a_plus_in_its_name(
    tmp_path: Path, portrait: UInt8Image, face_model: Path, home: Home
) -> None:
    Image.fromarray(portrait).save(tmp_path / "me+you.png")
    said: list[str] = []
    opened = open_avatar(str(tmp_path / "me+you.png"), face_model, home, said.append)
    assert (opened.name, opened.more) == ("me+you", ())
    assert without_heights(said) == ["one face in me+you, … pixels high"]


def test_each_of_several_photographs_must_be_usable(
    folder: Path, tmp_path: Path, face_model: Path, home: Home
) -> None:
    front = folder / "1 front.jpg"
    Image.new("RGB", (300, 300)).save(tmp_path / "nobody.png")
    with pytest.raises(PhotoError, match=r"nobody\.png, found none"):
        open_avatar(f"{front}+{tmp_path / 'nobody.png'}", face_model, home, lambda _: None)
    with pytest.raises(PhotoError, match=r"absent\.png, found nothing"):
        open_avatar(f"{front}+{tmp_path / 'absent.png'}", face_model, home, _silent)
    with pytest.raises(PhotoError, match="at most 5 photographs"):
        open_avatar("+".join([str(front)] * 6), face_model, home, _silent)
    with pytest.raises(PhotoError, match="found none"):
        open_avatar(make_empty(tmp_path), face_model, home, _silent)
    with pytest.raises(UsageError, match="the largest face of each"):
        open_avatar(folder, face_model, home, _silent, number="all")


def test_a_photograph_with_a_much_smaller_face_is_told(
    folder: Path, tmp_path: Path, portrait: UInt8Image, face_model: Path, home: Home
) -> None:
    Image.fromarray(portrait).resize((205, 240)).save(tmp_path / "small.png")
    said: list[str] = []
    both = f"{folder / '1 front.jpg'}+{tmp_path / 'small.png'}"
    opened = open_avatar(both, face_model, home, said.append)
    assert len(opened.more) == 1
    assert "small.png" in said[-1]
    assert "soft" in said[-1]


def make_empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_a_tiny_face_is_an_error_that_gives_its_size(
    portrait: UInt8Image, face_model: Path, home: Home
) -> None:
    height = 600 * 40 // 200
    tiny = np.asarray(Image.fromarray(portrait).resize((height * 512 // 600, height)))
    with pytest.raises(PhotoError, match=f"at least {MIN_FACE_PX} pixels"):
        open_avatar(tiny, face_model, home, _silent)


def test_a_path_with_any_letters_opens(
    tmp_path: Path, portrait: UInt8Image, face_model: Path, home: Home
) -> None:
    path = tmp_path / "Großmutter 祖母.jpg"
    Image.fromarray(portrait).save(path)
    said: list[str] = []
    assert open_avatar(str(path), face_model, home, said.append).name == "Großmutter 祖母"
    assert without_heights(said) == ["one face in Großmutter 祖母, … pixels high"]


def test_an_animal_is_refused_and_every_human_picture_opens(
    shared_media: Path, face_model: Path, home: Home
) -> None:
    for path in sorted((shared_media / "avatars").iterdir()):
        if "no-human-face" in path.stem:
            with pytest.raises(PhotoError, match="found none"):
                open_avatar(path, face_model, home, _silent)
        else:
            assert open_avatar(path, face_model, home, lambda line: None).photo.ndim == 3
