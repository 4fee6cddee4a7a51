"""How fast this machine can be: the costs of a frame, timed on the built-in portrait."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar.core.clock import Clock, MonotonicClock
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.core.observe import Recorder, timed
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.sinks.conversion import I420Converter
from avatar.stages.track.choice import create_tracker

CAMERA_SIZE_PX = (640, 480)
OUTPUT_SIZE_PX = (1280, 720)
WARM_UP_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Speed:
    """Median milliseconds of a frame's three costly steps, and how many cores share them.

    ``track_ms``: the face tracker on 640×480. ``draw_ms``: one 1280×720 remap with bilinear
    interpolation, which is what drawing the avatar mostly is. ``convert_ms``: RGB to I420 of
    1280×720. ``cpu_ms``: CPU time of all three together, over all threads.
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


def measure_speed(face_model: Path, seconds: float = 1.5, clock: Clock | None = None) -> Speed:
    """Time the three steps for about ``seconds`` in all.

    Raises ``AvatarError`` when the tracker or the portrait is not there.
    """
    clock = clock or MonotonicClock()
    recorder = Recorder()
    camera = camera_picture()
    draw, convert = _drawing(), _converting()
    with create_tracker(face_model) as tracker:
        cpu_ns: list[int] = []
        deadline_ns = clock.now_ns() + int(seconds * 1e9)
        index = 0
        while index <= WARM_UP_FRAMES or clock.now_ns() < deadline_ns:
            start_ns = time.process_time_ns()
            with timed(recorder, clock, "track", index):
                tracker.track(CameraFrame(camera, index * 33_333_333, index))
            with timed(recorder, clock, "draw", index):
                draw()
            with timed(recorder, clock, "convert", index):
                convert()
            cpu_ns.append(time.process_time_ns() - start_ns)
            index += 1
    track, drawing, converting = (
        statistics.median(span.ms for span in recorder.spans(stage)[WARM_UP_FRAMES:])
        for stage in ("track", "draw", "convert")
    )
    cpu_ms = statistics.median(cpu_ns[WARM_UP_FRAMES:]) / 1e6
    return Speed(track, drawing, converting, cpu_ms, usable_cores())


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


def _drawing() -> Callable[[], object]:
    """Return a 1280×720 remap along a slightly bent grid, so that no fast path applies."""
    import cv2

    width, height = OUTPUT_SIZE_PX
    picture = np.full((height, width, 3), 128, np.uint8)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bent_x, bent_y = x + 3 * np.sin(y / 40), y + 3 * np.cos(x / 40)
    return lambda: cv2.remap(picture, bent_x, bent_y, cv2.INTER_LINEAR)


def _converting() -> Callable[[], object]:
    width, height = OUTPUT_SIZE_PX
    picture = np.full((height, width, 3), 128, np.uint8)
    converter = I420Converter(OUTPUT_SIZE_PX)
    return lambda: converter.convert(picture)
