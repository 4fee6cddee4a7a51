"""From a voice to a mouth, a hundred times a second, by energies and formants.

No network and no words: what is needed of speech to move a mouth is how far it is open, whether
the lips touch, and whether they are round or wide. In the source-filter view of speech (Fant 1960)

- the first formant rises with the jaw's opening (Lindblom and Sundberg 1971), the second falls
  with rounded lips and rises with spread ones (Stevens 1998). Both are taken as the centroids of
  their bands (Paliwal 1998, "Spectral subband centroid features"), which need no root finding and
  do not jump;
- a closed mouth lets out little above 350 Hz: nothing in a p, the voice's lowest partials through
  the cheeks in a b, the nasal murmur in an m (Fujimura 1962). Friction (s, f) is kept apart by its
  energy above 2.4 kHz.

Sound alone does not tell p from t and k, or m from n: all of them count as closures. With a camera
(``--drive both``) only lips that are seen to be near each other are shut.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from avatar.core.frames import Float32
from avatar.core.speech import Articulation, at_rest
from avatar.stages.sound.resample import Resampler
from avatar.stages.sound.timeline import Timeline

RATE_HZ = 16_000
HOP_S, WINDOW_S = 0.01, 0.02
_HOP, _WINDOW = round(RATE_HZ * HOP_S), round(RATE_HZ * WINDOW_S)
_BANDS_HZ = ((80, 350), (350, 2_400), (2_400, 7_600))
_F1_HZ, _F2_HZ = (200, 1_000), (1_000, 2_800)
# Below this it is dark in any microphone; levels are dB of full scale.
_SILENCE_DB = -75.0

# --- voice activity: dB above the noise, hops until it counts, hops that it lasts
_ABOVE_NOISE_DB, _BEGINS_HOPS, _LASTS_HOPS = 12.0, 3, 30
_NOISE_RISES_DB, _NOISE_FALLS = 0.02, 0.2
# While somebody speaks the noise is believed to rise ten times more slowly.
_NOISE_RISES_SPEAKING_DB = 0.002

# --- the mouth
# The voice's own level: what its vowels reach, forgotten at this pace in dB a hop.
_PEAK_FALLS_DB = 0.06
_OPEN_FROM_DB, _OPEN_SPAN_DB = -18.0, 12.0
# The mouth is shut where its sound falls so far below the vowels, fully so over this span.
_SHUT_DB, _SHUT_SPAN_DB = -14.0, 4.0
# Friction: so much more above 2.4 kHz than below, and so near to the vowels' level.
_FRICTION_DB, _FRICTION_SPAN_DB = -2.0, 6.0
_FRICTION_FROM_DB, _FRICTION_FULL_DB = -36.0, -28.0
_JAW_F1_HZ, _ROUND_F1_HZ = (330.0, 620.0), (560.0, 440.0)
_ROUND_F2_HZ, _WIDE_F2_HZ = (1_500.0, 1_250.0), (1_750.0, 2_100.0)
_JAW_LEAST = 0.35
_OPENS, _SHUTS, _SHAPES = 0.6, 0.45, 0.3
_LOUD_SPAN_DB = 25.0


@dataclass(frozen=True, slots=True)
class Sounds:
    """One window's features: ``low_db``, ``mouth_db``, ``friction_db``: levels of the bands;
    ``f1_hz``, ``f2_hz``: centroids of the formants' bands.
    """

    low_db: float
    mouth_db: float
    friction_db: float
    f1_hz: float
    f2_hz: float


class _Spectrum:
    """Features of a window of 320 samples."""

    def __init__(self) -> None:
        self._hann = np.hanning(_WINDOW).astype(np.float32)
        self._hz = np.fft.rfftfreq(_WINDOW, 1 / RATE_HZ)
        self._bands = [self._between(band) for band in (*_BANDS_HZ, _F1_HZ, _F2_HZ)]
        # Full scale is a sine of amplitude 1.
        self._unit = float(np.sum(self._hann)) ** 2 / 4

    def _between(self, band_hz: tuple[int, int]) -> slice:
        inside = np.flatnonzero((self._hz >= band_hz[0]) & (self._hz < band_hz[1]))
        return slice(int(inside[0]), int(inside[-1]) + 1)

    def __call__(self, window: Float32) -> Sounds:
        power = np.abs(np.fft.rfft(window * self._hann)) ** 2 / self._unit
        low, mouth, friction, f1, f2 = self._bands
        levels = [10 * float(np.log10(power[b].sum() + 1e-9)) for b in (low, mouth, friction)]
        return Sounds(
            levels[0],
            levels[1],
            levels[2],
            self._centroid(power, f1),
            self._centroid(power, f2),
        )

    def _centroid(self, power: np.ndarray[tuple[int], np.dtype[np.float64]], band: slice) -> float:
        part = power[band] + 1e-12
        return float((part * self._hz[band]).sum() / part.sum())


class VoiceActivity:
    """Tells speech from a room: levels well above the noise, for longer than a knock.

    The noise is followed down quickly and up slowly (minimum statistics in its simplest form,
    Martin 2001).
    """

    def __init__(self) -> None:
        self.noise_db: float | None = None
        self._loud = self._left = 0

    def __call__(self, level_db: float) -> bool:
        """Return whether there is speech; called once a hop with the level of voices' band."""
        level_db = max(level_db, _SILENCE_DB)
        if self.noise_db is None:
            self.noise_db = level_db
        below = level_db - self.noise_db
        rise = _NOISE_RISES_SPEAKING_DB if self._left > 0 else _NOISE_RISES_DB
        self.noise_db += _NOISE_FALLS * below if below < 0 else min(below, rise)
        self._loud = self._loud + 1 if below > _ABOVE_NOISE_DB else 0
        if self._loud >= _BEGINS_HOPS:
            self._left = _LASTS_HOPS
        elif self._left > 0:
            self._left -= 1
        return self._left > 0


class VoiceAnalyser:
    """Turns a microphone's samples into articulations; one stream, one thread.

    ``rate_hz``: the microphone's.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._resample = Resampler(rate_hz, RATE_HZ)
        self._spectrum = _Spectrum()
        self._active = VoiceActivity()
        self._kept: Float32 = np.zeros(0, np.float32)
        self._peak_db = _SILENCE_DB
        self._jaw = self._pucker = self._stretch = 0.0

    def hear(self, samples: Float32, captured_s: float) -> list[Articulation]:
        """Return one articulation for each hop that ``samples``, float32 (N,), complete.

        ``captured_s``: when the first of them was captured, monotonic.
        """
        begins_s = captured_s - len(self._kept) / RATE_HZ
        # A driver's NaN would stay in every level that is followed.
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
        self._kept = np.concatenate([self._kept, self._resample(samples)])
        found = []
        at = 0
        while at + _WINDOW <= len(self._kept):
            middle_s = begins_s + (at + _WINDOW / 2) / RATE_HZ
            found.append(
                self._articulation(self._spectrum(self._kept[at : at + _WINDOW]), middle_s)
            )
            at += _HOP
        self._kept = self._kept[at:]
        return found

    def _articulation(self, s: Sounds, time_s: float) -> Articulation:
        stamp_ns = round(time_s * 1e9)
        speaking = self._active(max(s.low_db, s.mouth_db))
        if not speaking:
            self._peak_db = max(self._peak_db - _PEAK_FALLS_DB, _SILENCE_DB)
            self._ease(0.0, 0.0, 0.0)
            return Articulation(stamp_ns, False, self._jaw, 0.0, self._pucker, self._stretch, 0.0)
        self._peak_db = max(s.mouth_db, self._peak_db - _PEAK_FALLS_DB)
        below = s.mouth_db - self._peak_db
        hiss = _share(s.friction_db - s.mouth_db, _FRICTION_DB, _FRICTION_DB + _FRICTION_SPAN_DB)
        near = s.friction_db - self._peak_db
        friction = hiss * _share(near, _FRICTION_FROM_DB, _FRICTION_FULL_DB)
        closure = _share(-below, -_SHUT_DB, _SHUT_SPAN_DB - _SHUT_DB) * (1 - friction)
        voiced = _share(below, _OPEN_FROM_DB, _OPEN_FROM_DB + _OPEN_SPAN_DB)
        wide = _JAW_LEAST + (1 - _JAW_LEAST) * _share(s.f1_hz, *_JAW_F1_HZ)
        rounded = _share(s.f1_hz, *_ROUND_F1_HZ) * _share(s.f2_hz, *_ROUND_F2_HZ)
        spread = _share(s.f2_hz, *_WIDE_F2_HZ) * (1 - 0.7 * _share(s.f1_hz, *_JAW_F1_HZ))
        # Teeth come near each other in friction; the lips stay a little apart.
        self._ease(
            max(voiced * wide * (1 - 0.6 * friction), 0.2 * friction),
            voiced * rounded * (1 - friction),
            max(voiced * spread, 0.3 * friction),
        )
        loudness = _share(s.mouth_db, self._peak_db - _LOUD_SPAN_DB, self._peak_db)
        return Articulation(
            stamp_ns, True, self._jaw, closure, self._pucker, self._stretch, loudness
        )

    def _ease(self, jaw: float, pucker: float, stretch: float) -> None:
        self._jaw += (_OPENS if jaw > self._jaw else _SHUTS) * (jaw - self._jaw)
        self._pucker += _SHAPES * (pucker - self._pucker)
        self._stretch += _SHAPES * (stretch - self._stretch)


def _share(value: float, none: float, full: float) -> float:
    """Return 0 at ``none``, 1 at ``full``, linear between; ``full`` may be the smaller one."""
    return min(1.0, max(0.0, (value - none) / (full - none)))


class VoiceListener:
    """Hears a microphone's blocks and tells ``mouth``; see ``Passthrough``'s ``listener``.

    Costs 0.1 ms of each 10 ms.
    """

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self._analyser: VoiceAnalyser | None = None
        self._timeline = Timeline(RATE_HZ)
        self._count = 0

    def __call__(self, samples: Float32, rate_hz: int, captured_s: float) -> None:
        """Take a block in: float32 (N,), mono, the first sample captured at ``captured_s``."""
        analyser = self._analyser
        if analyser is None or analyser.rate_hz != rate_hz:
            analyser = self._analyser = VoiceAnalyser(rate_hz)
            self._timeline, self._count = Timeline(rate_hz), 0
        self._timeline.add(self._count, captured_s)
        self._mouth.add(analyser.hear(samples, self._timeline.time_s(self._count)))
        self._count += len(samples)


class Mouth(Protocol):
    """Takes in what was heard."""

    def add(self, heard: list[Articulation]) -> None:
        """Take in articulations, the oldest first."""
        ...


class SpokenMouth:
    """The newest two seconds of a mouth; written by the sound's thread, read by the picture's."""

    def __init__(self) -> None:
        self._recent: deque[Articulation] = deque(maxlen=round(2 / HOP_S))
        self._lock = threading.Lock()

    def add(self, heard: list[Articulation]) -> None:
        """Take in what was heard."""
        with self._lock:
            self._recent.extend(heard)

    def at(self, time_ns: int, span_ns: int = 0) -> Articulation:
        """Return the mouth at ``time_ns``; at rest where nothing was heard within 0.3 s before.

        ``span_ns``: closures this long before count, too: a picture that is shown for 33 ms shows
        the one that fell into them.
        """
        with self._lock:
            recent = list(self._recent)
        known = [a for a in recent if a.timestamp_ns <= time_ns]
        if not known or time_ns - known[-1].timestamp_ns > 300_000_000:
            return at_rest(time_ns)
        newest = known[-1]
        closure = max(a.closure for a in known if a.timestamp_ns >= newest.timestamp_ns - span_ns)
        return Articulation(
            time_ns, newest.speaking, newest.jaw, closure, newest.pucker, newest.stretch,
            newest.loudness,
        )  # fmt: skip
