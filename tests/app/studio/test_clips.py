"""The room Clips: made aside, cancelled at once, other files left alone, errors in plain words."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avatar.app.studio import clips
from avatar.app.studio.aside import Aside, AsideError
from avatar.app.studio.clips import ClipRoom
from avatar.app.studio.gallery import Gallery
from avatar.core.clock import MonotonicClock
from avatar.core.errors import AvatarError, UsageError
from avatar.core.home import Home
from avatar.core.messages import Message, for_json, words_of
from tests.waiting import wait_until

SHORT: dict[str, Any] = {
    "photos": ["builtin"], "music": "hop", "template": "nod", "shape": "1:1", "end": 0.5,
}  # fmt: skip
PATIENCE_S = 120.0


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def room(home: Home, said: list[str]) -> Iterator[ClipRoom]:
    gallery = Gallery(home, ("builtin",), None, lambda line: None)
    room = ClipRoom(home, gallery, lambda: ("AI", "top-right"), MonotonicClock(), said.append)
    yield room
    room.close()


def song(path: Path, seconds: float, hz: float, bpm: float = 0.0) -> Path:
    """Write a tone, or clicks at a tempo."""
    t = np.arange(int(seconds * 22_050)) / 22_050
    sound = 0.4 * np.sin(2 * np.pi * hz * t)
    if bpm:
        sound *= np.exp(-30 * (t % (60 / bpm)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.writeframes((sound * 32_767).astype("<i2").tobytes())
    return path


def ended(room: ClipRoom) -> dict[str, Any]:
    def is_over() -> bool:
        job = room.job()
        return job is not None and job["state"] not in ("running", "stopping")

    wait_until(is_over, "the clip's end", PATIENCE_S)
    job = room.job()
    assert job is not None
    return job


def test_a_clip_is_made_aside_and_can_be_had_and_deleted(
    room: ClipRoom, said: list[str], home: Home
) -> None:
    assert room.job() is None
    room.make(SHORT)
    with pytest.raises(UsageError, match="a clip is being made"):
        room.make(SHORT)
    job = ended(room)
    assert job == {
        "state": "done", "name": "nod-1.mp4", "share": 1.0, "left_s": None, "problem": "",
    }  # fmt: skip
    assert said == ["the clip nod-1.mp4 is finished"]
    path, kind = room.film("nod-1.mp4")
    assert kind == "video/mp4" and path.parent == home.films / "clips"
    with av.open(str(path)) as film:
        assert "AIGC" in film.metadata and film.streams.audio
        assert sum(1 for _ in film.decode(video=0)) == 15
    room.make(SHORT | {"kind": "gif"})
    assert ended(room)["name"] == "nod-1.gif"
    assert {clip["name"] for clip in room.describe()["clips"]} == {"nod-1.mp4", "nod-1.gif"}
    room.delete("nod-1.mp4")
    assert [clip["name"] for clip in room.describe()["clips"]] == ["nod-1.gif"]


def test_a_cancelled_clip_leaves_nothing(room: ClipRoom, home: Home) -> None:
    room.make(SHORT | {"end": 60})
    wait_until(lambda: (room.job() or {})["share"] > 0, "the first picture", PATIENCE_S)
    job = room.job()
    assert job is not None and job["state"] == "running"
    room.cancel()
    assert ended(room)["state"] == "cancelled"
    assert list((home.films / "clips").iterdir()) == []
    room.make(SHORT)
    assert ended(room)["state"] == "done", "another one can be made"


def test_a_process_that_dies_is_told_in_words(room: ClipRoom, home: Home) -> None:
    aside = Aside("beats", home, request={"photos": ["builtin"]} | {"music": "hop"}, names={})
    aside._child.kill()
    with pytest.raises(AsideError, match="ended at once"):
        aside.wait()


def test_the_child_runs_behind_every_other_program(home: Home) -> None:
    aside = Aside("clip", home, names={}, request={k: v for k, v in SHORT.items() if k != "end"}
                  | {"out": str(home.films / "never.mp4"), "end": 60.0})  # fmt: skip
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    wait_until(
        lambda: os.getpriority(os.PRIO_PROCESS, aside._child.pid) > niceness or niceness >= 19,
        "its low priority",
        PATIENCE_S,
    )
    aside.stop()
    assert aside.wait() == {"whole": False}


def test_a_songs_beats_are_drawn(room: ClipRoom, tmp_path: Path) -> None:
    found = room.beats({"music": "hop", "template": "hey"})
    assert found["bpm"] == 120 and found["beats"][:3] == [0, 0.5, 1] and found["bars"][1] == 2
    assert max(found["peaks"]) == 1 and found["clip_s"] == pytest.approx(8)
    key = room.add_song(song(tmp_path / "up", 12, 900, bpm=100), "My song.wav")
    found = room.beats({"music": key, "template": "hey", "start": 2.0, "end": 8.0})
    assert found["bpm"] == pytest.approx(100, abs=1)
    assert found["clip_s"] == found["heard_s"] == pytest.approx(6, abs=0.1)
    assert room.describe()["songs"] == [{"id": key, "name": "My song.wav"}]


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("photo.jpg", lambda p: p.write_bytes(b"\xff\xd8\xff\xe0" + bytes(500)), "musi"),
        ("list.m3u8", lambda p: p.write_text("#EXTM3U\nfile:///etc/passwd\n"), "musi"),
        ("nothing.wav", lambda p: p.write_bytes(b""), "musi"),
        ("quiet.wav", lambda p: song(p, 6, 0), "silence"),
        ("tone.wav", lambda p: song(p, 10, 300), "no beat was found"),
    ],
)
def test_bad_songs_are_refused_in_words_for_a_page(
    room: ClipRoom, tmp_path: Path, name: str, make: Callable[[Path], object], expected: str
) -> None:
    path = tmp_path / "upload"
    make(path)
    key = room.add_song(path, name)
    with pytest.raises(AvatarError, match=expected) as caught:
        room.beats({"music": key, "template": "hey"})
    words = words_of(caught.value)
    assert isinstance(words, Message), "it has a key, by which it is said in other languages"
    assert "--" not in words and "webcam-avatar" not in words, words
    assert "--" not in str(for_json(words))
    if expected == "no beat was found":
        found = room.beats({"music": key, "template": "hey", "bpm": 90.0})
        assert found["bpm"] == 90


def test_only_the_newest_songs_are_kept(
    room: ClipRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "_MOST_SONGS", 2)
    keys = [room.add_song(song(tmp_path / str(n), 1, 300), f"{n}.wav") for n in range(3)]
    assert [one["name"] for one in room.describe()["songs"]] == ["1.wav", "2.wav"]
    with pytest.raises(UsageError, match="add it again"):
        room.beats({"music": keys[0], "template": "hey"})
    kept = Path(room._kept.name)
    assert len(list(kept.iterdir())) == 2 and kept.stat().st_mode & 0o077 == 0
    room.close()
    assert not kept.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"photos": []}, {"photos": ["builtin"] * 10}, {"photos": "builtin"},
        {"photos": ["/etc/passwd"]}, {"template": "/etc/passwd"}, {"template": "../hey"},
        {"music": "/etc/passwd"}, {"music": "song:9"}, {"kind": "exe"}, {"kind": "../mp4"},
    ],
)  # fmt: skip
def test_a_page_names_no_files(room: ClipRoom, home: Home, values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        room.make(SHORT | values)
    assert room.job() is None


@pytest.mark.parametrize("name", ["../../data/x", "nod-1.part.mp4", "/etc/passwd", "a.txt", ""])
def test_only_finished_clips_are_had_or_deleted(room: ClipRoom, home: Home, name: str) -> None:
    folder = home.films / "clips"
    folder.mkdir(parents=True)
    for there in ("nod-1.part.mp4", "a.txt"):
        (folder / there).write_bytes(b"x")
    with pytest.raises(UsageError, match="is not there"):
        room.delete(name)
    assert len(list(folder.iterdir())) == 2


def test_previews_are_made_once_and_kept(room: ClipRoom, home: Home) -> None:
    """The user's own template, too; one that is broken is shown with its fault."""
    own = home.data / "templates"
    own.mkdir(parents=True)
    (own / "broken.toml").write_text("beats = ", "utf-8")
    templates = {one["name"]: one for one in room.describe()["templates"]}
    assert templates["broken"]["fault"] and not templates["hey"]["fault"]
    assert len(templates) >= 12
    with pytest.raises(UsageError, match="one of the templates shown"):
        room.preview("../hey", "png")
