"""``avatar calibrate``: a guided minute that learns the driver's own range of expression.

Guided: the live loop runs with the built-in portrait, so that the driver sees a face that answers,
and the prompts stand in its window and in the terminal. The camera's picture is never shown.
Unattended: a recording (or a camera nobody listens to) is watched for the same acts in any order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from avatar import __version__
from avatar.clock import ManualClock, MonotonicClock
from avatar.commands.calibrate.watch import Watcher
from avatar.commands.live import CAMERA_SIZE_PX, LiveSession
from avatar.commands.profiles import ProfileStore, default_profiles
from avatar.commands.run import check_writable, ended_by_signals
from avatar.commands.terminal import say
from avatar.config import LiveConfig
from avatar.errors import AvatarError, SourceEndedError, UsageError
from avatar.frames import CameraFrame, FaceTrack
from avatar.observe import Recorder
from avatar.sinks.display import check_display
from avatar.sources import create_source
from avatar.stages import Tracker
from avatar.track.face_model import find_face_model
from avatar.track.landmarker import FaceLandmarker
from calibrate import Session, State, fit

__all__ = ["calibrate"]

DEFAULT_NAME = "me"
_UNATTENDED_S = 90.0
# Between the inner lips, head units: somebody who speaks all the time never rests.
_PARTED_LIPS = 0.1
_SIZE = "960x720"


def calibrate(
    camera: str = "0",
    name: str = DEFAULT_NAME,
    *,
    unattended: bool = False,
    window: bool = True,
    html: Path | None = None,
    force: bool = False,
    face_model: Path | None = None,
    store: ProfileStore | None = None,
) -> int:
    """Make the profile ``name`` and say what was learnt; return the exit status.

    ``unattended``: ask for nothing, watch for everything. ``window``: show the avatar and the
    prompts; without one they stand in the terminal. ``html``: a page to write. ``force``: replace
    a profile of the same name. Raises ``UsageError`` and the errors of source and tracker; nothing
    is kept then.
    """
    store = store or default_profiles()
    path = store.path(name)
    if path.exists() and not force:
        raise UsageError(
            f"the profile {name} exists. Choose another --name, or --force to replace it."
        )
    if html is not None:
        check_writable(html, "--html")
    model = find_face_model(face_model)
    session = Session(any_order=unattended)
    watcher = Watcher(session)
    recorder = Recorder()
    if unattended:
        _watch(camera, watcher, session, model)
    else:
        _guide(camera, watcher, session, recorder, window, face_model)
    return _keep(store, name, session, watcher, recorder, html)


def _keep(
    store: ProfileStore, name: str, session: Session, watcher: Watcher, recorder: Recorder,
    html: Path | None,
) -> int:  # fmt: skip
    session.finish()
    recording = watcher.recording(recorder)
    profile = fit(recording, datetime.now(UTC), __version__)
    path = store.save(name, profile)
    missing, partly = session.missing, session.partly
    seen = [step for step in recording.steps if step not in ("rest", *partly, *missing)]
    say(f"learnt from {len(recording)} frames: {', '.join(seen) or 'the resting face alone'}")
    if partly:
        say(f"seen in part: {', '.join(partly)}")
    if missing:
        say(f"not seen, the usual values stay: {', '.join(missing)}")
    if profile.lips.closed > _PARTED_LIPS:
        say(
            "the lips were parted even in the calmest moment: the avatar will press its own "
            "together. Calibrate again with a moment of rest, or use --reference first"
        )
    say(f"kept as {path} (numbers only); use it: avatar run --profile {name}")
    if html is not None:
        from avatar.commands.calibrate.report import write_report

        write_report(html, name, profile, watcher.tracks, recording, missing)
        say(f"{html} shows what it changes")
    return 0


def _watch(camera: str, watcher: Watcher, session: Session, model: Path) -> None:
    """Look at a recording, every frame, or at a camera for a minute and a half."""
    live = camera.isdecimal() or camera.startswith("/dev/")
    clock = MonotonicClock() if live else ManualClock(1_000_000_000)
    source = create_source(camera, size_px=CAMERA_SIZE_PX, fps=30.0, clock=clock, loop=False)
    stop = threading.Event()
    first_ns: int | None = None
    with source, FaceLandmarker(model) as tracker, ended_by_signals(stop.set):
        while not stop.is_set() and not session.done:
            try:
                frame = source.read()
            except SourceEndedError:
                return
            if frame is None:
                continue
            first_ns = frame.timestamp_ns if first_ns is None else first_ns
            if frame.timestamp_ns - first_ns > _UNATTENDED_S * 1e9:
                return
            watcher.see(tracker.track(frame))
    if stop.is_set():
        raise UsageError("stopped by you: no profile was made")


def _guide(
    camera: str, watcher: Watcher, session: Session, recorder: Recorder, window: bool,
    face_model: Path | None,
) -> None:  # fmt: skip
    """Run the live loop with prompts until all is done; raises when the driver ends it before."""
    out = "preview" if window and _has_window() else "none"
    config = LiveConfig(camera=camera, out=(out,), size=_SIZE, face_model=face_model)
    prompts = _Prompts(watcher)
    live = LiveSession(
        config,
        say,
        recorder=recorder,
        wrap_tracker=lambda tracker: _WatchedTracker(tracker, prompts.see),
        overlay=prompts.text,
    )
    prompts.when_done = live.stop
    say("about a minute; Ctrl-C or Q ends it, and nothing is kept then")
    with ended_by_signals(live.stop):
        live.run()
    if not session.done:
        raise UsageError("ended before it was done: no profile was made")


def _has_window() -> bool:
    try:
        check_display()
    except AvatarError as error:
        say(f"no window, the prompts stand here: {error}")
        return False
    return True


class _Prompts:
    """Shows a session's state: on the terminal when it changes, in the window always."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._last = ""
        self.when_done: Callable[[], None] = lambda: None

    def see(self, track: FaceTrack) -> None:
        """Take one frame in; called from the tracker's thread."""
        state: State = self._watcher.see(track)
        line = f"{state.step}/{state.steps}  {state.text}"
        if line != self._last:
            self._last = line
            say(line)
        if state.done:
            self.when_done()

    def text(self) -> str:
        """Return what stands in the window."""
        return self._watcher.state.line


class _WatchedTracker:
    """A tracker that tells somebody what it saw."""

    def __init__(self, tracker: Tracker, told: Callable[[FaceTrack], None]) -> None:
        self._tracker, self._told = tracker, told

    def __enter__(self) -> Self:
        self._tracker.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tracker.__exit__(kind, error, trace)

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return what is seen in ``frame``."""
        track = self._tracker.track(frame)
        self._told(track)
        return track
