"""Beats by dynamic programming: on strong onsets, and as far apart as the tempo says.

D. Ellis, "Beat Tracking by Dynamic Programming", Journal of New Music Research 36(1), 2007. The
tempo may be another at each moment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from avatar.stages.music.onsets import smoothed

Indices = NDArray[np.int64]

# How strict the tempo is: what an onset of deviation 1 weighs against intervals that are off.
_STRICT = 100.0


def follow(strength: Float32, periods: Float32) -> Indices:
    """Return the frames of beats, rising.

    ``strength``: float32 (n,), of deviation 1. ``periods``: float32 (n,), frames from beat to beat
    at each moment.
    """
    usual = float(np.median(periods))
    score = smoothed(strength, max(1.0, usual / 16)).astype(np.float64)
    shortest, longest = max(1, round(0.6 * periods.min())), round(1.7 * periods.max())
    back = np.arange(longest, shortest - 1, -1)
    logs = np.log(back)
    total = np.concatenate([np.zeros(longest), score])  # before the music nothing is lost
    came = np.full(len(score), -1)
    costs = _STRICT * (logs - np.log(periods)[:, None]) ** 2 if np.ptp(periods) else (
        np.broadcast_to(_STRICT * (logs - np.log(usual)) ** 2, (len(score), len(back)))
    )  # fmt: skip
    for at in range(len(score)):
        window = total[at : at + longest - shortest + 1] - costs[at]
        best = int(window.argmax())
        if window[best] > 0:
            total[at + longest] += window[best]
            came[at] = at - back[best]
    return _back(total[longest:], came, usual)


def _back(total: NDArray[np.float64], came: Indices, usual: float) -> Indices:
    """Follow what came before what, from the best of the last beats."""
    last = max(0, len(total) - round(usual))
    at = last + int(total[last:].argmax())
    beats = []
    while at >= 0:
        beats.append(at)
        at = int(came[at])
    return np.array(beats[::-1], np.int64)
