from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from avatar.app.avatars import add
from avatar.core.errors import PhotoError, UsageError
from avatar.core.face.head import head_turn_deg
from avatar.core.files import file_sha256
from avatar.core.frames import BLENDSHAPE_NAMES, LANDMARK_COUNT, Face, UInt8Image
from avatar.core.home import Home
from avatar.library.avatars import (
    MAX_NAME_BYTES,
    RECORD,
    AvatarStore,
    StoredAvatar,
    check_name,
    name_of_file,
)
from avatar.library.face_numbers import FaceNumbers
from avatar.library.found_faces import FaceCache
from avatar.sessions.avatars import open_avatar, resolve
from avatar.stages.generate.photo import builtin_photo
from tests.stages.motion.faces import posed

NO_FACE_MODEL = Path("no face model: nothing may be detected")


def silent(line: str) -> None:
    raise AssertionError(f"nothing was to be said, but: {line}")


def same(one: Face, other: Face) -> bool:
    return (
        np.array_equal(one.landmarks_px, other.landmarks_px)
        and np.array_equal(one.blendshapes, other.blendshapes)
        and np.array_equal(one.pose, other.pose)
        and one.image_size_px == other.image_size_px
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.under(tmp_path / "home")


@pytest.fixture
def store(home: Home) -> AvatarStore:
    return AvatarStore(home.avatars)


@pytest.fixture
def photo(tmp_path: Path, portrait: UInt8Image) -> Path:
    """The built-in portrait as a PNG of its own."""
    path = tmp_path / "me.PNG"
    Image.fromarray(portrait).save(path)
    return path


def change_record(stored: StoredAvatar, **values: Any) -> None:
    path = stored.folder / RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# --- names


@given(st.text(max_size=80))
def test_an_accepted_name_is_one_folder_everywhere_and_stays_the_same(name: str) -> None:
    try:
        accepted = check_name(name)
    except UsageError:
        return
    assert check_name(accepted) == accepted == unicodedata.normalize("NFC", name)
    assert Path(accepted).name == accepted
    assert not set(accepted) & set('/\\:*?"<>|.\0\n\t')
    assert accepted.casefold() not in ("", "builtin", "demo", "nul", "con")
    assert accepted[0] not in " -" and not accepted.endswith(" ")
    assert len(accepted.encode()) <= MAX_NAME_BYTES


@given(st.text(max_size=80))
def test_a_file_s_name_gives_a_fit_name_or_says_that_it_does_not(stem: str) -> None:
    path = Path(stem.replace("/", "") + ".jpg")
    try:
        assert check_name(name_of_file(path)) == name_of_file(path)
    except UsageError as error:
        assert "--name" in str(error)


@pytest.mark.parametrize("name", ["Großmutter", "祖母 2", "दादी", "anna-b_3", "Ünal", "أمي"])
def test_letters_of_any_script_make_a_name(name: str) -> None:
    assert check_name(name) == name
    assert check_name(unicodedata.normalize("NFD", name)) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "..", "a\\b", ".hidden", "-x", "a ", "builtin", "Demo", "nul", "COM1", "a\n",
     "a:b", "a" * (MAX_NAME_BYTES + 1)],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        check_name(name)


def test_a_file_s_name_is_made_fit() -> None:
    assert name_of_file(Path("IMG 2024 (1).final.jpg")) == "IMG 2024 -1-final"


# --- faces as JSON

numbers = st.floats(-9e5, 9e5, width=32)


@given(st.lists(numbers, min_size=3, max_size=3), st.floats(0, 1, width=32), numbers)
def test_a_face_comes_back_from_json_bit_for_bit(
    point: list[float], score: float, entry: float
) -> None:
    face = Face(
        np.tile(np.array(point, np.float32), (LANDMARK_COUNT, 1)),
        np.full(len(BLENDSHAPE_NAMES), score, np.float32),
        np.full((4, 4), entry, np.float32),
        (640, 480),
    )
    text = FaceNumbers.of(face).model_dump_json()
    assert same(FaceNumbers.model_validate_json(text).face(), face)


def test_the_turn_of_a_head_is_told_in_degrees(portrait_face: Face) -> None:
    turned = posed(portrait_face, turn=(0.0, np.radians(25), 0.0))
    assert head_turn_deg(turned) == pytest.approx((25, 0, 0), abs=0.01)
    raised = posed(portrait_face, turn=(-np.radians(10), 0.0, 0.0))
    assert head_turn_deg(raised) == pytest.approx((0, 10, 0), abs=0.01)
    leaning = posed(portrait_face, turn=(0.0, 0.0, np.radians(15)))
    assert head_turn_deg(leaning) == pytest.approx((0, 0, 15), abs=0.01)


# --- the store


def test_what_was_added_comes_back(store: AvatarStore, photo: Path, portrait_face: Face) -> None:
    added = store.add("Anna", photo, portrait_face, face_number=1, face_count=2)
    loaded = store.load("aNNA")
    assert loaded.name == "Anna"
    assert loaded.photo.read_bytes() == photo.read_bytes()
    assert loaded.photo.suffix == ".PNG"
    assert loaded.sha256 == file_sha256(photo) == added.sha256
    assert same(loaded.face, portrait_face)
    assert (loaded.face_number, loaded.face_count) == (1, 2)
    assert sorted(path.name for path in loaded.folder.iterdir()) == [RECORD, loaded.photo.name]
    assert [path.name for path in store.root.iterdir()] == ["Anna"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_only_its_owner_may_look_into_an_avatar(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    folder = store.add("Anna", photo, portrait_face).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_name_is_taken_once_whatever_its_capitals(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    store.add("Anna", photo, portrait_face)
    with pytest.raises(UsageError, match="--force"):
        store.add("anna", photo, portrait_face)
    assert store.names() == ["Anna"]


def test_replacing_leaves_only_the_new_photograph(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    store.add("Anna", photo, portrait_face)
    replaced = store.add("anna", builtin_photo(), portrait_face, replace=True)
    assert replaced.name == "Anna"
    assert store.load("Anna").photo.read_bytes() == builtin_photo().read_bytes()
    assert sorted(path.name for path in replaced.folder.iterdir()) == [RECORD, replaced.photo.name]


def test_a_photograph_that_cannot_be_copied_leaves_nothing(
    store: AvatarStore, tmp_path: Path, portrait_face: Face
) -> None:
    with pytest.raises(UsageError, match="cannot be stored"):
        store.add("Anna", tmp_path / "absent.jpg", portrait_face)
    assert list(store.root.iterdir()) == []


def test_the_same_photograph_under_two_names_is_known(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    store.add("Anna", photo, portrait_face)
    broken = store.add("broken", photo, portrait_face)
    change_record(broken, face=None)
    assert store.twins(store.add("Berta", photo, portrait_face)) == ["Anna"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_text("{"), "not valid JSON"),
        (lambda path: path.write_bytes(b"\xff\xfe{"), "not valid JSON"),
        (lambda path: path.write_text("[" * 100_000), "nested too deeply|not valid JSON"),
        (lambda path: path.write_text("[]"), "broken"),
        (lambda path: path.write_text('{"schema_version": 1}'), "name: Field required"),
        (lambda path: path.write_text(path.read_text().replace('"pose":[[', '"pose":[[NaN,')),
         "face.pose"),
        (lambda path: path.write_text(path.read_text().replace("jawOpen", "jawShut")),
         "blendshapes"),
        (lambda path: path.write_text(path.read_text().replace('"photo-', '"../photo-')), "photo"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)  # fmt: skip
def test_a_broken_record_is_named_with_what_to_do(
    store: AvatarStore, photo: Path, portrait_face: Face, spoil: Callable[[Path], None], says: str
) -> None:
    stored = store.add("Anna", photo, portrait_face)
    spoil(stored.folder / RECORD)
    with pytest.raises(UsageError, match=says) as raised:
        store.load("Anna")
    assert str(stored.folder / RECORD) in str(raised.value)
    assert "--force" in str(raised.value)
    store.add("Anna", photo, portrait_face, replace=True)
    assert same(store.load("Anna").face, portrait_face)


def another(tmp_path: Path, portrait: UInt8Image, name: str, light: int) -> Path:
    path = tmp_path / name
    Image.fromarray(portrait // 4 * light).save(path)
    return path


def test_several_photographs_are_one_avatar(
    store: AvatarStore,
    tmp_path: Path,
    photo: Path,
    portrait: UInt8Image,
    portrait_face: Face,
    home: Home,
) -> None:
    darker, dark = (another(tmp_path, portrait, f"{k}.png", k) for k in (2, 3))
    face = replace(portrait_face, blendshapes=portrait_face.blendshapes * np.float32(0.5))
    more = [(darker, face), (dark, portrait_face)]
    stored = store.add("Anna", photo, portrait_face, more=more)
    assert [path.read_bytes() for path, _ in stored.photos] == [
        path.read_bytes() for path in (photo, darker, dark)
    ]
    opened = open_avatar("Anna", NO_FACE_MODEL, home, silent)
    assert [image.shape for image, _ in opened.more] == [portrait.shape] * 2
    assert same(opened.more[0][1], face)
    assert same(opened.more[1][1], portrait_face)


def test_one_photograph_is_stored_so_that_older_programs_read_it(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    one = store.add("Anna", photo, portrait_face)
    assert json.loads((one.folder / RECORD).read_text())["schema_version"] == 1
    two = store.add("Berta", photo, portrait_face, more=[(photo, portrait_face)])
    assert json.loads((two.folder / RECORD).read_text())["schema_version"] == 2


def test_replacing_several_photographs_leaves_none_of_the_old(
    store: AvatarStore, tmp_path: Path, photo: Path, portrait: UInt8Image, portrait_face: Face
) -> None:
    second = another(tmp_path, portrait, "second.png", 3)
    store.add("Anna", photo, portrait_face, more=[(second, portrait_face)])
    stored = store.add("Anna", second, portrait_face, replace=True)
    assert stored.more == ()
    assert len(list(stored.folder.iterdir())) == 2


def test_any_changed_photograph_of_several_is_an_error(
    store: AvatarStore, tmp_path: Path, photo: Path, portrait: UInt8Image, portrait_face: Face
) -> None:
    second = another(tmp_path, portrait, "second.png", 3)
    stored = store.add("Anna", photo, portrait_face, more=[(second, portrait_face)])
    stored.more[0].photo.write_bytes(b"other")
    with pytest.raises(PhotoError, match="was changed since"):
        store.load("Anna")


def test_a_newer_record_is_named_with_what_to_do(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    stored = store.add("Anna", photo, portrait_face)
    change_record(stored, schema_version=3, program_version="9.1")
    with pytest.raises(
        UsageError, match=r"newer program \(schema 3, program 9.1\).*Update"
    ) as seen:
        store.load("Anna")
    assert str(stored.folder / RECORD) in str(seen.value)


def test_a_changed_or_missing_photograph_is_an_error(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    stored = store.add("Anna", photo, portrait_face)
    stored.photo.write_bytes(builtin_photo().read_bytes())
    with pytest.raises(PhotoError, match="was changed since it was added"):
        store.load("Anna")
    stored.photo.unlink()
    with pytest.raises(PhotoError, match="cannot be read"):
        store.load("Anna")


def test_removing_takes_this_avatar_alone_even_a_broken_one(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    store.add("Anna", photo, portrait_face)
    folder = store.add("Berta", photo, portrait_face).folder
    (folder / RECORD).write_text("")
    aside = store.set_aside("berta")
    assert aside.name == "Berta" and not folder.exists()
    assert store.names() == ["Anna"], "it is not seen while it can be had back"
    store.delete(aside)
    assert [path.name for path in store.root.iterdir()] == ["Anna"]
    assert photo.exists()


def test_removing_a_link_keeps_what_it_leads_to(store: AvatarStore, tmp_path: Path) -> None:
    store.root.mkdir(parents=True)
    kept = tmp_path / "kept"
    kept.mkdir()
    (store.root / "Anna").symlink_to(kept, target_is_directory=True)
    store.delete(store.set_aside("Anna"))
    assert kept.is_dir()
    assert store.names() == []


@pytest.mark.parametrize("name", ["../me", "..", "", "Ana", "."])
def test_an_unknown_name_removes_nothing_and_names_the_nearest(
    store: AvatarStore, photo: Path, portrait_face: Face, name: str
) -> None:
    store.add("Anna", photo, portrait_face)
    with pytest.raises(UsageError, match="Anna"):
        store.set_aside(name)
    assert [path.name for path in store.root.iterdir()] == ["Anna"]


def test_what_was_set_aside_can_be_put_back(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    before = store.add("Anna", photo, portrait_face)
    aside = store.set_aside("Anna")
    assert store.put_back(aside) == "Anna"
    assert store.load("Anna").sha256 == before.sha256
    assert [path.name for path in store.root.iterdir()] == ["Anna"]
    aside = store.set_aside("Anna")
    store.add("anna", photo, portrait_face)
    with pytest.raises(UsageError, match="an avatar anna already"):
        store.put_back(aside)
    assert aside.is_dir(), "it is not lost"


def test_an_avatar_is_renamed_and_replaces_none(
    store: AvatarStore, photo: Path, portrait_face: Face
) -> None:
    before = store.add("Anna", photo, portrait_face)
    store.add("Berta", photo, portrait_face)
    assert store.rename("anna", "Clara Zwei") == "Clara Zwei"
    assert store.names() == ["Berta", "Clara Zwei"]
    renamed = store.load("Clara Zwei")
    assert (renamed.name, renamed.sha256) == ("Clara Zwei", before.sha256)
    assert store.rename("Clara Zwei", "clara zwei") == "clara zwei"
    for name in ("berta", "../x", "builtin", " x", ""):
        with pytest.raises(UsageError):
            store.rename("clara zwei", name)
    assert store.names() == ["Berta", "clara zwei"]


# --- what --avatar means


def test_a_stored_avatar_opens_without_a_detector(
    store: AvatarStore, photo: Path, portrait: UInt8Image, portrait_face: Face, home: Home
) -> None:
    store.add("Anna", photo, portrait_face)
    opened = open_avatar("anna", NO_FACE_MODEL, home, silent)
    assert opened.name == "Anna"
    assert np.array_equal(opened.photo, portrait)
    assert same(opened.face, portrait_face)


def test_another_face_of_a_stored_avatar_is_refused(
    store: AvatarStore, photo: Path, portrait_face: Face, home: Home
) -> None:
    store.add("Anna", photo, portrait_face)
    with pytest.raises(UsageError, match="--force --face 2"):
        open_avatar("Anna", NO_FACE_MODEL, home, silent, number=2)


def test_a_face_of_another_picture_size_is_refused(
    store: AvatarStore, photo: Path, portrait_face: Face, home: Home
) -> None:
    store.add("Anna", photo, replace(portrait_face, image_size_px=(99, 99)))
    with pytest.raises(PhotoError, match=r"\(99, 99\)"):
        open_avatar("Anna", NO_FACE_MODEL, home, silent)


def test_a_word_is_a_name_first_and_a_path_is_a_path(
    store: AvatarStore, photo: Path, portrait_face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    photo.with_name("file").write_bytes(photo.read_bytes())
    assert resolve("file", store, silent) == Path("file")
    store.add("file", photo, portrait_face)
    said: list[str] = []
    found = resolve("file", store, said.append)
    assert isinstance(found, StoredAvatar)
    assert "./file" in said[0]
    assert resolve("./file", store, silent) == Path("file")
    assert resolve(Path("file"), store, silent) == Path("file")
    assert resolve("me.PNG", store, silent) == Path("me.PNG")
    assert resolve("builtin", store, silent) == builtin_photo()


def test_what_is_neither_names_near_names_and_near_files(
    store: AvatarStore, photo: Path, portrait_face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    store.add("Anna", photo, portrait_face)
    with pytest.raises(UsageError, match="Did you mean `Anna`"):
        resolve("ana", store, silent)
    with pytest.raises(UsageError, match=r"Did you mean `me.PNG`"):
        resolve("me.jpg", store, silent)
    with pytest.raises(UsageError, match=r"me\.PNG"):
        resolve(str(photo.with_name("mee")), store, silent)
    with pytest.raises(UsageError, match="Check the spelling"):
        resolve("no/such/folder.jpg", store, silent)


# --- the cache of found faces


def test_the_second_time_nothing_is_detected(
    tmp_path: Path,
    store: AvatarStore,
    photo: Path,
    portrait_face: Face,
    face_model: Path,
    home: Home,
) -> None:
    cache = FaceCache(home.faces)
    said: list[str] = []
    first = open_avatar(photo, face_model, home, said.append)
    assert [path.name for path in cache.path("").parent.iterdir()] == [f"{file_sha256(photo)}.json"]
    again = open_avatar(photo, NO_FACE_MODEL, home, said.append)
    assert len(said) == 2 and said[0] == said[1]
    assert same(first.face, again.face)
    assert same(first.face, portrait_face)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", ""),
        ('"faces":[{', '"faces":[],"x":[{'),
        ('"image_size_px":[', '"image_size_px":[1'),
        ('"found_by":"', '"found_by":"another '),
        ('"schema_version":1', '"schema_version":2'),
    ],
)
def test_a_broken_entry_is_said_and_made_anew(
    tmp_path: Path, portrait_face: Face, old: str, new: str
) -> None:
    cache, said = FaceCache(tmp_path), list[str]()
    size_px = portrait_face.image_size_px
    cache.faces("ab", size_px, lambda: [portrait_face], silent)
    path = cache.path("ab")
    whole = path.read_text()
    assert old in whole
    path.write_text(whole.replace(old, new, 1))
    other = posed(portrait_face)
    other = replace(other, image_size_px=size_px)
    assert cache.faces("ab", size_px, lambda: [other], said.append) == [other]
    assert len(said) == 1
    assert str(path) in said[0]
    assert same(cache.faces("ab", size_px, list, silent)[0], other)


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, portrait_face: Face) -> None:
    (tmp_path / "faces").write_text("in the way")
    said: list[str] = []
    cache = FaceCache(tmp_path / "faces")
    found = cache.faces("ab", (1, 1), lambda: [portrait_face], said.append)
    assert found == [portrait_face]
    assert "the next start looks again" in said[-1]


def test_finding_nobody_is_not_kept(tmp_path: Path) -> None:
    cache = FaceCache(tmp_path)
    assert cache.faces("ab", (1, 1), list, silent) == []
    assert not cache.path("ab").exists()


# --- adding from a photograph


def test_the_chosen_face_of_several_is_stored(
    store: AvatarStore, home: Home, tmp_path: Path, portrait: UInt8Image, face_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    both = np.full((600, 800, 3), 128, np.uint8)
    both[:300, :256] = np.asarray(Image.fromarray(portrait).resize((256, 300)))
    both[:, 288:] = portrait
    path = tmp_path / "two.png"
    Image.fromarray(both).save(path)
    assert add(path, face=2, face_model=face_model, home=home) == 0
    stored = store.load("two")
    assert stored.face.landmarks_px[:, 0].max() < 256
    assert (stored.face_number, stored.face_count) == (2, 2)
    said = capsys.readouterr().err
    assert "2 faces in two.png: number 2 by size moves" in said
    assert "added two in " in said
