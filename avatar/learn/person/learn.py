"""Learning a driver's face from code: what ``avatar calibrate`` does, without a terminal.

``learn`` opens the camera itself. A program whose own live session has the camera puts
``Lesson.wrap`` around that session's tracker instead (``LiveSession(wrap_tracker=…)``) and takes
``Lesson.result`` when its state is done. Nothing is kept on disk here:
``CalibrationResult.profile`` goes to ``ProfileStore.save`` or nowhere.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from avatar import __version__
from avatar.core import terminal
from avatar.core.clock import ManualClock, MonotonicClock
from avatar.core.errors import SourceEndedError, UsageError
from avatar.core.frames import FaceTrack
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.observe import Recorder
from avatar.core.options import Options
from avatar.core.stages import FrameSource
from avatar.learn.person.guide import GuidedCapture, OnState, Say, guide
from avatar.library.face_model import find_face_model
from avatar.sessions.live import CAMERA_SIZE_PX
from avatar.stages.sources import create_source
from avatar.stages.track.choice import create_tracker
from calibrate import Profile, Recording, Session, fit

UNATTENDED_S = 90.0
"""A live camera that asks for nothing is watched so long."""


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """What a calibration found.

    ``missing``: steps of which nothing was seen; ``partly``: of which something was.
    ``recording``, ``tracks``: what it was made of, numbers only.
    """

    profile: Profile
    missing: tuple[str, ...]
    partly: tuple[str, ...]
    recording: Recording = field(repr=False)
    tracks: Sequence[FaceTrack] = field(repr=False)

    @property
    def seen(self) -> list[str]:
        """Return the steps that were seen whole, without the resting face."""
        left_out = {"rest", *self.partly, *self.missing}
        return [step for step in self.recording.steps if step not in left_out]


class Lesson(GuidedCapture):
    """One calibration that is fed with tracks.

    ``unattended``: ask for nothing, watch for everything. ``on_state``: hears after every tracked
    frame what to show, in the thread that tracks.
    """

    def __init__(
        self, *, unattended: bool = False, on_state: OnState = lambda state: None,
        recorder: Recorder | None = None,
    ) -> None:  # fmt: skip
        super().__init__(Session(any_order=unattended), on_state=on_state)
        self._recorder = recorder

    def result(self) -> CalibrationResult:
        """Return what was learnt. Raises ``CalibrationError`` without a resting face."""
        self._session.finish()
        recording = self._watcher.recording(self._recorder)
        profile = fit(recording, datetime.now(UTC), __version__)
        missing, partly = tuple(self._session.missing), tuple(self._session.partly)
        return CalibrationResult(profile, missing, partly, recording, self._watcher.tracks)


def learn(
    camera: str = "0",
    *,
    unattended: bool = False,
    window: bool = False,
    say: Say = terminal.say,
    on_state: OnState = lambda state: None,
    cancel: threading.Event | None = None,
    source: FrameSource | None = None,
    face_model: Path | None = None,
    home: Home | None = None,
) -> CalibrationResult:
    """Watch ``camera`` until all was seen, and return what was learnt.

    ``unattended``: a recording to its end, or 90 s of a camera; its states' progress is the share
    of these. ``window``: show the avatar and the prompts. ``cancel``: ends it when set, from any
    thread. ``source`` replaces what ``camera`` names (a recording's ``loop`` must be off). May run
    in any thread; Ctrl-C is listened to in the main one. Raises ``UsageError`` when cancelled or
    nobody was seen at rest, and the errors of source and tracker.
    """
    home = home or Home.of_user()
    recorder = Recorder()
    lesson = Lesson(unattended=unattended, on_state=on_state, recorder=recorder)
    cancel = cancel or threading.Event()
    if unattended:
        _watch(camera, source, lesson, find_face_model(face_model, home), cancel)
    else:
        _guide(camera, source, lesson, recorder, window, face_model, say, cancel, home)
    return lesson.result()


def _watch(
    camera: str, source: FrameSource | None, lesson: Lesson, model: Path, cancel: threading.Event
) -> None:
    """Look at a recording, every frame, or at a camera for a minute and a half."""
    live = camera.isdecimal() or camera.startswith("/dev/")
    clock = MonotonicClock() if live else ManualClock(1_000_000_000)
    source = source or create_source(
        camera, size_px=CAMERA_SIZE_PX, fps=30.0, clock=clock, loop=False
    )
    first_ns: int | None = None
    with source, create_tracker(model) as tracker, ended_by_signals(cancel.set):
        while not cancel.is_set():
            try:
                frame = source.read()
            except SourceEndedError:
                return
            if frame is None:
                continue
            first_ns = frame.timestamp_ns if first_ns is None else first_ns
            share = (frame.timestamp_ns - first_ns) / (UNATTENDED_S * 1e9)
            if share > 1:
                return
            lesson.see(tracker.track(frame), max(share, 0.0))
    raise UsageError("stopped by you: no profile was made")


def _guide(
    camera: str, source: FrameSource | None, lesson: Lesson, recorder: Recorder, window: bool,
    face_model: Path | None, say: Say, cancel: threading.Event, home: Home,
) -> None:  # fmt: skip
    """Guide the driver through all steps; raises when they end it before."""

    def explain() -> None:
        say(
            "about a minute. Keys: N leaves out what is asked for, R asks again; Ctrl-C or Q ends "
            "it, and nothing is kept then"
        )

    guide(
        lesson, Options(camera=camera, face_model=face_model), begun=explain,
        window=window, say=say, home=home, cancel=cancel, source=source, recorder=recorder,
    )  # fmt: skip
    if not lesson.done:
        raise UsageError("ended before it was finished: no profile was made")
