"""How strongly something begins at each moment of a piece of music: spectral flux.

Of a spectrum on a logarithmic scale of frequency and of loudness, the sum of what rises (Masri
1996; Bello et al. 2005). What rises is compared with the loudest of three neighbouring bands
before, so that a voice's vibrato is no onset (Böck and Widmer 2013, SuperFlux).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from avatar.core.frames import Float32

_HOP_S, _WINDOW_S = 0.0116, 0.0464
_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 36, 30.0, 10_000.0
# Sounds more than 40 dB below the loud ones count for little.
_RANGE = 100.0
# What rises is what is louder than so many hops before: shorter, and slow attacks are missed.
_LAG = 2
# Where bass drums are, and cymbals.
_BASS_HZ, _LOW_HZ, _HIGH_HZ = (25.0, 120.0), 160.0, 4_000.0
# Onsets are measured against what is usual around them.
_AROUND_S = 1.5
_BLOCK = 2_048


@dataclass(frozen=True, eq=False)
class Onsets:
    """``rate_hz`` values a second, the first at the beginning.

    ``strength``: float32 (n,), what begins, of deviation 1. ``low``: the same of the bass, by its
    power, so that a bass drum is more than a bass. ``middle``: between bass and cymbals.
    ``rises``: float32 (n, 36), what begins in each band. ``loud``: float32 (n,), whether there is
    any sound, 0 to 1 of full scale.
    """

    rate_hz: float
    strength: Float32
    low: Float32
    middle: Float32
    rises: Float32
    loud: Float32


def find_onsets(samples: Float32, rate_hz: int) -> Onsets:
    """Return the onsets of mono sound, float32 (n,) in [-1, 1]."""
    hop, window = round(_HOP_S * rate_hz), round(_WINDOW_S * rate_hz)
    spectra, bass, loud = _spectra(samples, rate_hz, hop, window)
    scale = np.quantile(spectra.max(1), 0.95) + 1e-9
    rises = _rises(np.log1p(_RANGE * spectra / scale))
    centres, rate = _edges(rate_hz)[1:-1], rate_hz / hop
    middle = (centres >= _LOW_HZ) & (centres <= _HIGH_HZ)
    return Onsets(
        rate,
        _against_usual(rises.mean(1), rate),
        _against_usual(_rises(bass[:, None])[:, 0], rate),
        _against_usual(rises[:, middle].mean(1), rate),
        rises,
        loud,
    )


def _edges(rate_hz: int) -> Float32:
    highest = min(_HIGHEST_HZ, 0.45 * rate_hz)
    # Mel: linear below 700 Hz, logarithmic above (O'Shaughnessy 1987).
    mel = np.linspace(_mel(_LOWEST_HZ), _mel(highest), _BANDS + 2)
    return np.asarray(700 * (10 ** (mel / 2595) - 1), np.float32)


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _filters(rate_hz: int, window: int) -> Float32:
    """Return triangles over the bins, (bins, bands), each of sum one."""
    edges = _edges(rate_hz)
    hz = np.fft.rfftfreq(window, 1 / rate_hz)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    # No narrower than a bin: a band between two bins would be deaf.
    bin_hz = rate_hz / window
    up = (hz - np.minimum(left, middle - bin_hz)) / np.maximum(middle - left, bin_hz)
    down = (np.maximum(right, middle + bin_hz) - hz) / np.maximum(right - middle, bin_hz)
    weights = np.maximum(0, np.minimum(up, down))
    return np.asarray(weights / weights.sum(0), np.float32)


def _spectra(
    samples: Float32, rate_hz: int, hop: int, window: int
) -> tuple[Float32, Float32, Float32]:
    """Return magnitudes in bands, (n, bands), the bass's power and loudness, (n,)."""
    padded = np.pad(samples, (window // 2, window))
    frames = sliding_window_view(padded, window)[::hop][: len(samples) // hop + 1]
    filters, hann = _filters(rate_hz, window), np.hanning(window).astype(np.float32)
    hz = np.fft.rfftfreq(window, 1 / rate_hz)
    low = (hz > _BASS_HZ[0]) & (hz < _BASS_HZ[1])
    bands, bass, loud = [], [], []
    for first in range(0, len(frames), _BLOCK):
        block = frames[first : first + _BLOCK] * hann
        magnitudes = np.abs(np.fft.rfft(block)).astype(np.float32)
        bands.append(magnitudes @ filters)
        bass.append((magnitudes[:, low] ** 2).sum(1))
        loud.append(np.sqrt((block**2).mean(1)))
    return np.concatenate(bands), np.concatenate(bass), np.concatenate(loud)


def _rises(levels: Float32) -> Float32:
    """Return by how much each band is louder than its neighbourhood was shortly before."""
    beside = np.pad(levels, ((0, 0), (1, 1)), mode="edge")
    before = np.maximum(np.maximum(beside[:, :-2], beside[:, 1:-1]), beside[:, 2:])
    rises = np.zeros_like(levels)
    rises[_LAG:] = np.maximum(0, levels[_LAG:] - before[:-_LAG])
    return rises


def _against_usual(flux: Float32, rate_hz: float) -> Float32:
    """Return what stands out of its surroundings, of deviation 1."""
    out = np.maximum(0, flux - smoothed(flux, _AROUND_S * rate_hz))
    return np.asarray(out / (out.std() + 1e-9), np.float32)


def smoothed(values: Float32, width: float) -> Float32:
    """Return ``values`` averaged under a Gaussian of ``width`` values between its deviations."""
    reach = max(1, round(1.5 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (width / 2)) ** 2)
    weights = np.convolve(np.ones(len(values)), kernel)[reach:-reach]
    return np.asarray(np.convolve(values, kernel)[reach:-reach] / weights, np.float32)
