"""Which beats begin a bar, and how many beats it has: the bass drum, the bass and the harmony."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from avatar.core.frames import Float32
from avatar.stages.music.grid import Frames, strongest
from avatar.stages.music.onsets import Onsets

# How much more alike beats have to be three apart than four, for a waltz.
_WALTZ = 0.9
_CHROMA_S = 0.37
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 2_000.0
# What says that a bar begins: the bass drum, a new harmony, all that begins; a snare says no.
_LOW, _HARMONY, _ALL, _MIDDLE = 1.0, 1.5, 0.5, -0.7


class Bars(NamedTuple):
    """Beats a bar, and which beat is the first that begins one."""

    beats: int
    first: int


def find_bars(samples: Float32, rate_hz: int, onsets: Onsets, beats: Frames) -> Bars:
    """Return the bars of music whose beats are at these frames."""
    if len(beats) < 8:
        return Bars(4, 0)
    at = np.round(beats).astype(np.int64)
    harmony = _new_harmony(samples, rate_hz, beats / onsets.rate_hz)
    says = (
        _LOW * _usual(strongest(onsets.low, at, 2))
        + _HARMONY * _usual(harmony)
        + _ALL * _usual(strongest(onsets.strength, at, 2))
        + _MIDDLE * _usual(strongest(onsets.middle, at, 2))
    )
    count = 3 if _in_threes(onsets, at, harmony) else 4
    begins = [float(says[phase::count].mean()) for phase in range(count)]
    return Bars(count, int(np.argmax(begins)))


def _usual(values: Float32) -> Float32:
    return np.asarray((values - values.mean()) / (values.std() + 1e-6), np.float32)


def _in_threes(onsets: Onsets, at: np.ndarray, harmony: Float32) -> bool:
    """Return whether beats are more alike three apart, and six, than four and eight apart."""
    places = np.clip(at[:, None] + np.arange(-1, 3), 0, len(onsets.rises) - 1)
    heard = onsets.rises[places].max(1)
    heard = heard / (heard.std() + 1e-6)
    heard = np.column_stack([heard, 3 * _usual(harmony)])

    def apart(beats: int) -> float:
        if len(heard) < beats + 4:
            return float("inf")
        return float(np.abs(heard[beats:] - heard[:-beats]).sum(1).mean())

    return apart(3) + min(apart(6), apart(3)) < _WALTZ * (apart(4) + min(apart(8), apart(4)))


def _new_harmony(samples: Float32, rate_hz: int, times_s: Frames) -> Float32:
    """Return how different the harmony is from what it was before each beat, 0 to 1."""
    size = round(_CHROMA_S * rate_hz)
    hz = np.fft.rfftfreq(size, 1 / rate_hz)[1:]
    inside = (hz > _LOWEST_HZ) & (hz < _HIGHEST_HZ)
    # Twelve tones of the octave; a bin belongs to the two that it lies between.
    tone = 12 * np.log2(hz[inside] / 440) % 12
    away = np.abs((tone[:, None] - np.arange(12) + 6) % 12 - 6)
    weights = np.maximum(0, 1 - away)
    padded, hann = np.pad(samples, (size, size)), np.hanning(size)

    def chroma(at_s: float) -> Float32:
        first = int(np.clip(round(at_s * rate_hz) + size, 0, len(padded) - size))
        loud = np.abs(np.fft.rfft(padded[first : first + size] * hann))[1:][inside]
        found = np.sqrt(loud) @ weights
        found -= found.min()
        return np.asarray(found / (np.linalg.norm(found) + 1e-9), np.float32)

    each = np.array([chroma(at_s + 0.02) for at_s in times_s])
    changes = np.zeros(len(times_s), np.float32)
    # Two beats against the two before: a bass that walks is at a new note on every beat.
    before, after = each[:-3] + each[1:-2], each[2:-1] + each[3:]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    changes[2:-1] = 1 - (before * after).sum(1) / (lengths + 1e-9)
    return changes
