"""The live loop: a thread a stage, a mailbox of one between two, the newest frame wins.

::

    source ─► [box] ─► tracker ─► [box] ─► retargeter, generator, labeller ─► [box] ─► sink
      capture            track                animate                          [box] ─► sink

Retargeting, drawing and labelling share a thread: together they take less than the tracker, and
a hand-over between two threads costs more than the first and the last of them. That thread has
the clock: from a camera slower than the output it draws predicted motion between two tracked faces,
and when no camera frame comes, it continues at the output's rate with the held or idle avatar, so
that the output never stops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from avatar.core.clock import Clock
from avatar.core.errors import SinkError, SourceEndedError, UsageError
from avatar.core.frames import CameraFrame, FaceTrack, GeneratedFrame, LabelledFrame, Presence
from avatar.core.machine import release_memory
from avatar.core.messages import Message, words_of
from avatar.core.observe import Observer, Span, timed
from avatar.core.stages import (
    FrameSink,
    FrameSource,
    Generator,
    InteractiveSink,
    Labeller,
    RemoteSink,
    Retargeter,
    Tracker,
)
from avatar.sessions.rhythm import Rhythm

T = TypeVar("T")

_MAX_FAILURES = 30
_RETRY_FIRST_S, _RETRY_LAST_S = 0.5, 5.0


class Mailbox(Generic[T]):
    """Room for one item between two threads; a new one replaces an old one not yet taken."""

    def __init__(self) -> None:
        self._item: T | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Leave ``item``; returns True when an older one was dropped for it."""
        with self._changed:
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item; None after ``timeout_s`` or once the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Wake the waiting thread; what is inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Return whether nothing more will come."""
        return self._closed


class Pipeline:
    """One live session from a source to its sinks.

    All stages are entered by ``run`` and left before it returns. ``say`` is told, in the user's
    words, what goes wrong and what came back. ``fps`` bounds the output's rate. ``between``:
    whether pictures of predicted motion are drawn where the camera is slower than that.
    """

    def __init__(
        self,
        source: FrameSource,
        tracker: Tracker,
        retargeter: Retargeter,
        generator: Generator,
        labeller: Labeller,
        sinks: Sequence[FrameSink],
        *,
        clock: Clock,
        observer: Observer,
        say: Callable[[str], None],
        fps: float = 30.0,
        between: bool = True,
    ) -> None:
        self._source, self._tracker = source, tracker
        self._retargeter, self._generator, self._labeller = retargeter, generator, labeller
        self._clock, self._observer, self._say = clock, observer, say
        self._interval_ns = round(1e9 / fps)
        self._rhythm = Rhythm(self._interval_ns, between=between)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._captured: Mailbox[CameraFrame] = Mailbox()
        self._tracked: Mailbox[FaceTrack] = Mailbox()
        # Swapped whole: other threads go through it while an output comes or goes.
        self._outlets = tuple(_Outlet(sink, self) for sink in sinks)
        self._steering = threading.Lock()
        self._drawn_ns: int | None = None

    @property
    def clock(self) -> Clock:
        """Return the clock that all stages share."""
        return self._clock

    @property
    def observer(self) -> Observer:
        """Return the observer of every hop."""
        return self._observer

    @property
    def first_frame_ns(self) -> int | None:
        """Return when the first frame of any sink was delivered; None before that."""
        return min((o.first_ns for o in self._outlets if o.first_ns is not None), default=None)

    @property
    def outputs(self) -> dict[str, bool]:
        """Return each output by its name, and whether it takes pictures at present."""
        return {outlet.sink.name: outlet.is_open for outlet in self._outlets}

    @property
    def lost_outputs(self) -> tuple[str, ...]:
        """Return the outputs that were lost and not back when the session ended."""
        return tuple(outlet.sink.name for outlet in self._outlets if outlet.is_lost)

    def attach(self, sink: FrameSink) -> None:
        """Serve ``sink`` too from now on; from any thread while running.

        Raises what entering it raises, and then it is not served; ``UsageError`` for a name that
        is served already and for a window, which only ``run`` can serve.
        """
        with self._steering:
            if self._stop.is_set():
                raise UsageError(f"the output {sink.name} came too late: the session has ended")
            if sink.name in self.outputs:
                raise UsageError(f"the output {sink.name} is on already")
            if isinstance(sink, InteractiveSink):
                raise UsageError(f"the output {sink.name} has to be there from the start")
            outlet = _Outlet(sink, self)
            outlet.open()
            outlet.start(outlet.deliver)
            self._outlets = (*self._outlets, outlet)

    def detach(self, name: str) -> None:
        """Leave the output ``name`` once it has what it was given; nothing when there is none."""
        with self._steering:
            leaving = [outlet for outlet in self._outlets if outlet.sink.name == name]
            self._outlets = tuple(o for o in self._outlets if o not in leaving)
        for outlet in leaving:
            outlet.finish()
            outlet.join()

    def replace(
        self, *, retargeter: Retargeter | None = None, labeller: Labeller | None = None,
        between: bool | None = None,
    ) -> None:  # fmt: skip
        """Replace what is given from the next picture on; from any thread."""
        self._retargeter = retargeter or self._retargeter
        self._labeller = labeller or self._labeller
        if between is not None:
            self._rhythm.between = between

    def say(self, line: str) -> None:
        """Tell the user."""
        self._say(line)

    def stop(self) -> None:
        """End the session; safe from any thread, but not from a signal handler: it takes a lock."""
        self._stop.set()

    def run(self, seconds: float | None = None, begun: Callable[[], None] = lambda: None) -> None:
        """Run until stopped, the source ends, or ``seconds`` have passed since the first frame.

        That is the first that was delivered; while no output takes any, the first that was drawn.
        ``begun``: called once everything is open, and nothing is left that could not be.

        Call it from the main thread: an ``InteractiveSink`` is served there. Raises
        what made a stage unable to start or to continue.
        """
        with ExitStack() as stages:
            stages.callback(self._stop.set)
            stages.enter_context(self._tracker)
            stages.enter_context(self._generator)
            stages.enter_context(self._source)
            release_memory()  # of what opening needed
            here = [o for o in self._outlets if isinstance(o.sink, InteractiveSink)]
            others = [o for o in self._outlets if o not in here]
            threads = [
                threading.Thread(target=self._guarded, args=(loop,), name=name)
                for name, loop in (
                    ("animate", self._animate), ("track", self._track), ("capture", self._capture),
                )
            ]  # fmt: skip
            try:
                self._start(threads, others, here)
                if self._error is None:
                    begun()
                self._serve_main(here, seconds)
            finally:
                self._shut_down(threads, here)
        if self._error is not None:
            raise self._error

    def _start(
        self, threads: list[threading.Thread], others: list[_Outlet], here: list[_Outlet]
    ) -> None:
        for outlet in here:
            outlet.open()
        for outlet in others:
            outlet.start(outlet.serve)
        for outlet in others:
            outlet.ready.wait()
        if self._error is None:
            for thread in threads:
                thread.start()

    def _serve_main(self, here: list[_Outlet], seconds: float | None) -> None:
        """Wait for the end in the calling thread, serving the sinks that need it."""
        while not self._stop.is_set():
            for outlet in here:
                outlet.serve_here(0.02 / len(here))
            if not here:
                # A bounded wait keeps signals answered on every system.
                self._stop.wait(0.1)
            first_ns = self.first_frame_ns or self._drawn_ns
            if seconds is None or first_ns is None:
                continue
            if self._clock.now_ns() >= first_ns + seconds * 1e9:
                self._stop.set()

    def _shut_down(self, threads: list[threading.Thread], here: list[_Outlet]) -> None:
        self._stop.set()
        self._captured.close()
        self._tracked.close()
        with self._steering:
            outlets = self._outlets
        for outlet in outlets:
            outlet.finish()
        for thread in threads:
            if thread.ident is not None:
                thread.join(timeout=5.0)
        for outlet in outlets:
            outlet.join()
        for outlet in here:
            outlet.close()

    def fail(self, error: BaseException) -> None:
        """End the session with ``error``; the first one is what ``run`` raises."""
        if self._error is None:
            self._error = error
        self._stop.set()

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:  # the thread's end must end the session, whatever it was
            self.fail(error)

    # --- the stages, in the order of the flow

    def _capture(self) -> None:
        due_ns: int | None = None
        while not self._stop.is_set():
            try:
                frame = self._source.read()
            except SourceEndedError:
                self._finish()
                return
            if frame is None:
                continue
            self._observer.count("captured")
            self._observer.span(
                Span("capture", frame.index, frame.timestamp_ns, self._clock.now_ns())
            )
            # A faster camera than the output: keep every frame nearest to a due time.
            if due_ns is not None and frame.timestamp_ns < due_ns - self._interval_ns // 2:
                self._observer.count("dropped.faster than the output")
                continue
            late = due_ns is None or frame.timestamp_ns > due_ns + self._interval_ns
            due_ns = (frame.timestamp_ns if late or due_ns is None else due_ns) + self._interval_ns
            if self._captured.put(frame):
                self._observer.count("dropped.tracker busy")

    def _finish(self) -> None:
        """Let the last frames through, then end."""
        self._captured.close()

    def _track(self) -> None:
        failures = 0
        while True:
            frame = self._captured.take()
            if frame is None:
                self._tracked.close()
                return
            try:
                with timed(self._observer, self._clock, "track", frame.index):
                    track = self._tracker.track(frame)
                failures = 0
            except Exception as error:
                # The avatar idles rather than freezes; nothing of the picture goes further.
                failures = self._count_failure("track", failures, error)
                track = FaceTrack(frame.timestamp_ns, frame.index, None)
            if track.face is None:
                self._observer.count("no face")
            if self._tracked.put(track):
                self._observer.count("dropped.generator busy")

    def _animate(self) -> None:
        failures = 0
        index, seen_ns = -1, self._clock.now_ns()
        rhythm = self._rhythm
        rhythm.begin(seen_ns)
        while True:
            wait_ns = rhythm.due_ns() - self._clock.now_ns()
            track = self._tracked.take(max(wait_ns, 0) / 1e9)
            if self._stop.is_set() or (track is None and self._tracked.closed):
                break
            now_ns = self._clock.now_ns()
            if track is not None:
                rhythm.came(track.timestamp_ns, now_ns)
                index, shown_ns, seen_ns = track.index, track.timestamp_ns, track.timestamp_ns
            else:
                between_ns = rhythm.waited(now_ns)
                shown_ns = now_ns if between_ns is None else between_ns
                seen_ns = now_ns if between_ns is None else seen_ns
            try:
                labelled = self._draw(track, shown_ns, index)
                failures = 0
            except Exception as error:
                failures = self._count_failure("generate", failures, error)
                continue
            rhythm.drew(self._clock.now_ns())
            self._drawn_ns = self._drawn_ns or self._clock.now_ns()
            for outlet in self._outlets:
                outlet.offer(_Drawn(labelled, seen_ns))
        self._end_outlets()

    def _end_outlets(self) -> None:
        for outlet in self._outlets:
            outlet.box.close()
        if not self._stop.is_set():
            for outlet in self._outlets:
                outlet.drained.wait(1.0)
            self._stop.set()

    def _draw(self, track: FaceTrack | None, now_ns: int, index: int) -> LabelledFrame:
        with timed(self._observer, self._clock, "retarget", index):
            motion = self._retargeter.retarget(track, now_ns)
        with timed(self._observer, self._clock, "generate", index):
            frame: GeneratedFrame = self._generator.generate(motion)
        with timed(self._observer, self._clock, "label", index):
            labelled = self._labeller.label(replace(frame, index=index))
        self._observer.count(f"presence.{motion.presence.value}")
        return labelled

    def _count_failure(self, stage: str, failures: int, error: Exception) -> int:
        """Report a stage's first failure in a row, and give up after many."""
        self._observer.count(f"failed.{stage}")
        if failures == 0:
            self._say(f"{stage}: {type(error).__name__}: {error}")
        if failures + 1 >= _MAX_FAILURES:
            raise error
        return failures + 1


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A picture, and when the camera frame was captured that it shows or was carried on from."""

    frame: LabelledFrame
    seen_ns: int


class _Outlet:
    """A sink with its mailbox and its retries; one failing does not touch the others."""

    def __init__(self, sink: FrameSink, pipeline: Pipeline) -> None:
        self.sink = sink
        self.box: Mailbox[_Drawn] = Mailbox()
        self.ready = threading.Event()
        self.drained = threading.Event()
        self.first_ns: int | None = None
        # Went away, and is not back.
        self.is_lost = False
        self._pipeline = pipeline
        self._opened = False
        self._settle_ns = round(sink.settle_s * 1e9) if isinstance(sink, RemoteSink) else 0
        # Since when it has been back, until it counts as back for good; None when it does.
        self._back_ns: int | None = None
        self._pause_s = _RETRY_FIRST_S
        self._said = ""
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        return self._opened

    def start(self, body: Callable[[], None]) -> None:
        """Begin the sink's thread."""
        self._thread = threading.Thread(target=body, name=self.sink.name)
        self._thread.start()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def finish(self) -> None:
        """Deliver what waits, try nothing again, and close."""
        self._ending.set()
        self.box.close()
        if isinstance(self.sink, RemoteSink):
            self.sink.interrupt()

    def open(self) -> None:
        self.sink.__enter__()
        self._opened = True

    def close(self) -> None:
        if self._opened:
            self._opened = False
            try:
                self.sink.__exit__(None, None, None)
            except SinkError as error:  # its end could not be written
                self.is_lost = True
                self._tell(words_of(error))

    def offer(self, drawn: _Drawn) -> None:
        if self.box.put(drawn):
            why = f"dropped.{self.sink.name} busy" if self._opened else f"away.{self.sink.name}"
            self._pipeline.observer.count(why)

    def serve(self) -> None:
        """Open the sink, deliver until the end, close it: the body of the sink's thread."""
        try:
            self.open()
        except BaseException as error:
            self._pipeline.fail(error)
            return
        finally:
            self.ready.set()
        self.deliver()

    def deliver(self) -> None:
        """Deliver to the opened sink until the end, then close it."""
        try:
            while self.serve_once(None):
                pass
        except BaseException as error:
            self._pipeline.fail(error)
        finally:
            self.close()
            self.drained.set()

    def serve_here(self, timeout_s: float) -> None:
        """Deliver a frame if one comes, and answer the window's keys."""
        self.serve_once(timeout_s)
        if self._opened and isinstance(self.sink, InteractiveSink):
            self.sink.poll()

    def serve_once(self, timeout_s: float | None) -> bool:
        """Deliver one frame if one comes; returns False once the box is closed and empty."""
        drawn = self.box.take(timeout_s)
        if drawn is None:
            return timeout_s is not None
        frame = drawn.frame
        clock, observer = self._pipeline.clock, self._pipeline.observer
        start_ns = clock.now_ns()
        try:
            self.sink.write(frame)
        except SinkError as error:
            observer.count(f"failed.{self.sink.name}")
            self._tell(words_of(error))
            return self._reopen()
        end_ns = clock.now_ns()
        self._settle(end_ns)
        self.first_ns = self.first_ns or end_ns
        observer.span(Span(f"sink {self.sink.name}", frame.index, start_ns, end_ns))
        kind = "predicted" if frame.presence is Presence.PREDICTED else "capture"
        observer.span(Span(f"{kind}→{self.sink.name}", frame.index, drawn.seen_ns, end_ns))
        observer.count(f"delivered.{self.sink.name}")
        return True

    def _reopen(self) -> bool:
        """Close the sink and open it again with growing pauses, until it works or all ends."""
        self.is_lost = True
        self.close()
        while not self._ending.wait(self._pause_s):
            self._pause_s = min(2 * self._pause_s, _RETRY_LAST_S)
            try:
                self.open()
            except SinkError:
                continue
            self.is_lost = False
            self._back_ns = self._pipeline.clock.now_ns()
            self._settle(self._back_ns)
            return True
        return False

    def _settle(self, now_ns: int) -> None:
        """Say that the sink is back once it has stayed for as long as it needs to be sure."""
        if self._back_ns is None or now_ns - self._back_ns < self._settle_ns:
            return
        self._back_ns, self._said = None, ""
        self._pause_s = _RETRY_FIRST_S
        self._pipeline.say(Message("said.outputBack", "{output}: back", output=self.sink.name))

    def _tell(self, trouble: str) -> None:
        """Say what went wrong, once until it is back."""
        if trouble != self._said:
            self._said = trouble
            self._pipeline.say(
                Message("said.outputFailed", "{output}: {why}", output=self.sink.name, why=trouble)
            )
