"""Two short tunes that the program plays itself, so that a first clip has sound that is nobody's.

``hop``: 120 beats a minute, quick and cheerful. ``stroll``: 100, swung, at ease. Both were written
for this program, are computed note by note, and go around without a seam: what rings on at the end
of the last bar is heard in the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.stages.music.beats import Beats
from avatar.stages.music.instruments import Loop

TUNE_HZ = 48_000
BEATS_PER_BAR = 4
_PEAK = 10 ** (-3 / 20)
_FADE_S = 0.15


@dataclass(frozen=True)
class _Chord:
    """A bar's harmony as MIDI notes: what the bass plays and what lies above."""

    root: int
    notes: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """What a tune plays.

    ``swing``: where in a beat its second half begins. ``melody``: for each bar, notes as (beat,
    MIDI note, beats long).
    """

    bpm: float
    swing: float
    chords: tuple[_Chord, ...]
    melody: tuple[tuple[tuple[float, int, float], ...], ...]

    @property
    def loop_s(self) -> float:
        """How long the tune is until it begins again."""
        return len(self.chords) * BEATS_PER_BAR * 60 / self.bpm


@dataclass(frozen=True, eq=False)
class Tune:
    """A tune as it sounds: ``sound`` float32 (n, 2) at 48 kHz, at most -3 dB, and its beats."""

    sound: Float32
    beats: Beats


_G, _EM, _C, _D = (
    _Chord(43, (59, 62, 67)), _Chord(40, (59, 64, 67)), _Chord(36, (60, 64, 67)),
    _Chord(38, (57, 62, 66)),
)  # fmt: skip
_FMAJ7, _EM7, _DM7, _C69 = (
    _Chord(41, (57, 60, 64)), _Chord(40, (55, 59, 62)), _Chord(38, (57, 60, 65)),
    _Chord(36, (55, 57, 62)),
)  # fmt: skip

SCORES = MappingProxyType(
    {
        "hop": Score(
            120.0,
            0.5,
            (_G, _EM, _C, _D, _G, _EM, _C, _D),
            (
                ((0, 79, 0.5), (0.5, 78, 0.5), (1, 79, 0.5), (2, 74, 0.5), (2.5, 76, 1)),
                ((0, 79, 0.5), (0.5, 78, 0.5), (1, 79, 0.5), (2, 83, 1), (3, 81, 0.5)),
                ((0, 79, 0.5), (0.5, 76, 0.5), (1, 72, 0.5), (2, 76, 0.5), (2.5, 79, 1)),
                ((0, 78, 0.5), (1, 74, 0.5), (2, 78, 0.5), (3, 81, 0.75)),
                ((0, 83, 0.5), (0.5, 81, 0.5), (1, 83, 0.5), (2, 79, 0.5), (2.5, 81, 1)),
                ((0, 83, 0.5), (0.5, 81, 0.5), (1, 79, 0.5), (2, 76, 1), (3, 79, 0.5)),
                ((0, 84, 0.75), (1, 83, 0.5), (1.5, 81, 0.5), (2, 79, 0.5), (3, 76, 0.5)),
                ((0, 74, 0.5), (1, 78, 0.5), (2, 81, 0.5), (2.5, 78, 0.5), (3, 74, 0.75)),
            ),
        ),
        "stroll": Score(
            100.0,
            0.64,
            (_FMAJ7, _EM7, _DM7, _C69, _FMAJ7, _EM7, _DM7, _C69),
            (
                ((0, 72, 1), (1.5, 76, 0.5), (2, 77, 1.5)),
                ((0.5, 79, 0.5), (1, 76, 1), (2.5, 74, 1)),
                ((0, 77, 1), (1.5, 74, 0.5), (2, 72, 1), (3.5, 69, 0.5)),
                ((0, 67, 2), (2.5, 69, 0.5), (3, 72, 0.75)),
                ((0, 81, 1), (1.5, 79, 0.5), (2, 77, 1), (3, 76, 0.75)),
                ((0.5, 74, 0.5), (1, 76, 0.5), (1.5, 79, 1.5)),
                ((0, 77, 0.75), (1, 76, 0.5), (1.5, 74, 0.5), (2, 72, 1), (3, 74, 0.75)),
                ((0, 72, 2.5),),
            ),
        ),
    }
)
"""The tunes by their names."""


def play_tune(name: str, seconds: float | None = None) -> Tune:
    """Play a tune from its first beat for ``seconds``; None: once through.

    As often as it goes around whole, its end joins its beginning; else it fades out at the end.
    Raises ``UsageError``.
    """
    if name not in SCORES:
        raise UsageError(f"expected one of the tunes {', '.join(SCORES)}, found {name!r}")
    score = SCORES[name]
    seconds = score.loop_s if seconds is None else seconds
    if not 0 < seconds < 24 * 3600:
        raise UsageError(f"a tune's length: expected seconds from 0 to a day, found {seconds:g}")
    loop = _loop(name)
    count = max(1, round(seconds * TUNE_HZ))
    sound = np.resize(loop, (count, 2))
    if count % len(loop):
        fade = min(count, round(_FADE_S * TUNE_HZ))
        sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    return Tune(sound, _beats(score, seconds))


def _beats(score: Score, seconds: float) -> Beats:
    count = int(np.ceil(round(seconds * score.bpm / 60, 6)))
    times_s = np.arange(count) * 60 / score.bpm
    return Beats(
        times_s.astype(np.float32),
        score.bpm,
        np.arange(0, count, BEATS_PER_BAR),
        BEATS_PER_BAR,
        np.ones(count, np.float32),
        1.0,
    )


@cache
def _loop(name: str) -> Float32:
    """Return a tune once through, read-only."""
    loop = {"hop": _hop, "stroll": _stroll}[name](SCORES[name])
    sound = loop.mixed(_PEAK)
    sound.flags.writeable = False
    return sound


def _hop(score: Score) -> Loop:
    loop = Loop(score.loop_s, score.bpm, score.swing, TUNE_HZ)
    for bar, chord in enumerate(score.chords):
        first = bar * BEATS_PER_BAR
        for beat in range(BEATS_PER_BAR):
            loop.kick(first + beat, 0.9)
            loop.hat(first + beat + 0.5, 0.30, open_s=0.09)
            loop.hat(first + beat + 0.25, 0.10)
            loop.hat(first + beat + 0.75, 0.12)
            loop.bass(first + beat + 0.5, chord.root, 0.4, 0.34)
            for note in chord.notes:
                loop.chord(first + beat + 0.5, note, 0.3, 0.10)
        loop.bass(first, chord.root, 0.4, 0.30)
        loop.clap(first + 1, 0.42)
        loop.clap(first + 3, 0.42)
        for at, note, long in score.melody[bar]:
            loop.pluck(first + at, note, long, 0.30)
    last = len(score.chords) * BEATS_PER_BAR
    for step, loud in ((-0.75, 0.22), (-0.5, 0.28), (-0.25, 0.34)):
        loop.clap(last + step, loud)
    return loop


def _stroll(score: Score) -> Loop:
    loop = Loop(score.loop_s, score.bpm, score.swing, TUNE_HZ)
    steps = (0, 4, 7, 9)
    for bar, chord in enumerate(score.chords):
        first = bar * BEATS_PER_BAR
        following = score.chords[(bar + 1) % len(score.chords)].root
        walk = [chord.root + step for step in (steps if bar % 2 else (0, 7, 4))]
        walk = [*walk[:3], following + (1 if following < chord.root else -1)]
        minor = chord.notes in (_EM7.notes, _DM7.notes)
        for beat, note in enumerate(walk):
            loop.bass(first + beat, note - (note == chord.root + 4 and minor), 0.9, 0.34)
            loop.brush(first + beat, 0.36 if beat % 2 else 0.18)
        loop.kick(first, 0.5)
        loop.kick(first + 2, 0.35)
        for beat in (1, 3):
            loop.snap(first + beat, 0.40)
            loop.hat(first + beat + 0.5, 0.18)
        for at in (0.5, 2) if bar % 2 else (1.5, 3):
            for note in chord.notes:
                loop.chord(first + at, note, 0.8, 0.11)
        for at, note, long in score.melody[bar]:
            loop.bell(first + at, note, long, 0.36)
    return loop
