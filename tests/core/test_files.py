"""Files appear whole or not at all; records say what is wrong with them; films are films."""

from __future__ import annotations

import ast
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from avatar.core.clock import ManualClock
from avatar.core.errors import SinkError, UsageError
from avatar.core.files import (
    FILM_SUFFIXES,
    PICTURE_SUFFIXES,
    PUBLIC,
    NewerRecordError,
    UnfitRecordError,
    expanded,
    file_sha256,
    films_in,
    kind_of,
    left_overs,
    move,
    parse_record,
    pictures_in,
    read_record,
    remove_folder,
    staging,
    whole_file,
    write_record,
    write_whole,
)
from avatar.stages.generate.photo import load_photo
from avatar.stages.generate.picture_file import has_heif
from avatar.stages.sources.video import VideoSource
from tests.core.product import product
from tests.stages.generate.heic import make_heic
from tests.stages.sources.films import make_film

PARTS = st.lists(st.binary(max_size=50), max_size=5)


@given(old=st.none() | st.binary(max_size=50), parts=PARTS, fails_at=st.none() | st.integers(0, 5))
def test_a_file_is_written_whole_or_stays_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    old: bytes | None,
    parts: list[bytes],
    fails_at: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("files")
    path = folder / "file.bin"
    if old is not None:
        path.write_bytes(old)
    try:
        with whole_file(path) as part, part.open("wb") as file:
            for k, data in enumerate(parts):
                if k == fails_at:
                    raise KeyboardInterrupt
                file.write(data)
            if fails_at == len(parts):
                raise OSError("disk full")
        kept = b"".join(parts)
    except (KeyboardInterrupt, OSError):
        kept = old
    assert (path.read_bytes() if path.exists() else None) == kept
    assert [file.name for file in folder.iterdir()] == ([] if kept is None else ["file.bin"])


@pytest.mark.parametrize("flush", [False, True])
def test_nobody_sees_half_a_file(tmp_path: Path, flush: bool) -> None:
    path = tmp_path / "file"
    contents = {letter * 100_000 for letter in "abc"}
    write_whole(path, "a" * 100_000)
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(20):
        for text in sorted(contents):
            write_whole(path, text, flush=flush)
    over.set()
    reader.join()
    assert seen <= contents


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_only_the_owner_may_read_unless_said_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old, and for all")
    path.chmod(0o644)
    write_whole(path, "mine")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = os.umask(0o027)
    try:
        write_whole(path, "ours", mode=PUBLIC)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_text_is_utf_8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_whole(tmp_path / "text", "Zoë\n")
    assert (tmp_path / "text").read_bytes() == b"Zo\xc3\xab\n"


@pytest.mark.parametrize("name", ["x" * 250, "ö" * 120, "[a]*?", "a b.tar.gz"])
def test_any_name_a_disk_takes_is_written_and_its_left_overs_are_known(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    with whole_file(path) as part:
        assert left_overs(path) == [part]
        assert part.name.startswith(".")
        assert left_overs(tmp_path / "other") == []
    assert left_overs(path) == []
    assert path.exists()


def test_a_muxer_may_write_by_the_path(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with whole_file(path) as part, av.open(str(part), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        out.mux(stream.encode())
    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 1


def test_where_nothing_can_be_written_the_error_is_the_disks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "file", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "folder", "")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_is_staged_goes_and_what_was_abandoned_too(tmp_path: Path) -> None:
    for name, age_days in ((".adding-old", 2), (".removing-old", 2), (".adding-new", 0)):
        (tmp_path / name).mkdir()
        then = (tmp_path / name).stat().st_mtime - age_days * 86_400
        os.utime(tmp_path / name, (then, then))
    with staging(tmp_path) as folder:
        (folder / "made").mkdir()
        (folder / "made" / "file").write_text("whole")
        (folder / "rest").write_text("not wanted")
        move(folder / "made", tmp_path / "place")
    assert {path.name for path in tmp_path.iterdir()} == {".adding-new", "place"}
    remove_folder(tmp_path / "place")
    assert {path.name for path in tmp_path.iterdir()} == {".adding-new"}


class Thing(BaseModel):
    model_config = ConfigDict(strict=True)

    schema_version: Literal[1, 2]
    name: str = Field(max_length=20)
    point: tuple[float, float] = (0.0, 0.0)


@given(name=st.text(max_size=20), x=st.floats(allow_nan=False, allow_infinity=False))
def test_a_record_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, name: str, x: float
) -> None:
    path = tmp_path_factory.mktemp("records") / "thing.json"
    thing = Thing(schema_version=2, name=name, point=(x, -x))
    write_record(path, thing)
    assert read_record(path, Thing, UsageError, "") == thing
    assert path.stat().st_mode & 0o077 == 0 or os.name == "nt"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is broken: not valid JSON"),
        ("{", "is broken: not valid JSON"),
        ("\udcff", "is broken: not valid JSON"),
        ("[]", "is broken"),
        ("3", "is broken"),
        ("[" * 100_000, "is broken: (nested too deeply|not valid JSON)"),
        ("9" * 5000, "is broken"),
        ('{"schema_version": 1}', "is broken: name: Field required"),
        ('{"schema_version": 1, "name": 3}', "is broken: name"),
        ('{"schema_version": 0, "name": "a"}', "is broken: schema_version"),
        ('{"schema_version": "3", "name": "a"}', "is broken: schema_version"),
        ('{"schema_version": 1, "name": "a", "point": [1]}', r"is broken: point\.1"),
        ('{"schema_version": 3, "anything": []}', r"newer program \(schema 3, program unknown\)"),
        (
            '{"schema_version": 9, "program_version": "7.1"}',
            r"newer program \(schema 9, program 7\.1\); this one, \S+, reads schema 2\. Update",
        ),
    ],
)
def test_a_record_that_is_of_no_use_says_why_and_what_to_do(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SinkError, match=rf"thing\.json.*{said}(.|\n)*Make it again\.$"):
        read_record(path, Thing, SinkError, "Make it again.")


def test_no_record_is_none_and_an_unreadable_one_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    assert read_record(tmp_path / "none", Thing, UsageError, "") is None
    assert read_record(tmp_path / "file" / "none", Thing, UsageError, "") is None
    with pytest.raises(UsageError, match=r"folder cannot be read: .*\. Or: Look at it"):
        read_record(tmp_path / "folder", Thing, UsageError, "Look at it")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.binary(max_size=40) | JSON.map(json.dumps) | st.fixed_dictionaries(
    {"schema_version": st.integers(-3, 5)}, optional={"name": JSON, "point": JSON}
).map(json.dumps))  # fmt: skip
def test_whatever_a_record_holds_it_is_taken_or_refused(data: bytes | str) -> None:
    try:
        assert parse_record(data, Thing).schema_version in (1, 2)
    except NewerRecordError as error:
        assert json.loads(data)["schema_version"] > 2, error
    except UnfitRecordError as error:
        assert str(error)


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(OSError):
        file_sha256(tmp_path / "none")


# What else than FFmpeg's own choice by the name makes a film of this kind.
MADE_OF = {
    ".m4v": ("mp4", "libx264"), ".webm": ("webm", "libvpx"), ".mpg": ("mpeg", "mpeg2video"),
    ".mpeg": ("mpeg", "mpeg1video"), ".mts": ("mpegts", "libx264"), ".wmv": ("asf", "wmv2"),
    ".m2ts": ("mpegts", "libx264"), ".ogv": ("ogg", "libvpx"), ".flv": ("flv", "flv"),
    ".3gp": ("3gp", "h263"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", FILM_SUFFIXES)
def test_every_film_can_be_read(tmp_path: Path, suffix: str) -> None:
    form, codec = MADE_OF.get(suffix, (None, "libx264"))
    path = make_film(tmp_path / f"film{suffix}", codec=codec, size_px=(176, 144), form=form)
    with VideoSource(str(path), (64, 48), ManualClock(), loop=False) as film:
        assert film.read() is not None


@pytest.mark.parametrize("suffix", PICTURE_SUFFIXES)
def test_every_picture_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    if suffix in (".heic", ".heif"):
        if not has_heif():
            pytest.skip("pi-heif is not installed here")
        make_heic(path, np.full((64, 80, 3), 120, np.uint8))
        assert load_photo(path).shape == (64, 80, 3)
        return
    Image.new("RGB", (8, 6), (200, 100, 50)).save(path)
    assert load_photo(path).shape == (6, 8, 3)


def test_films_and_pictures_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("b.MP4", "a.m4v", ".hidden.mp4", "c.JPG", "d.png", "._d.png", "e.txt", "mp4"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in films_in(tmp_path)] == ["a.m4v", "b.MP4"]
    assert [path.name for path in pictures_in(tmp_path)] == ["c.JPG", "d.png"]
    assert not set(FILM_SUFFIXES) & set(PICTURE_SUFFIXES)
    with pytest.raises(OSError):
        films_in(tmp_path / "none")


HOME = "avatar.core.files"
OWN = {"mkstemp", "NamedTemporaryFile", "file_digest", "a path's replace"}


def name_of(node: ast.AST) -> str:
    """What a piece of source names."""
    match node:
        # Of one argument, these are a path's; a text's has two.
        case (
            ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="replace" | "rename"))
            | ast.Call(func=ast.Attribute(attr="replace" | "rename"), args=[_], keywords=[])
        ):
            return "a path's replace"
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name
    return ""


def suffixes_in(node: ast.AST) -> int:
    """How many kinds of films or of pictures a list in the source holds."""
    if not isinstance(node, ast.Tuple | ast.List | ast.Set):
        return 0
    values = {item.value for item in node.elts if isinstance(item, ast.Constant)}
    return max(len(values & set(FILM_SUFFIXES)), len(values & set(PICTURE_SUFFIXES)))


def test_files_have_one_home() -> None:
    """Temporary folders are no files, and a film's format of one file is no list."""
    writers, listers = set(), set()
    for name, text in product():
        for node in ast.walk(ast.parse(text)):
            if name_of(node) in OWN:
                writers.add(name)
            if suffixes_in(node) > 2:
                listers.add(name)
    assert writers == {HOME, "avatar.core.outputs"}
    assert listers == {HOME}


def test_a_tilde_is_home_unless_a_file_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("USERPROFILE", "/home/somebody")
    assert expanded("~/a.jpg") == Path("/home/somebody/a.jpg")
    assert expanded("~nobody-called-so.jpg") == Path("~nobody-called-so.jpg")
    (tmp_path / "~me.jpg").touch()
    assert expanded("~me.jpg") == Path("~me.jpg")


def test_without_a_home_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_says_it(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nothing_says_it)
    with pytest.raises(UsageError, match="Set HOME"):
        expanded("~/a.jpg")


def test_pictures_and_films_in_a_folder_are_told_apart(tmp_path: Path) -> None:
    begins = {
        "IMG_1.HEIC": b"", "a.jfif": b"", "b.avif": b"", "c.JPG": b"",
        "no ending": b"\xff\xd8\xff\xe0",
        "d.dat": b"\x89PNG\r\n\x1a\n", "e.bin": b"\0\0\0\x18ftypheic", "f": b"RIFF\0\0\0\0WEBP",
        "g.mp4": b"\0\0\0\x18ftypmp42", "h.MTS": b"", "i.m4v": b"", "j.txt": b"hello",
        ".k.jpg": b"",
        "l": b"\0\0\0\x18ftypmp42", "m": b"",
    }  # fmt: skip
    for name, head in begins.items():
        (tmp_path / name).write_bytes(head)
    (tmp_path / "folder").mkdir()
    assert [path.name for path in pictures_in(tmp_path)] == [
        "IMG_1.HEIC", "a.jfif", "b.avif", "c.JPG", "d.dat", "e.bin", "f", "no ending",
    ]  # fmt: skip
    assert [path.name for path in films_in(tmp_path)] == ["g.mp4", "h.MTS", "i.m4v"]


def test_what_lies_at_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for name, kind in (("file", "file"), ("", "folder"), ("none", "nothing"),
                       ("a" * 300, "nothing"), ("a\0b", "nothing"),
                       ("file/x", "nothing")):  # fmt: skip
        assert kind_of(tmp_path / name) == kind

    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(UsageError, match="may not be looked at"):
        kind_of(tmp_path / "file")
