"""The live session: options in, a running pipeline out, with what keys and programs can change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from itertools import combinations
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from avatar import __version__
from avatar.core.addresses import shown_spec
from avatar.core.clock import Clock, MonotonicClock
from avatar.core.config_file import load_options
from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.files import expanded
from avatar.core.home import Home
from avatar.core.machine import Machine, frozen_garbage, keep_one_opencv_thread
from avatar.core.messages import Message, words_of
from avatar.core.observe import Recorder, delivered, dropped_share
from avatar.core.options import Options, changeable, flag_of, takes_options
from avatar.core.outputs import same_file
from avatar.core.stages import (
    ChoosingTracker,
    FrameSink,
    FrameSource,
    Generator,
    Labeller,
    Retargeter,
    Tracker,
)
from avatar.library.face_model import find_face_model
from avatar.sessions.acting import LiveActing
from avatar.sessions.delay import MeasuredDelay
from avatar.sessions.engines import OpenEngine, find_engine, open_engine
from avatar.sessions.guidance import Guidance
from avatar.sessions.hotkeys import Hotkeys, key_map
from avatar.sessions.pipeline import Pipeline
from avatar.sessions.retargeting import driving, make_retargeter
from avatar.sessions.sound import LiveSound
from avatar.sessions.streams import stream_settings
from avatar.stages.generate.deck import Deck
from avatar.stages.label import VisibleLabel, create_labeller, file_metadata
from avatar.stages.motion.retarget import FaceRetargeter
from avatar.stages.sinks import create_sink, file_of, keeps_alpha, takes_sound
from avatar.stages.sinks.mp4 import check_film
from avatar.stages.sinks.page import PageSink
from avatar.stages.sources import create_source, is_film_source
from avatar.stages.sources.absent import AbsentSource
from avatar.stages.sources.mirror import MirroredSource
from avatar.stages.sources.rate import RateWatch
from avatar.stages.sources.reconnect import ReconnectingSource
from avatar.stages.track.choice import CANNOT_CHOOSE, choose_tracker, create_tracker
from avatar.web.listening import LOOPBACK, ListenAddress, place_at
from avatar.web.server import need_studio_extra

CAMERA_SIZE_PX = (640, 480)
_PICTURE, _MOVEMENT = changeable("picture"), changeable("movement")
_DRIVING, _LABEL = changeable("driving"), changeable("label")
# Camera and outputs are changed by other means, and not looked at here.
_CHANGEABLE = _PICTURE | _MOVEMENT | _DRIVING | _LABEL | {"mirror", "person", "camera", "out"}
_PAN_STEP, _ZOOM_STEP = 0.03, 1.06


class LiveSession:
    """One run from a camera to its sinks.

    Everything that can be wrong with the options is raised by the constructor; ``run`` opens
    devices. ``source`` and ``sinks`` replace what the config names, and ``wrap_generator`` may
    put something around the generator, ``wrap_tracker`` around the tracker: for programs that
    bring their own. ``guidance``: what the preview says and its keys do for such a program.
    ``home``: whose avatars, profiles and caches. ``machine``: what it shares with other sessions of
    the process; None: with all to which none was handed.
    """

    def __init__(
        self,
        config: Options,
        say: Callable[[str], None],
        *,
        home: Home,
        machine: Machine | None = None,
        clock: Clock | None = None,
        source: FrameSource | None = None,
        sinks: Sequence[FrameSink] = (),
        recorder: Recorder | None = None,
        wrap_generator: Callable[[Generator], Generator] = lambda generator: generator,
        wrap_tracker: Callable[[Tracker], Tracker] = lambda tracker: tracker,
        guidance: Guidance | None = None,
    ) -> None:
        self.config = config
        self.recorder = recorder or Recorder()
        self._say = say
        self._overlay = False
        self._guidance = guidance
        self._home, self._machine = home, machine or Machine.of_process()
        keep_one_opencv_thread()
        clock = clock or MonotonicClock()
        # What is checked in no time comes first: a mistyped option is reported at once.
        engine = self._open_engine(config)
        if engine.slowness is not None:
            say(engine.slowness)
        self.sound: LiveSound | None = None
        if config.mic is not None:
            self.sound = LiveSound(
                config, self.recorder, lambda: self._shown_in, say, home,
                # Whoever brings sinks may attach a recording or a stream later.
                is_recorded=bool(sinks) or any(map(takes_sound, config.out)),
            )  # fmt: skip
        self._acting = LiveActing(home, lambda: self.config.engine, say, config.play)
        keys = key_map(config.hotkey)
        self._hotkeys = Hotkeys(keys, self.press, say) if config.hotkeys or config.hotkey else None
        all_sinks = list(sinks) or self._sinks(clock)
        # Pages that somebody brought are served by them.
        self._own_pages = [] if sinks else [s for s in all_sinks if isinstance(s, PageSink)]
        self._place = _place_of_pages(config) if self._own_pages else place_at(LOOPBACK)
        if not sinks and not self._own_pages and config.listen != LOOPBACK:
            raise UsageError("--listen says where pages are served: it needs --out page")
        self._mirror = MirroredSource(source or self._source(clock), config.mirror)
        # Said once nothing is left that could keep it from running.
        self._news = [choose_tracker(config.tracker).line]
        self._model = model = find_face_model(config.face_model, home)
        self._retargeter = self._make_retargeter(config)
        photos = [engine.open_avatar(avatar, model, say) for avatar in config.avatar]
        self._deck = Deck(
            [photo.name for photo in photos],
            [engine.make(photo, config.frame, config.size_px) for photo in photos],
        )
        self._photos = photos
        self._labeller = self._make_labeller(config, [sink.name for sink in all_sinks])
        self._shown_in = all_sinks[0].name
        self._tracker = create_tracker(model, config.tracker, config.person, say)
        self._pipeline = Pipeline(
            self._mirror,
            wrap_tracker(self._tracker),
            self._moved_by(self._retargeter),
            wrap_generator(self._deck),
            self._labeller,
            all_sinks,
            clock=clock,
            observer=self.recorder,
            say=say,
            fps=config.fps,
            between=_moves_between(config),
        )

    def _open_engine(self, config: Options) -> OpenEngine:
        return open_engine(config, self._say, self._home, self._machine)

    def _source(self, clock: Clock) -> FrameSource:
        config = self.config
        if config.drive == "audio":
            return AbsentSource(clock)
        return open_camera(config, clock, self._say)

    def _sinks(self, clock: Clock) -> list[FrameSink]:
        config = self.config
        _check_outputs(config)
        if config.background == "transparent":
            _check_transparency(config.out, self._say)
        sinks: list[FrameSink] = []
        for spec in config.out:
            sinks.append(self._sink(spec, clock, [sink.name for sink in sinks]))
        return sinks

    def _sink(self, spec: str, clock: Clock, taken: Collection[str]) -> FrameSink:
        config = self.config
        return create_sink(
            spec,
            size_px=config.size_px,
            fps=config.fps,
            clock=clock,
            on_key=self.press,
            overlay_text=self.overlay_text,
            metadata=file_metadata(f"webcam-avatar {__version__}", uuid4().hex),
            force=config.force,
            say=self._say,
            stream=stream_settings(config),
            open_track=self.sound.open_track if self.sound is not None else None,
            taken=taken,
        )

    def _make_labeller(self, config: Options, outputs: Sequence[str]) -> Labeller:
        return create_labeller(
            size_px=config.size_px,
            text=config.label_text,
            corner=config.label_corner,
            visible=config.label,
            acknowledged=config.acknowledge_disclosure_duty,
            avatar=self._deck.name,
            outputs=outputs,
            log_path=self._home.disclosure_log,
        )

    @property
    def clock(self) -> Clock:
        """Return the clock that all stages share."""
        return self._pipeline.clock

    @property
    def first_frame_ns(self) -> int | None:
        """Return when the first frame was delivered, on ``clock``; None before that."""
        return self._pipeline.first_frame_ns

    @property
    def first_sink(self) -> str:
        """Return the name of the sink whose latency is shown."""
        return self._shown_in

    def run(self, seconds: float | None = None, begun: Callable[[], None] = lambda: None) -> None:
        """Run until stopped or ended; see ``Pipeline.run``."""
        with (
            frozen_garbage(),
            self.sound or nullcontext(),
            self._hotkeys or nullcontext(),
            self._pages() as announce,
        ):

            def say_news() -> None:
                for line in self._news:
                    self._say(line)
                announce()
                begun()

            limit = seconds if seconds is not None else self.config.seconds
            self._pipeline.run(limit, say_news)

    def _pages(self) -> AbstractContextManager[Callable[[], None]]:
        if not self._own_pages:
            return nullcontext(lambda: None)
        from avatar.web.pages import view_pages

        size_px, folder = self.config.size_px, self._home.studio
        return view_pages(self._own_pages, size_px, self._say, folder, self._place)

    def stop(self) -> None:
        """End the session; safe from any thread."""
        self._pipeline.stop()

    @property
    def outputs(self) -> dict[str, bool]:
        """Return the outputs by name, and whether each takes pictures at present."""
        return self._pipeline.outputs

    @property
    def lost_outputs(self) -> tuple[str, ...]:
        """Return the outputs that were lost and not back when the session ended."""
        return self._pipeline.lost_outputs

    def attach(self, spec: str) -> str:
        """Send pictures to ``spec`` too, as ``--out`` names it; return the output's name.

        From any thread while running. Raises ``UsageError`` and what opening it raises.
        """
        sink = self._sink(spec, self.clock, self.outputs)
        self._pipeline.attach(sink)
        if self.config.background == "transparent" and not keeps_alpha(spec):
            self._say(
                Message(
                    "said.onBlack",
                    "background transparent: {output} shows the avatar on black",
                    output=sink.name,
                )
            )
        return sink.name

    def detach(self, name: str) -> None:
        """End the output called ``name``; safe from any thread."""
        self._pipeline.detach(name)

    def change(self, config: Options) -> None:
        """Continue with other options; from one thread at a time, while running.

        The avatar, the movement and the label can change; camera and outputs are not looked at.
        Raises ``UsageError`` for what has to be chosen before the start, and the errors of an
        avatar that cannot be opened: then nothing changed.
        """
        changed = {
            field.name for field in fields(config)
            if getattr(config, field.name) != getattr(self.config, field.name)
        }  # fmt: skip
        fixed = changed - _CHANGEABLE
        if fixed:
            names = ", ".join(map(flag_of, sorted(fixed)))
            raise UsageError(f"{names} cannot be changed while it runs: stop, and start again")
        retargeter = self._make_retargeter(config)  # checks what does not go together
        if "person" in changed:
            self.follow(config.person)
        if changed & (_PICTURE | _own_movement(config)):
            self._show(config)
        if changed & (_MOVEMENT | {"engine"}):
            self._move_by(retargeter)
        elif changed & _DRIVING:
            self._retargeter.drive(driving(config))
        if changed & _LABEL:
            self._labeller = self._make_labeller(config, list(self.outputs))
            self._pipeline.replace(labeller=self._labeller)
        if "mirror" in changed:
            self._mirror.mirrored = config.mirror
            self.take_reference()
        self.config = config

    def follow(self, person: str) -> None:
        """Follow another person before the camera; see ``ChoosingTracker``. From any thread.

        The reference is looked for again. Raises ``UsageError`` where the tracker cannot choose.
        """
        if not isinstance(self._tracker, ChoosingTracker):
            raise UsageError(CANNOT_CHOOSE)
        self._tracker.follow(person)

    def _follow_next(self) -> None:
        try:
            self.follow("next")
        except UsageError as error:
            self._say(words_of(error))

    def _show(self, config: Options) -> None:
        engine = self._open_engine(config)
        photo = engine.open_avatar(config.avatar[0], self._model, self._say)
        self._deck.show_only(photo.name, engine.make(photo, config.frame, config.size_px))
        self._photos = [photo]
        self._pipeline.replace(between=_moves_between(config))

    def show_again(self) -> None:
        """Open the avatar again, whose photograph or face in it is another now.

        From one thread at a time, while running. Raises the errors of an avatar that cannot be
        opened: then nothing changed.
        """
        self._show(self.config)
        self._move_by(self._make_retargeter(self.config))

    def start_new_driver(self) -> None:
        """Start over with the person in front of the camera, who may be a new one.

        The search for the reference begins as at the start, and what the avatar kept of the last
        driver's mouth is forgotten. From one thread at a time, while running.
        """
        self.show_again()

    def _make_retargeter(self, config: Options) -> FaceRetargeter:
        delay = MeasuredDelay(self.recorder, lambda: self._shown_in)
        return make_retargeter(config, self._home, delay)

    def _move_by(self, retargeter: FaceRetargeter) -> None:
        self._retargeter = retargeter
        self._pipeline.replace(retargeter=self._moved_by(retargeter))

    def _moved_by(self, retargeter: Retargeter) -> Retargeter:
        """Return ``retargeter`` with what else moves the avatar: a voice, and what is asked for."""
        face = self._photos[0].face
        if self.sound is not None:
            retargeter = self.sound.drive(retargeter, face)
        return self._acting.over(retargeter, decompose(face).shape)

    def express(self, name: str, held: bool | None = None) -> None:
        """Show an expression over the driver's face: smile, surprise, wink, laugh, shy, sad, …

        ``held``: None for a moment; True until it is asked for with False. From any thread. Raises
        ``UsageError`` for an unknown name, and for an engine that looks at the driver's picture.
        """
        self._acting.express(name, held)

    def play(self, template: str | None) -> None:
        """Play a template once in place of the driver's motion, and hand back; None: hand back now.

        ``template``: a name of ``avatar templates list``, or a motion template (.npz). From any
        thread. Raises ``UsageError`` as ``express`` does, and for a template that is not there.
        """
        self._acting.play(template)

    def take_reference(self) -> None:
        """Take the next face as the reference of relative motion."""
        self._retargeter.take_reference()

    def search_reference(self) -> None:
        """Begin or end the search for the moment at which the driver looks most like the avatar."""
        if self._retargeter.searching:
            self._retargeter.search_reference(None)
            self._say(Message("said.referenceKept", "reference: kept as it is"))
        else:
            self._retargeter.search_reference(self._photos[self._deck.index].face)
            self._say(
                Message(
                    "said.referenceSearch",
                    "reference: looking for the moment at which you look most like the avatar",
                )
            )

    def press(self, key: str) -> None:
        """Do what a key of the preview window stands for; unknown keys do nothing."""
        if self._guidance is not None and key in self._guidance.keys:
            self._guidance.keys[key]()
            return
        if key.isdecimal():
            self._deck.select(int(key) - 1)
            return
        actions: dict[str, Callable[[], object]] = {
            "n": lambda: self._deck.step(1),
            "p": lambda: self._deck.step(-1),
            "x": self.take_reference,
            "r": self.search_reference,
            "m": self._toggle_mirror,
            "o": self._follow_next,
            "+": lambda: self._deck.zoom(_ZOOM_STEP),
            "-": lambda: self._deck.zoom(1 / _ZOOM_STEP),
            "left": lambda: self._deck.pan(-_PAN_STEP, 0),
            "right": lambda: self._deck.pan(_PAN_STEP, 0),
            "up": lambda: self._deck.pan(0, -_PAN_STEP),
            "down": lambda: self._deck.pan(0, _PAN_STEP),
            "f": self._toggle_overlay,
            "l": self._next_label_corner,
            "q": self.stop,
            **self._acting.keys,
        }
        action = actions.get(key)
        if action is not None:
            action()

    def _toggle_mirror(self) -> None:
        if self.config.profile is not None:
            self._say("mirror: not with a profile, which knows your left from your right")
            return
        # The reference was seen the other way round; a new one is due.
        self._mirror.mirrored = not self._mirror.mirrored
        self.take_reference()

    def _toggle_overlay(self) -> None:
        self._overlay = not self._overlay

    def _next_label_corner(self) -> None:
        if isinstance(self._labeller, VisibleLabel):
            self._labeller.next_corner()

    def overlay_text(self) -> str:
        """Return the preview's overlay, empty while it is off: frame rate, latency, drops."""
        if self._guidance is not None:
            return self._guidance.line()
        if not self._overlay:
            return ""
        spans = self.recorder.latest(f"capture→{self._shown_in}", 31)
        shown = delivered(self.recorder, self._shown_in, 31)
        if len(spans) < 2:
            return "starting"
        fps = (len(shown) - 1) * 1e9 / max(shown[-1].end_ns - shown[0].end_ns, 1)
        latency_ms = sorted(span.ms for span in spans)[len(spans) // 2]
        dropped = dropped_share(self.recorder.counts())
        return f"{fps:.0f} fps   {latency_ms:.0f} ms   {dropped:.1%} dropped   {self._deck.name}"


def open_camera(config: Options, clock: Clock, say: Callable[[str], None]) -> FrameSource:
    """Return the camera of ``config``, which is opened again when it was lost.

    ``say`` is told when it is a film, which begins again at its end, and when it is slow.
    """
    size_px = config.camera_size_px
    source = create_source(config.camera, size_px=size_px, fps=config.fps, clock=clock)
    is_film = is_film_source(config.camera)
    if is_film:
        say(
            Message(
                "said.filmLoops",
                "{name} is a film: it takes the camera's place, and begins again at its end",
                name=source.name,
            )
        )
    source = ReconnectingSource(source, clock, say)
    return RateWatch(source, config.fps, say, is_film=is_film)


def _moves_between(config: Options) -> bool:
    """Return whether predicted motion moves the engine: one that sees the driver sees no more."""
    return not find_engine(config.engine).sees_driver


def _own_movement(config: Options) -> frozenset[str]:
    """Return the options of movement that the engine applies itself, in what it draws with."""
    return frozenset({"strength", "smoothing"} if find_engine(config.engine).sees_driver else ())


def _place_of_pages(config: Options) -> ListenAddress:
    """Return where to serve pages; raises ``UsageError`` and ``MissingDependencyError``."""
    need_studio_extra()
    return place_at(config.listen)


def _check_outputs(config: Options) -> None:
    """Raise ``UsageError`` for one output twice, and for a file that is also read or written."""
    if len(set(config.out)) < len(config.out):
        found = ", ".join(map(shown_spec, config.out))
        raise UsageError(f"--out: each output only once, found {found}")
    files = [path for path in map(file_of, config.out) if path is not None]
    for first, second in combinations(files, 2):
        if same_file(first, second):
            raise UsageError(
                f"--out: each output only once, found one file twice: {first} and {second}"
            )
    for path in files:
        check_film(path, overwrite=config.force)
        if same_file(path, expanded(config.camera)):
            raise UsageError(
                f"--out and --camera name the same file, {path}: writing would destroy the "
                "recording. Name another --out"
            )


def _check_transparency(outputs: Sequence[str], say: Callable[[str], None]) -> None:
    """Say which outputs show black in place of nothing; raise ``UsageError`` where all do."""
    black = [spec for spec in outputs if not keeps_alpha(spec)]
    # The kind alone: what follows it may be secret.
    kinds = " and ".join(dict.fromkeys(spec.partition(":")[0] for spec in black))
    if len(black) == len(outputs):
        raise UsageError(
            f"--background transparent: {kinds} cannot carry transparency. Take --background green "
            "(or #00ff00) there and let the program that receives the picture key the colour out "
            "(OBS: filter Chroma Key); docs/backgrounds.md lists what can carry it"
        )
    if black:
        say(f"--background transparent: {kinds} shows the avatar on black")


class LiveHandle:
    """A session running in a thread of its own; a context manager that stops it at the end."""

    def __init__(self, session: LiveSession) -> None:
        self.session = session
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live")

    def _run(self) -> None:
        try:
            self.session.run()
        except BaseException as error:  # handed to the caller by ``wait``
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.session.stop()
        self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the session's end; returns False on time-out. Raises what ended it."""
        self._thread.join(timeout_s)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()


@takes_options()
def open_live(
    *,
    say: Callable[[str], None] = lambda line: None,
    source: FrameSource | None = None,
    sinks: Sequence[FrameSink] = (),
    config: Path | str | None = None,
    home: Home | None = None,
    machine: Machine | None = None,
    **options: Any,
) -> LiveHandle:
    """Return the threaded loop of ``avatar run`` for programs; enter it to start.

    The options are those of ``avatar run``; ``config`` is a TOML file of them. ``home``: whose
    avatars, profiles and caches; None: those of the user who runs the program. ``machine``: as of
    ``LiveSession``. A preview window is served by the main thread only, so it is refused here.
    Raises ``UsageError`` and the errors of the parts that cannot be made.
    """
    settings = load_options(Path(config) if config is not None else None, options)
    if "preview" in settings.out and not sinks:
        raise UsageError("open_live runs in a thread; a preview window needs `avatar run`")
    home = home or Home.of_user()
    return LiveHandle(
        LiveSession(settings, say, home=home, machine=machine, source=source, sinks=sinks)
    )
