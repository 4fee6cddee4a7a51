"""``avatar train --record``: a film of the driver doing what a generator has to have seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from avatar.core.errors import UsageError
from avatar.core.face.topology import SURFACE_COUNT
from avatar.core.frames import CameraFrame, FaceTrack
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.core.stages import FrameSource
from avatar.core.terminal import say
from avatar.learn.generator.camera_film import CameraFilm
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.self_recording import SelfRecording, remove_recording
from avatar.learn.generator.shown import lacking, needed
from avatar.learn.generator.watch import MIN_FACE_PX, SECOND_FACE_SHARE
from avatar.learn.person.guide import GuidedCapture, OnState, Prompts, guide
from avatar.learn.person.watch import Watcher
from avatar.library.face_model import find_face_model
from avatar.stages.track.landmarker import detect_faces
from calibrate import SPEECH, TRAINING_STEPS, Session, State

_COUNT_IN_S = 3.0
# A face is higher than broad; with room for one that comes and goes.
_LEAST_FACE_PX = 0.9 * MIN_FACE_PX
_LOOK_AROUND_NS = 2_000_000_000
# What a step takes somebody who does at once what is asked, seconds.
_STEP_S, _SPEECH_S = 4.0, 9.0


class FilmingCapture(GuidedCapture):
    """Asks for what ``recording`` does not show yet, and films what can be learned from.

    ``alone``: whether nobody else is in a picture. ``on_state``: as ``GuidedCapture`` has it.
    """

    def __init__(
        self,
        recording: SelfRecording,
        *,
        alone: Callable[[CameraFrame], bool] = lambda frame: True,
        on_state: OnState = lambda state: None,
        count_in_s: float = _COUNT_IN_S,
    ) -> None:
        steps = [step for step in TRAINING_STEPS if step.name not in recording.seen]
        session = Session(steps, closing=SPEECH, count_in_s=count_in_s)
        watcher = Watcher(session, least_face_px=_LEAST_FACE_PX, alone=alone)
        super().__init__(session, watcher=watcher, on_state=on_state)
        self._recording = recording
        self._film: CameraFilm | None = None
        self.error: UsageError | None = None

    @property
    def seconds(self) -> float:
        """Return how long it takes somebody who does at once what is asked."""
        return _STEP_S * (self.state.steps - len(SPEECH)) + _SPEECH_S * len(SPEECH)

    @property
    def done(self) -> bool:
        """Return whether all was asked for, or the disk failed."""
        return super().done or self.error is not None

    def see(self, track: FaceTrack, progress: float | None = None) -> State:
        """Take one tracked frame in; what went wrong with the disk is left in ``error``."""
        state = super().see(track, progress)
        if self.error is None:
            try:
                self._keep(track)
            except UsageError as error:
                self.error = error
        return state

    def close(self) -> None:
        """Finish the film. Raises ``UsageError`` when the disk failed."""
        film, self._film = self._film, None
        if film is not None:
            film.close()

    def _keep(self, track: FaceTrack) -> None:
        if track.camera is None or not (self._session.begun and self._watcher.usable):
            return
        if self._film is None:
            height, width = track.camera.image.shape[:2]
            self._film = CameraFilm(self._recording.begin((width, height)), (width, height))
        self._film.write(track.camera)
        seen = frozenset(self._session.seen)
        if not seen <= self._recording.seen:
            self._recording.note(seen)


class Company:
    """Looks from time to time whether somebody else is in the picture; a look takes a moment."""

    def __init__(self, face_model: Path) -> None:
        self._face_model = face_model
        self._next_ns: int | None = None
        self._alone = True

    def alone(self, frame: CameraFrame) -> bool:
        """Return whether nobody else was there at the last look."""
        if self._next_ns is None or frame.timestamp_ns >= self._next_ns:
            self._next_ns = frame.timestamp_ns + _LOOK_AROUND_NS
            faces = detect_faces(frame.image, self._face_model, settle=False)
            sizes = [float(np.ptp(face.landmarks_px[:SURFACE_COUNT, 1])) for face in faces]
            self._alone = len(sizes) < 2 or sizes[1] <= SECOND_FACE_SHARE * sizes[0]
        return self._alone


def record(
    request: TrainRequest,
    name: str,
    home: Home,
    *,
    source: FrameSource | None = None,
    cancel: threading.Event | None = None,
) -> SelfRecording | None:
    """Film the driver of ``request.camera`` for the avatar ``name``; None when they paused it.

    A recording that was begun goes on, and one that has ended is returned as it is; with
    ``request.force`` one that an avatar was trained from is deleted first. ``source`` replaces
    what the camera's name stands for; ``cancel`` ends it when set. Raises ``UsageError`` and the
    errors of source and tracker; what was recorded until then is kept.
    """
    recording = SelfRecording(home, name)
    if recording.used and request.force:
        say(f"deleting the recording that {name} was trained from: {recording.folder}")
        remove_recording(home, name)
        recording = SelfRecording(home, name)
    if recording.ended and (request.anyway or recording.seen.issuperset(needed())):
        say(f"the recording is there already: {recording.film}")
        return recording
    face_model = find_face_model(request.face_model, home)
    capture = FilmingCapture(recording, alone=Company(face_model).alone, on_state=Prompts().see)
    _introduce(capture, recording)
    options = Options(
        camera=request.camera, camera_size=request.camera_size, face_model=request.face_model
    )
    try:
        guide(
            capture, options, window=request.window, say=say, home=home,
            cancel=cancel or threading.Event(), source=source,
        )  # fmt: skip
    except BaseException:
        with suppress(UsageError):  # the error already on its way says more
            capture.close()
        raise
    capture.close()
    if capture.error is not None:
        raise capture.error
    if not capture.done:
        _say_paused(recording)
        return None
    recording.end()
    say(f"recorded: {recording.film}, which only you can read")
    return recording


def _introduce(capture: FilmingCapture, recording: SelfRecording) -> None:
    if recording.begun:
        say(f"going on with the recording in {recording.folder}")
        say(f"it still lacks: {', '.join(lacking(recording.seen)) or 'nothing but its end'}")
    say(
        f"{capture.state.steps} things to do, about {capture.seconds:.0f} seconds. You are filmed, "
        f"without sound, into {recording.folder}, which only you can read. Sit well lit, alone, "
        "your whole head in the picture. What I do not see I ask for again."
    )
    say("Keys: N leaves out what is asked for, R asks again, Q or Ctrl-C pauses and keeps it")


def _say_paused(recording: SelfRecording) -> None:
    if not recording.begun:
        say("paused before anything was recorded")
        return
    count = len(TRAINING_STEPS) + len(SPEECH)
    say(
        f"paused: {len(recording.seen)} of {count} are recorded and kept in {recording.folder}. "
        "The same command goes on with it; to start over, delete the folder"
    )
