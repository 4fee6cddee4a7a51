"""What clips on the beat keep of their promises, on this machine.

``python -m avatar.measure.clips`` makes clips of PHOTO and measures, in their pictures and their
sound, how far an accent is from its beat; how much of real time drawing leaves; how long the first
clip of a new user takes; and whether the end of a loop is its beginning. With ``--driving CLIP`` it
measures how far a recorded clip's pictures are from those that the clip gave, with the film's codec
and without.

Times are given twice: on the clock, which other work on the machine lengthens, and what two idle
cores need: the longer of what the drawing thread computes and half of what all threads do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avatar.core.errors import AvatarError
from avatar.core.frames import CameraFrame, Float32, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import Options
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.bars import MeasuredBar, terminal_table
from avatar.sessions.choreographies import ChoreographyStore
from avatar.sessions.clip import cast_of, make_clip, performer_of
from avatar.sessions.clip_motions import clip_motions, first_look, open_clip
from avatar.sessions.clip_request import ClipRequest
from avatar.sessions.clip_song import FPS, song_of
from avatar.sessions.engines import open_engine
from avatar.sessions.film import PORTRAIT_SIZE_PX, animate
from avatar.sessions.retargeting import make_retargeter
from avatar.sessions.template import builtin_shape, open_template
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.label import VisibleLabel, file_metadata
from avatar.stages.music.beats import find_beats
from avatar.stages.music.reading import read_music
from avatar.stages.sinks.mp4 import Mp4Writer
from avatar.stages.sources.video import film_frames
from avatar.stages.track.choice import create_tracker

_CORES, _WARM_UP = 2, 10
# An accent is looked for so near to its beat, beats.
_NEAR_BEATS = 0.45
_NOSE = 1
_FACE_ROWS, _MOUTH_ROWS = slice(0, 468), (61, 291, 0, 17)


def _silent(line: str) -> None:
    return None


@dataclass
class Spent:
    """Seconds of a piece of work: on the clock, of its own thread, and of all threads."""

    clock_s: float = 0.0
    thread_s: float = 0.0
    all_s: float = 0.0

    def __enter__(self) -> Spent:
        self._begin = time.monotonic(), time.thread_time(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        now = time.monotonic(), time.thread_time(), time.process_time()
        self.clock_s, self.thread_s, self.all_s = (
            b - a for a, b in zip(self._begin, now, strict=True)
        )

    @property
    def idle_s(self) -> float:
        """Return how long two idle cores need."""
        return max(self.thread_s, self.all_s / _CORES)


# --- accents


def accents_off(film: Path, face_model: Path) -> Float32:
    """Return how far each accent of a nodding face is from its beat, frames, float32 (n,).

    The film's own sound says where the beats are, and its own pictures where the nose is lowest.
    """
    music = read_music(film)
    beats_s = find_beats(music.samples, music.rate_hz).times_s
    times_s, nose_px = _noses(film, face_model)
    near_s = _NEAR_BEATS * float(np.median(np.diff(beats_s)))
    found = []
    for beat_s in beats_s[1:-1]:
        about = np.flatnonzero(np.abs(times_s - beat_s) <= near_s)
        if len(about) > 4 and about[0] > 0 and about[-1] < len(times_s) - 1:
            found.append((_lowest(nose_px[about], times_s[about]) - beat_s) * FPS)
    return np.array(found, np.float32)


def _lowest(nose_px: Float32, times_s: Float32) -> float:
    """Return when the nose is lowest: the vertex of the parabola through the three lowest."""
    k = int(np.clip(nose_px.argmax(), 1, len(nose_px) - 2))
    before, at, after = (float(nose_px[j]) for j in (k - 1, k, k + 1))
    bend = before - 2 * at + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(times_s[k]) + float(np.clip(shift, -1, 1)) / FPS


def _noses(film: Path, face_model: Path) -> tuple[Float32, Float32]:
    times: list[float] = []
    noses: list[float] = []
    with create_tracker(face_model) as tracker:
        for frame in film_frames(film):
            face = tracker.track(CameraFrame(frame.image, len(times) * 33_333_333, 0)).face
            times.append(len(times) / FPS)
            noses.append(np.nan if face is None else float(face.landmarks_px[_NOSE, 1]))
    if np.isnan(noses).any():
        raise AvatarError(f"{film}: no face in {int(np.isnan(noses).sum())} of its pictures")
    return np.array(times, np.float32), np.array(noses, np.float32)


# --- speed


def speed(request: ClipRequest, home: Home) -> tuple[float, float]:
    """Return how many times real time pictures are made in: on the clock, and on two idle cores.

    Drawn, labelled and encoded as a clip's are, in its main thread; what comes before the first
    picture is not in it, and the sound, which is encoded once, neither.
    """
    choreography = ChoreographyStore(home).load(request.template)
    song = song_of(request, choreography, _silent)
    with ExitStack() as stages:
        cast = stages.enter_context(cast_of(request, home, _silent))
        performer = performer_of(request, choreography, song, cast)
        label = VisibleLabel(request.label_text, request.label_corner, cast.grid)
        label.prepare(cast.size_px)
        folder = Path(stages.enter_context(tempfile.TemporaryDirectory()))
        metadata = file_metadata("avatar.measure.clips", "0" * 32)
        writer = Mp4Writer(
            folder / "a.mp4", cast.size_px, FPS, metadata, preset="veryfast", low_latency=False
        )
        stages.enter_context(writer)
        spent = Spent()
        for k in range(song.frames):
            if k == _WARM_UP:
                spent.__enter__()
            frame = cast.draw(performer.motions(song.time_s(k), k))
            writer.write_rgb(label.label(frame).image)
        spent.__exit__()
    seconds = (song.frames - _WARM_UP) / FPS
    return seconds / spent.clock_s, seconds / spent.idle_s


_TIMED = """
import atexit, runpy, sys, time
atexit.register(lambda: print(time.thread_time(), time.process_time()))
sys.argv = ["avatar", "clip", *sys.argv[1:]]
runpy.run_module("avatar", run_name="__main__", alter_sys=True)
"""


def first_use(photo: Path) -> Spent:
    """Return what a new user's ``avatar clip PHOTO`` takes, from the start of the program."""
    with tempfile.TemporaryDirectory() as folder:
        own = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        command = [sys.executable, "-c", _TIMED, str(photo.resolve()), "--out", f"{folder}/a.mp4"]
        begin = time.monotonic()
        done = subprocess.run(
            command, env=own | {"HOME": folder}, check=True, capture_output=True, text=True
        )
        thread_s, all_s = (float(word) for word in done.stdout.split()[-2:])
        return Spent(time.monotonic() - begin, thread_s, all_s)


# --- loops


def loop_jump(request: ClipRequest, home: Home) -> tuple[float, float]:
    """Return how far the picture after a clip's last is from its first: pixels, and mean levels.

    Both are drawn as the clip draws them, without the film's codec; pixels are how far head and
    mouth moved, whichever moved more.
    """
    choreography = ChoreographyStore(home).load(request.template)
    song = song_of(request, choreography, _silent)
    with cast_of(request, home, _silent) as cast:
        performer = performer_of(request, choreography, song, cast)
        first = cast.draw(performer.motions(0.0, 0)).image.copy()
        for k in range(1, song.frames):  # what a drawing remembers is as in the clip
            cast.draw(performer.motions(song.time_s(k), k))
        last = cast.draw(performer.motions(song.time_s(song.frames), song.frames)).image
        shape = cast.shapes[0]
    levels = float(np.abs(last.astype(np.int16) - first).mean())
    return _moved_px(first, last, home, shape), levels


def _moved_px(first: UInt8Image, last: UInt8Image, home: Home, shape: Float32) -> float:
    model = find_face_model(None, home)
    points = []
    for image in (first, last):
        with create_tracker(model) as tracker:
            face = tracker.track(CameraFrame(image, 0, 0)).face
        if face is None:
            raise AvatarError("no face was found in a picture of the clip")
        points.append(face.landmarks_px[:, :2])
    moved = points[1] - points[0]
    head = float(np.linalg.norm(moved[_FACE_ROWS].mean(axis=0)))
    return max(head, float(np.linalg.norm(moved[list(_MOUTH_ROWS)].mean(axis=0))))


# --- recordings


def played_apart(clip: Path, photo: str, seconds: float, home: Home) -> tuple[float, float]:
    """Return how far a recording's pictures are from its clip's, mean levels: bare, and as films.

    Both with ``--mouth teeth``: a recording has no picture of the driver's mouth.
    """
    config = Options(avatar=(photo,), mouth="teeth", seconds=seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        motion = folder / "m.npz"
        films = folder / "clip.mp4", folder / "motion.mp4"
        for driving, film in zip((clip, motion), films, strict=True):
            animate(
                config, home, driving=driving, out=film, size_px=None, audio="none", face=1,
                save_motion=motion if driving == clip else None,
            )  # fmt: skip
        coded = _apart(*([frame.image for frame in film_frames(film)] for film in films))
        return _apart(*_drawn(config, clip, motion, home)), coded


def _drawn(config: Options, clip: Path, motion: Path, home: Home) -> list[list[UInt8Image]]:
    """Return the pictures of a clip and of its recording, as they are drawn."""
    model = find_face_model(None, home)
    template = open_template(motion, config.engine, lambda: builtin_shape(None, home))
    assert template is not None
    engine = open_engine(config, _silent, home, Machine.of_process())
    photo = engine.open_avatar(config.avatar[0], model, _silent)
    with create_tracker(model) as tracker:
        look = first_look(clip, tracker, config, config.seconds)
        with open_clip(clip) as source:
            retargeter = make_retargeter(config, home)
            seen = list(clip_motions(source, tracker, look, retargeter, config.seconds))
    made = []
    for motions in (seen, template.motions(config.seconds, config.motion)):
        with engine.make(photo, config.frame, PORTRAIT_SIZE_PX) as generator:
            made.append([generator.generate(motion).image.copy() for motion in motions])
    return made


def _apart(one: Sequence[UInt8Image], other: Sequence[UInt8Image]) -> float:
    pairs = zip(one, other, strict=True)
    return float(np.mean([np.abs(a.astype(np.int16) - b).mean() for a, b in pairs]))


# --- the command


def bars(photo: Path, home: Home, driving: Path | None) -> list[MeasuredBar]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as name:
        one = ClipRequest(photos=(photo,), out=Path(name) / "a.mp4", force=True)
        nod = replace(one, template="nod")
        make_clip(nod, home, _silent)
        off = accents_off(nod.out, find_face_model(None, home))
        grid = replace(one, photos=(photo,) * 9, grid="3x3")
        rows = [
            _bar("accents", "accents from their beats, frames", 1, float(np.abs(off).max()), 2,
                 f"{len(off)} accents, {float(np.median(off)):+.2f} in the middle"),
            _times("one", "one face, 720×1280, times real time", 2, *speed(one, home)),
            _times("nine", "nine in a grid, times real time", 0.6, *speed(grid, home)),
        ]  # fmt: skip
        for template in ("hey", "nod"):
            px, levels = loop_jump(replace(one, template=template), home)
            rows.append(
                _bar(
                    f"loop {template}",
                    f"{template}: end of a loop against its start, px",
                    0.5,
                    px,
                    2,
                )
            )
            rows.append(_bar(f"levels {template}", f"{template}: … levels", 1, levels, 2))
    first = first_use(photo)
    beside = f"{first.clock_s:.1f} on the clock, {first.all_s:.1f} computed"
    rows.append(_bar("first use", "first clip of a new user, s", 15, first.idle_s, 1, beside))
    if driving is not None:
        bare, coded = played_apart(driving, str(photo), 3.0, home)
        rows.append(
            _bar(
                "played",
                "a recording against its clip, levels",
                1,
                bare,
                3,
                f"{coded:.2f} as films",
            )
        )
    return rows


def _bar(
    key: str, name: str, bar: float, value: float, digits: int, worst: str = ""
) -> MeasuredBar:
    return MeasuredBar(key, name, "", bar, value, digits, worst=worst)


def _times(key: str, name: str, bar: float, clock: float, idle: float) -> MeasuredBar:
    return MeasuredBar(
        key, name, "", bar, idle, 2, at_least=True, worst=f"{clock:.2f} on the clock"
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, and print; return the exit status: 1 where a bar is missed."""
    from rich.console import Console

    parser = argparse.ArgumentParser(prog="python -m avatar.measure.clips", description=__doc__)
    parser.add_argument("photo", nargs="?", default=builtin_photo(), type=Path, metavar="PHOTO")
    parser.add_argument("--driving", type=Path, metavar="CLIP", help="compare a recording, too")
    chosen = parser.parse_args(arguments)
    try:
        rows = bars(chosen.photo, Home.of_user(), chosen.driving)
    except AvatarError as error:
        say(f"error: {error}")
        return 1
    Console().print(terminal_table("clips", rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
