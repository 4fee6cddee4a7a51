"""The resting face: how still a face is, and the stillest moment of a recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avatar.core.frames import BLENDSHAPE_INDEX
from calibrate.samples import Sample

# What a resting face may do meanwhile: spread of the rotation (radians) and of the scores.
_REST_TURN, _REST_SCORE = 0.035, 0.06
# Recorded people rest more briefly.
_RECORDED_REST_S, _LEAST_WINDOW = 0.7, 6
# The scores of a face that rests are small; those of looking and squinting say nothing of it.
_TELLING = [
    BLENDSHAPE_INDEX[name]
    for name in (
        "jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthPucker", "mouthFunnel",
        "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp",
    )
]  # fmt: skip


def unrest(window: Sequence[Sample]) -> tuple[float, float]:
    """Return how much a face moves, 1 as much as a resting one may, and how much it expresses."""
    turns = np.array([kept.turn for kept in window])
    scores = np.array([kept.scores for kept in window])
    # A blink is nothing unrestful: the scores' spread is that of their middle.
    low, high = np.percentile(scores, [15, 85], axis=0)
    moves = max(turns.std(axis=0).max() / _REST_TURN, float((high - low).max()) / _REST_SCORE)
    middle = np.median(scores, axis=0)[_TELLING]
    return float(moves), float(middle.sum() + np.linalg.norm(turns.mean(axis=0)))


def middle_of(window: Sequence[Sample]) -> Sample:
    """Return the window's last sample with the medians of what steps are compared by."""
    middle = {
        name: np.median([getattr(kept, name) for kept in window], axis=0)
        for name in ("turn", "scores", "opening", "lip_gap")
    }
    last = window[-1]
    return Sample(
        last.timestamp_ns, last.shape, last.rotation, middle["turn"].astype(np.float32),
        last.centre_px, last.scale_px, middle["scores"].astype(np.float32),
        middle["opening"].astype(np.float32), float(middle["lip_gap"]),
    )  # fmt: skip


def stillest(samples: Sequence[Sample]) -> slice | None:
    """Return the still window with the least expression; None without any face.

    Eyes open and lips shut: an open mouth need not show in the scores.
    """
    times = np.array([sample.timestamp_ns for sample in samples], np.int64)
    if not len(times):
        return None
    openings = np.array([sample.opening for sample in samples])
    usual = np.percentile(openings, 70, axis=0)
    best, least = None, np.inf
    for first in range(0, len(times), 3):
        last = int(np.searchsorted(times, times[first] + _RECORDED_REST_S * 1e9, "right"))
        if last - first < _LEAST_WINDOW:
            break
        restless, expression = unrest(samples[first:last])
        narrow = float(np.maximum(usual - openings[first:last].mean(axis=0), 0).sum())
        parted = max(float(np.mean([kept.lip_gap for kept in samples[first:last]])), 0.0)
        cost = restless + expression + 10 * narrow + 5 * parted
        if cost < least:
            best, least = slice(first, last), cost
    return best if best is not None else slice(0, len(times))
