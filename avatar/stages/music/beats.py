"""The beats of a piece of music: where they are, how fast they follow, which begin a bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.core.messages import Message
from avatar.stages.music.bars import find_bars
from avatar.stages.music.grid import (
    Frames,
    Line,
    extended,
    followed_closely,
    line_at,
    steady_line,
    strongest,
)
from avatar.stages.music.onsets import Onsets, find_onsets
from avatar.stages.music.tempo import find_tempo

SLOWEST_GIVEN_BPM, FASTEST_GIVEN_BPM = 20.0, 400.0
# What repeats less clearly has no beat: speech, noise, sustained sounds.
_LEAST_CONFIDENCE = 0.17
_LEAST_S = 2.0
# The bass drum says more often than not which half of a beat is the beat.
_BASS_DRUM = 1.0
# More than 40 dB below what is loud there is nothing to move to.
_AUDIBLE = 0.01


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of a piece of music.

    ``times_s``: float32 (n,), seconds from the beginning of the samples, rising. ``bpm``: beats a
    minute, on average. ``downbeats``: int64 (m,), which of them begin a bar, of
    ``beats_per_bar`` (3 or 4). ``strength``: float32 (n,), 0 to 1, how much begins on each.
    ``confidence``: 0 to 1, how clearly the music repeats from beat to beat.
    """

    times_s: Float32
    bpm: float
    downbeats: NDArray[np.int64]
    beats_per_bar: int
    strength: Float32
    confidence: float


def find_beats(
    samples: Float32, rate_hz: int, *, bpm: float | None = None, offset_s: float | None = None
) -> Beats:
    """Return the beats of mono sound, float32 (n,) in [-1, 1].

    ``bpm``: the tempo, which then never changes. ``offset_s``: when a bar begins, seconds; the
    tempo then never changes either. Raises ``UsageError`` where no beat is found and no tempo is
    given, and where what is given cannot be.
    """
    _check_given(bpm, offset_s)
    onsets = find_onsets(samples, rate_hz)
    pulse = np.asarray(onsets.strength + _BASS_DRUM * onsets.low, np.float32)
    begin, end = _audible(onsets)
    if bpm is not None and offset_s is not None:
        confidence = 1.0
        frames = _given(onsets, bpm, offset_s).over(0, len(samples) / rate_hz * onsets.rate_hz)
    elif bpm is not None:
        confidence = 1.0
        frames = line_at(pulse, onsets.strength, 60 * onsets.rate_hz / bpm).over(begin, end)
    else:
        confidence, line, frames = _found(onsets, pulse, begin, end)
        if offset_s is not None:
            line = line or Line(0, float(np.diff(frames).mean()))
            frames = _given(onsets, 60 * onsets.rate_hz / line.period, offset_s).over(begin, end)
    return _described(samples, rate_hz, onsets, frames, offset_s, confidence)


def _check_given(bpm: float | None, offset_s: float | None) -> None:
    if bpm is not None and not SLOWEST_GIVEN_BPM <= bpm <= FASTEST_GIVEN_BPM:
        raise UsageError(
            f"--bpm: expected {SLOWEST_GIVEN_BPM:g} to {FASTEST_GIVEN_BPM:g} beats a minute, "
            f"found {bpm:g}"
        )
    if offset_s is not None and not np.isfinite(offset_s):
        raise UsageError(f"--offset: expected seconds, found {offset_s:g}")


def _given(onsets: Onsets, bpm: float, offset_s: float) -> Line:
    return Line(offset_s * onsets.rate_hz, 60 * onsets.rate_hz / bpm)


def _found(
    onsets: Onsets, pulse: Float32, begin: float, end: float
) -> tuple[float, Line | None, Frames]:
    """Return the confidence, the line of a steady tempo, and the beats in frames."""
    long_enough = len(pulse) >= _LEAST_S * onsets.rate_hz
    tempo = find_tempo(onsets, pulse) if long_enough else None
    if tempo is None or tempo.confidence < _LEAST_CONFIDENCE:
        raise UsageError(
            Message(
                "error.noBeat",
                "no beat was found in the music; give its tempo{how}",
                how=" with --bpm, such as --bpm 120",
            )
        )
    line = steady_line(pulse, onsets.strength, tempo.beats)
    if line is not None:
        return tempo.confidence, line, line.over(begin, end)
    beats = followed_closely(pulse, onsets.strength, tempo.beats)
    return tempo.confidence, None, extended(beats, begin, end)


def _audible(onsets: Onsets) -> tuple[float, float]:
    """Return the frames from which and up to which there is any sound, with some room before."""
    heard = np.flatnonzero(onsets.loud > _AUDIBLE * np.quantile(onsets.loud, 0.95))
    if not len(heard):
        return 0.0, float(len(onsets.loud))
    return max(0.0, float(heard[0]) - 1), float(heard[-1]) + 1


def _described(
    samples: Float32,
    rate_hz: int,
    onsets: Onsets,
    frames: Frames,
    offset_s: float | None,
    confidence: float,
) -> Beats:
    """Return what is known of the beats."""
    times_s = (frames / onsets.rate_hz).astype(np.float32)
    strength = strongest(onsets.strength, np.round(frames).astype(np.int64), 2)
    bars = find_bars(samples, rate_hz, onsets, frames)
    phase = bars.first
    if offset_s is not None and len(times_s):
        phase = int(np.abs(times_s - offset_s).argmin()) % bars.beats
    usual = np.quantile(strength, 0.9) + 1e-9 if len(strength) else 1.0
    bpm = 60 / float(np.diff(times_s.astype(np.float64)).mean()) if len(times_s) > 1 else 0.0
    return Beats(
        times_s,
        bpm,
        np.arange(phase, len(times_s), bars.beats),
        bars.beats,
        np.asarray(np.minimum(1, strength / usual), np.float32),
        confidence,
    )
