"""``avatar clip``: faces of photographs move to the beats of a song, into a film with its sound."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import wave
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from avatar.sessions.engines.portrait import default_mattes
from avatar.sessions.film import INTERRUPTED, film_progress
from avatar.stages.generate.group import GroupGenerator
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.label import VisibleLabel, file_metadata, xmp_packet
from avatar.stages.motion.choreography import Choreography
from avatar.stages.motion.on_the_beat import BeatGrid, Performer
from avatar.stages.music.beats import Beats, find_beats
from avatar.stages.music.reading import read_music
from avatar.stages.music.tunes import SCORES, play_tune
from avatar.stages.sinks.film_sound import find_sound
from avatar.stages.sinks.loops import LOOP_SUFFIXES, LoopWriter
from avatar.stages.sinks.mp4 import MP4, Mp4Writer, check_film

FPS = 30
_PRODUCER = f"webcam-avatar {__version__}"
_USUAL_S = 10.0
# So much of a song is listened to for its beats where its end is not given, and its end fades out.
_LISTENED_S, _FADE_S = 60.0, 0.3
_SOUND_HZ = 48_000

Say = Callable[[str], None]


def make_clip(request: ClipRequest, home: Home, say: Say) -> int:
    """Write the clip that was asked for; return the exit status.

    ``say`` is told of faces, tempo and file. Raises ``UsageError``, ``PhotoError`` and the errors
    of the stages.
    """
    out = expanded(request.out)
    for photo in request.photos:
        if same_file(out, expanded(photo)):
            raise UsageError(f"--out and a photograph name the same file, {out}. Name another one")
    _check_out(out, request)
    choreography = ChoreographyStore(home).load(request.template)
    song = song_of(request, choreography, say)
    stop = threading.Event()
    with ExitStack() as stages:
        stages.enter_context(ended_by_signals(stop.set))
        cast = stages.enter_context(cast_of(request, home, say))
        label = VisibleLabel(request.label_text, request.label_corner, cast.grid)
        label.prepare(cast.size_px)
        performer = performer_of(request, choreography, song, cast)
        folder = Path(stages.enter_context(tempfile.TemporaryDirectory(prefix="avatar-clip-")))
        writer = _writer(request, out, cast.size_px, song, folder, say)
        stages.enter_context(writer)
        with film_progress(song.frames) as step:
            for k in range(song.frames):
                if stop.is_set():
                    break
                frame = cast.draw(performer.motions(song.time_s(k), k))
                writer.write_rgb(label.label(frame).image)
                step()
        if stop.is_set():
            writer.close(cut=True)
    say(f"{writer.path}: {counted(writer.frame_count, 'frame')}, {writer.frame_count / FPS:.2f} s")
    return INTERRUPTED if stop.is_set() else 0


@dataclass(frozen=True, eq=False)
class ClipSong:
    """What is heard in a clip.

    ``sound``: float32 (n, 2) at 48 kHz. ``beats``: from the clip's start on. ``frames``: how many
    pictures there are. ``period_s``: when the movement begins again; up to half a picture from
    their end, since pictures are whole.
    """

    sound: Float32
    beats: BeatGrid
    frames: int
    period_s: float

    def time_s(self, frame: int) -> float:
        """Return the moment of the song that a picture shows: the one after the last is the first.

        So a loop has no jump; no picture is further than half a picture from its own moment.
        """
        return frame / self.frames * self.period_s


def performer_of(
    request: ClipRequest, choreography: Choreography, song: ClipSong, cast: Cast
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


def song_of(request: ClipRequest, choreography: Choreography, say: Say) -> ClipSong:
    """Return the part of the song that the clip has, and say its tempo.

    Raises ``UsageError``.
    """
    own = request.music in SCORES
    sound, found = _tune(request) if own else _file(request)
    # Of a single beat the tempo is what was given.
    bpm = request.bpm or found.bpm
    say(f"{request.music}: {bpm:.1f} beats a minute")
    beats = _grid(found, bpm)
    heard_s = len(sound) / _SOUND_HZ
    whole = request.end is None
    seconds = min(_whole_turns(beats, choreography, heard_s) if whole else heard_s, heard_s)
    frames = max(1, round(seconds * FPS))
    sound = sound[: round(frames / FPS * _SOUND_HZ)].copy()
    if not own:
        faded = min(len(sound), round(_FADE_S * _SOUND_HZ))
        sound[-faded:] *= np.linspace(1, 0, faded, dtype=np.float32)[:, None]
    return ClipSong(sound, beats, frames, seconds if whole else frames / FPS)


def _grid(found: Beats, bpm: float) -> BeatGrid:
    """Return the beats to move on: a choreography begins where a bar does."""
    first = int(found.downbeats[0]) if len(found.downbeats) else 0
    if len(found.times_s) < 2:
        return BeatGrid.steady(bpm, float(found.times_s[0]) if len(found.times_s) else 0.0)
    return BeatGrid(found.times_s, first)


def _tune(request: ClipRequest) -> tuple[Float32, Beats]:
    """Return one of the program's own tunes from the start of the clip on."""
    if request.bpm is not None:
        raise UsageError(
            f"--bpm is for songs whose beats are not found: {request.music} has its own"
        )
    # It goes around: what was played before is not made.
    begin_s = request.start % SCORES[request.music].loop_s
    lasts_s = 2 * _USUAL_S if request.end is None else request.end - request.start
    tune = play_tune(request.music, begin_s + lasts_s)
    times_s = tune.beats.times_s - np.float32(begin_s)
    return tune.sound[round(begin_s * _SOUND_HZ) :], replace(tune.beats, times_s=times_s)


def _file(request: ClipRequest) -> tuple[Float32, Beats]:
    until = request.start + _LISTENED_S if request.end is None else request.end
    music = read_music(expanded(Path(request.music)), from_s=request.start, to_s=until)
    found = find_beats(music.samples, music.rate_hz, bpm=request.bpm, offset_s=request.offset)
    return music.sound, found


def _whole_turns(beats: BeatGrid, choreography: Choreography, heard_s: float) -> float:
    """Return how long a clip of some ten seconds is that ends where the choreography begins."""
    begins = beats.beat_at(0.0)
    turns = max(1, round((beats.beat_at(_USUAL_S) - begins) / choreography.beats))
    ends = [beats.time_of(begins + n * choreography.beats) for n in range(turns, 0, -1)]
    return next((end for end in ends if end <= heard_s), min(heard_s, _USUAL_S))


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
    if out.suffix.lower() in LOOP_SUFFIXES:
        check_output(out, "--out", force=request.force)
    else:
        check_film(out, overwrite=request.force, suffix=MP4.suffix)


def _writer(
    request: ClipRequest,
    out: Path,
    size_px: tuple[int, int],
    song: ClipSong,
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
        file.setframerate(_SOUND_HZ)
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
