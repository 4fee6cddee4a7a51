"""How fast this machine can be: the costs of a frame, timed on the built-in portrait."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar.core.clock import Clock, MonotonicClock
from avatar.core.config_file import load_options
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.observe import Recorder, timed
from avatar.sessions.engines import open_engine
from avatar.sessions.retargeting import make_retargeter
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.label import create_labeller
from avatar.stages.sinks.conversion import I420Converter
from avatar.stages.sources.demo import performance
from avatar.stages.sources.illustration import Illustrator
from avatar.stages.track.choice import create_tracker

CAMERA_SIZE_PX = (640, 480)
OUTPUT_SIZE_PX = (1280, 720)
CAMERA_FPS = 30.0
# The demo speaks from here on.
_SPEAKS_S = 1.5
WARM_UP_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Speed:
    """Median milliseconds of a frame's three costly steps, and how many cores share them.

    ``track_ms``: the face tracker on 640×480. ``draw_ms``: drawing and labelling the built-in
    portrait at 1280×720. ``convert_ms``: RGB to I420 of 1280×720. ``cpu_ms``: CPU time of all
    three together, over all threads.
    """

    track_ms: float
    draw_ms: float
    convert_ms: float
    cpu_ms: float
    cores: int

    @property
    def fps(self) -> float:
        """Frames a second to expect: bounded by the slowest thread and by all cores together.

        Tracking has a thread of its own; drawing and converting are taken as one.
        """
        slowest_ms = max(self.track_ms, self.draw_ms + self.convert_ms)
        return 1000 / max(slowest_ms, self.cpu_ms / self.cores)


def measure_speed(
    face_model: Path, home: Home, seconds: float = 1.5, clock: Clock | None = None
) -> Speed:
    """Time the three steps for about ``seconds`` in all: the demo drives the built-in portrait.

    ``home``: where its outline is kept, so that it is cut the first time alone. Raises
    ``AvatarError`` when the tracker or the portrait is not there.
    """
    clock = clock or MonotonicClock()
    recorder = Recorder()
    options = load_options(None, {})
    engine = open_engine(options, _silent, home, Machine.of_process())
    retargeter = make_retargeter(options, home)
    converter = I420Converter(OUTPUT_SIZE_PX)
    photo = engine.open_avatar("builtin", face_model, _silent)
    with (
        create_tracker(face_model) as tracker,
        engine.make(photo, options.frame, OUTPUT_SIZE_PX) as generator,
    ):
        labeller = create_labeller(size_px=generator.size_px)
        cpu_ns: list[int] = []
        deadline_ns = clock.now_ns() + int(seconds * 1e9)
        for index, frame in enumerate(_performed()):
            start_ns = time.process_time_ns()
            with timed(recorder, clock, "track", index):
                track = tracker.track(frame)
            with timed(recorder, clock, "draw", index):
                drawn = generator.generate(retargeter.retarget(track, frame.timestamp_ns))
                labelled = labeller.label(drawn)
            with timed(recorder, clock, "convert", index):
                converter.convert(labelled.image)
            cpu_ns.append(time.process_time_ns() - start_ns)
            if index > WARM_UP_FRAMES and clock.now_ns() >= deadline_ns:
                break
    track_ms, draw_ms, convert_ms = (
        statistics.median(span.ms for span in recorder.spans(stage)[WARM_UP_FRAMES:])
        for stage in ("track", "draw", "convert")
    )
    cpu_ms = statistics.median(cpu_ns[WARM_UP_FRAMES:]) / 1e6
    return Speed(track_ms, draw_ms, convert_ms, cpu_ms, usable_cores())


def _silent(line: str) -> None:
    """Say nothing: doctor says what it found."""


def _performed() -> Iterator[CameraFrame]:
    """Give what a camera would show of the demo from where it begins to speak, without end."""
    drawn = Illustrator(CAMERA_SIZE_PX)
    for index in itertools.count():
        at_ns = round(index * 1e9 / CAMERA_FPS)
        yield CameraFrame(drawn.draw(performance(_SPEAKS_S + at_ns / 1e9)), at_ns, index)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def camera_picture() -> UInt8Image:
    """Return the built-in portrait as a camera would show it: uint8 (480, 640, 3) RGB."""
    import cv2

    photo = load_photo(builtin_photo())
    width, height = CAMERA_SIZE_PX
    scale = height / photo.shape[0]
    face = cv2.resize(photo, (round(photo.shape[1] * scale), height), interpolation=cv2.INTER_AREA)
    picture = np.zeros((height, width, 3), np.uint8)
    left = (width - face.shape[1]) // 2
    picture[:, left : left + face.shape[1]] = face
    return picture
