from __future__ import annotations

import threading
from typing import Self

import numpy as np
import pytest

from avatar.core.clock import ManualClock
from avatar.core.errors import SourceBusyError, SourceLostError, SourceNotFoundError
from avatar.core.frames import CameraFrame
from avatar.stages.sources.reconnect import ReconnectingSource


class Flaky:
    """A source that follows a plan: what each entering does, and how many frames follow."""

    name = "flaky"

    def __init__(self, clock: ManualClock, *plan: int | BaseException) -> None:
        self._clock = clock
        self._plan = list(plan)
        self._left = 0
        self.entered_ns: list[int] = []
        self.open = False

    def __enter__(self) -> Self:
        self.entered_ns.append(self._clock.now_ns())
        step = self._plan.pop(0)
        if isinstance(step, BaseException):
            raise step
        self._left = step
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False

    def read(self) -> CameraFrame | None:
        assert self.open
        if self._left == 0:
            raise SourceLostError("pulled out")
        self._left -= 1
        return CameraFrame(np.zeros((2, 2, 3), np.uint8), self._clock.now_ns(), 0)


def gone() -> SourceNotFoundError:
    return SourceNotFoundError("nothing there")


def read_until_frame(source: ReconnectingSource, clock: ManualClock) -> CameraFrame:
    for _ in range(1000):
        before_ns = clock.now_ns()
        frame = source.read()
        assert clock.now_ns() - before_ns <= 250_000_000
        if frame is not None:
            return frame
    raise AssertionError("no frame came")


def test_it_comes_back_with_back_off_and_says_so_once() -> None:
    clock, events = ManualClock(), []
    inner = Flaky(clock, 2, gone(), SourceBusyError("held"), gone(), gone(), gone(), gone(), 3)
    with ReconnectingSource(inner, clock, events.append) as source:
        frames = [read_until_frame(source, clock) for _ in range(4)]
    pauses_s = np.diff(inner.entered_ns) / 1e9
    assert pauses_s.tolist() == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert [e.split()[0] for e in events] == ["lost", "back"]
    assert "pulled out" in events[0]
    assert "22.5 s" in events[1]
    assert [f.index for f in frames] == [0, 1, 2, 3]
    stamps = [f.timestamp_ns for f in frames]
    assert stamps == sorted(set(stamps))
    assert not inner.open


def test_a_device_that_opens_and_fails_at_once_is_not_hammered() -> None:
    clock, events = ManualClock(), []
    inner = Flaky(clock, 1, 0, 0, 0, 1, 0, 1)
    with ReconnectingSource(inner, clock, events.append) as source:
        for _ in range(3):
            read_until_frame(source, clock)
    pauses_s = np.diff(inner.entered_ns) / 1e9
    assert pauses_s.tolist() == [0.5, 1.0, 2.0, 4.0, 0.5, 1.0]
    assert [e.split()[0] for e in events] == ["lost", "back", "lost", "back"]


def test_the_first_error_propagates() -> None:
    clock = ManualClock()
    with (
        pytest.raises(SourceNotFoundError, match="nothing there"),
        ReconnectingSource(Flaky(clock, gone()), clock, print),
    ):
        pass


def test_a_fault_of_the_program_is_not_hidden() -> None:
    clock = ManualClock()
    inner = Flaky(clock, 0, RuntimeError("a bug"))
    with (
        pytest.raises(RuntimeError, match="a bug"),
        ReconnectingSource(inner, clock, lambda _: None) as source,
    ):
        read_until_frame(source, clock)


def test_leaving_while_lost_leaves_nothing_open() -> None:
    clock = ManualClock()
    inner = Flaky(clock, 0, 5)
    source = ReconnectingSource(inner, clock, lambda _: None)
    with source:
        assert source.read() is None
    assert not inner.open
    with source:
        assert source.read() is not None


class SlowToOpen(Flaky):
    """Opening waits for permission, as a network address does."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, 0, 1)
        self.may_open = threading.Event()
        self.left = threading.Event()

    def __enter__(self) -> Self:
        if self.entered_ns:
            assert self.may_open.wait(10)
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__(None, None, None)
        if self.may_open.is_set():
            self.left.set()


def test_an_attempt_that_hangs_delays_neither_reading_nor_leaving() -> None:
    clock = ManualClock()
    inner = SlowToOpen(clock)
    with ReconnectingSource(inner, clock, lambda _: None) as source:
        assert [source.read() for _ in range(4)] == [None] * 4
    inner.may_open.set()
    assert inner.left.wait(10)
    assert not inner.open
