"""The instruments of the program's tunes, laid on a loop: what rings on at its end begins it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32

_Sound = NDArray[np.float64]

_SEED = 20
_ROOM_S, _ROOM = 0.5, 0.16
# How much softer all but the drums are on a bass drum, and how fast they come back.
_DUCK, _DUCK_S = 0.35, 0.09


def _hz(note: float) -> float:
    """Return the frequency of a MIDI note: 69 is 440 Hz."""
    return float(440 * 2 ** ((note - 69) / 12))


class Loop:
    """A piece of music that goes around: everything is laid at a beat, swung, and panned."""

    def __init__(self, seconds: float, bpm: float, swing: float, rate_hz: int) -> None:
        self._rate_hz, self._bpm, self._swing = rate_hz, bpm, swing
        count = round(seconds * rate_hz)
        self._drums, self._notes = np.zeros((count, 2)), np.zeros((count, 2))
        self._kicks: list[int] = []
        self._random = np.random.default_rng(_SEED)

    def kick(self, beat: float, loud: float) -> None:
        """A bass drum: a sine that falls from 150 to 48 Hz."""
        t = self._time(0.35)
        phase = 2 * np.pi * (48 * t + 102 / 32 * (1 - np.exp(-32 * t)))
        self._kicks.append(self._at(beat))
        self._lay(self._drums, beat, loud * np.sin(phase) * self._struck(t, 9, 0.001))

    def clap(self, beat: float, loud: float) -> None:
        """Hands: three bursts of noise, the last of which rings."""
        t = self._time(0.25)
        after = np.stack([t - k * 0.009 for k in range(3)])
        falls = np.array([[220.0], [220.0], [24.0]])
        bursts = (np.exp(-np.maximum(after, 0) * falls) * (after >= 0)).sum(0)
        self._lay(self._drums, beat, loud * 0.5 * self._noise(len(t), 900, 7_500) * bursts, 0.1)

    def snap(self, beat: float, loud: float) -> None:
        """Fingers: a short burst with a tone in it."""
        t = self._time(0.12)
        tone = np.sin(2 * np.pi * 2_100 * t) + 0.5 * self._noise(len(t), 1_500, 6_000)
        self._lay(self._drums, beat, loud * 0.5 * tone * self._struck(t, 55, 0.001), -0.15)

    def hat(self, beat: float, loud: float, open_s: float = 0.025) -> None:
        """A cymbal that is shut, or open for ``open_s``."""
        t = self._time(0.05 + 5 * open_s)
        noise = self._noise(len(t), 7_000, 16_000)
        self._lay(self._drums, beat, loud * 0.4 * noise * self._struck(t, 1 / open_s, 0.001), 0.25)

    def brush(self, beat: float, loud: float) -> None:
        """A brush on a drum."""
        t = self._time(0.22)
        noise = self._noise(len(t), 1_800, 9_000)
        self._lay(self._drums, beat, loud * 0.4 * noise * self._struck(t, 16, 0.012), -0.25)

    def bass(self, beat: float, note: float, long: float, loud: float) -> None:
        """A round bass."""
        t = self._time(self._seconds(long) + 0.08)
        wave = self._harmonics(note, t, (1, 0.45, 0.22, 0.1))
        self._lay(self._notes, beat, loud * wave * self._struck(t, 2.5, 0.006))

    def chord(self, beat: float, note: float, long: float, loud: float) -> None:
        """One note of an electric piano's chord, heard from both sides."""
        t = self._time(self._seconds(long) + 0.5)
        shape = self._struck(t, 5, 0.004)
        for side, cents in ((-0.7, -4), (0.7, 4)):
            wave = self._harmonics(note + cents / 100, t, (1, 0.3, 0.28, 0.08, 0.05))
            self._lay(self._notes, beat, loud * wave * shape, side)

    def pluck(self, beat: float, note: float, long: float, loud: float) -> None:
        """A bright plucked string: its overtones die away first."""
        t = self._time(self._seconds(long) + 0.4)
        wave = np.zeros(len(t))
        for number in range(1, 9):
            wave += np.sin(2 * np.pi * _hz(note) * number * t) * np.exp(-t * 3 * number) / number
        self._lay(self._notes, beat, loud * wave * self._struck(t, 2, 0.003), -0.2)

    def bell(self, beat: float, note: float, long: float, loud: float) -> None:
        """A vibraphone: a tone, mostly with its fourth partial, trembling."""
        t = self._time(self._seconds(long) + 0.7)
        wave = self._harmonics(note, t, (1, 0.08, 0.06, 0.22))
        tremble = 1 - 0.18 * np.sin(2 * np.pi * 5.2 * t) ** 2
        self._lay(self._notes, beat, loud * wave * tremble * self._struck(t, 2.6, 0.003), 0.2)

    def mixed(self, peak: float) -> Float32:
        """Return it all, float32 (n, 2), its largest value ``peak``."""
        notes = self._notes * self._ducking()[:, None]
        sound = self._drums + notes + _ROOM * self._room(notes + 0.4 * self._drums)
        sound = np.tanh(1.1 * sound)  # rounds off what would stick out
        return np.asarray(sound * (peak / np.abs(sound).max()), np.float32)

    def _time(self, seconds: float) -> _Sound:
        return np.arange(round(seconds * self._rate_hz)) / self._rate_hz

    def _seconds(self, beats: float) -> float:
        return beats * 60 / self._bpm

    def _at(self, beat: float) -> int:
        whole, part = divmod(beat, 1)
        early = part * 2 * self._swing
        late = self._swing + (part - 0.5) * 2 * (1 - self._swing)
        return round(self._seconds(whole + (early if part < 0.5 else late)) * self._rate_hz)

    def _struck(self, t: _Sound, falls: float, rises_s: float) -> _Sound:
        """Return a shape that rises at once, dies away and ends without a click."""
        ends = np.minimum(1, (t[-1] - t) / 0.03)
        return np.asarray(np.minimum(1, t / rises_s) * np.exp(-t * falls) * ends)

    def _harmonics(self, note: float, t: _Sound, louds: tuple[float, ...]) -> _Sound:
        numbers = np.arange(1, len(louds) + 1)[:, None]
        return np.asarray(np.array(louds) @ np.sin(2 * np.pi * _hz(note) * numbers * t))

    def _noise(self, count: int, low_hz: float, high_hz: float) -> _Sound:
        spectrum = np.fft.rfft(self._random.standard_normal(count))
        hz = np.fft.rfftfreq(count, 1 / self._rate_hz)
        spectrum *= np.exp(-((np.maximum(low_hz - hz, 0) / (0.2 * low_hz)) ** 2))
        spectrum *= np.exp(-((np.maximum(hz - high_hz, 0) / (0.2 * high_hz)) ** 2))
        noise = np.fft.irfft(spectrum, count)
        return np.asarray(noise / noise.std())

    def _lay(self, onto: _Sound, beat: float, sound: _Sound, side: float = 0.0) -> None:
        """Add a sound at a beat; ``side``: -1 is left, 1 is right, equally loud everywhere."""
        angle = (side + 1) * np.pi / 4
        places = (self._at(beat) + np.arange(len(sound))) % len(onto)
        onto[places] += sound[:, None] * np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)])

    def _ducking(self) -> _Sound:
        t = self._time(8 * _DUCK_S)
        dip = _DUCK * np.minimum(1, t / 0.004) * np.exp(-t / _DUCK_S)
        gain = np.ones(len(self._notes))
        for kick in self._kicks:
            gain[(kick + np.arange(len(t))) % len(gain)] -= dip
        return np.maximum(gain, 1 - _DUCK)

    def _room(self, sound: _Sound) -> _Sound:
        """Return what a room answers, around the loop: another noise for each ear."""
        t = self._time(4 * _ROOM_S)
        answers = np.zeros_like(sound)
        for ear in range(2):
            tail = (
                self._noise(len(t), 200, 6_000) * np.exp(-t / _ROOM_S * 3) * np.minimum(1, t / 0.01)
            )
            tail /= np.sqrt((tail**2).sum())
            spectrum = np.fft.rfft(sound[:, ear]) * np.fft.rfft(tail, len(sound))
            answers[:, ear] = np.fft.irfft(spectrum, len(sound))
        return answers
