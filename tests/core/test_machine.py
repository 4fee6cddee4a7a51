"""Settings of the process are made by the first, undone by the last, and by nobody else."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from avatar.core import machine
from avatar.core.machine import (
    Machine,
    Shared,
    collect_garbage,
    ended_by_signals,
    environment,
    file_hash,
    frozen_garbage,
    keep_one_opencv_thread,
    native_stderr_silenced,
    one_blas_thread,
    one_opencv_thread,
    set_environment,
)
from tests import ROOT

PATIENCE_S = 10.0


class Thing:
    """Something that is opened and closed, and counts both."""

    def __init__(self) -> None:
        self.opened = self.closed = 0

    @contextmanager
    def make(self) -> Iterator[Thing]:
        self.opened += 1
        yield self
        self.closed += 1


# --- what is shared


def test_the_first_opens_and_the_last_closes() -> None:
    shared, thing = Shared[Thing](), Thing()
    with shared.use("a", thing.make) as one:
        with shared.use("a", thing.make) as other:
            assert one is other is thing
        assert (thing.opened, thing.closed) == (1, 0)
    assert (thing.opened, thing.closed) == (1, 1)
    with shared.use("a", thing.make):
        assert thing.opened == 2
    assert shared._held == {}


def test_another_key_is_another_thing() -> None:
    shared, one, other = Shared[Thing](), Thing(), Thing()
    with shared.use("a", one.make) as first, shared.use("b", other.make) as second:
        assert (first, second) == (one, other)


def test_what_cannot_be_made_is_tried_again_by_the_next() -> None:
    shared, thing = Shared[Thing](), Thing()

    @contextmanager
    def fails() -> Iterator[Thing]:
        raise OSError("not now")
        yield thing

    with pytest.raises(OSError, match="not now"), shared.use("a", fails):
        pass
    with shared.use("a", thing.make):
        assert thing.opened == 1


def test_what_cannot_be_closed_is_told_and_not_kept() -> None:
    shared, thing = Shared[Thing](), Thing()

    @contextmanager
    def fails() -> Iterator[Thing]:
        yield thing
        raise OSError("stuck")

    with pytest.raises(OSError, match="stuck"), shared.use("a", fails):
        pass
    with shared.use("a", thing.make):
        assert thing.opened == 1


def test_who_comes_while_it_is_made_waits_for_it() -> None:
    shared, thing = Shared[Thing](), Thing()
    begun, go, inside = threading.Event(), threading.Event(), threading.Barrier(2, timeout=10)

    @contextmanager
    def slow() -> Iterator[Thing]:
        begun.set()
        assert go.wait(PATIENCE_S)
        with thing.make():
            yield thing

    def use() -> None:
        with shared.use("a", slow):
            inside.wait()

    users = [threading.Thread(target=use) for _ in range(2)]
    users[0].start()
    assert begun.wait(PATIENCE_S)
    users[1].start()
    go.set()
    for user in users:
        user.join(PATIENCE_S)
    assert (thing.opened, thing.closed) == (1, 1)


def test_many_threads_never_have_a_closed_one() -> None:
    shared, thing = Shared[Thing](), Thing()
    wrong: list[tuple[int, int]] = []

    def use() -> None:
        for _ in range(200):
            with shared.use("a", thing.make):
                if thing.opened != thing.closed + 1:
                    wrong.append((thing.opened, thing.closed))

    users = [threading.Thread(target=use) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert wrong == []
    assert thing.opened == thing.closed >= 1


def test_sessions_to_which_none_was_handed_share_one_machine() -> None:
    assert Machine.of_process() is Machine.of_process()
    assert Machine() is not Machine.of_process()


# --- settings


def test_garbage_stays_frozen_until_the_last_leaves() -> None:
    with frozen_garbage():
        frozen = gc.get_freeze_count()
        assert frozen > 1000
        with frozen_garbage():
            assert gc.get_freeze_count() == frozen, "a later session's pictures are not frozen too"
        assert gc.get_freeze_count() == frozen
    assert gc.get_freeze_count() < frozen


def test_nothing_is_collected_while_a_session_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[bool] = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(True))
    with frozen_garbage():
        collect_garbage()
    assert collected == []
    collect_garbage()
    assert collected == [True]


@pytest.fixture
def opencv(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenCV with two threads, as no session had begun."""
    before = cv2.getNumThreads()
    monkeypatch.setattr(machine, "_opencv_kept", False)
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


def test_opencv_has_as_many_threads_as_before(opencv: None) -> None:
    with one_opencv_thread():
        with one_opencv_thread():
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == 2


def test_a_session_that_began_meanwhile_keeps_its_one_thread(opencv: None) -> None:
    with one_opencv_thread():
        keep_one_opencv_thread()
    assert cv2.getNumThreads() == 1
    cv2.setNumThreads(2)
    keep_one_opencv_thread()
    assert cv2.getNumThreads() == 2, "set once, and left alone"


def test_linear_algebra_has_one_thread_until_the_last_leaves() -> None:
    pytest.importorskip("threadpoolctl", reason="what counts the threads")
    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    with one_blas_thread():
        with one_blas_thread():
            assert set(threads()) <= {1}
        assert set(threads()) <= {1}
    assert threads() == before


def test_native_chatter_comes_back_after_the_last(capfd: pytest.CaptureFixture[str]) -> None:
    outer, inner = native_stderr_silenced(), native_stderr_silenced()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)  # the first who came leaves first
    os.write(2, b"chatter\n")
    inner.__exit__(None, None, None)
    os.write(2, b"told\n")
    assert capfd.readouterr().err == "told\n"


# --- signals


def test_a_signal_stops_all_who_are_inside() -> None:
    stops = [threading.Event() for _ in range(3)]
    there, done = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with ended_by_signals(stops[2].set):
            there.set()
            assert done.wait(PATIENCE_S)

    thread = threading.Thread(target=elsewhere)
    before = signal.getsignal(signal.SIGINT)
    thread.start()
    assert there.wait(PATIENCE_S)
    with ended_by_signals(stops[0].set), ended_by_signals(stops[1].set):
        signal.raise_signal(signal.SIGINT)
        assert all(stop.wait(PATIENCE_S) for stop in stops)
    done.set()
    thread.join(PATIENCE_S)
    assert signal.getsignal(signal.SIGINT) is before


def test_who_has_left_is_not_stopped_and_the_other_is() -> None:
    left, inside = threading.Event(), threading.Event()
    with ended_by_signals(inside.set):
        with ended_by_signals(left.set):
            pass
        signal.raise_signal(signal.SIGTERM)
        assert inside.wait(PATIENCE_S)
    assert not left.is_set()


# --- the environment


def test_a_default_leaves_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVATAR_TEST_VARIABLE", "the user's")
    set_environment("AVATAR_TEST_VARIABLE", "ours")
    assert os.environ["AVATAR_TEST_VARIABLE"] == "the user's"
    set_environment("AVATAR_TEST_VARIABLE", "ours", over=True)
    assert os.environ["AVATAR_TEST_VARIABLE"] == "ours"


def test_what_was_set_for_a_while_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVATAR_TEST_ONE", "before")
    monkeypatch.delenv("AVATAR_TEST_TWO", raising=False)
    with environment({"AVATAR_TEST_ONE": "x", "AVATAR_TEST_TWO": "y"}):
        assert (os.environ["AVATAR_TEST_ONE"], os.environ["AVATAR_TEST_TWO"]) == ("x", "y")
    assert os.environ["AVATAR_TEST_ONE"] == "before"
    assert "AVATAR_TEST_TWO" not in os.environ


# --- files


def test_a_file_is_hashed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = file_hash(path)
    monkeypatch.setattr(machine, "file_sha256", None)
    assert file_hash(path) == first
    monkeypatch.undo()
    path.write_bytes(b"another")
    assert file_hash(path) != first


# --- nobody else sets them


SETTINGS = re.compile(
    r"setNumThreads|gc\.(freeze|unfreeze|collect|disable)\(|signal\.signal\(|threadpool_limits"
    r"|os\.environ\[[^]]+\] = |os\.environ\.(setdefault|pop|update)|os\.putenv|os\.dup2"
)
# PyTorch's own, of processes that do nothing but train or measure: engines see no more of the
# application than its errors.
ENGINES = {"engines/training/loopback.py"}


def test_nothing_else_sets_what_belongs_to_the_whole_process() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("avatar", "engines", "calibrate")
        for path in (ROOT / folder).rglob("*.py")
        if SETTINGS.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"avatar/core/machine.py"} | ENGINES


FREED = """
import numpy as np, psutil
from avatar.core.machine import release_memory
many = [np.ones(100_000, np.uint8) for _ in range(1200)]
last = np.ones(100_000, np.uint8)  # the heap cannot shrink below it by itself
del many
mine = psutil.Process()
before = mine.memory_info().rss
release_memory()
print((before - mine.memory_info().rss) // 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps what was freed")
def test_what_was_freed_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 80
