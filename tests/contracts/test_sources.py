"""What every frame source promises, run over each of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from avatar.core.clock import Clock, ManualClock, MonotonicClock
from avatar.core.errors import SourceEndedError, SourceError
from avatar.core.frames import CameraFrame
from avatar.core.stages import FrameSource
from avatar.stages.sources.camera import CameraSource
from avatar.stages.sources.demo import DemoSource
from avatar.stages.sources.devices import list_cameras
from avatar.stages.sources.page import PageInbox, PageSource
from avatar.stages.sources.reconnect import ReconnectingSource
from avatar.stages.sources.replay import ReplaySource
from avatar.stages.sources.switched import SwitchedSource
from avatar.stages.sources.video import VideoSource

COUNT = 6
"""Frames of the finite sources."""

Make = Callable[[Clock, bool], FrameSource]


def pictures() -> list[np.ndarray]:
    return [np.full((48, 64, 3), 30 * n, np.uint8) for n in range(COUNT)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real film of ``COUNT`` frames."""
    import av

    path = tmp_path_factory.mktemp("contract") / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, picture in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _camera(clock: Clock) -> FrameSource:
    usable = [c for c in list_cameras() if c.problem is None]
    if not usable:
        pytest.skip("no usable camera on this machine")
    return CameraSource(usable[0].device, (640, 480), 30.0, clock)


class FedInbox(PageInbox):
    """An inbox that has a new picture whenever it is asked."""

    def take(self, timeout_s: float) -> tuple[np.ndarray, int] | None:
        if isinstance(self._clock, ManualClock):
            self._clock.advance_ns(33_000_000)
        self.put(np.full((48, 64, 3), 90, np.uint8))
        return super().take(timeout_s)


KINDS = [
    "replay",
    "video",
    "video unpaced",
    "video at a rate",
    "demo",
    "reconnecting replay",
    "reconnecting video",
    "switched replay",
    "camera",
    "page",
]
FINITE = [kind for kind in KINDS if "replay" in kind or "video" in kind]


@pytest.fixture
def make(request: pytest.FixtureRequest, film: Path) -> Make:
    """A constructor of the source that is asked for: (clock, loop) -> source."""
    table: dict[str, Make] = {
        "replay": lambda clock, loop: ReplaySource(pictures(), 30.0, clock, loop),
        "video": lambda clock, loop: VideoSource(str(film), None, clock, loop),
        "video unpaced": lambda c, loop: VideoSource(str(film), None, c, loop, paced=False),
        "video at a rate": lambda c, loop: VideoSource(str(film), (32, 32), c, loop, fps=12.5),
        "demo": lambda clock, _: DemoSource((160, 120), 30.0, clock),
        "camera": lambda clock, _: _camera(clock),
        "page": lambda clock, _: PageSource(FedInbox(clock)),
        "switched replay": lambda c, loop: SwitchedSource(ReplaySource(pictures(), 30.0, c, loop)),
    }
    kind: str = request.param
    inner = table[kind.removeprefix("reconnecting ")]
    if not kind.startswith("reconnecting"):
        return inner
    return lambda clock, loop: ReconnectingSource(inner(clock, loop), clock, print)


every_source = pytest.mark.parametrize("make", KINDS, indirect=True)
finite_sources = pytest.mark.parametrize("make", FINITE, indirect=True)


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """Time by hand, except for a real camera, which keeps its own."""
    real = "camera" in request.node.callspec.params.values()
    return MonotonicClock() if real else ManualClock(1_000)


def take(source: FrameSource, amount: int) -> list[CameraFrame]:
    """Read until ``amount`` frames came; a source that gives none for long fails."""
    frames: list[CameraFrame] = []
    for _ in range(20 * amount):
        frame = source.read()
        if frame is not None:
            frames.append(frame)
        if len(frames) == amount:
            return frames
    raise AssertionError(f"{source.name}: {len(frames)} of {amount} frames came")


@every_source
def test_constructing_opens_nothing_and_has_a_name(make: Make, clock: Clock) -> None:
    assert make(clock, True).name


@every_source
def test_enter_returns_the_source(make: Make, clock: Clock) -> None:
    source = make(clock, True)
    with source as entered:
        assert entered is source


@every_source
def test_frames_are_rgb_arrays(make: Make, clock: Clock) -> None:
    with make(clock, True) as source:
        frames = take(source, 4)
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (*frames[0].image.shape[:2], 3)
        assert frame.image.flags.c_contiguous


@every_source
def test_indices_count_and_timestamps_rise(make: Make, clock: Clock) -> None:
    started_ns = clock.now_ns()
    with make(clock, True) as source:
        frames = take(source, 3 * COUNT)
    assert [f.index for f in frames] == list(range(3 * COUNT))
    stamps = [f.timestamp_ns for f in frames]
    assert all(a < b for a, b in pairwise(stamps))
    assert stamps[0] >= started_ns
    assert stamps[-1] <= max(clock.now_ns(), started_ns + len(stamps))


@every_source
def test_it_can_be_entered_again_and_goes_on_counting(make: Make, clock: Clock) -> None:
    source = make(clock, True)
    with source:
        first = take(source, 2)
    with source:
        second = take(source, 2)
    assert [f.index for f in first + second] == [0, 1, 2, 3]
    assert second[0].timestamp_ns > first[-1].timestamp_ns


@every_source
def test_leaving_twice_or_before_entering_does_nothing(make: Make, clock: Clock) -> None:
    source = make(clock, True)
    source.__exit__(None, None, None)
    with source:
        take(source, 1)
    source.__exit__(None, None, None)
    source.__exit__(None, None, None)


@every_source
def test_reading_a_closed_source_is_an_error(make: Make, clock: Clock) -> None:
    source = make(clock, True)
    with pytest.raises(SourceError, match="open source"):
        source.read()
    with source:
        take(source, 1)
    with pytest.raises(SourceError, match="open source"):
        source.read()


@every_source
def test_a_frame_is_not_overwritten_by_the_next(make: Make, clock: Clock) -> None:
    with make(clock, True) as source:
        first = take(source, 1)[0]
        kept = first.image.copy()
        take(source, COUNT)
    assert np.array_equal(first.image, kept)


@finite_sources
def test_a_finite_source_ends_and_stays_ended(make: Make, clock: Clock) -> None:
    with make(clock, False) as source:
        assert len(take(source, COUNT)) == COUNT
        for _ in range(2):
            with pytest.raises(SourceEndedError):
                take(source, 1)


@finite_sources
def test_a_loop_shows_the_same_again(make: Make, clock: Clock) -> None:
    with make(clock, True) as source:
        frames = take(source, 2 * COUNT)
    for early, late in zip(frames[:COUNT], frames[COUNT:], strict=True):
        assert np.array_equal(early.image, late.image)


@pytest.mark.parametrize(
    "make",
    ["replay", "video", "video at a rate", "demo", "reconnecting replay", "reconnecting video"],
    indirect=True,
)
def test_a_late_reader_gets_what_is_due_now(make: Make) -> None:
    clock = ManualClock(1_000)
    with make(clock, True) as source:
        take(source, 1)
        clock.advance_ns(800_000_000)
        frame = take(source, 1)[0]
    assert clock.now_ns() == 800_001_000
    assert clock.now_ns() - 80_000_000 <= frame.timestamp_ns <= clock.now_ns()
    assert frame.index == 1
