"""What a clip moves to: the part of a song that it has, with its beats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avatar.core.errors import UsageError
from avatar.core.files import expanded
from avatar.core.frames import Float32
from avatar.sessions.clip_request import ClipRequest
from avatar.stages.motion.choreography import Choreography
from avatar.stages.motion.on_the_beat import BeatGrid
from avatar.stages.music.beats import Beats, find_beats
from avatar.stages.music.reading import read_music
from avatar.stages.music.tunes import SCORES, play_tune

FPS = 30
SOUND_HZ = 48_000
_USUAL_S = 10.0
# So much of a song is listened to for its beats where its end is not given, and its end fades out.
_LISTENED_S, _FADE_S = 60.0, 0.3


@dataclass(frozen=True, eq=False)
class Song:
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


@dataclass(frozen=True, eq=False)
class Heard:
    """What is listened to of a song: ``sound`` as of ``Song``, tempo, and what was found in it."""

    sound: Float32
    beats: BeatGrid
    bpm: float
    found: Beats


def hear(request: ClipRequest) -> Heard:
    """Return the song from the clip's start on, with its beats. Raises ``UsageError``."""
    sound, found = _tune(request) if request.music in SCORES else _file(request)
    # Of a single beat the tempo is what was given.
    bpm = request.bpm or found.bpm
    return Heard(sound, _grid(found, bpm), bpm, found)


def song_of(request: ClipRequest, choreography: Choreography, say: Callable[[str], None]) -> Song:
    """Return the part of the song that the clip has, and say its tempo.

    Raises ``UsageError``.
    """
    heard = hear(request)
    sound, beats = heard.sound, heard.beats
    say(f"{request.music}: {heard.bpm:.1f} beats a minute")
    heard_s = len(sound) / SOUND_HZ
    whole = request.end is None
    seconds = min(_whole_turns(beats, choreography, heard_s) if whole else heard_s, heard_s)
    frames = max(1, round(seconds * FPS))
    sound = sound[: round(frames / FPS * SOUND_HZ)].copy()
    if request.music not in SCORES:
        faded = min(len(sound), round(_FADE_S * SOUND_HZ))
        sound[-faded:] *= np.linspace(1, 0, faded, dtype=np.float32)[:, None]
    return Song(sound, beats, frames, seconds if whole else frames / FPS)


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
    return tune.sound[round(begin_s * SOUND_HZ) :], replace(tune.beats, times_s=times_s)


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


@dataclass(frozen=True, eq=False)
class SongPicture:
    """A song as it is drawn: what is heard from the clip's start on.

    ``peaks``: float32 (n,), how loud each part of it is, 0 to 1. ``beats_s`` and ``bars_s``: when
    beats and bars begin, seconds. ``clip_s``: where the clip ends.
    """

    peaks: Float32
    beats_s: Float32
    bars_s: Float32
    bpm: float
    heard_s: float
    clip_s: float


def song_picture(request: ClipRequest, choreography: Choreography, parts: int) -> SongPicture:
    """Return a song in so many ``parts``, with its beats. Raises ``UsageError``."""
    heard = hear(request)
    heard_s = len(heard.sound) / SOUND_HZ
    clip_s = heard_s
    if request.end is None:
        clip_s = min(heard_s, _whole_turns(heard.beats, choreography, heard_s))
    loud = np.abs(heard.sound).max(axis=1)
    edges = np.linspace(0, len(loud), parts + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(loud, edges) / max(float(loud.max()), 1e-6)
    times = heard.found.times_s
    bars = times[heard.found.downbeats]
    inside = [kept[(kept >= 0) & (kept < heard_s)] for kept in (times, bars)]
    return SongPicture(peaks.astype(np.float32), inside[0], inside[1], heard.bpm, heard_s, clip_s)
