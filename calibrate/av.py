"""How much later a camera's pictures are than a microphone's sound, from claps or flashes.

Pure: frames' numbers and samples in, an offset out. A clap is heard as an onset and seen as hands
that move and stop; a flash with a click (a phone, a slate app) is seen as light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avatar.errors import UsageError
from avatar.frames import Float32

Floats = NDArray[np.floating]

LEAST_EVENTS = 4
# An event is seen at most so long before and after it is heard.
_BEFORE_S, _AFTER_S = 0.15, 0.5
# Onsets: so much louder than what was before, at least so loud, and not sooner after another one.
_LOUDER, _LEAST_LEVEL, _APART_S = 8.0, 0.02, 0.3
_BIN_S = 0.001
# What is seen must stand out by so many times the usual change.
_CLEAR = 6.0
_SPREAD_MS = 25.0
_HOW = (
    "Clap with both hands in the picture, once a second, holding them together for a moment; near "
    "the microphone, in a quiet room, with light on your hands"
)


@dataclass(frozen=True)
class AvOffset:
    """The camera's delay: ``ms`` later than the sound.

    ``spread_ms``: seven of ten events deviate by no more. ``events``: how many were both heard and
    seen, as ``kind``.
    """

    ms: float
    spread_ms: float
    events: int
    kind: Literal["claps", "flashes"]


def onsets_s(samples: Float32, rate_hz: int) -> list[float]:
    """Return when sudden sounds begin, seconds from the first of ``samples``, float32 (N,)."""
    width = max(1, round(rate_hz * _BIN_S))
    count = len(samples) // width
    if count == 0:
        return []
    level = np.abs(samples[: count * width]).reshape(count, width).max(axis=1)
    found: list[float] = []
    around = round(0.05 / _BIN_S)
    sums = np.concatenate([[0.0], np.cumsum(level, dtype=np.float64)])
    for k in np.flatnonzero(level > _LEAST_LEVEL).tolist():
        before = (sums[k] - sums[max(0, k - around)]) / max(1, min(k, around))
        at_s = float(k) * width / rate_hz
        if level[k] > _LOUDER * before and (not found or at_s - found[-1] > _APART_S):
            found.append(at_s)
    return found


def fit_offset(
    frame_s: Floats, brightness: Floats, movement: Floats, sound_s: list[float]
) -> AvOffset:
    """Return the offset that frames and sounds show.

    ``frame_s``: time stamps of the frames (N,). ``brightness``: their mean, 0 to 255.
    ``movement``: mean difference to the frame before. ``sound_s``: onsets, the same clock.
    Raises ``UsageError`` that says what to do when too few events were both heard and seen, or
    they do not agree.
    """
    if len(sound_s) < LEAST_EVENTS:
        raise UsageError(
            f"expected to hear {LEAST_EVENTS} claps or more, found {len(sound_s)}. {_HOW}"
        )
    flashes = _differences(frame_s, np.diff(brightness, prepend=brightness[:1]), sound_s, False)
    claps = _differences(frame_s, -np.diff(movement, prepend=movement[:1]), sound_s, True, movement)
    seen, kind = (
        (flashes, "flashes") if len(flashes) >= max(LEAST_EVENTS, len(claps)) else (claps, "claps")
    )
    if len(seen) < LEAST_EVENTS:
        raise UsageError(
            f"heard {len(sound_s)} claps and saw {len(seen)} of them; expected to see "
            f"{LEAST_EVENTS} or more. {_HOW}"
        )
    offset = float(np.median(seen))
    spread_ms = 1e3 * float(np.quantile(np.abs(np.array(seen) - offset), 0.7))
    if spread_ms > _SPREAD_MS:
        raise UsageError(
            f"the {len(seen)} claps disagree by {spread_ms:.0f} ms; expected {_SPREAD_MS:.0f} or "
            f"less. {_HOW}"
        )
    return AvOffset(1e3 * offset, spread_ms, len(seen), "flashes" if kind == "flashes" else "claps")


def _differences(
    frame_s: Floats, step: Floats, sound_s: list[float], between: bool,
    movement: Floats | None = None,
) -> list[float]:  # fmt: skip
    """Return how much later than each sound the largest step near it was seen, where one was.

    ``between``: what stopped did so between two frames; its share of the frame before tells where.
    """
    usual = float(np.median(np.abs(step))) + 0.05
    differences = []
    for heard_s in sound_s:
        near = np.flatnonzero((frame_s > heard_s - _BEFORE_S) & (frame_s < heard_s + _AFTER_S))
        if len(near) == 0:
            continue
        k = int(near[step[near].argmax()])
        if step[k] < _CLEAR * usual or k == 0:
            continue
        seen_s = float(frame_s[k])
        if between and movement is not None:
            interval_s = float(frame_s[k] - frame_s[k - 1])
            left = float(np.clip(movement[k] / max(float(movement[k - 1]), 1e-6), 0, 1))
            # Hands that stop within a frame's time are seen together half a frame later.
            seen_s = float(frame_s[k - 1]) + (left + 0.5) * interval_s
        differences.append(seen_s - heard_s)
    return differences
