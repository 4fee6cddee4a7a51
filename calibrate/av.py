"""How much later a camera's pictures are than a microphone's sound, from claps or flashes.

Pure: small pictures and samples in, an offset out. A clap is heard as an onset, and seen as
something that comes (hands, two books) and stops where it touches; a flash with a click (a phone, a
slate app) is seen as light that is there at once. Nobody looks for hands: what counts is when
movement ends, over all pictures around all sounds.

The offset is that of the picture's own moment, the middle of its exposure. An event falls between
two pictures; where, is told by how much moved in the interval that it ended in, or by how the light
is shared between two pictures. So what a camera shows first half a frame late on the average does
not count as half a frame of delay: a viewer sees every picture for a whole frame, half of it early.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import UsageError
from avatar.core.frames import Float32

Floats = NDArray[np.floating]

LEAST_EVENTS = 4
# Of what is heard so much must be seen: talk and a head that turns meet now and then, too.
_LEAST_SHARE = 0.5
# An event is seen at most so long before and after it is heard.
_BEFORE_S, _AFTER_S, _STEP_S = 0.15, 0.5, 0.002
# Onsets: so much louder than what was before, at least so loud, and not sooner after another one.
_LOUDER, _LEAST_LEVEL, _APART_S = 8.0, 0.02, 0.3
_BIN_S = 0.001
# A cell of the picture moves where it changes by so many times its usual change, of 255 at least.
_NOISE_TIMES, _LEAST_CHANGE = 4.0, 1.0
# Standard errors from which on a cell's movement goes with the sounds; twice as many: in full.
_LOCKED_FROM = 4.0
# What is seen must stand out by so many times the usual movement.
_CLEAR = 3.0
_NEAR_FRAMES = 1.5
# An interval of so many usual ones has lost a picture.
_MISSING = 1.7
# What touches keeps at most the rest of its speed.
_STOPS = 0.5
# Light comes at once: so much of all that changed in five frames is its rise in one.
_LIT_SHARE = 0.6
# The first sudden stop counts that is so large a share of the greatest.
_FIRST_OF = 0.6
# Events of a slow camera, each known to a frame at worst, disagree by more.
_SPREAD_MS, _SPREAD_FRAMES = 20.0, 0.4
_HOW = (
    "Clap with both hands in the picture, once a second, near the microphone, in a quiet room, "
    "with light on your hands; it helps to hold them together for a moment"
)
_AGREES_S = 0.05


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


@dataclass(frozen=True, eq=False)
class _Change:
    """What changed from one picture to the next: float64 (N - 1,) each.

    ``begin_s``, ``end_s``: the two pictures' moments. ``moved``: the mean change beyond noise, of
    255. ``lit``: how much brighter it became.
    """

    begin_s: Floats
    end_s: Floats
    moved: Floats
    lit: Floats

    @property
    def frame_s(self) -> float:
        return float(np.median(self.end_s - self.begin_s))


def fit_offset(frame_s: Floats, pictures: Float32, sound_s: list[float]) -> AvOffset:
    """Return the offset that pictures and sounds show.

    ``frame_s``: the pictures' time stamps (N,). ``pictures``: their luma, small, (N, H, W), 0 to
    255. ``sound_s``: onsets, the same clock. Raises ``UsageError`` that says what to do when too
    few events were both heard and seen, or they do not agree.
    """
    if len(sound_s) < LEAST_EVENTS:
        raise UsageError(
            f"expected to hear {LEAST_EVENTS} claps or more, found {len(sound_s)}. {_HOW}"
        )
    change = _changes(np.asarray(frame_s, np.float64), pictures, sound_s)
    lag_s, kind = _common(change, sound_s)
    each = _flashes if kind == "flashes" else _claps
    seen = each(change, sound_s, lag_s) if lag_s is not None else []
    least = max(LEAST_EVENTS, math.ceil(_LEAST_SHARE * len(sound_s)))
    if len(seen) < least:
        raise UsageError(
            f"heard {len(sound_s)} claps and saw {len(seen)} of them; expected to see "
            f"{least} or more. {_HOW}"
        )
    offset = _middle(seen, change.frame_s)
    spread_ms = 1e3 * float(np.quantile(np.abs(np.array(seen) - offset), 0.7))
    most_ms = max(_SPREAD_MS, 1e3 * _SPREAD_FRAMES * change.frame_s)
    if spread_ms > most_ms:
        raise UsageError(
            f"the {len(seen)} {kind} disagree by {spread_ms:.0f} ms; expected {most_ms:.0f} or "
            f"less. {_HOW}"
        )
    return AvOffset(1e3 * offset, spread_ms, len(seen), kind)


def _middle(values: list[float], frame_s: float) -> float:
    """Return the mean of the middle: a single event is only known to a part of a frame."""
    middle = np.median(values)
    near = [value for value in values if abs(value - middle) <= max(_AGREES_S, frame_s)]
    return float(np.mean(near)) if near else float(middle)


def _changes(frame_s: Floats, pictures: Float32, sound_s: list[float]) -> _Change:
    """Return what moved between pictures, in the cells whose movement goes with the sounds.

    A head that turns moves cells, too, but not each time at the same distance from a sound.
    """
    step = np.diff(pictures.reshape(len(pictures), -1), axis=0)
    if len(step) < 3 or not step.size:
        raise UsageError("expected pictures of the camera, found none. Is it covered or in use?")
    usual = np.median(np.abs(step), axis=0)
    beyond = np.abs(step) > np.maximum(_NOISE_TIMES * usual, _LEAST_CHANGE)
    real = np.where(beyond, step, 0).astype(np.float64)
    weights = _goes_along(frame_s[1:], np.abs(real), sound_s)
    return _Change(frame_s[:-1], frame_s[1:], np.abs(real) @ weights, real @ weights)


def _goes_along(end_s: Floats, moved: Floats, sound_s: list[float]) -> Floats:
    """Return each cell's weight, (C,), 0 to 1: how clearly its movement is locked to the sounds.

    At each distance from a sound, the mean over all sounds is compared with what as many moments
    taken at random would give, in standard errors.
    """
    frame_s = float(np.median(np.diff(end_s)))
    reach = np.arange(-round(_BEFORE_S / frame_s), round(_AFTER_S / frame_s) + 1)
    at = np.searchsorted(end_s, sound_s)
    at = at[(at + reach[0] >= 0) & (at + reach[-1] < len(end_s))]
    if len(at) < LEAST_EVENTS:
        return np.zeros(moved.shape[1])
    locked = np.mean([moved[k + reach] for k in at], axis=0)
    error = moved.std(axis=0) / np.sqrt(len(at)) + 1e-9
    errors = ((locked - moved.mean(axis=0)) / error).max(axis=0)
    weights = np.clip((errors - _LOCKED_FROM) / _LOCKED_FROM, 0, 1)
    return np.asarray(weights / moved.shape[1], np.float64)


def _near(change: _Change, at_s: float) -> NDArray[np.intp]:
    """Return the intervals that begin or end within a frame and a half of ``at_s``.

    One interval more lies before and two after them in the recording. None where pictures are
    missing: what happened between them is not known.
    """
    since = (change.end_s - at_s) / change.frame_s
    near = np.flatnonzero((since >= -_NEAR_FRAMES) & (since <= _NEAR_FRAMES + 1))
    near = near[(near >= 1) & (near + 2 < len(change.moved))]
    if len(near):
        span = slice(near[0] - 1, near[-1] + 3)
        if (change.end_s - change.begin_s)[span].max() > _MISSING * change.frame_s:
            return near[:0]
    return near


def _common(
    change: _Change, sound_s: list[float]
) -> tuple[float | None, Literal["claps", "flashes"]]:
    """Return how much later all events together are seen, None where nothing is; and their kind.

    Light that comes out of stillness is a flash. Otherwise the place counts where something fast
    stops at once.
    """
    lags = np.arange(-_BEFORE_S, _AFTER_S, _STEP_S)

    def around(values: Floats) -> Floats:
        middles_s = (change.begin_s + change.end_s) / 2
        return np.asarray(
            np.mean([np.interp(t + lags, middles_s, values) for t in sound_s], axis=0)
        )

    moved, lit = around(change.moved), around(np.maximum(change.lit, 0))
    if moved.max() <= 0:
        return None, "claps"
    brightest = int(lit.argmax())
    long, short, late = (round(n * change.frame_s / _STEP_S) for n in (5.0, 1.2, 0.6))
    before = moved[max(0, brightest - long) : brightest + late].sum()
    rise = lit[max(0, brightest - short) : brightest + late].sum()
    if rise > _LIT_SHARE * before:
        return float(lags[brightest]), "flashes"
    stops = np.zeros_like(change.moved)
    stops[1:-1] = np.maximum(change.moved[:-2] - change.moved[2:], 0)
    return float(lags[_first_peak(around(stops))]), "claps"


def _first_peak(values: Floats) -> int:
    """Return the index of the first peak that is not much lower than the highest.

    Hands that part after a clap stop, too, but later.
    """
    high = values >= _FIRST_OF * values.max()
    first = int(high.argmax())
    length = int((~high[first:]).argmax()) or len(values) - first
    return first + int(values[first : first + length].argmax())


def _claps(change: _Change, sound_s: list[float], lag_s: float) -> list[float]:
    """Return how much later than each sound something fast stopped, where it clearly did.

    The interval that it stopped in shows, against the one before, the share of its time that was
    still movement.
    """
    moved, seen = change.moved, []
    least = _CLEAR * float(np.median(moved))
    for heard_s in sound_s:
        near = _near(change, heard_s + lag_s)
        if not len(near):
            continue
        k = int(near[(moved[near - 1] - moved[near + 1]).argmax()])
        rest = min(moved[k + 1], moved[k + 2])
        speed = moved[k - 1] - rest
        if moved[k - 1] < least or speed < _STOPS * moved[k - 1]:
            continue
        share = float(np.clip((moved[k] - rest) / speed, 0, 1))
        stopped_s = change.begin_s[k] + share * (change.end_s[k] - change.begin_s[k])
        seen.append(float(stopped_s) - heard_s)
    return seen


def _flashes(change: _Change, sound_s: list[float], lag_s: float) -> list[float]:
    """Return how much later than each sound it became light: the middle of the rise.

    Where an exposure began in the dark, two pictures share the rise. Of a flash that is shorter
    than an exposure only its picture is known: it counts as half a frame early at most.
    """
    lit, seen = change.lit, []
    least = _CLEAR * float(np.median(change.moved))
    for heard_s in sound_s:
        near = _near(change, heard_s + lag_s)
        rise = np.maximum(lit[near], 0)
        if not len(near) or rise.sum() <= least:
            continue
        middle_s = (change.begin_s + change.end_s)[near] / 2
        at_s = float((rise * middle_s).sum() / rise.sum())
        seen.append(at_s - heard_s)
    return seen
