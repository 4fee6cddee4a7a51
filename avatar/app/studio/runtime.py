"""The studio behind the page: one live session that is started, steered and stopped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from avatar import __version__
from avatar.app.studio.calibration import PageCalibration
from avatar.app.studio.gallery import Gallery
from avatar.app.studio.kept import KeptChoices
from avatar.app.studio.microphones import Microphones
from avatar.app.studio.options import changed, describe
from avatar.app.studio.outputs import Outputs
from avatar.app.studio.recordings import Recordings
from avatar.app.studio.removed import RemovedAvatars
from avatar.app.studio.watched import CameraWatch, OpenPages, PageTeller
from avatar.core.addresses import is_address, shown_spec
from avatar.core.clock import Clock, MonotonicClock
from avatar.core.errors import AvatarError, UsageError
from avatar.core.frames import CameraFrame, FaceTrack
from avatar.core.home import Home
from avatar.core.machine import collect_garbage
from avatar.core.messages import Message, words_of
from avatar.core.observe import Recorder, delivered, dropped_share
from avatar.core.options import Options
from avatar.core.stages import FrameSource, Tracker
from avatar.library.profiles import ProfileStore
from avatar.sessions.live import LiveSession, open_camera
from avatar.sessions.observed_tracker import ObservedTracker
from avatar.stages.label import CORNERS
from avatar.stages.sinks.page import Audience, PageSink
from avatar.stages.sources.page import PageInbox, PageSource
from avatar.stages.sources.switched import SwitchedSource
from avatar.web.control import Event

Phase = Literal["stopped", "starting", "running", "stopping"]
PAGE_CAMERA = "page"
GIVEN_CAMERA = "given"
"""What pages know a camera by that was named by its address when the program started."""
_KEPT_LINES = 40
_KEYS = frozenset(("x", "r", "m", "o", "+", "-", "left", "right", "up", "down", "l"))
_SPANS = 31
_START_WITHIN_S = 30.0


class Studio:
    """What ``avatar.web.control.Control`` asks for, over one ``LiveSession`` at a time.

    ``config``: what the program was started with; its outputs are not looked at. ``log``: told
    what the pages are told. ``session``: what makes sessions, for measurements. ``given``: the
    options that the program was started with; what was chosen last time holds for the others.
    ``is_reached_from_beyond``: other machines reach the page (``--listen``).
    """

    def __init__(
        self,
        config: Options,
        audience: Audience,
        *,
        home: Home,
        log: Callable[[str], None],
        clock: Clock | None = None,
        session: Callable[..., LiveSession] = LiveSession,
        given: frozenset[str] = frozenset(),
        is_reached_from_beyond: bool = False,
    ) -> None:
        self._started_with = config
        self._clock = clock or MonotonicClock()
        self._audience, self._log, self._make_session = audience, log, session
        self.inbox = PageInbox(self._clock)
        self._pages = OpenPages()
        self._watch = CameraWatch(self._clock)
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._home = home
        self._profiles = profiles = ProfileStore(home.profiles)
        self._gallery = Gallery(home, config.avatar, config.face_model, self.say)
        self._removed = RemovedAvatars(home, self.say, self._tell_changed)
        self._outputs = Outputs(home.films, self.say, is_reached_from_beyond=is_reached_from_beyond)
        self._recordings = Recordings(home.films, is_reached_from_beyond=is_reached_from_beyond)
        self._microphones = Microphones()
        self._calibration = PageCalibration(profiles, self.say, self._tell_changed)
        self._acting = threading.Lock()
        # Held for a moment, while a session comes into being: stopping must not wait for more.
        self._beginning = threading.Lock()
        self._stops = 0
        self._phase: Phase = "stopped"
        self._problem = ""
        self._kept = KeptChoices(home.studio / "choices.json", self.say, given)
        self._config = self._kept.applied(config, self._gallery.knows, profiles.names())
        self._camera = self._kept.camera(config.camera)
        self._outputs.want(self._kept.outputs)
        self._cameras: list[dict[str, Any]] = []
        self._source: SwitchedSource | None = None
        self._told_outputs: tuple[str, ...] = ()
        self._session: LiveSession | None = None
        self._thread: threading.Thread | None = None

    # --- what the pages are told

    def say(self, line: str) -> None:
        """Tell the pages and the terminal; from any thread."""
        self._log(line)
        self._lines.append(line)
        self._pages.tell({"type": "said", "line": line})

    def listen(
        self, hear: Callable[[Event], None], *, pictures: Callable[[], bool]
    ) -> Callable[[], None]:
        """See ``Control``."""
        return self._pages.add(hear, pictures)

    def _tell_changed(self) -> None:
        self._pages.tell({"type": "changed"})

    def snapshot(self) -> dict[str, Any]:
        """See ``Control``."""
        if not self._cameras:
            self._look_for_cameras()
        width, height = self._config.size_px
        return {
            "version": __version__,
            "phase": self._phase,
            "problem": self._problem,
            "size": [width, height],
            "camera": _camera_id(self._camera),
            "cameras": self._cameras,
            "avatar": self._config.avatar[0],
            "avatars": self._gallery.list(),
            "removed": self._removed.names,
            "options": describe(
                self._config, self._profiles.names(), self._microphones.names(self._config.mic)
            ),
            "outputs": self._outputs.describe(self._session),
            "sound": self._config.mic is not None,
            "recordings": self._recordings.newest(),
            "shows_folders": self._recordings.can_show,
            "calibration": self._calibration.describe(),
            "said": list(self._lines),
            "chosen": not self._kept.is_empty,
        }

    def _look_for(self, what: object) -> None:
        if what == "microphones":
            self._microphones.look()
        else:
            self._look_for_cameras()

    def _look_for_cameras(self) -> None:
        from avatar.stages.sources.devices import list_cameras

        found = [
            {
                "id": camera.device,
                "label": camera.name,
                # The one in use is busy because of this very program.
                "problem": None if self._watches(camera.device) else camera.problem,
            }
            for camera in list_cameras()
        ]
        devices = {camera["id"] for camera in found}
        if f"/dev/video{self._camera}" in devices:  # named by its number when the program started
            self._camera = f"/dev/video{self._camera}"
        for named in dict.fromkeys((self._config.camera, self._camera)):
            if not {named, f"/dev/video{named}"} & {PAGE_CAMERA, "demo", *devices}:
                entry = {"id": _camera_id(named), "label": shown_spec(named), "problem": None}
                found.insert(0, entry)
        extra = [{"id": name, "label": "", "problem": None} for name in (PAGE_CAMERA, "demo")]
        self._cameras = [*found, *extra]

    def _watches(self, device: str) -> bool:
        number = device.removeprefix("/dev/video")
        return self._session is not None and self._camera in (device, number)

    def figures(self) -> dict[str, Any]:
        """See ``Control``."""
        session = self._session
        if session is None or self._phase != "running":
            return {"running": False}
        self._notice_outputs(session)
        recorder, sink = session.recorder, session.first_sink
        spans = recorder.latest(f"capture→{sink}", _SPANS)
        delays = [span.ms for span in spans]
        stages = ("capture", "track", "retarget", "generate", "label", f"sink {sink}")
        return {
            "running": True,
            "camera": self._watch.feed(self.inbox.is_fed if self._camera == PAGE_CAMERA else None),
            "fps": _rate(recorder, sink),
            "p50": _percentile(delays, 50),
            "p95": _percentile(delays, 95),
            "dropped": dropped_share(recorder.counts()),
            "stages": {
                stage: _percentile([s.ms for s in recorder.latest(stage, _SPANS)], 50)
                for stage in stages
            },
        }

    def _notice_outputs(self, session: LiveSession) -> None:
        """Tell the pages of outputs that were lost, or came back, since they were told last."""
        found = self._outputs.states(session)
        if found != self._told_outputs:
            self._told_outputs = found
            self._tell_changed()

    def thumbnail(self, avatar: str, face: int | None = None) -> bytes:
        """See ``Control``."""
        return self._gallery.thumbnail(avatar, face)

    def faces_of(self, avatar: str) -> int:
        """See ``Control``."""
        return self._gallery.faces_of(avatar)

    def recording(self, name: str) -> Path:
        """See ``Control``."""
        return self._recordings.path(name)

    def add_avatar(self, photo: Path, name: str) -> str:
        """See ``Control``."""
        added = self._gallery.add(photo, name)
        self._tell_changed()
        return added

    # --- what the pages ask for

    def act(self, action: str, values: dict[str, Any]) -> None:
        """See ``Control``."""
        actions: dict[str, Callable[[dict[str, Any]], object]] = {
            "start": lambda _: self.start(),
            "camera": lambda given: self._use_camera(_text(given, "camera")),
            "look": lambda given: self._look_for(given.get("what")),
            "show": lambda given: self._recordings.show(_text(given, "recording")),
            "avatar": lambda given: self._use_avatar(_text(given, "avatar")),
            "remove": lambda given: self._remove_avatar(_text(given, "avatar")),
            "restore": lambda given: self._removed.restore(_text(given, "avatar")),
            "rename": lambda given: self._rename_avatar(
                _text(given, "avatar"), _text(given, "name")
            ),
            "face": lambda given: self._choose_face(_text(given, "avatar"), given.get("face")),
            "options": self._change_options,
            "output": self._switch_output,
            "calibrate": self._calibrate,
            "reset": lambda _: self._reset(),
            "key": lambda given: self._press(_text(given, "key")),
        }
        if action == "stop":  # whatever else is being done
            self.stop()
            return
        if action not in actions:
            raise UsageError(f"expected one of stop, {', '.join(actions)}, found {action!r}")
        try:
            with self._acting:
                actions[action](values)
        finally:
            self._tell_changed()

    def start(self) -> None:
        """Start a session, and wait until its first picture. Raises ``AvatarError``."""
        if self._session is not None:
            return
        stops = self._stops
        self._problem = ""
        self._set_phase("starting")
        try:
            session = self._new_session()
        except AvatarError as error:
            self._problem = words_of(error)
            self._set_phase("stopped")
            raise
        with self._beginning:
            if self._stops != stops:  # it was not to be waited for
                self._set_phase("stopped")
                return
            self._session = session
            self._thread = threading.Thread(target=self._run, args=(session,), name="live")
            self._thread.start()
        if not self._has_pictures(session, self._thread):
            if self._problem:
                raise UsageError(self._problem)
            return  # stopped meanwhile
        with self._beginning:
            if self._session is not session or self._stops != stops:
                return
            self._set_phase("running")
        self._outputs.begin_all(session)

    def stop(self) -> None:
        """Stop the session and wait for its end; one that is just starting, too.

        From any thread: it waits for nothing else that is being done.
        """
        with self._beginning:
            self._stops += 1
            session, thread = self._session, self._thread
            if session is not None or self._phase == "starting":
                self._set_phase("stopping")
        if session is not None and thread is not None:
            session.stop()
            thread.join()

    def _new_session(self) -> LiveSession:
        config = replace(self._config, out=("none",))
        self._watch.begin()
        self._source = SwitchedSource(self._make_source(self._camera, config))
        return self._make_session(
            config,
            self.say,
            home=self._home,
            clock=self._clock,
            source=self._source,
            sinks=[PageSink(config.size_px, config.fps, self._audience)],
            wrap_tracker=self._watched,
        )

    def _make_source(self, camera: str, config: Options) -> FrameSource:
        if camera == PAGE_CAMERA:
            return PageSource(self.inbox)
        return open_camera(replace(config, camera=camera), self._clock, self.say)

    def _watched(self, tracker: Tracker) -> Tracker:
        tell = PageTeller(self._pages, self._clock)

        def told(frame: CameraFrame, track: FaceTrack) -> None:
            self._watch.see(track)
            self._calibration.see(track)
            tell(frame, track)

        return ObservedTracker(tracker, told)

    def _run(self, session: LiveSession) -> None:
        problem = ""
        try:
            session.run()
        except AvatarError as error:
            problem = words_of(error)
        except BaseException as error:  # a fault of the program: the pages have to hear of it
            problem = f"{type(error).__name__}: {error}"
        if problem:
            self.say(problem)
        self._problem = problem
        self._calibration.cancel()
        self._outputs.ended()
        with self._beginning:
            self._session = self._source = None
            self._set_phase("stopped")
        del session
        collect_garbage()  # a session stands in circles, with the pictures of its avatar

    def _has_pictures(self, session: LiveSession, thread: threading.Thread) -> bool:
        """Wait for the first picture; returns False when the session ended before it."""
        until_ns = self._clock.now_ns() + _START_WITHIN_S * 1e9
        while session.first_frame_ns is None and self._clock.now_ns() < until_ns:
            thread.join(0.03)
            if not thread.is_alive():
                return False
        return True

    def _set_phase(self, phase: Phase) -> None:
        self._phase = phase
        self._tell_changed()

    def _use_camera(self, camera: str) -> None:
        if not self._cameras:
            self._look_for_cameras()
        known = {entry["id"] for entry in self._cameras}
        if camera not in known:
            raise UsageError(f"expected one of the cameras shown, found {shown_spec(camera)!r}")
        if camera == GIVEN_CAMERA:
            camera = self._config.camera
        if camera == self._camera:
            return
        if self._source is not None and self._session is not None:
            self._source.change(self._make_source(camera, self._config))
            self._session.start_new_driver()
            self._watch.begin()
        self._camera = camera
        self._kept.keep(camera=None if camera == self._started_with.camera else camera)

    def _use_avatar(self, avatar: str) -> None:
        config = replace(self._config, avatar=(self._gallery.check_known(avatar),))
        self._go_on_with(config)
        self._kept.keep(avatar=avatar)

    def _remove_avatar(self, avatar: str) -> None:
        if avatar == self._config.avatar[0]:
            raise UsageError(
                Message(
                    "error.avatarShown",
                    "{name} is shown at present: choose another avatar first",
                    name=avatar,
                )
            )
        self._removed.remove(self._gallery.check_known(avatar))

    def _rename_avatar(self, avatar: str, new: str) -> None:
        new = self._gallery.rename(self._gallery.check_known(avatar), new)
        if self._started_with.avatar == (avatar,):
            self._started_with = replace(self._started_with, avatar=(new,))
        if self._config.avatar[0] == avatar:
            self._use_avatar(new)

    def _choose_face(self, avatar: str, face: Any) -> None:
        if type(face) is not int:
            raise UsageError("expected the number of a face")
        self._gallery.choose_face(self._gallery.check_known(avatar), face)
        if self._session is not None and self._config.avatar[0] == avatar:
            self._session.show_again()

    def _change_options(self, values: dict[str, Any]) -> None:
        self._go_on_with(changed(self._config, values))
        self._kept.keep(options=values)

    def _go_on_with(self, config: Options) -> None:
        if config.mirror and config.profile is not None:
            raise UsageError(
                Message(
                    "error.mirrorProfile",
                    "mirror cannot be combined with a profile, which tells your left from your "
                    "right",
                )
            )
        if self._session is not None:
            self._session.change(replace(config, out=("none",)))
        self._config = config

    def _switch_output(self, values: dict[str, Any]) -> None:
        address = values.get("address", "")
        try:
            self._outputs.switch(
                _text(values, "id"), values.get("on") is True, str(address), self._session
            )
        finally:
            self._kept.keep(outputs=self._outputs.wanted)

    def _reset(self) -> None:
        """Have everything as the program was started."""
        if self._session is not None:
            raise UsageError(Message("error.resetRunning", "press Stop first, then reset"))
        self._kept.forget()
        self._config, self._camera = self._started_with, self._started_with.camera
        self._outputs.want([])

    def _calibrate(self, values: dict[str, Any]) -> None:
        if values.get("on") is not True:
            self._calibration.end(keep=values.get("keep") is True)
            return
        if self._session is None:
            raise UsageError(
                Message("error.calibrateStopped", "calibration needs your face: press Start first")
            )
        if self._config.mirror:
            raise UsageError(
                Message(
                    "error.calibrateMirror",
                    "calibration has to know your left from your right: switch mirror off",
                )
            )
        self._calibration.begin(
            _text(values, "name"), unattended=values.get("unattended") is True,
            recorder=self._session.recorder, replace=values.get("replace") is True,
        )  # fmt: skip

    def _press(self, key: str) -> None:
        if key not in _KEYS:
            raise UsageError(f"the key {key!r} is not assigned")
        if key == "m":
            self._change_options({"mirror": not self._config.mirror})
            self.say(
                Message("said.mirrorOn", "mirror: on")
                if self._config.mirror
                else Message("said.mirrorOff", "mirror: off")
            )
        elif key == "l":
            at = CORNERS.index(self._config.label_corner) + 1
            self._change_options({"label_corner": CORNERS[at % len(CORNERS)]})
        elif self._session is None:
            raise UsageError(Message("error.keyStopped", "press Start first"))
        else:
            self._session.press(key)
            if key == "x":
                self.say(_reference_words(self._watch.sees_face))

    def close(self) -> None:
        """End everything; for the program's end."""
        self.stop()
        with self._acting:
            self.stop()
            self._removed.close()


def _reference_words(sees_face: bool) -> Message:
    if sees_face:
        return Message("said.referenceTaken", "reference: your face as it is now")
    return Message(
        "said.referenceAwaited",
        "reference: your face is not seen at present; it is taken as soon as it is",
    )


def _camera_id(camera: str) -> str:
    """Return what pages call a camera: an address may have a password in it."""
    return GIVEN_CAMERA if is_address(camera) else camera


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise UsageError(f"the request lacks {name}")
    return value


def _rate(recorder: Recorder, sink: str) -> float | None:
    ends = [span.end_ns for span in delivered(recorder, sink, _SPANS)]
    return (len(ends) - 1) * 1e9 / max(ends[-1] - ends[0], 1) if len(ends) > 1 else None


def _percentile(values: list[float], share: float) -> float | None:
    return float(np.percentile(values, share)) if values else None
