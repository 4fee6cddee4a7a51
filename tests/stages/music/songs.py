"""Songs with known beats, each made from its seed: as many kinds of music as drums make easily.

Nothing here is shared with the program's own tunes: it hears instruments it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from tests.stages.music.instruments import (
    DRUMS,
    RATE_HZ,
    Random,
    Sound,
    bass,
    pad,
    pluck,
    voice,
)

_EIGHTHS = tuple(k / 2 for k in range(8))
_SIXTEENTHS = tuple(k / 4 for k in range(16))
_OFF = (0.5, 1.5, 2.5, 3.5)
_SCALE = (0, 2, 4, 7, 9)
_ROOTS = ((0, 9, 5, 7), (0, 5, 7, 5), (9, 5, 0, 7), (2, 7, 0, 9), (0, 7, 9, 5))


@dataclass(frozen=True)
class Style:
    """What a kind of music plays in a bar: positions in beats, and what is drawn by chance."""

    bpm: tuple[float, float]
    drums: Mapping[str, tuple[float, ...]]
    beats: int = 4
    swing: tuple[float, float] = (0.5, 0.5)
    bass: tuple[float, ...] = (0, 2)
    chords: tuple[float, ...] = ()
    pads: float = 0.5
    sings: float = 0.5
    soft: Mapping[str, float] = field(default_factory=dict)


STYLES: Mapping[str, Style] = {
    "rock": Style((96, 168), {"kick": (0, 2, 2.5), "snare": (1, 3), "hat": _EIGHTHS},
                  bass=_EIGHTHS, chords=(0, 1.5, 2.5)),
    "house": Style((116, 132), {"kick": (0, 1, 2, 3), "clap": (1, 3), "open": _OFF,
                                "hat": _SIXTEENTHS}, bass=_OFF, chords=(0.75, 1.5, 3.5),
                   soft={"hat": 0.4}),
    "swing": Style((110, 176), {"ride": (0, 1, 1.5, 2, 3, 3.5), "hat": (1, 3), "kick": (0, 2)},
                   swing=(0.6, 0.67), bass=(0, 1, 2, 3), chords=(0.5, 2.5), pads=0,
                   soft={"kick": 0.25}),
    "waltz": Style((84, 180), {"kick": (0,), "snare": (1, 2), "hat": (0, 1, 2)}, beats=3,
                   bass=(0,), chords=(1, 2), soft={"snare": 0.35}),
    "breaks": Style((160, 178), {"kick": (0, 2.5), "snare": (1, 3), "hat": _EIGHTHS,
                                 "rim": (1.75, 2.25)}, bass=(0, 2.5), pads=1.0),
    "ballad": Style((70, 88), {"kick": (0, 2), "snare": (1, 3), "hat": _EIGHTHS}, bass=(0, 2),
                    chords=(0, 1, 2, 3), pads=0.8, sings=1.0, soft={"hat": 0.5}),
    "reggae": Style((78, 98), {"kick": (0, 1, 2, 3), "rim": (1, 3), "hat": _EIGHTHS}, bass=(0, 1.5,
                    2), chords=_OFF, swing=(0.5, 0.6), soft={"hat": 0.5}),
    "bossa": Style((110, 150), {"kick": (0, 1.5, 2, 3.5), "rim": (0, 1.5, 3), "shaker": _EIGHTHS},
                   bass=(0, 1.5, 2, 3.5), chords=(0, 1, 2.5), soft={"kick": 0.5}),
    "piano": Style((76, 132), {}, bass=(0, 2), chords=_EIGHTHS, pads=0.3, sings=0.6),
    "disco": Style((108, 130), {"kick": (0, 1, 2, 3), "snare": (1, 3), "hat": _SIXTEENTHS},
                   bass=_EIGHTHS, chords=(0.5, 1.25, 2.5), pads=0.7),
    "funk": Style((88, 114), {"kick": (0, 0.75, 2.5), "snare": (1, 3), "rim": (1.75, 2.25, 3.75),
                              "hat": _SIXTEENTHS}, bass=(0, 0.75, 1.5, 2.5, 3.25), swing=(0.5,
                  0.54), chords=(1.5, 3.5), pads=0.2, soft={"rim": 0.4}),
    "shuffle": Style((84, 138), {"kick": (0, 2), "snare": (1, 3), "hat": _EIGHTHS},
                     swing=(0.62, 0.67), bass=(0, 1, 2, 3), chords=(0, 2)),
    "march": Style((100, 126), {"kick": (0, 2), "snare": (0, 0.5, 1, 1.5, 1.75, 2, 2.5, 3, 3.5),
                                "crash": (1, 3)}, bass=(0, 2), chords=(1, 3), pads=0,
                   soft={"snare": 0.5, "crash": 0.3}),
}  # fmt: skip


@dataclass(frozen=True)
class Song:
    """``samples`` float32 (n,); ``beats_s`` float64 rising; ``downbeats`` indices of beats."""

    name: str
    samples: Float32
    rate_hz: int
    beats_s: NDArray[np.float64]
    downbeats: NDArray[np.int64]
    bpm: float


class _Player:
    """Lays hits and notes on a time that may breathe, and may swing."""

    def __init__(self, style: Style, rng: Random, bars: int, rubato: float) -> None:
        self.rng, self.style = rng, style
        self.bpm = rng.uniform(*style.bpm)
        self.swing = rng.uniform(*style.swing)
        self._loose_s = rng.uniform(0.001, 0.006)
        grid = np.linspace(0, bars * style.beats + 4, 64 * (bars * style.beats + 4) + 1)
        slow = 1 + rubato * np.sin(2 * np.pi * (grid / rng.uniform(16, 40) + rng.uniform()))
        steps = (slow[:-1] + slow[1:]) / 2 * np.diff(grid) * 60 / self.bpm
        self._beats, self._s = grid, rng.uniform(0.05, 0.6) + np.concatenate([[0], steps.cumsum()])
        self.samples = np.zeros(round(self._s[-1] * RATE_HZ) + 2 * RATE_HZ)

    def when(self, beat: float) -> float:
        """Return the second of a beat."""
        return float(np.interp(beat, self._beats, self._s))

    def play(self, beat: float, sound: Sound, loud: float) -> None:
        whole, part = divmod(beat, 1)
        part = part * 2 * self.swing if part < 0.5 else (
            self.swing + (part - 0.5) * 2 * (1 - self.swing)
        )  # fmt: skip
        at = round((self.when(whole + part) + self.rng.normal(0, self._loose_s)) * RATE_HZ)
        at = max(at, 0)
        self.samples[at : at + len(sound)] += loud * sound[: len(self.samples) - at]

    def length(self, beats: float) -> float:
        return beats * 60 / self.bpm


def make_song(seed: int, seconds: float = 32.0) -> Song:
    """Return the song of a seed: kinds follow each other, all else is drawn."""
    rng = np.random.default_rng([20, seed])
    name = list(STYLES)[seed % len(STYLES)]
    style = STYLES[name]
    rubato = 0.03 if rng.uniform() < 0.25 else 0.0
    bars = round(seconds * np.mean(style.bpm) / 60 / style.beats)
    player = _Player(style, rng, bars, rubato)
    missing = _missing_bars(rng, bars) if style.drums else ()
    _drums(player, bars, missing)
    _harmony(player, bars)
    noisy = rng.uniform() < 0.35
    samples = player.samples[: round((player.when(bars * style.beats) + 0.3) * RATE_HZ)]
    if noisy:
        samples = samples + rng.standard_normal(len(samples)) * samples.std() * 10 ** (-10 / 20)
    samples = samples / np.abs(samples).max() * 0.9
    beats = np.array([player.when(k) for k in range(bars * style.beats)])
    traits = [name, f"{player.bpm:.0f}"]
    traits += ["rubato"] * (rubato > 0) + ["noise"] * noisy + ["breakdown"] * bool(missing)
    downbeats = np.arange(0, len(beats), style.beats)
    return Song(" ".join(traits), samples.astype(np.float32), RATE_HZ, beats, downbeats, player.bpm)


def _missing_bars(rng: Random, bars: int) -> tuple[int, ...]:
    if rng.uniform() > 0.35 or bars < 8:
        return ()
    first = int(rng.integers(2, bars - 5))
    return tuple(range(first, first + int(rng.integers(2, 5))))


def _drums(player: _Player, bars: int, missing: tuple[int, ...]) -> None:
    rng, style = player.rng, player.style
    kit = {name: make(rng) for name, make in DRUMS.items()}
    every = int(rng.choice([4, 8]))
    loud = {name: rng.uniform(0.7, 1.1) * style.soft.get(name, 1) for name in style.drums}
    for bar in range(bars):
        fill = bool(style.drums) and bar % every == every - 1 and rng.uniform() < 0.7
        if bar in missing:
            continue
        if bar and bar % every == 0 and style.drums:
            player.play(bar * style.beats, kit["crash"], 0.6)
        for name, places in style.drums.items():
            for place in places:
                if (fill and place >= style.beats - 1) or rng.uniform() < 0.04:
                    continue
                accent = 1 if place == int(place) else 0.75
                player.play(bar * style.beats + place, kit[name],
                            loud[name] * accent * rng.uniform(0.75, 1.1))  # fmt: skip
        for step in range(4 * fill):
            player.play((bar + 1) * style.beats - 1 + step / 4,
                        kit["tom" if rng.uniform() < 0.5 else "snare"], 0.8)  # fmt: skip


def _harmony(player: _Player, bars: int) -> None:
    rng, style = player.rng, player.style
    key = 36 + int(rng.integers(0, 12))
    roots = _ROOTS[int(rng.integers(len(_ROOTS)))]
    pads, sings = rng.uniform() < style.pads, rng.uniform() < style.sings
    for bar in range(bars):
        root, first = key + roots[bar % 4], bar * style.beats
        third = 3 if roots[bar % 4] in (2, 9) else 4
        for place in style.bass:
            note = (
                root - (12 if root > 46 else 0) + (7 if place >= 2 and rng.uniform() < 0.3 else 0)
            )
            player.play(first + place, bass(note, player.length(0.45), rng), rng.uniform(0.7, 1))
        _chords(player, first, root, third)
        if pads:
            for step in (0, third, 7):
                player.play(first, pad(root + 24 + step, player.length(style.beats), rng), 0.9)
        if sings:
            _sing(player, first, key)


def _chords(player: _Player, first: int, root: int, third: int) -> None:
    rng = player.rng
    for place in player.style.chords:
        accent = rng.uniform(0.6, 0.9) * (1 if place == int(place) else 0.8)
        steps = (0, third, 7)
        if player.style.chords == _EIGHTHS:  # an arpeggio, and the whole chord on the bar
            steps = steps if place == 0 else (int(rng.choice([0, third, 7, 12])),)
        for step in steps:
            player.play(first + place, pluck(root + 24 + step, player.length(0.5), rng), accent)


def _sing(player: _Player, first: int, key: int) -> None:
    rng, at = player.rng, float(player.rng.choice([0, 0, 0.5, 1]))
    while at < player.style.beats - 0.5:
        long = float(rng.choice([0.5, 1, 1, 1.5, 2]))
        note = key + 24 + int(rng.choice(_SCALE))
        player.play(first + at, voice(note, player.length(long * 0.9), rng), rng.uniform(0.6, 0.9))
        at += long
