"""How fast a piece of music is: of the tempos its onsets repeat at, the one that people tap to.

Onsets repeat at every other beat, at every bar and between the beats as well. Which of them is the
beat is judged by what beats of each tempo meet: how much begins on them, how often it repeats, how
much else sounds between them than on them, whether every other beat is alike (bass drum and snare),
and how usual the tempo is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from avatar.core.frames import Float32
from avatar.stages.music.follow import Indices, follow
from avatar.stages.music.grid import strongest
from avatar.stages.music.onsets import Onsets

# What is looked for, and what it may be four times slower or twice faster than.
_SLOWEST_BPM, _FASTEST_BPM = 52.0, 220.0
_WINDOW_S, _STEP_S = 10.0, 2.5
_STEPS = 400
_LEADERS = 5
_RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3, 4)
_SAME, _LEAST_REPEATS = 0.03, 0.02
# Tempos that people tap lie around this one (van Noorden and Moelants 1999: a resonance near 2 Hz).
_USUAL_BPM = 118.0
# What speaks for a tempo and how much: fitted to made-up songs by logistic regression
# (docs/decisions/0039), then rounded.
_UNUSUAL, _REPEATS, _BEGINS, _BETWEEN, _ALTERNATES = -4.5, 6.5, 5.0, 3.0, 4.0
_ALIKE_BEATS = (1, 2, 3, 4)
# What begins on the beats of music with drums, in deviations.
_MUCH = 4.0
# Longer music is judged by its most eventful part.
_JUDGED_S = 60.0


@dataclass(frozen=True, eq=False)
class Tempo:
    """``beats``: the frames of beats at that tempo. ``confidence``: 0 to 1, how clearly onsets
    repeat from one to the next, and how much begins on them.
    """

    bpm: float
    beats: Indices
    confidence: float


@dataclass(frozen=True, eq=False)
class Tempogram:
    """``bpm``: float32 (400,), rising evenly in octaves. ``repeats``: float32 (400,), how alike the
    onsets are to themselves a beat of that tempo later, -1 to 1, on average over the music.
    """

    bpm: Float32
    repeats: Float32

    def at(self, bpm: float) -> float:
        """Return how clearly the music repeats at a tempo."""
        return float(np.interp(bpm, self.bpm, self.repeats))

    def top_near(self, bpm: float) -> float:
        """Return the tempo within three per cent at which it repeats most clearly."""
        near = bpm * np.linspace(1 - _SAME, 1 + _SAME, 31)
        return float(near[np.interp(near, self.bpm, self.repeats).argmax()])


def find_tempo(onsets: Onsets, pulse: Float32) -> Tempo | None:
    """Return the tempo and its beats, None where nothing repeats.

    ``pulse``: float32 (n,), the onsets that beats are to meet.
    """
    tempogram = measure_tempos(onsets.strength, onsets.rate_hz)
    part = _eventful(onsets)
    found = [
        (_speaks_for(bpm, tempogram.at(bpm), onsets, pulse, part), bpm)
        for bpm in candidates(tempogram)
    ]
    if not found:
        return None
    bpm = max(found)[1]
    beats = follow(pulse, np.full(len(pulse), 60 * onsets.rate_hz / bpm, np.float32))
    # Of an arpeggio only every other beat may be alike, or every bar.
    repeats = max(tempogram.at(bpm / count) for count in _ALIKE_BEATS)
    begins = float(strongest(onsets.strength, beats, 1).mean()) / _MUCH
    return Tempo(bpm, beats, min(1.0, max(0.0, repeats) * begins))


def measure_tempos(strength: Float32, rate_hz: float) -> Tempogram:
    """Return how clearly onsets repeat, by autocorrelation in windows of ten seconds."""
    bpm = np.geomspace(_SLOWEST_BPM / 4, _FASTEST_BPM * 2, _STEPS).astype(np.float32)
    size = min(round(_WINDOW_S * rate_hz), len(strength))
    windows = sliding_window_view(strength, size)[:: max(1, round(_STEP_S * rate_hz))]
    windows = windows - windows.mean(1, keepdims=True)
    spectra = np.abs(np.fft.rfft(windows, 2 * size)) ** 2
    alike = np.fft.irfft(spectra)[:, :size].sum(0)
    alike = alike / (alike[0] + 1e-9) * size / np.maximum(size - np.arange(size), size / 4)
    lags = 60 * rate_hz / bpm
    return Tempogram(bpm, np.interp(lags, np.arange(size), alike, right=0).astype(np.float32))


def candidates(tempogram: Tempogram) -> list[float]:
    """Return tempos to be judged: where the music repeats most clearly, and simple ratios of it."""
    repeats = tempogram.repeats
    tops = np.flatnonzero((repeats[1:-1] >= repeats[:-2]) & (repeats[1:-1] > repeats[2:])) + 1
    tops = tops[repeats[tops] > _LEAST_REPEATS]
    octaves = np.log2(tempogram.bpm[tops] / _USUAL_BPM)
    leaders = tops[np.argsort(-repeats[tops] * np.exp(-0.5 * octaves**2))][:_LEADERS]
    kept: list[float] = []
    for top in tempogram.bpm[leaders]:
        for ratio in _RATIOS:
            bpm = tempogram.top_near(float(top) * ratio)
            known = any(abs(np.log(bpm / other)) < _SAME for other in kept)
            if _SLOWEST_BPM <= bpm <= _FASTEST_BPM and not known:
                kept.append(bpm)
    return kept


def _eventful(onsets: Onsets) -> slice:
    """Return the part of long music in which most begins."""
    size = round(_JUDGED_S * onsets.rate_hz)
    if len(onsets.strength) <= size:
        return slice(None)
    sums = np.concatenate([[0.0], np.cumsum(onsets.strength, dtype=np.float64)])
    first = int((sums[size:] - sums[:-size]).argmax())
    return slice(first, first + size)


def _speaks_for(bpm: float, repeats: float, onsets: Onsets, pulse: Float32, part: slice) -> float:
    """Return how much speaks for a tempo; to be compared with that of others."""
    heard = pulse[part]
    beats = follow(heard, np.full(len(heard), 60 * onsets.rate_hz / bpm, np.float32))
    if len(beats) < 4:
        return -np.inf
    begins = float(strongest(onsets.strength[part], beats, 1).mean())
    on = _around(onsets.rises[part], beats)
    between = _around(onsets.rises[part], (beats[:-1] + beats[1:]) // 2)
    next_one, other = _apart(on[1:], on[:-1]), _apart(on[2:], on[:-2])
    alternates = (next_one - other) / (next_one + other + 1e-6)
    differs = _apart(on[:-1], between) / (float(on.sum(1).mean()) + 1e-6)
    return (
        _UNUSUAL * float(np.log2(bpm / _USUAL_BPM)) ** 2
        + _REPEATS * repeats
        + _BEGINS * float(np.log((begins + 0.1) * np.sqrt(bpm / _USUAL_BPM)))
        + _BETWEEN * differs
        + _ALTERNATES * alternates
    )


def _around(rises: Float32, at: Indices) -> Float32:
    """Return what rises in each band around each place, (len(at), bands)."""
    places = np.clip(at[:, None] + np.arange(-1, 2), 0, len(rises) - 1)
    return np.asarray(rises[places].max(1))


def _apart(first: Float32, second: Float32) -> float:
    return float(np.abs(first - second).sum(1).mean())
