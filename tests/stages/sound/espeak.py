"""Speech with known phonemes, spoken by espeak-ng's library (speak_lib.h) while the test runs."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from avatar.core.frames import Float32

_SYNCHRONOUS, _PHONEME_EVENTS, _IPA = 2, 1, 2
_CHARS_UTF8, _END = 1, 0
_EVENT_PHONEME = 7
_RATE, _PITCH = 1, 3


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Phoneme:
    """A phoneme in espeak's own letters, from ``start_s`` to ``end_s``."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class Speech:
    """``samples``: float32 (N,), mono, ``rate_hz``."""

    samples: Float32
    rate_hz: int
    phonemes: tuple[Phoneme, ...]


@cache
def _library() -> tuple[ctypes.CDLL, int]:
    """Return the library, made ready once (a second time hangs in 1.51), and its sample rate."""
    try:
        library = ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        pytest.skip("espeak-ng is not installed (Debian: apt-get install espeak-ng)")
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 200, None, _PHONEME_EVENTS)
    if rate_hz <= 0:
        pytest.skip("espeak-ng has no voices installed (Debian: apt-get install espeak-ng-data)")
    return library, rate_hz


@cache
def speak(text: str, voice: str = "en", words_a_minute: int = 160, pitch: int = 50) -> Speech:
    """Return ``text`` spoken; skips the test where espeak-ng is not installed."""
    library, rate_hz = _library()
    samples: list[np.ndarray] = []
    marks: list[tuple[str, float]] = []

    def heard(wave: object, count: int, events: object) -> int:
        if count > 0 and wave:
            samples.append(np.ctypeslib.as_array(wave, (count,)).copy())  # type: ignore[call-overload]
        k = 0
        while events and events[k].type != _END:  # type: ignore[index]
            event = events[k]  # type: ignore[index]
            if event.type == _EVENT_PHONEME:
                marks.append((event.id.string.decode(), event.sample / rate_hz))
            k += 1
        return 0

    callback = _CALLBACK(heard)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        pytest.skip(f"espeak-ng has no voice {voice}")
    library.espeak_SetParameter(_RATE, words_a_minute, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _CHARS_UTF8, None, None)
    library.espeak_Synchronize()
    sound = np.concatenate(samples).astype(np.float32) / 32768
    ends = [start for _, start in marks[1:]] + [len(sound) / rate_hz]
    phonemes = tuple(
        Phoneme(name, start, end) for (name, start), end in zip(marks, ends, strict=True)
    )
    return Speech(sound, rate_hz, phonemes)
