"""Numbered pictures that flash while a click sounds, at a camera's pace."""

from __future__ import annotations

import threading
import time

import numpy as np

from avatar.core.frames import Float32, LabelledFrame
from avatar.core.stages import FrameSink
from tests.stages.sinks.numbers import COLOUR, LAST, numbered

FPS = 30
FRAME_NS = round(1e9 / FPS)
FLASH_EVERY = 15
CLICK_S = 0.02
_RATE_HZ = 48_000
_BRIGHT = (250, 250, 250)
_TIMES = np.arange(round(CLICK_S * _RATE_HZ)) / _RATE_HZ
# It begins at full height, so that its first sample can be found again.
_CLICK = (0.9 * np.cos(2 * np.pi * 1000 * _TIMES)).astype(np.float32)


class ClickTrack:
    """A ``SoundTrack`` with a click every half second of the show."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns

    def read(self, start_ns: int, count: int, now_ns: int) -> Float32 | None:
        every = FLASH_EVERY * FRAME_NS / 1e9 * _RATE_HZ
        first = (start_ns - self._start_ns) * _RATE_HZ / 1e9
        phase = np.round(first + np.arange(count)) % round(every)
        inside = phase < len(_CLICK)
        samples = np.zeros(count, np.float32)
        samples[inside] = _CLICK[phase[inside].astype(int)]
        return samples


def picture(index: int, size_px: tuple[int, int], start_ns: int) -> LabelledFrame:
    """Return the show's picture ``index``: one in fifteen is bright."""
    colour = _BRIGHT if index % FLASH_EVERY == 0 else COLOUR
    return numbered(index % (LAST + 1), size_px, start_ns + index * FRAME_NS, colour)


def perform(sink: FrameSink, frames: range, size_px: tuple[int, int], start_ns: int) -> list[float]:
    """Write the show's pictures at their times; return how many milliseconds each write took."""
    never = threading.Event()
    took_ms = []
    for index in frames:
        frame = picture(index, size_px, start_ns)
        never.wait(max(0.0, (frame.timestamp_ns - time.monotonic_ns()) / 1e9))
        begun_ns = time.monotonic_ns()
        sink.write(frame)
        took_ms.append((time.monotonic_ns() - begun_ns) / 1e6)
    return took_ms
