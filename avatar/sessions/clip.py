"""``avatar clip``: faces of photographs move to the beats of a song, into a film with its sound."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from avatar import __version__
from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.files import expanded, kind_of
from avatar.core.frames import Float32
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.outputs import check_output, same_file
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import open_one
from avatar.sessions.cast import Cast, Grid, InPlace
from avatar.sessions.choreographies import ChoreographyStore
from avatar.sessions.clip_request import SIZES_PX, ClipRequest
from avatar.sessions.clip_song import FPS, SOUND_HZ, Song, song_of
from avatar.sessions.engines.portrait import default_mattes
from avatar.sessions.film import INTERRUPTED, film_progress
from avatar.stages.generate.group import GroupGenerator
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.label import VisibleLabel, file_metadata, xmp_packet
from avatar.stages.motion.choreography import Choreography
from avatar.stages.motion.on_the_beat import Performer
from avatar.stages.sinks.film_sound import find_sound
from avatar.stages.sinks.loops import LOOP_SUFFIXES, LoopWriter, check_loop
from avatar.stages.sinks.mp4 import MP4, Mp4Writer, check_film

_PRODUCER = f"webcam-avatar {__version__}"

Say = Callable[[str], None]


@dataclass(frozen=True)
class MadeClip:
    """A clip that lies on the disk. ``is_whole``: it was not stopped before its end."""

    path: Path
    frames: int
    is_whole: bool


def make_clip(request: ClipRequest, home: Home, say: Say) -> int:
    """Write the clip that was asked for, with a bar on the terminal; return the exit status.

    ``say`` is told of faces, tempo and file. Raises ``UsageError``, ``PhotoError`` and the errors
    of the stages.
    """
    made = write_clip(request, home, say)
    say(f"{made.path}: {counted(made.frames, 'frame')}, {made.frames / FPS:.2f} s")
    return 0 if made.is_whole else INTERRUPTED


def write_clip(
    request: ClipRequest,
    home: Home,
    say: Say,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MadeClip:
    """Write the clip that was asked for, until its end or ``stop``; what is written then plays.

    ``progress``: called with the pictures that are done and all of them, in place of a bar on the
    terminal. Ctrl-C stops as well. Raises as ``make_clip``.
    """
    out = expanded(request.out)
    for photo in request.photos:
        if same_file(out, expanded(photo)):
            raise UsageError(f"--out and a photograph name the same file, {out}. Name another one")
    _check_out(out, request)
    # A text that cannot be drawn is refused before anything is opened.
    VisibleLabel(request.label_text, request.label_corner)
    choreography = ChoreographyStore(home).load(request.template)
    song = song_of(request, choreography, say)
    if out.suffix.lower() in LOOP_SUFFIXES:
        check_loop(out, song.frames / FPS)
    stop = stop or threading.Event()
    with ExitStack() as stages:
        stages.enter_context(ended_by_signals(stop.set))
        cast = stages.enter_context(cast_of(request, home, say))
        label = VisibleLabel(request.label_text, request.label_corner, cast.grid)
        label.prepare(cast.size_px)
        performer = performer_of(request, choreography, song, cast)
        folder = Path(stages.enter_context(tempfile.TemporaryDirectory(prefix="avatar-clip-")))
        writer = _writer(request, out, cast.size_px, song, folder, say)
        stages.enter_context(writer)
        with _steps(song.frames, progress) as step:
            for k in range(song.frames):
                if stop.is_set():
                    break
                frame = cast.draw(performer.motions(song.time_s(k), k))
                writer.write_rgb(label.label(frame).image)
                step()
        if stop.is_set():
            writer.close(cut=True)
    return MadeClip(writer.path, writer.frame_count, not stop.is_set())


@contextmanager
def _steps(
    total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Callable[[], object]]:
    """Give what is called after each picture."""
    if progress is None:
        with film_progress(total) as step:
            yield step
        return
    done = count(1)
    yield lambda: progress(next(done), total)


def performer_of(
    request: ClipRequest, choreography: Choreography, song: Song, cast: Cast
) -> Performer:
    """Return what moves the faces of ``cast`` to ``song``."""
    return Performer(
        choreography,
        song.beats,
        cast.shapes,
        phase=request.phase,
        seed=request.seed,
        period_s=song.period_s,
    )


def cast_of(request: ClipRequest, home: Home, say: Say) -> Cast:
    """Return the faces of the photographs. Raises ``UsageError`` and ``PhotoError``."""
    model = find_face_model(request.face_model, home)
    settings = PortraitSettings(mouth="teeth", mattes=default_mattes(home))
    if request.in_place:
        photo = open_one(request.photos[0], model, home, say, "all")
        faces = [photo.face, *photo.others]
        size_px = _fitting(photo.photo.shape[1::-1], SIZES_PX[request.shape])
        return InPlace(GroupGenerator(photo.photo, faces, "photo", size_px, settings))
    columns, rows = request.columns_rows
    width, height = SIZES_PX[request.shape]
    cell_px = width // columns // 2 * 2, height // rows // 2 * 2
    people = [open_one(photo, model, home, say) for photo in request.photos]
    generators = [
        PortraitGenerator(person.photo, person.face, "portrait", cell_px, settings, person.matte)
        for person in people
    ]
    return Grid(generators, columns, cell_px)


def _fitting(photo_px: Sequence[int], within_px: tuple[int, int]) -> tuple[int, int]:
    """Return the largest even size of a photograph's own shape within a clip's."""
    scale = min(within / size for within, size in zip(within_px, photo_px, strict=True))
    width, height = (max(2, round(size * scale / 2) * 2) for size in photo_px)
    return width, height


def _check_out(out: Path, request: ClipRequest) -> None:
    """Raise ``UsageError`` for what cannot be written, or would replace what is read."""
    if any(same_file(out, expanded(read)) for read in (request.music, request.template)):
        raise UsageError(
            f"--out: {out} is used by this command for something else. Name another file"
        )
    if out.suffix.lower() in LOOP_SUFFIXES:
        check_output(out, "--out", force=request.force)
    else:
        check_film(out, overwrite=request.force, suffix=MP4.suffix)


def _writer(
    request: ClipRequest,
    out: Path,
    size_px: tuple[int, int],
    song: Song,
    folder: Path,
    say: Say,
) -> Mp4Writer | LoopWriter:
    metadata = file_metadata(_PRODUCER, _id_of(request))
    if out.suffix.lower() in LOOP_SUFFIXES:
        return LoopWriter(out, FPS, metadata, xmp_packet(_PRODUCER, metadata["AIGC"]))
    writer = Mp4Writer(
        out, size_px, FPS, metadata, preset="veryfast", low_latency=False,
        overwrite=request.force, say=say,
    )  # fmt: skip
    sound = find_sound(_written(song.sound, folder / "song.wav"))
    assert sound is not None
    writer.take_sound(sound)
    return writer


def _written(sound: Float32, path: Path) -> Path:
    """Write ``sound``, float32 (n, 2) at 48 kHz, as 16 bits for the film's encoder."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SOUND_HZ)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def _id_of(request: ClipRequest) -> str:
    """Return an identity of the clip: the same request of the same files has the same one."""
    asked = replace(request, out=Path("clip.mp4"), force=False)
    digest = hashlib.sha256(repr(asked).encode())
    for photo in request.photos:
        path = expanded(photo)
        if kind_of(path) == "file":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
