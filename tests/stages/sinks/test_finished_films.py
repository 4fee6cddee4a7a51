"""A finished film never suffers, and what was cut plays or is gone: MP4, MOV and WebM alike."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avatar.core.errors import SinkLostError, SinkUnavailableError, UsageError
from avatar.core.frames import GeneratedFrame, Presence
from avatar.stages.label import VisibleLabel, file_metadata
from avatar.stages.sinks import unfinished
from avatar.stages.sinks.alpha_film import ALPHA_SUFFIXES, AlphaFilmWriter
from avatar.stages.sinks.file import FileSink
from avatar.stages.sinks.film_sound import find_sound
from avatar.stages.sinks.mp4 import Mp4Writer
from tests.stages.sources.films import make_sound

SIZE = (160, 120)
TAGS = file_metadata("test", "id-1")
KINDS = (".mp4", *ALPHA_SUFFIXES)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
kinds = pytest.mark.parametrize("kind", KINDS)


def writer_at(path: Path, **options: Any) -> Mp4Writer:
    make = AlphaFilmWriter if path.suffix in ALPHA_SUFFIXES else Mp4Writer
    return make(path, SIZE, 30, TAGS, **options)


def noise(k: int) -> Any:
    """Return a picture that no encoder makes small."""
    return np.random.default_rng(k).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def fill(writer: Mp4Writer, frames: int) -> None:
    for k in range(frames):
        writer.write_rgb(noise(k))


def shown(path: Path) -> int:
    """Return how many pictures a file shows, which is marked."""
    count = 0
    with av.open(str(path)) as film:
        assert json.loads(film.metadata["AIGC"])["Label"] == "1"
        try:
            for _ in film.decode(video=0):
                count += 1
        except av.error.FFmpegError:
            pass  # the cut itself
    return count


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@kinds
def test_the_old_film_stays_until_the_new_one_is_whole(tmp_path: Path, kind: str) -> None:
    goal = tmp_path / f"talk{kind}"
    goal.write_bytes(b"precious")
    goal.chmod(0o640)
    with writer_at(goal, overwrite=True) as writer:
        fill(writer, 90)
        assert goal.read_bytes() == b"precious"
        assert shown(tmp_path / f"talk.part{kind}") > 20
    assert names(tmp_path) == [goal.name]
    assert shown(goal) == 90
    assert goal.stat().st_mode & 0o777 == 0o640


@kinds
def test_a_film_that_ends_before_its_time_lies_beside_the_old_one(
    tmp_path: Path, kind: str
) -> None:
    goal = tmp_path / f"talk{kind}"
    goal.write_bytes(b"precious")
    writer = writer_at(goal, overwrite=True)
    with pytest.raises(ZeroDivisionError), writer:
        fill(writer, 60)
        raise ZeroDivisionError
    assert goal.read_bytes() == b"precious"
    assert writer.path == tmp_path / f"talk.part{kind}"
    assert shown(writer.path) == 60


@kinds
def test_a_film_that_ends_before_its_time_is_seekable_where_there_is_no_older(
    tmp_path: Path, kind: str
) -> None:
    goal = tmp_path / f"talk{kind}"
    with pytest.raises(ZeroDivisionError), writer_at(goal) as writer:
        fill(writer, 20)
        raise ZeroDivisionError
    assert names(tmp_path) == [goal.name]
    assert shown(goal) == 20
    assert is_seekable(goal)


def test_a_film_that_cannot_take_its_name_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(unfinished, "put_in_place", refuse)
    goal = tmp_path / "talk.mp4"
    left = r"may not write .* It is .*talk\.part\.mp4"
    with pytest.raises(SinkLostError, match=left), writer_at(goal) as writer:
        fill(writer, 20)
    assert names(tmp_path) == ["talk.part.mp4"]
    assert shown(tmp_path / "talk.part.mp4") == 20


@kinds
def test_a_finished_film_is_seekable_and_shows_what_its_pieces_showed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = make_sound(tmp_path / "sound.mp4")
    pieces, goal = tmp_path / f"pieces{kind}", tmp_path / f"talk{kind}"
    with monkeypatch.context() as without:
        without.setattr(unfinished, "remuxed", lambda *_: False)
        write_with_sound(pieces, sound)
    write_with_sound(goal, sound)
    assert not is_seekable(pieces)
    assert is_seekable(goal)
    assert content(goal) == content(pieces)
    assert set(names(tmp_path)) == {"sound.mp4", pieces.name, goal.name}


def write_with_sound(path: Path, sound: Path) -> None:
    writer = writer_at(path)
    found = find_sound(sound)
    assert found is not None
    writer.take_sound(found)
    with writer:
        fill(writer, 25)


def content(path: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """Return times and bytes of the pictures, times of the sound, and what streams say."""
    with av.open(str(path)) as film:
        about = [
            (s.type, s.codec_context.name, s.codec_context.codec_tag,
             {key.lower(): text for key, text in s.metadata.items()}.get("alpha_mode"),
             s.average_rate if s.type == "video" else s.codec_context.sample_rate)
            for s in film.streams
        ]  # fmt: skip
    with av.open(str(path)) as film:
        pictures = [
            (float(f.time), f.color_range, f.colorspace, b"".join(map(bytes, f.planes)))
            for f in film.decode(video=0)
        ]
    with av.open(str(path)) as film:
        heard = [round(float(f.time), 3) for f in film.decode(audio=0)]
    return pictures, heard, about


def is_seekable(path: Path) -> bool:
    """Return whether the index of all frames is known from the file's beginning."""
    data = path.read_bytes()
    if path.suffix == ".webm":
        return bytes.fromhex("1C53BB6B") in data  # Cues: the Matroska specification
    with av.open(str(path)) as film:
        known = film.streams.video[0].frames
    return 0 <= data.find(b"moov") < data.find(b"mdat") and b"moof" not in data and known > 0


CHILD = """
import sys
from pathlib import Path
from tests.stages.sinks.test_finished_films import fill, writer_at
with writer_at(Path(sys.argv[1]), overwrite=True) as writer:
    fill(writer, int(sys.argv[2]))
    print("written", flush=True)
    sys.stdin.read()
"""


def child(program: str, *given: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, given)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def said_by(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode()


@LINUX
@kinds
@pytest.mark.parametrize("frames", [0, 1, 90])
def test_a_killed_film_plays_or_is_gone_and_the_next_one_says_so(
    tmp_path: Path, kind: str, frames: int
) -> None:
    goal = tmp_path / f"talk{kind}"
    goal.write_bytes(b"precious")
    with child(CHILD, goal, frames) as killed:
        assert said_by(killed) == "written\n"
        killed.kill()
    assert goal.read_bytes() == b"precious"
    part = tmp_path / f"talk.part{kind}"
    assert names(tmp_path) == sorted([goal.name, *([part.name] if frames > 1 else [])])
    said: list[str] = []
    with writer_at(goal, overwrite=True, say=said.append) as writer:
        fill(writer, 60)
        assert [str(part) in line for line in said] == ([True] if frames > 1 else [])
    if frames > 1:
        assert shown(part) >= 40
    assert shown(goal) == 60


@LINUX
@kinds
def test_two_writers_of_one_film_are_refused_under_any_spelling(tmp_path: Path, kind: str) -> None:
    goal = tmp_path / f"talk{kind}"
    (tmp_path / "folder").symlink_to(tmp_path)
    link = tmp_path / f"link{kind}"
    link.symlink_to(goal.name)
    spellings = [goal, tmp_path / "." / ".." / tmp_path.name / goal.name,
                 tmp_path / "folder" / goal.name, link]  # fmt: skip
    with child(CHILD, goal, 40) as other:
        said_by(other)
        for path in spellings:
            with pytest.raises(UsageError, match="being written"), writer_at(path, overwrite=True):
                pass
        assert other.stdin is not None
        other.stdin.close()
        other.wait()
    with writer_at(link, overwrite=True) as writer:
        for path in spellings:
            with pytest.raises(UsageError, match="being written"), writer_at(path, overwrite=True):
                pass
        fill(writer, 5)
    assert link.is_symlink()
    assert shown(goal) == 5


@kinds
def test_what_somebody_else_put_there_meanwhile_stays(tmp_path: Path, kind: str) -> None:
    goal = tmp_path / f"talk{kind}"
    said: list[str] = []
    with writer_at(goal, say=said.append) as writer:
        fill(writer, 5)
        goal.write_bytes(b"theirs")
    assert goal.read_bytes() == b"theirs"
    assert writer.path == tmp_path / f"talk-2{kind}"
    assert shown(writer.path) == 5
    assert str(writer.path) in said[0]


LIMITED = """
import resource, sys
from pathlib import Path
from avatar.core.errors import SinkLostError
from tests.stages.sinks.test_finished_films import fill, writer_at
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
writer = writer_at(Path(sys.argv[1]), overwrite=True)
try:
    with writer:
        fill(writer, 400)
except SinkLostError as error:
    print(error)
print(writer.path)
"""


@LINUX
@kinds
@pytest.mark.parametrize("old", [False, True])
def test_a_film_that_the_disk_cut_plays_and_is_said(tmp_path: Path, kind: str, old: bool) -> None:
    goal = tmp_path / f"talk{kind}"
    if old:
        goal.write_bytes(b"precious")
    with child(LIMITED, goal, 9_000_000 if kind == ".mov" else 1_500_000) as cut:
        out, trouble = cut.communicate()
    said, place = out.decode().splitlines()
    assert not trouble
    assert "largest size" in said
    assert said.endswith(place)
    assert Path(place) == (tmp_path / f"talk.part{kind}" if old else goal)
    assert shown(Path(place)) > 10
    assert len(names(tmp_path)) == 1 + old


@LINUX
@kinds
def test_what_the_disk_cut_before_its_first_piece_is_gone_and_said(
    tmp_path: Path, kind: str
) -> None:
    with child(LIMITED, tmp_path / f"talk{kind}", 20_000) as cut:
        out, trouble = cut.communicate()
    assert not trouble
    assert "Nothing of it is kept" in out.decode()
    assert names(tmp_path) == []


SMALL = """
import sys
from pathlib import Path
from tests.stages.sinks.test_finished_films import fill, is_seekable, shown, writer_at
goal = Path(sys.argv[1]) / ("talk" + sys.argv[2])
with writer_at(goal) as writer:
    fill(writer, 60)
print(shown(goal), is_seekable(goal), len(list(goal.parent.iterdir())))
"""


@LINUX
@kinds
def test_without_room_for_a_seekable_copy_the_pieces_are_the_film(
    tmp_path: Path, kind: str
) -> None:
    size = "10m" if kind == ".mov" else "1800k"
    shell = f'mount -t tmpfs -o size={size} none "$1" && exec "$2" -c "$3" "$1" "$4"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", shell, "sh", str(tmp_path), sys.executable, SMALL, kind],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no small disk of its own: {done.stderr.strip()}")
    assert done.stdout == "60 False 1\n", done.stderr


@LINUX
@pytest.mark.parametrize("how", ["pipe", "device"])
def test_pipes_and_devices_are_no_films(tmp_path: Path, how: str) -> None:
    goal = tmp_path / "a.mp4"
    if how == "pipe":
        os.mkfifo(goal)
    else:
        goal.symlink_to("/dev/null")
    with pytest.raises(SinkUnavailableError, match="a pipe or a device"):
        writer_at(goal, overwrite=True).__enter__()


@pytest.mark.parametrize("length", [250, 255])
def test_the_longest_names_are_films_too(tmp_path: Path, length: int) -> None:
    goal = tmp_path / ("ü" * 120 + "x" * (length - 244) + ".mp4")
    with writer_at(goal) as writer:
        fill(writer, 40)
    assert names(tmp_path) == [goal.name]


def test_a_recording_whose_file_was_deleted_is_lost(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "a.mp4", size_px=SIZE, fps=30, metadata=TAGS)
    label = VisibleLabel()
    with pytest.raises(SinkLostError, match=r"a\.part\.mp4 was moved or deleted"), sink:
        for k in range(40):
            frame = GeneratedFrame(noise(k), k * 33_333_333, k, Presence.TRACKED)
            sink.write(label.label(frame))
        (tmp_path / "a.part.mp4").unlink()
    assert names(tmp_path) == []


@LINUX
def test_a_signal_does_not_leave_a_claim(tmp_path: Path) -> None:
    with child(CHILD, tmp_path / "a.mp4", 1) as other:
        said_by(other)
        other.send_signal(signal.SIGKILL)
    with writer_at(tmp_path / "a.mp4") as writer:
        fill(writer, 1)
    assert shown(tmp_path / "a.mp4") == 1
