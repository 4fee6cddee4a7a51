"""A recorded clip as what moves an avatar: its times, its sound, who is in it, and its motion."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from avatar.core.clock import ManualClock
from avatar.core.counting import counted
from avatar.core.errors import SourceEndedError, SourceError
from avatar.core.frames import CameraFrame, Motion, Presence, still
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.core.stages import FrameSource, Tracker
from avatar.core.stages import Generator as AvatarGenerator
from avatar.core.terminal import say
from avatar.sessions.avatars import AvatarPhoto, open_one
from avatar.sessions.first_look import FirstLook, look_ahead, tracked
from avatar.sessions.retargeting import chosen_reference
from avatar.stages.generate.photo import BUILTIN
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.motion.retarget import FaceRetargeter
from avatar.stages.motion.template import Template
from avatar.stages.sinks.film_sound import FilmSound, find_sound
from avatar.stages.sources import USUAL_SIZE_PX
from avatar.stages.sources.demo import DemoSource
from avatar.stages.sources.timing import FilmTiming, film_timing
from avatar.stages.sources.video import VideoSource

T = TypeVar("T")

DEMO_S = 10.0
"""How much of the made-up performance becomes a film."""
_DEMO_FPS = 30
# Who plays a recorded face to networks is drawn so large, and after a moment at rest.
_ACTOR_PX, _AFTER_REST_NS = (512, 512), 1_000_000_000


def is_demo(driving: Path) -> bool:
    """Return whether the made-up performance is meant, as with ``--camera demo``."""
    return str(driving) == "demo"


def open_clip(driving: Path) -> FrameSource:
    """Return a source that gives every frame of a clip at once, at the clip's own times."""
    if is_demo(driving):
        return DemoSource(USUAL_SIZE_PX, float(_DEMO_FPS), ManualClock(1_000_000_000))
    # A clock that stands waits for nothing.
    return VideoSource(str(driving), None, ManualClock(1_000_000_000), loop=False)


def clip_sound(driving: Path, track: int | None) -> FilmSound | None:
    """Return the clip's sound that can be kept, and say what the user should know of it."""
    sound = find_sound(driving, track)
    if sound is None:
        say(f"{driving} has no sound to keep")
        return None
    if not sound.codec:
        say(f"no decoder here knows the sound of {driving}: the film will be silent")
        return None
    if sound.tracks > 1 and track is None:
        say(
            f"{driving} has {sound.tracks} sound tracks: taking number {sound.track}; "
            "--audio-track N takes another one"
        )
    return sound


def clip_timing(driving: Path, template: Template | None, seconds: float | None) -> FilmTiming:
    """Return the times of a clip's frames, or of a template's; ``seconds``: of the demo.

    Raises ``SourceError`` for what is no film.
    """
    if template is not None:
        return _template_timing(template)
    if is_demo(driving):
        return FilmTiming(Fraction(_DEMO_FPS), True, round((seconds or DEMO_S) * _DEMO_FPS))
    with open_clip(driving):  # which says in words what is wrong with it
        return film_timing(driving)


def _template_timing(template: Template) -> FilmTiming:
    rate = Fraction(template.rate).limit_denominator(1001)
    return FilmTiming(rate, True, template.frames)


def first_look(
    driving: Path, tracker: Tracker, config: Options, seconds: float | None
) -> FirstLook:
    """Look for the reference; absolute motion does without, and so does another choice.

    Raises ``SourceError`` where nobody is seen: that would become a film of an idling avatar.
    """
    with open_clip(driving) as source:
        look = look_ahead(frames_of(source, seconds), tracker)
    if look.reference is None:
        whom = "" if config.person == "largest" else f" for --person {config.person}"
        raise SourceError(
            f"expected a face{whom} in {driving}, found none in its "
            f"{counted(len(look.tracks), 'frame')}. Name a clip in which somebody looks about "
            "into the camera, the face 50 pixels high or more."
        )
    if config.motion == "absolute" or chosen_reference(config) != "auto":
        return FirstLook(None, look.tracks)
    return look


def clip_motions(
    source: FrameSource,
    tracker: Tracker,
    look: FirstLook,
    retargeter: FaceRetargeter,
    seconds: float | None,
) -> Generator[Motion, None, None]:
    """Yield how the avatar has to move in every frame of ``source``."""
    if look.reference is not None:
        retargeter.begin_with(look.reference)
    coming = made_ahead(tracked(frames_of(source, seconds), tracker, look.tracks))
    with closing(coming) as tracks:
        for track in tracks:
            yield retargeter.retarget(track, track.timestamp_ns)


def open_actor(config: Options, photo: AvatarPhoto, model: Path, home: Home) -> PortraitGenerator:
    """Return who plays a recorded face to networks: the avatar itself, where a face was found."""
    if config.crop is not None:
        photo = open_one(BUILTIN, model, home, say)
    settings = PortraitSettings(mouth="teeth")
    return PortraitGenerator(photo.photo, photo.face, "portrait", _ACTOR_PX, settings, photo.matte)


def acted_motions(
    template: Template,
    actor: AvatarGenerator,
    tracker: Tracker,
    retargeter: FaceRetargeter,
    seconds: float | None,
) -> Generator[Motion, None, None]:
    """Yield the motion of a face for an engine that looks at the driver's picture.

    ``actor`` draws what the template has, and is the driver; it is never shown. Its photograph at
    rest is the reference.
    """
    rest = CameraFrame(actor.generate(still(0, 0, Presence.TRACKED)).image, 0, 0)
    retargeter.begin_with(replace(tracker.track(rest), camera=rest))
    for motion in template.motions(seconds, "relative"):
        now_ns = motion.timestamp_ns + _AFTER_REST_NS
        frame = CameraFrame(actor.generate(motion).image, now_ns, motion.index + 1)
        yield retargeter.retarget(tracker.track(frame), now_ns)


def frames_of(source: FrameSource, seconds: float | None) -> Iterator[CameraFrame]:
    """Yield every frame of ``source``, of its first ``seconds`` if given."""
    first_ns: int | None = None
    while True:
        try:
            frame = source.read()
        except SourceEndedError:
            return
        if frame is None:  # the film stands still for longer than one read waits
            continue
        first_ns = frame.timestamp_ns if first_ns is None else first_ns
        if seconds is not None and frame.timestamp_ns - first_ns >= seconds * 1e9:
            return
        yield frame


def made_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield from ``items``, making the next one on a thread while this one is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="track") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
