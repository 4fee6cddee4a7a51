"""What drawing a frame costs, step by step, with nothing else running.

``python -m avatar.measure.drawing --avatar PHOTO --size 1280x720 CLIP...`` tracks the clips first,
then draws, labels and converts their frames as the live loop does, with its one thread for OpenCV,
and prints the median milliseconds of processor time of each step. ``--functions`` adds where the
time goes within drawing; a profile slows small functions, so that these are shares rather than
milliseconds.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from avatar.core.config_file import load_options
from avatar.core.frames import CameraFrame, Motion
from avatar.core.home import Home
from avatar.core.machine import Machine, keep_one_opencv_thread
from avatar.core.stages import Generator, Labeller
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.bench import CAMERA_FPS, load_frames
from avatar.sessions.engines import open_engine
from avatar.sessions.retargeting import make_retargeter
from avatar.stages.label import create_labeller
from avatar.stages.sinks.conversion import I420Converter
from avatar.stages.track.choice import create_tracker

STEPS = ("draw", "label", "convert")
_WARM_UP = 5
_SHOWN = 25
_Made = TypeVar("_Made")


def motions_of(clip: str, face_model: Path, home: Home, frames: int) -> list[Motion]:
    """Return how the avatar moves in the first ``frames`` frames of ``clip``, at 640×480."""
    retargeter = make_retargeter(load_options(None, {}), home)
    motions = []
    with create_tracker(face_model) as tracker:
        for index, image in enumerate(load_frames(clip, CAMERA_FPS)[:frames]):
            now_ns = round((index + 1) * 1e9 / CAMERA_FPS)
            track = tracker.track(CameraFrame(image, now_ns, index))
            motions.append(retargeter.retarget(track, now_ns))
    return motions


def costs(
    generator: Generator,
    labeller: Labeller,
    motions: Sequence[Motion],
    now_ns: Callable[[], int] = time.thread_time_ns,
) -> dict[str, float]:
    """Return the median milliseconds of each of ``STEPS``, as ``now_ns`` counts them."""
    converter = I420Converter(generator.size_px)
    spent = []
    for motion in motions:
        row: list[int] = []
        frame = _timed(row, now_ns, partial(generator.generate, motion))
        labelled = _timed(row, now_ns, partial(labeller.label, frame))
        _timed(row, now_ns, partial(converter.convert, labelled.image))
        spent.append(row)
    medians = np.median(spent[_WARM_UP:] or spent, axis=0) / 1e6
    return dict(zip(STEPS, medians.tolist(), strict=True))


def _timed(row: list[int], now_ns: Callable[[], int], step: Callable[[], _Made]) -> _Made:
    begin = now_ns()
    made = step()
    row.append(now_ns() - begin)
    return made


def _functions(generator: Generator, motions: Sequence[Motion]) -> None:
    """Print the functions in which drawing spends most of its time, those they call left out."""
    profile = cProfile.Profile(time.thread_time)
    with profile:
        for motion in motions:
            generator.generate(motion)
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(_SHOWN)


def main(arguments: Sequence[str]) -> int:
    """Measure on clips; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m avatar.measure.drawing", description=__doc__)
    parser.add_argument("clips", nargs="*", default=["demo"], metavar="CLIP")
    parser.add_argument("--avatar", default="builtin", metavar="PHOTO")
    parser.add_argument("--engine", default="portrait")
    parser.add_argument("--background", default="photo")
    parser.add_argument("--size", default="1280x720", metavar="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=200, help="of each clip at most")
    parser.add_argument("--functions", action="store_true", help="where the time goes")
    parser.add_argument("--face-model", type=Path)
    chosen = parser.parse_args(arguments)
    keep_one_opencv_thread()
    home = Home.of_user()
    options = load_options(None, {"engine": chosen.engine, "background": chosen.background})
    model = find_face_model(chosen.face_model, home)
    width, height = (int(side) for side in chosen.size.split("x"))
    engine = open_engine(options, say, home, Machine.of_process())
    photo = engine.open_avatar(chosen.avatar, model, say)
    for clip in chosen.clips:
        motions = motions_of(clip, model, home, chosen.frames)
        with engine.make(photo, options.frame, (width, height)) as generator:
            labeller = create_labeller(size_px=generator.size_px)
            found = costs(generator, labeller, motions)
            steps = ", ".join(f"{step} {ms:.2f}" for step, ms in found.items())
            say(f"{Path(clip).name} → {photo.name}, {chosen.size}: ms {steps}")
            if chosen.functions:
                _functions(generator, motions)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
