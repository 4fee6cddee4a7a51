"""Recordings that are finished, listed, sent and shown in their folder; choosing a microphone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar.app.studio import microphones, recordings
from avatar.app.studio.recordings import Recordings
from avatar.core.errors import MissingDependencyError, UsageError
from avatar.core.home import Home
from avatar.stages.sound.devices import SoundDevice
from tests.app.studio.test_runtime import Bench
from tests.waiting import wait_until


@pytest.fixture
def bench(home: Home) -> Iterator[Bench]:
    bench = Bench(home)
    yield bench
    bench.studio.close()


def films(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"avatar {number}.mp4"
        path.write_bytes(b"x" * number)
        os.utime(path, (1000 + number, 1000 + number))


def test_the_newest_finished_ones_are_listed(tmp_path: Path) -> None:
    found = Recordings(tmp_path / "films")
    assert found.newest() == []
    films(tmp_path / "films", 8)
    for unfinished in (".avatar 9.mp4-1.part", "avatar 9.part.mp4", "avatar 9.part-2.mp4"):
        (tmp_path / "films" / unfinished).write_bytes(b"x")
    (tmp_path / "films" / "notes.txt").write_bytes(b"x")
    names = [one["name"] for one in found.newest()]
    assert names == [f"avatar {n}.mp4" for n in (7, 6, 5, 4, 3)]
    assert found.newest()[0]["bytes"] == 7


@pytest.mark.parametrize("name", ["../secret.mp4", "/etc/passwd", "avatar 0.mp4", "", "notes.txt"])
def test_nothing_else_is_sent(tmp_path: Path, name: str) -> None:
    films(tmp_path / "films", 8)
    (tmp_path / "secret.mp4").write_bytes(b"x")
    with pytest.raises(UsageError):
        Recordings(tmp_path / "films").path(name)


def test_its_folder_is_shown_on_this_machines_screen_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films(tmp_path, 2)
    asked: list[list[str]] = []
    monkeypatch.setattr(recordings, "_has_file_manager", lambda: True)
    Recordings(tmp_path, run=asked.append).show("avatar 1.mp4")
    assert asked and str(tmp_path) in asked[0][-1]
    beyond = Recordings(tmp_path, is_reached_from_beyond=True, run=asked.append)
    with pytest.raises(UsageError, match="no window"):
        beyond.show("avatar 1.mp4")
    assert not beyond.can_show and len(asked) == 1

    def fails(command: list[str]) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(UsageError, match="could not be opened"):
        Recordings(tmp_path, run=fails).show("avatar 1.mp4")


def test_a_recording_that_was_switched_off_can_be_had(bench: Bench) -> None:
    bench.act("start")
    bench.act("output", id="file", on=True)
    path = Path(bench.output("file")["detail"])
    assert bench.state["recordings"] == []
    session = bench.studio._session
    assert session is not None
    wait_until(
        lambda: session.recorder.counts().get(f"delivered.file:{path}", 0) > 3, "frames in the film"
    )
    wait_until(lambda: any(path.parent.iterdir()), "the first piece of the film")
    assert bench.state["recordings"] == [], "it is still being written"
    bench.act("output", id="file", on=False)
    (listed,) = bench.state["recordings"]
    assert bench.studio.recording(listed["name"]) == path and listed["bytes"] > 100


MICROPHONES = [
    SoundDevice(0, "Built-in", 2, 0, 48_000, "alsa_input.pci"),
    SoundDevice(1, "Speaker", 0, 2, 48_000), SoundDevice(2, "USB", 1, 0, 48_000),
]  # fmt: skip


def test_a_microphone_can_be_chosen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.state["sound"] is False
    assert bench.option("mic")["choices"] == [None, "default"], "nobody has looked yet"
    monkeypatch.setattr(microphones, "list_sound", lambda: MICROPHONES)
    bench.act("look", what="microphones")
    mic = bench.option("mic")
    assert mic["choices"] == [None, "default", "alsa_input.pci", "2"]
    assert mic["names"] == {"default": "", "alsa_input.pci": "Built-in", "2": "USB"}
    bench.act("options", mic="2")
    assert bench.state["sound"] is True and bench.option("mic")["value"] == "2"
    monkeypatch.setattr(microphones, "list_sound", list)
    bench.act("look", what="microphones")
    assert bench.option("mic")["choices"] == [None, "default", "2"], "what is chosen stays listed"
    bench.act("options", mic=None)
    assert bench.state["sound"] is False


def test_without_the_systems_sound_there_is_no_microphone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> list[SoundDevice]:
        raise MissingDependencyError("no PortAudio")

    monkeypatch.setattr(microphones, "list_sound", missing)
    bench.act("look", what="microphones")
    assert bench.option("mic")["choices"] == [None, "default"]
