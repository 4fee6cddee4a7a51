"""``avatar animate``: a photograph moved by a recorded clip, frame by frame, into a file."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol
from uuid import uuid4

from avatar import __version__
from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.files import expanded
from avatar.core.frames import LabelledFrame, Motion, Presence, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine, ended_by_signals
from avatar.core.options import Options
from avatar.core.outputs import same_file
from avatar.core.stages import Generator as AvatarGenerator
from avatar.core.stages import Labeller
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import AvatarPhoto, FaceChoice
from avatar.sessions.clip_motions import (
    DEMO_S,
    acted_motions,
    clip_motions,
    clip_sound,
    clip_timing,
    first_look,
    is_demo,
    open_actor,
    open_clip,
)
from avatar.sessions.engines import OpenEngine, open_engine
from avatar.sessions.retargeting import make_retargeter
from avatar.sessions.template import (
    builtin_shape,
    check_saving,
    family_of,
    is_motion,
    open_template,
    recording_of,
    save,
)
from avatar.stages.generate.framing import default_size
from avatar.stages.label import create_labeller, file_metadata
from avatar.stages.motion.performance import FACE, seen_of
from avatar.stages.motion.template import TemplateRecorder
from avatar.stages.sinks.alpha_film import ALPHA_SUFFIXES, AlphaFilmWriter
from avatar.stages.sinks.mp4 import MP4, Mp4Writer, check_film
from avatar.stages.sources.timing import FilmTiming
from avatar.stages.track.choice import choose_tracker, create_tracker

Audio = Literal["keep", "none"]
PORTRAIT_SIZE_PX = (720, 720)
INTERRUPTED = 130
"""Exit status of a program that Ctrl-C ended: the file is whole, the work is not."""


def animate(
    config: Options,
    home: Home,
    *,
    driving: Path,
    out: Path,
    size_px: tuple[int, int] | None,
    audio: Audio,
    face: FaceChoice,
    audio_track: int | None = None,
    save_motion: Path | None = None,
) -> int:
    """Write ``out``: the photograph of ``config`` moved by every frame of ``driving``.

    ``driving``: a clip, or a motion template. ``size_px``: None takes the photograph's own size, or
    720×720 for a portrait. ``face``: which face of the photograph, 1 the largest, or all of them.
    ``save_motion``: where to write what the networks saw, as a template. Frames before the first
    face show the avatar idling. ``audio_track``: which of the clip's sounds, from 1; None takes its
    default one. Returns the exit status; raises ``UsageError``, ``PhotoError`` and
    the errors of the stages.
    """
    driving, out = expanded(driving), expanded(out)
    _check(driving, out, audio, audio_track)
    _check_transparency(config, out)
    transparent = config.background == "transparent"
    check_film(
        out, overwrite=config.force, suffix=out.suffix.lower() if transparent else MP4.suffix
    )
    if config.reference == "key":
        say("--reference key: a clip has no keys, so its first face is the reference")
    template = open_template(driving, config.engine, lambda: builtin_shape(config.face_model, home))
    # An engine that looks at the driver's picture is shown a face that does what is recorded.
    acted = template is not None and template.family == FACE != family_of(config.engine)
    if save_motion is not None:
        save_motion = expanded(save_motion)
        check_saving(save_motion, config, template, (driving, out))
    engine = open_engine(config, say, home, Machine.of_process())
    stop = threading.Event()
    with ExitStack() as stages:
        if template is None:
            source = stages.enter_context(open_clip(driving))
        keeps = audio == "keep" and template is None and not is_demo(driving)
        sound = clip_sound(driving, audio_track) if keeps else None
        timing = clip_timing(driving, template, config.seconds)
        model = find_face_model(config.face_model, home)
        photo = engine.open_avatar(config.avatar[0], model, say, face)
        size_px = size_px or _own_size(photo.photo, config)
        generator = stages.enter_context(engine.make(photo, config.frame, size_px))
        labeller = _labeller(config, photo, out, size_px, home)
        writer = _writer(config, out, size_px, timing)
        if sound is not None:
            writer.take_sound(sound, timing.shifts_s)
        if template is None or acted:
            say(choose_tracker(config.tracker).line)
            tracker = stages.enter_context(create_tracker(model, config.tracker, config.person))
        stages.enter_context(ended_by_signals(stop.set))
        seconds = config.seconds or (DEMO_S if is_demo(driving) else None)
        if template is None:
            look = first_look(driving, tracker, config, seconds)
        stages.enter_context(writer)
        if template is None:
            motions = clip_motions(source, tracker, look, make_retargeter(config, home), seconds)
        elif acted:
            actor = stages.enter_context(open_actor(config, photo, model, home))
            motions = acted_motions(
                template, actor, tracker, make_retargeter(config, home), config.seconds
            )
        else:
            motions = template.motions(config.seconds, config.motion)
        recording = None
        if save_motion is not None:
            recording = recording_of(config.engine, float(timing.rate))
        animation = _Animation(engine, generator, labeller, recording)
        slots = Slots(writer, timing.rate)
        with closing(motions), film_progress(planned_frames(timing, config.seconds)) as step:
            for motion in motions:
                if stop.is_set():
                    break
                slots.put(animation.draw(motion))
                step()
        if stop.is_set():
            writer.close(cut=True)
    out = writer.path  # elsewhere where an older film stays
    _report(out, timing, animation, slots, sound is not None)
    if save_motion is not None and recording is not None:
        save(recording, save_motion, say)
    if stop.is_set():
        say(f"stopped by you: {out} plays up to there")
        return INTERRUPTED
    return 0


def _check(driving: Path, out: Path, audio: Audio, track: int | None) -> None:
    """Raise ``UsageError`` for what would destroy the clip or cannot be intended."""
    if same_file(out, driving):
        raise UsageError(
            f"--out and --driving name the same file, {out}: writing would destroy the clip. "
            "Name another --out."
        )
    if track is not None and audio == "none":
        raise UsageError("--audio-track chooses a sound and --audio none wants none: take one")
    if track is not None and is_motion(driving):
        raise UsageError(f"--audio-track: {driving} is recorded motion, which has no sound")


def _check_transparency(config: Options, out: Path) -> None:
    """Raise ``UsageError`` unless transparency and the film's kind go together."""
    can = out.suffix.lower() in ALPHA_SUFFIXES
    if config.background == "transparent" and not can:
        raise UsageError(
            f"--background transparent: {out} cannot carry transparency. Name it .mov (ProRes "
            "4444, for editing) or .webm (VP9, for pages and OBS); or take --background green and "
            "key the colour out"
        )


def _own_size(photo: UInt8Image, config: Options) -> tuple[int, int]:
    return PORTRAIT_SIZE_PX if config.frame == "portrait" else default_size(photo, config.frame)


def _labeller(
    config: Options, photo: AvatarPhoto, out: Path, size_px: tuple[int, int], home: Home
) -> Labeller:
    return create_labeller(
        size_px=size_px,
        text=config.label_text,
        corner=config.label_corner,
        visible=config.label,
        acknowledged=config.acknowledge_disclosure_duty,
        avatar=photo.name,
        outputs=[f"file:{out}"],
        log_path=home.disclosure_log,
    )


def _writer(config: Options, out: Path, size_px: tuple[int, int], timing: FilmTiming) -> Mp4Writer:
    rate = float(timing.rate)
    metadata = file_metadata(f"webcam-avatar {__version__}", uuid4().hex)
    if config.background == "transparent":
        return AlphaFilmWriter(out, size_px, rate, metadata, overwrite=config.force, say=say)
    return Mp4Writer(
        out,
        size_px,
        rate,
        metadata,
        preset="veryfast",
        low_latency=False,
        overwrite=config.force,
        say=say,
    )


@dataclass
class _Animation:
    """The stages after the retargeter, and how many frames had a face."""

    engine: OpenEngine
    generator: AvatarGenerator
    labeller: Labeller
    recording: TemplateRecorder | None
    frames: int = 0
    faces: int = 0

    def draw(self, motion: Motion) -> LabelledFrame:
        self.frames += 1
        self.faces += motion.presence is Presence.TRACKED
        frame = self.labeller.label(self.generator.generate(motion))
        if self.recording is not None:
            seen = seen_of(motion) if self.recording.family == FACE else None
            seen = seen or self.engine.seen(self.generator)
            self.recording.add(motion.timestamp_ns, seen)
        return frame


@dataclass
class Slots:
    """Puts frames at their times into a file of constant rate.

    A slot that no frame falls into repeats the one before; a frame whose slot is taken is left
    out. In a film of constant rate neither happens.
    """

    writer: Mp4Writer
    rate: Fraction
    repeated: int = 0
    left_out: int = 0
    _first_ns: int | None = field(default=None, init=False)

    def put(self, frame: LabelledFrame) -> None:
        """Write ``frame`` at its time."""
        if self._first_ns is None:
            self._first_ns = frame.timestamp_ns
        slot = round((frame.timestamp_ns - self._first_ns) * self.rate / 1_000_000_000)
        if slot < self.writer.frame_count:
            self.left_out += 1
            return
        while self.writer.frame_count < slot:
            self.writer.repeat_last()
            self.repeated += 1
        if isinstance(self.writer, AlphaFilmWriter) and frame.alpha is not None:
            self.writer.write_rgba(frame.image, frame.alpha)
        else:
            self.writer.write_rgb(frame.image)

    @property
    def frames(self) -> int:
        """Return how many frames the film has."""
        return self.writer.frame_count


class _Step(Protocol):
    def __call__(self) -> None: ...


def planned_frames(timing: FilmTiming, seconds: float | None) -> int:
    """Return how many frames are to come."""
    if seconds is None:
        return timing.frames
    return min(timing.frames, round(seconds * float(timing.rate)))


@contextmanager
def film_progress(total: int | None) -> Iterator[_Step]:
    """Show a bar on standard error where that is a terminal; give what moves it on.

    ``total``: how many steps there will be; None where nobody knows.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def _report(
    out: Path, timing: FilmTiming, animation: _Animation, slots: Slots, has_sound: bool
) -> None:
    rate = float(timing.rate)
    sound = ", with the clip's sound" if has_sound else ""
    say(
        f"{out}: {counted(slots.frames, 'frame')}, {rate:.5g} fps, "
        f"{slots.frames / rate:.2f} s{sound}"
    )
    if not timing.constant:
        say(
            f"the clip's rate varies: written at {rate:.5g} fps, "
            f"{counted(slots.repeated, 'frame')} shown "
            f"longer, {slots.left_out} left out"
        )
    elif slots.repeated:
        are = "is" if slots.repeated == 1 else "are"
        say(
            f"{counted(slots.repeated, 'frame')} of the clip {are} damaged: the one before is "
            "shown longer"
        )
    if timing.missing_s:
        said_s = timing.missing_s + timing.frames / rate
        say(f"the clip is cut off: {timing.missing_s:.1f} s of its {said_s:.1f} s are missing")
    missing = animation.frames - animation.faces
    if missing:
        say(
            f"no face in {missing} of {counted(animation.frames, 'frame')}: the avatar held still "
            "or idled"
        )
