"""The live loop with real threads and stages that tests can hold still: nothing sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np
import pytest

from avatar.core.clock import MonotonicClock
from avatar.core.errors import (
    SinkLostError,
    SinkUnavailableError,
    SourceEndedError,
    TrackerError,
    UsageError,
)
from avatar.core.frames import (
    CameraFrame,
    Face,
    FaceTrack,
    GeneratedFrame,
    LabelledFrame,
    Motion,
    Presence,
)
from avatar.core.observe import Recorder
from avatar.core.stages import FrameSink
from avatar.sessions.pipeline import Mailbox, Pipeline
from avatar.stages.label import create_labeller
from avatar.stages.motion.retarget import FaceRetargeter

SIZE_PX = (128, 96)
SECRET = 201  # the grey of every camera picture: it must never be seen in a sink
PATIENCE_S = 20.0


class Stage(AbstractContextManager["Stage"]):
    """Counts how often it was entered and left."""

    entered = left = 0

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.left += 1


class Source(Stage):
    """Delivers as many frames as it is allowed to, then waits, then ends when told."""

    name = "test source"

    def __init__(self, frames: int, ends: bool = True) -> None:
        self._frames, self._ends, self._index = frames, ends, 0
        self._clock = MonotonicClock()
        self.go_on = threading.Event()

    def read(self) -> CameraFrame | None:
        if self._index >= self._frames:
            if self._ends:
                raise SourceEndedError("the end")
            self.go_on.wait(0.05)
            return None
        # A camera paces; one that never waits would take the cores from what it feeds.
        self.go_on.wait(0.004)
        self._index += 1
        image = np.full((48, 64, 3), SECRET, np.uint8)
        return CameraFrame(image, self._clock.now_ns(), self._index)


class Tracker(Stage):
    def __init__(
        self, face: Face | None, fail: Callable[[int], bool] = lambda index: False
    ) -> None:
        self._face, self._fail = face, fail

    def track(self, frame: CameraFrame) -> FaceTrack:
        if self._fail(frame.index):
            raise RuntimeError("the tracker broke")
        return FaceTrack(frame.timestamp_ns, frame.index, self._face, frame)


class Generator(Stage):
    size_px = SIZE_PX

    def __init__(self, fail: Callable[[int], bool] = lambda index: False) -> None:
        self._fail = fail

    def generate(self, motion: Motion) -> GeneratedFrame:
        if self._fail(motion.index):
            raise ValueError("the generator broke")
        image = np.full((SIZE_PX[1], SIZE_PX[0], 3), 40, np.uint8)
        return GeneratedFrame(image, motion.timestamp_ns, motion.index, motion.presence)


class Sink(Stage):
    """Keeps frames; can fail; tells when it has seen enough."""

    def __init__(self, name: str = "kept", enough: int = 1) -> None:
        self.name, self.frames, self._enough = name, list[LabelledFrame](), enough
        self.has_enough = threading.Event()
        self.fail_once_at: int | None = None

    def write(self, frame: LabelledFrame) -> None:
        if self.fail_once_at is not None and len(self.frames) >= self.fail_once_at:
            self.fail_once_at = None
            raise SinkLostError("the receiver left")
        self.frames.append(frame)
        if len(self.frames) >= self._enough:
            self.has_enough.set()


def pipeline(
    source: Any, sinks: list[FrameSink], tracker: Any, generator: Any = None, fps: float = 60
) -> tuple[Pipeline, Recorder, list[str]]:
    recorder, said = Recorder(), list[str]()
    made = Pipeline(
        source,
        tracker,
        FaceRetargeter(),
        generator or Generator(),
        create_labeller(size_px=SIZE_PX),
        sinks,
        clock=MonotonicClock(),
        observer=recorder,
        say=said.append,
        fps=fps,
    )
    return made, recorder, said


def run_until(made: Pipeline, *conditions: threading.Event) -> None:
    """Run the pipeline in a thread until all conditions hold, then stop it; re-raise its error."""
    errors: list[BaseException] = []

    def body() -> None:
        try:
            made.run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    for condition in conditions:
        assert condition.wait(PATIENCE_S), "the pipeline did not get there"
    made.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_a_source_that_ends_ends_the_session_with_everything_closed(portrait_face: Face) -> None:
    source, sink = Source(5), Sink()
    tracker, generator = Tracker(portrait_face), Generator()
    made, recorder, said = pipeline(source, [sink], tracker, generator, fps=120)
    made.run()
    assert 1 <= len(sink.frames) <= 5
    for stage in (source, sink, tracker, generator):
        assert (stage.entered, stage.left) == (1, 1)
    assert recorder.counts()["captured"] == 5
    assert said == []


def test_a_silent_source_does_not_stop_the_output(portrait_face: Face) -> None:
    source, sink = Source(3, ends=False), Sink(enough=40)
    made, _, _ = pipeline(source, [sink], Tracker(portrait_face))
    run_until(made, sink.has_enough)
    presences = [frame.presence for frame in sink.frames]
    assert presences[0] is Presence.TRACKED
    assert Presence.HELD in presences
    assert presences[-1] is Presence.IDLE
    times = [frame.timestamp_ns for frame in sink.frames]
    assert times == sorted(times)


@pytest.mark.parametrize("face_seen", [True, False])
def test_the_cameras_picture_never_reaches_a_sink(portrait_face: Face, face_seen: bool) -> None:
    sink = Sink(enough=15)
    tracker = Tracker(portrait_face if face_seen else None, fail=lambda index: index % 3 == 0)
    made, recorder, said = pipeline(Source(10**6), [sink], tracker, fps=120)
    run_until(made, sink.has_enough)
    assert not any((frame.image == SECRET).all(axis=2).mean() > 0.02 for frame in sink.frames)
    assert recorder.counts()["failed.track"] > 0
    assert "the tracker broke" in said[0]


def test_every_frame_that_leaves_is_labelled(portrait_face: Face) -> None:
    sink = Sink(enough=5)
    made, _, _ = pipeline(Source(10**6), [sink], Tracker(portrait_face))
    run_until(made, sink.has_enough)
    for frame in sink.frames:
        assert frame.label_text == "AI"
        assert frame.image[: SIZE_PX[1] // 3, SIZE_PX[0] // 2 :].std() > 5


class Slow(Source):
    """A camera of some twenty frames a second."""

    def read(self) -> CameraFrame | None:
        self.go_on.wait(0.046)
        return super().read()


class UntilPredicted(Sink):
    """Has enough once it got pictures that were predicted."""

    def write(self, frame: LabelledFrame) -> None:
        self.frames.append(frame)
        if sum(frame.presence is Presence.PREDICTED for frame in self.frames) >= 5:
            self.has_enough.set()


def test_between_a_slow_cameras_frames_predicted_ones_are_drawn_and_counted_apart(
    portrait_face: Face,
) -> None:
    sink = UntilPredicted()
    made, recorder, _ = pipeline(Slow(10**6), [sink], Tracker(portrait_face), fps=60)
    run_until(made, sink.has_enough)
    kinds = [frame.presence for frame in sink.frames]
    predicted, seen = kinds.count(Presence.PREDICTED), kinds.count(Presence.TRACKED)
    assert len(recorder.spans("predicted→kept")) == predicted
    assert len(recorder.spans("capture→kept")) == len(kinds) - predicted
    assert recorder.counts()["presence.predicted"] >= predicted
    assert seen > 9
    # The camera's frame before is as old as it is: a predicted picture is no fresher than that.
    begun = {span.index: span.start_ns for span in recorder.spans("capture→kept")}
    for span in recorder.spans("predicted→kept"):
        assert span.start_ns == begun.get(span.index, span.start_ns)
    times = [frame.timestamp_ns for frame in sink.frames if frame.presence is not Presence.HELD]
    assert times == sorted(times)


def test_for_an_engine_that_sees_for_itself_nothing_is_predicted(portrait_face: Face) -> None:
    sink = Sink(enough=30)
    made, recorder, _ = pipeline(Slow(10**6), [sink], Tracker(portrait_face), fps=60)
    made.replace(between=False)
    run_until(made, sink.has_enough)
    assert "presence.predicted" not in recorder.counts()


def test_one_sink_that_fails_is_reopened_and_the_others_go_on(portrait_face: Face) -> None:
    weak, strong = Sink("weak", enough=6), Sink("strong", enough=12)
    weak.fail_once_at = 2
    made, recorder, said = pipeline(Source(10**6), [weak, strong], Tracker(portrait_face), fps=120)
    run_until(made, weak.has_enough, strong.has_enough)
    assert weak.entered == 2
    assert weak.left == 2
    assert strong.entered == 1
    assert recorder.counts()["failed.weak"] == 1
    assert said == ["weak: the receiver left", "weak: back"]


class Remote(Sink):
    """Takes frames for a while each time before it turns out that nobody wanted them."""

    settle_s = 0.1

    def __init__(self, refusals: int) -> None:
        super().__init__("remote", enough=40)
        self.refusals, self.interrupted = refusals, 0

    def write(self, frame: LabelledFrame) -> None:
        super().write(frame)
        if self.refusals:
            self.refusals -= 1
            raise SinkLostError("the key is refused")

    def interrupt(self) -> None:
        self.interrupted += 1


def test_a_receiver_that_refuses_late_is_told_once_until_it_stays(portrait_face: Face) -> None:
    remote = Remote(refusals=3)
    made, recorder, said = pipeline(Source(10**6), [remote], Tracker(portrait_face), fps=120)
    run_until(made, remote.has_enough)
    assert said == ["remote: the key is refused", "remote: back"]
    assert recorder.counts()["failed.remote"] == 3
    assert remote.entered == 4
    assert remote.interrupted == 1, "the end of the session"


def test_a_sink_that_cannot_open_at_the_start_is_the_users_error(portrait_face: Face) -> None:
    class Absent(Sink):
        def __enter__(self) -> Self:
            raise SinkUnavailableError("no device")

    good = Sink("good")
    made, _, _ = pipeline(Source(10**6), [good, Absent("bad")], Tracker(portrait_face))
    with pytest.raises(SinkUnavailableError, match="no device"):
        made.run()
    assert good.left == good.entered


def test_a_tracker_that_cannot_start_is_raised_and_nothing_stays_open(portrait_face: Face) -> None:
    class Broken(Tracker):
        def __enter__(self) -> Self:
            raise TrackerError("no model")

    source, sink = Source(5), Sink()
    made, _, _ = pipeline(source, [sink], Broken(portrait_face))
    with pytest.raises(TrackerError, match="no model"):
        made.run()
    assert source.entered == source.left
    assert sink.entered == sink.left


def test_a_generator_that_fails_now_and_then_is_survived(portrait_face: Face) -> None:
    sink = Sink(enough=10)
    generator = Generator(fail=lambda index: index % 4 == 0)
    made, recorder, _ = pipeline(Source(10**6), [sink], Tracker(portrait_face), generator, 120)
    run_until(made, sink.has_enough)
    assert recorder.counts().get("failed.generate", 0) >= 1


def test_a_generator_that_always_fails_ends_the_session(portrait_face: Face) -> None:
    made, _, said = pipeline(
        Source(10**6), [Sink()], Tracker(portrait_face), Generator(lambda index: True), 120
    )
    with pytest.raises(ValueError, match="the generator broke"):
        made.run()
    assert len(said) == 1


def test_the_newest_item_wins_in_a_mailbox() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.put(1) is False
    assert box.put(2) is True
    assert box.take(0) == 2
    assert box.take(0) is None
    box.put(3)
    box.close()
    assert box.take() == 3
    assert box.take() is None


def test_a_slow_sink_gets_fewer_frames_and_none_are_queued(portrait_face: Face) -> None:
    class Slow(Sink):
        def __init__(self) -> None:
            super().__init__("slow", enough=3)
            self.may_write = threading.Semaphore(0)

        def write(self, frame: LabelledFrame) -> None:
            self.may_write.acquire(timeout=PATIENCE_S)
            super().write(frame)

    slow, fast = Slow(), Sink("fast", enough=30)
    made, recorder, _ = pipeline(Source(10**6), [slow, fast], Tracker(portrait_face), fps=120)
    errors: list[BaseException] = []
    thread = threading.Thread(target=lambda: _collect(made, errors))
    thread.start()
    assert fast.has_enough.wait(PATIENCE_S)
    newest = fast.frames[-1].index
    slow.may_write.release(3)
    assert slow.has_enough.wait(PATIENCE_S)
    made.stop()
    slow.may_write.release(1000)
    thread.join(PATIENCE_S)
    assert not errors
    # The first frame had been taken before the wait; the second is the newest of that moment.
    assert slow.frames[1].index >= newest - 1
    assert recorder.counts()["dropped.slow busy"] > 10


def _collect(made: Pipeline, errors: list[BaseException]) -> None:
    try:
        made.run()
    except BaseException as error:
        errors.append(error)


def test_seconds_count_from_the_first_delivered_frame(portrait_face: Face) -> None:
    sink = Sink()
    made, recorder, _ = pipeline(Source(3, ends=False), [sink], Tracker(portrait_face))
    made.run(seconds=0.2)
    spans = recorder.spans("capture→kept")
    assert spans[-1].end_ns - spans[0].end_ns >= 0.15e9


class Deaf(Sink):
    """Opens, and takes nothing; once it was lost it does not open again."""

    def __enter__(self) -> Self:
        if self.entered:
            raise SinkUnavailableError("nobody answers")
        return super().__enter__()

    def write(self, frame: LabelledFrame) -> None:
        raise SinkLostError("nobody answers")


def test_seconds_end_a_session_whose_output_never_took_a_picture(portrait_face: Face) -> None:
    made, _, said = pipeline(Source(3, ends=False), [Deaf("deaf")], Tracker(portrait_face))
    made.run(seconds=0.2)
    assert made.first_frame_ns is None
    assert made.lost_outputs == ("deaf",)
    assert said == ["deaf: nobody answers"]


def test_an_output_that_came_back_is_not_lost(portrait_face: Face) -> None:
    weak = Sink("weak", enough=6)
    weak.fail_once_at = 2
    made, _, _ = pipeline(Source(10**6), [weak], Tracker(portrait_face), fps=120)
    run_until(made, weak.has_enough)
    assert made.lost_outputs == ()


def test_an_output_whose_end_could_not_be_written_is_lost_and_said(portrait_face: Face) -> None:
    class Cut(Sink):
        def __exit__(self, *error: object) -> None:
            raise SinkLostError("the disk is full")

    made, _, said = pipeline(Source(5), [Cut("cut")], Tracker(portrait_face))
    made.run()
    assert made.lost_outputs == ("cut",)
    assert said == ["cut: the disk is full"]


class Running:
    """A pipeline in a thread of its own, with a source that does not end."""

    def __init__(self, face: Face) -> None:
        self.first = Sink("first")
        self.made, self.recorder, self.said = pipeline(
            Source(10**9, ends=False), [self.first], Tracker(face)
        )
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.made.run()
        except BaseException as error:
            self._errors.append(error)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self.first.has_enough.wait(PATIENCE_S)
        return self

    def __exit__(self, *error: object) -> None:
        self.made.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        assert self._errors == []


def test_an_output_comes_and_goes_while_the_others_go_on(portrait_face: Face) -> None:
    with Running(portrait_face) as running:
        late = Sink("late", enough=3)
        running.made.attach(late)
        assert running.made.outputs == {"first": True, "late": True}
        assert late.has_enough.wait(PATIENCE_S)
        running.made.detach("late")
        assert (late.entered, late.left) == (1, 1)
        assert running.made.outputs == {"first": True}
        count = len(late.frames)
        before = len(running.first.frames)
        running.first.has_enough.clear()
        assert running.first.has_enough.wait(PATIENCE_S)
        assert len(running.first.frames) > before
        assert len(late.frames) == count, "nothing more was given to it"
        running.made.detach("nobody")
    assert running.recorder.counts()["delivered.late"] == count


def test_an_output_that_cannot_be_opened_is_not_there(portrait_face: Face) -> None:
    class Refusing(Sink):
        def __enter__(self) -> Self:
            raise SinkUnavailableError("no such device")

    with Running(portrait_face) as running:
        with pytest.raises(SinkUnavailableError):
            running.made.attach(Refusing("late"))
        assert running.made.outputs == {"first": True}
        with pytest.raises(UsageError, match="on already"):
            running.made.attach(Sink("first"))


def test_outputs_that_came_later_are_left_at_the_end(portrait_face: Face) -> None:
    late = Sink("late")
    with Running(portrait_face) as running:
        running.made.attach(late)
    assert (late.entered, late.left) == (1, 1)
    with pytest.raises(UsageError, match="too late"):
        running.made.attach(Sink("later"))


def test_an_output_that_is_lost_can_be_ended_while_it_tries_again(portrait_face: Face) -> None:
    class Lost(Sink):
        def write(self, frame: LabelledFrame) -> None:
            raise SinkLostError("gone")

    with Running(portrait_face) as running:
        lost = Lost("lost")
        running.made.attach(lost)
        while running.made.outputs["lost"]:
            assert running.first.has_enough.wait(PATIENCE_S)
        running.made.detach("lost")
        assert lost.entered == lost.left


def test_the_label_changes_while_running(portrait_face: Face) -> None:
    with Running(portrait_face) as running:
        running.made.replace(labeller=create_labeller(size_px=SIZE_PX, text="AI 2"))
        marked = Sink("marked", enough=3)
        running.made.attach(marked)
        assert marked.has_enough.wait(PATIENCE_S)
        assert marked.frames[-1].label_text == "AI 2"
        assert running.first.frames[0].label_text == "AI"
