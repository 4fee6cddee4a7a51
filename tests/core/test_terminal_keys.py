"""Single keys of a terminal, heard without Enter; and where there is no terminal."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar.core import terminal_keys
from avatar.core.terminal_keys import TerminalKeys

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a terminal is made by pty here")


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A terminal that is the process's input: (what types, what is read)."""
    import pty

    types, reads = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reads, "r", closefd=False))
    monkeypatch.setattr(terminal_keys, "is_typed_to", lambda: True)
    yield types, reads
    for end in (types, reads):
        os.close(end)


def test_keys_are_heard_one_by_one_and_the_terminal_is_put_back(keyboard: tuple[int, int]) -> None:
    import termios

    types, reads = keyboard
    before = termios.tcgetattr(reads)
    heard: queue.Queue[str] = queue.Queue()
    with TerminalKeys(heard.put):
        assert termios.tcgetattr(reads) != before
        os.write(types, b"nR")
        assert [heard.get(timeout=10), heard.get(timeout=10)] == ["n", "r"]
    assert termios.tcgetattr(reads) == before


def test_put_into_the_background_it_reads_nothing_until_it_is_back(
    keyboard: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system would stop a program that reads there."""
    types, _ = keyboard
    heard: queue.Queue[str] = queue.Queue()
    in_front, asked = threading.Event(), threading.Event()
    in_front.set()

    def typed_to() -> bool:
        asked.set()
        return in_front.is_set()

    monkeypatch.setattr(terminal_keys, "is_typed_to", typed_to)
    monkeypatch.setattr(terminal_keys, "_POLL_S", 0.01)
    with TerminalKeys(heard.put):
        os.write(types, b"a")
        assert heard.get(timeout=10) == "a"
        in_front.clear()
        for _ in range(3):  # a read that was under way has ended by then
            asked.clear()
            assert asked.wait(10)
        os.write(types, b"b")
        for _ in range(3):
            asked.clear()
            assert asked.wait(10)
        assert heard.empty()
        in_front.set()
        assert heard.get(timeout=10) == "b"


def test_without_a_terminal_nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(sys, "stdin", None)
    with TerminalKeys(heard.put):
        pass
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with TerminalKeys(heard.put):
            pass
    assert heard.empty()
