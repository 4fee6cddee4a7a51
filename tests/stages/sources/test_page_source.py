"""A page as the camera, and changing from one source to another."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest

from avatar.core.clock import ManualClock, MonotonicClock
from avatar.core.errors import SourceBusyError, SourceError
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.core.stages import FrameSource
from avatar.stages.sources.page import PageInbox, PageSource
from avatar.stages.sources.replay import ReplaySource
from avatar.stages.sources.switched import SwitchedSource


def grey(value: int) -> UInt8Image:
    return np.full((48, 64, 3), value, np.uint8)


def test_the_newest_picture_wins_and_keeps_the_time_it_came() -> None:
    clock = ManualClock(5)
    inbox = PageInbox(clock)
    with PageSource(inbox) as source:
        inbox.put(grey(1))
        clock.advance_ns(10)
        inbox.put(grey(2))
        clock.advance_ns(100)
        frame = source.read()
        assert frame is not None
        assert (frame.image[0, 0, 0], frame.timestamp_ns, frame.index) == (2, 15, 0)


def test_what_came_before_the_source_is_not_shown() -> None:
    inbox = PageInbox(ManualClock())
    inbox.put(grey(1))
    with PageSource(inbox) as source:
        threading.Thread(target=lambda: inbox.put(grey(9))).start()
        frame = source.read()
        assert frame is not None and frame.image[0, 0, 0] == 9


def test_a_page_that_sends_nothing_is_no_error() -> None:
    with PageSource(PageInbox(MonotonicClock())) as source:
        assert source.read() is None
    with pytest.raises(SourceError, match="open"):
        source.read()


class Spied:
    """A source that tells when it is entered and left."""

    def __init__(self, value: int, log: list[str], *, busy: bool = False) -> None:
        self._source = ReplaySource([grey(value)], 30.0, ManualClock(), loop=True)
        self._value, self._log, self._busy = value, log, busy

    @property
    def name(self) -> str:
        return str(self._value)

    def __enter__(self) -> Spied:
        if self._busy:
            raise SourceBusyError("in use")
        self._log.append(f"enter {self._value}")
        self._source.__enter__()
        return self

    def __exit__(self, *why: object) -> None:
        self._log.append(f"leave {self._value}")
        self._source.__exit__(None, None, None)

    def read(self) -> CameraFrame | None:
        return self._source.read()


def values(source: FrameSource, count: int) -> list[tuple[int, int, int]]:
    frames = [source.read() for _ in range(count)]
    return [(int(f.image[0, 0, 0]), f.index, f.timestamp_ns) for f in frames if f is not None]


def test_a_change_goes_on_counting() -> None:
    log: list[str] = []
    with SwitchedSource(Spied(1, log)) as source:
        seen = values(source, 2)
        source.change(Spied(2, log))
        assert log == ["enter 1", "enter 2"], "the old one stays until the reader leaves it"
        seen += values(source, 2)
        assert source.name == "2"
    assert [value for value, _, _ in seen] == [1, 1, 2, 2]
    assert [index for _, index, _ in seen] == [0, 1, 2, 3]
    assert all(a < b for a, b in pairwise(time for _, _, time in seen))
    assert log == ["enter 1", "enter 2", "leave 1", "leave 2"]


def test_a_source_that_cannot_be_opened_changes_nothing() -> None:
    log: list[str] = []
    with SwitchedSource(Spied(1, log)) as source:
        with pytest.raises(SourceBusyError):
            source.change(Spied(2, log, busy=True))
        assert values(source, 1)[0][0] == 1
    assert log == ["enter 1", "leave 1"]


def test_two_changes_before_a_picture_leave_none_open() -> None:
    log: list[str] = []
    with SwitchedSource(Spied(1, log)) as source:
        source.change(Spied(2, log))
        source.change(Spied(3, log))
        assert values(source, 1)[0][0] == 3
        source.change(Spied(4, log))
    assert sorted(log) == sorted(f"{what} {n}" for n in (1, 2, 3, 4) for what in ("enter", "leave"))


def test_before_it_is_entered_a_change_takes_its_place() -> None:
    log: list[str] = []
    source = SwitchedSource(Spied(1, log))
    source.change(Spied(2, log))
    with source:
        assert values(source, 1)[0][0] == 2
    assert log == ["enter 2", "leave 2"]
