"""Fetching a set: licence first, each file installed when it is good, nothing half-written used."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from avatar.app import models as command
from avatar.core.errors import EngineError, UsageError
from avatar.core.home import Home
from avatar.library.models import store
from avatar.library.models.catalog import Entry, PublishedFile
from avatar.library.models.download import Patience
from tests import ROOT
from tests.library.models.conftest import (
    EYE,
    FEATURES,
    FEATURES_FILE,
    LIP,
    RETARGETING_FILE,
    SHOULDER,
    entry,
)
from tests.library.models.hub import Answer, Hub, dies_after, sends, stalls_after

PATIENT = Patience(timeout_s=30, attempts=1, pause=lambda _s: None)


@pytest.fixture
def small_set(hub: Hub, checkpoints: Path) -> Entry:
    """A set whose two files the Hub has."""
    files = []
    for name in (FEATURES_FILE, RETARGETING_FILE):
        content = (checkpoints / name).read_bytes()
        hub.files[f"base/{name}"] = content
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(PublishedFile(f"base/{name}", len(content), sha256))
    return entry(*files)


def root() -> Path:
    return Home.of_user().models


def refuse(_question: str) -> str:
    raise AssertionError("nobody is asked")


def pull(wanted: Entry, *, accept: bool = True, ask: Callable[[str], str] = refuse) -> int:
    return command.pull_entry(wanted, root(), accept_licence=accept, patience=PATIENT, ask=ask)


def folder_of(wanted: Entry) -> Path:
    return store.entry_folder(root(), wanted)


def test_a_set_is_fetched_and_installed(
    hub: Hub, small_set: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(small_set) == 0
    folder = folder_of(small_set)
    states = store.installed_states(folder)
    assert {name: path.name for name, path in states.items()} == {
        FEATURES: FEATURES_FILE,
        SHOULDER: RETARGETING_FILE,
        LIP: RETARGETING_FILE,
        EYE: RETARGETING_FILE,
    }
    for name in (FEATURES_FILE, RETARGETING_FILE):
        assert (folder / name).read_bytes() == hub.files[f"base/{name}"]
    told = capsys.readouterr().err
    assert "Test-1.0" in told
    assert "https://licence.invalid" in told
    assert "is complete" in told


def test_what_is_here_is_not_fetched_again(hub: Hub, small_set: Entry) -> None:
    pull(small_set)
    (folder_of(small_set) / RETARGETING_FILE).unlink()
    hub.asked.clear()
    pull(small_set, accept=False)  # the licence was accepted before
    assert {Path(asked.path).name for asked in hub.asked} == {RETARGETING_FILE}
    hub.asked.clear()
    pull(small_set)
    assert hub.asked == []


def test_a_file_that_verify_finds_bad_is_fetched_again(
    hub: Hub, small_set: Entry, checkpoints: Path
) -> None:
    pull(small_set)
    path = folder_of(small_set) / FEATURES_FILE
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert command.verify(root()) == 1
    hub.asked.clear()
    pull(small_set)
    assert {Path(asked.path).name for asked in hub.asked} == {FEATURES_FILE}
    assert path.read_bytes() == (checkpoints / FEATURES_FILE).read_bytes()


@pytest.mark.parametrize("answer", ["", "no\n", "y\n"])
def test_without_a_yes_nothing_is_asked_of_the_network(
    hub: Hub, small_set: Entry, models: Path, answer: str
) -> None:
    with pytest.raises(UsageError, match="was not accepted: nothing was installed"):
        pull(small_set, accept=False, ask=lambda _question: answer)
    assert hub.asked == []
    assert not models.exists()


def test_a_typed_yes_is_enough_and_is_kept(small_set: Entry) -> None:
    pull(small_set, accept=False, ask=lambda _question: "yes\n")
    record = store.read_record(folder_of(small_set))
    assert record is not None
    assert record.licence == "Test-1.0"


def test_each_file_is_installed_as_soon_as_it_is_good(hub: Hub, small_set: Entry) -> None:
    hub.faults[f"base/{RETARGETING_FILE}"] = [dies_after(1000)]
    with pytest.raises(EngineError, match="could not be fetched"):
        pull(small_set)
    folder = folder_of(small_set)
    assert set(store.installed_states(folder)) == {FEATURES}
    assert sorted(path.name for path in folder.iterdir()) == [FEATURES_FILE, "model.json"]
    hub.asked.clear()
    assert pull(small_set, accept=False) == 0
    assert hub.ranges() == ["bytes=1000-"]
    assert len(store.installed_states(folder)) == 4


def test_wrong_bytes_leave_nothing(hub: Hub, small_set: Entry, models: Path) -> None:
    name = f"base/{FEATURES_FILE}"
    hub.faults[name] = [sends(bytes(len(hub.files[name])))]
    with pytest.raises(EngineError, match="is not the expected file"):
        pull(small_set)
    left = [path for path in models.rglob("*") if path.is_file() and path.stat().st_size]
    assert left == []


def test_the_right_hash_of_the_wrong_thing_is_not_installed(
    hub: Hub, small_set: Entry, checkpoints: Path, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    state = torch.load(checkpoints / FEATURES_FILE, weights_only=True)
    torch.save({**state, "surplus.weight": torch.zeros(1)}, tmp_path / "surplus.pth")
    content = (tmp_path / "surplus.pth").read_bytes()
    hub.files[f"base/{FEATURES_FILE}"] = content
    sha256 = hashlib.sha256(content).hexdigest()
    wanted = entry(PublishedFile(f"base/{FEATURES_FILE}", len(content), sha256))
    with pytest.raises(EngineError, match=r"not expected: surplus\.weight"):
        pull(wanted)
    assert not folder_of(wanted).exists()


def test_offline_is_told_before_the_licence(
    hub: Hub, small_set: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EngineError, match="HF_HUB_OFFLINE is set"):
        pull(small_set, accept=False)
    assert hub.asked == []


def test_one_that_has_no_official_address_says_where_it_is() -> None:
    with pytest.raises(EngineError, match=r"first-order-model.*avatar models import FILE"):
        command.pull("fomm", root=root(), accept_licence=True)


# A whole process that pulls one file, and says how many bytes it has.
CHILD = """
import sys
from avatar.app import models as command
from avatar.library.models import download
from avatar.library.models.catalog import PublishedFile
from avatar.core.home import Home
from tests.library.models.conftest import entry

path, size, sha256 = sys.argv[1:]
file = PublishedFile(path, int(size), sha256)
command._bar = lambda bars, file: lambda have, size: print(have, flush=True)
root = Home.of_user().models
command.pull_entry(
    entry(file), root, accept_licence=True, patience=download.PATIENCE, ask=input
)
"""


def child(file: PublishedFile) -> subprocess.Popen[str]:
    arguments = [file.path, str(file.size_bytes), file.sha256]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_a_process_that_is_killed_leaves_nothing_usable_and_nothing_lost(
    hub: Hub, small_set: Entry
) -> None:
    file = small_set.files[0]
    half = file.size_bytes // 2
    hub.faults[file.path] = [stalls_after(half)]
    with child(file) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == half:
                process.kill()
    assert store.read_record(folder_of(small_set)) is None
    with pytest.raises(EngineError, match="are not installed"):
        store.model_folder(root(), "liveportrait")
    hub.asked.clear()
    assert pull(small_set) == 0
    # What the system had not been given yet of the last piece comes again.
    first = hub.ranges()[0]
    assert first.startswith("bytes=")
    assert 0 < int(first[6:-1]) <= half


def test_two_processes_fetch_a_file_once(
    hub: Hub, small_set: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = threading.Event(), threading.Event()

    def waits(answer: Answer) -> None:
        reached.set()
        go.wait()
        answer.honest()

    def said(line: str) -> None:
        if "another process fetches" in line:
            go.set()

    file = small_set.files[0]
    hub.faults[file.path] = [waits]
    monkeypatch.setattr(command, "say", said)
    with child(file) as process:
        try:
            assert reached.wait(60), "the other process asks the Hub"
            assert pull(entry(file)) == 0
        finally:
            go.set()
        process.communicate()
    assert process.returncode == 0
    assert hub.ranges() == [""]
