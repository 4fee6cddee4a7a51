"""The microphone as a track of a recording or stream: every moment's sound at its own place."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import numpy as np

from avatar.core.frames import Float32
from avatar.stages.sound.passthrough import DelayedPath

TRACK_HZ = 48_000
# What is waited for beyond a block's end: blocks come in bursts, and the reader must not run dry.
_SPARE_S = 0.03
# Sound that has not come so long after its picture is not coming.
_PATIENCE_S = 0.4
# Blocks follow each other to a few milliseconds; farther apart, sound was lost between them.
_BREAK_S = 0.05


class MicrophoneTrack:
    """A ``SoundTrack`` of what a microphone hears; see ``SoundFeed.open_track``.

    ``offset_s``: how much later than its capture sound is to be heard (negative: earlier).
    """

    def __init__(self, offset_s: Callable[[], float]) -> None:
        self._offset_s = offset_s
        self._rate_hz = 0
        self._path: DelayedPath | None = None
        self._known_s = -np.inf

    def hear(self, samples: Float32, rate_hz: int, captured_s: float) -> None:
        """Take a block in: float32 (N,), mono, the first sample captured at ``captured_s``."""
        path = self._path
        # After a break (another device, another process) nothing learnt of the old clock holds.
        is_broken = abs(captured_s - self._known_s) > _BREAK_S
        if path is None or rate_hz != self._rate_hz or is_broken:
            path, self._rate_hz = DelayedPath(rate_hz, TRACK_HZ), rate_hz
        path.heard(samples, captured_s)
        self._path = path
        self._known_s = captured_s + len(samples) / rate_hz

    def read(self, start_ns: int, count: int, now_ns: int) -> Float32 | None:
        """Return samples, or None while they are still to come; see ``SoundTrack``."""
        path, offset_s = self._path, self._offset_s()
        end_s = start_ns / 1e9 + count / TRACK_HZ
        is_known = path is not None and self._known_s >= end_s - offset_s + _SPARE_S
        if not is_known and now_ns / 1e9 < end_s + max(0.0, -offset_s) + _PATIENCE_S:
            return None
        if path is None:
            return np.zeros(count, np.float32)
        path.delay_s = offset_s
        return np.clip(path.wanted(count, start_ns / 1e9), -1, 1)


class SoundFeed:
    """Hands what one microphone hears to every open track; safe from any thread.

    ``offset_s``: as for ``MicrophoneTrack``.
    """

    def __init__(self, offset_s: Callable[[], float]) -> None:
        self._offset_s = offset_s
        # Who reads a track keeps it; one that nobody keeps is heard no more.
        self._tracks: weakref.WeakSet[MicrophoneTrack] = weakref.WeakSet()
        self._lock = threading.Lock()

    def hear(self, samples: Float32, rate_hz: int, captured_s: float) -> None:
        """Take a block in; see ``MicrophoneTrack.hear``."""
        with self._lock:
            tracks = list(self._tracks)
        for track in tracks:
            track.hear(samples, rate_hz, captured_s)

    def open_track(self) -> MicrophoneTrack:
        """Return a track of what is heard from now on."""
        track = MicrophoneTrack(self._offset_s)
        with self._lock:
            self._tracks.add(track)
        return track
