"""Instruments of the songs that the tests make: one hit or one note each, float64 at 22 050 Hz."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 22_050
Sound = NDArray[np.float64]
Random = np.random.Generator


def _time(seconds: float) -> Sound:
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def _coloured(rng: Random, count: int, low_hz: float, high_hz: float) -> Sound:
    """Return noise between two frequencies, of unit deviation."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / (noise.std() + 1e-12))


def kick(rng: Random) -> Sound:
    t = _time(0.28)
    low = rng.uniform(42, 60)
    phase = 2 * np.pi * (low * t + rng.uniform(60, 140) / 35 * (1 - np.exp(-35 * t)))
    click = 0.25 * rng.standard_normal(len(t)) * np.exp(-400 * t)
    return np.asarray(np.sin(phase) * np.exp(-t * rng.uniform(9, 16)) + click)


def snare(rng: Random) -> Sound:
    t = _time(0.22)
    body = 0.5 * np.sin(2 * np.pi * rng.uniform(170, 230) * t) * np.exp(-t * 25)
    return np.asarray(body + 0.35 * _coloured(rng, len(t), 700, 9000) * np.exp(-t * 20))


def clap(rng: Random) -> Sound:
    t = _time(0.2)
    bursts = sum(np.exp(-np.maximum(t - k * 0.011, 0) * 60) * (t >= k * 0.011) for k in range(3))
    return np.asarray(0.2 * _coloured(rng, len(t), 900, 6000) * bursts)


def hat(rng: Random) -> Sound:
    t = _time(0.06)
    return np.asarray(0.25 * _coloured(rng, len(t), 6500, 10900) * np.exp(-t * 70))


def open_hat(rng: Random) -> Sound:
    t = _time(0.25)
    return np.asarray(0.25 * _coloured(rng, len(t), 5500, 10900) * np.exp(-t * 14))


def ride(rng: Random) -> Sound:
    t = _time(0.4)
    ping = 0.1 * np.sin(2 * np.pi * rng.uniform(3000, 4200) * t)
    return np.asarray((0.12 * _coloured(rng, len(t), 4500, 10500) + ping) * np.exp(-t * 9))


def crash(rng: Random) -> Sound:
    t = _time(1.2)
    return np.asarray(0.3 * _coloured(rng, len(t), 2500, 10900) * np.exp(-t * 3.5))


def rim(rng: Random) -> Sound:
    t = _time(0.05)
    return np.asarray(0.5 * np.sin(2 * np.pi * rng.uniform(1400, 1900) * t) * np.exp(-t * 90))


def tom(rng: Random) -> Sound:
    t = _time(0.25)
    phase = 2 * np.pi * rng.uniform(85, 160) * (t + 0.012 * (1 - np.exp(-30 * t)))
    return np.asarray(0.8 * np.sin(phase) * np.exp(-t * 13))


def shaker(rng: Random) -> Sound:
    t = _time(0.09)
    return np.asarray(0.18 * _coloured(rng, len(t), 4000, 10000) * np.sin(np.pi * t / t[-1]) ** 2)


DRUMS: dict[str, Any] = {
    "kick": kick, "snare": snare, "clap": clap, "hat": hat, "open": open_hat, "ride": ride,
    "crash": crash, "rim": rim, "tom": tom, "shaker": shaker,
}  # fmt: skip


def hz_of(note: float) -> float:
    """Return the frequency of a MIDI note."""
    return float(440 * 2 ** ((note - 69) / 12))


def _tone(note: float, t: Sound, falls: float) -> Sound:
    """Return harmonics that become quieter by ``falls`` powers of their number."""
    hz = hz_of(note)
    numbers = np.arange(1, max(2, min(12, int(9000 / hz))))
    waves = np.sin(2 * np.pi * hz * numbers[:, None] * t) / numbers[:, None] ** falls
    return np.asarray(waves.sum(0))


def bass(note: float, seconds: float, rng: Random) -> Sound:
    t = _time(seconds)
    ends = np.minimum(1, (seconds - t) / 0.02)
    return np.asarray(0.45 * _tone(note, t, 1.5) * np.exp(-t * 3) * np.minimum(1, t / 0.006) * ends)


def pluck(note: float, seconds: float, rng: Random) -> Sound:
    t = _time(min(seconds * 2, 1.5))
    return np.asarray(0.22 * _tone(note, t, 1.2) * np.exp(-t * 4.5) * np.minimum(1, t / 0.004))


def pad(note: float, seconds: float, rng: Random) -> Sound:
    t = _time(seconds)
    swell = np.minimum(1, np.minimum(t, seconds - t) / 0.25)
    wave = _tone(note, t, 1.6) + _tone(note + rng.uniform(0.05, 0.1), t, 1.6)
    return np.asarray(0.08 * wave * swell)


def voice(note: float, seconds: float, rng: Random) -> Sound:
    """A vowel with vibrato that glides into its note, soft at both ends."""
    t = _time(seconds)
    cents = 60 * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * t) * np.minimum(1, t / 0.4)
    hz = hz_of(note) * 2 ** ((cents - 200 * np.exp(-t / 0.05)) / 1200)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    formants = ((rng.uniform(350, 800), 120), (rng.uniform(900, 2200), 180), (2800, 250))
    wave = np.zeros_like(t)
    for number in range(1, min(24, int(5000 / hz_of(note)))):
        at = number * hz_of(note)
        loud = sum(1 / (1 + ((at - centre) / width) ** 2) for centre, width in formants)
        wave += (loud + 0.02) * np.sin(number * phase)
    return np.asarray(0.3 * wave * np.minimum(1, np.minimum(t / 0.06, (seconds - t) / 0.08)))
