"""Looking at a recording's beginning before anything is drawn: which face is the most neutral?

The live loop has to begin with the first face it sees and to change its mind when a better one
comes. A recording need not: its first seconds are tracked once, the most neutral face of them is
the reference from the first frame on, and what was tracked is used again when the frames are drawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from avatar.core.frames import CameraFrame, FaceTrack
from avatar.core.stages import Tracker
from avatar.stages.motion.hidden_mouth import MouthSight
from avatar.stages.motion.retarget import REFERENCE_SEARCH_NS, neutrality

# A mouth that something hides stands for no other one where a single one is seen.
_HIDDEN = 1e3


@dataclass(frozen=True, eq=False)
class FirstLook:
    """What was seen of the beginning.

    ``reference``: the most neutral face of the first two seconds with a face, with its picture;
    None when there was none. ``tracks``: what was seen in each frame so far, without pictures,
    which would take a gigabyte of a large film.
    """

    reference: FaceTrack | None
    tracks: tuple[FaceTrack, ...]


def look_ahead(frames: Iterable[CameraFrame], tracker: Tracker) -> FirstLook:
    """Track ``frames`` until two seconds after the first face, or to their end."""
    tracks: list[FaceTrack] = []
    best: FaceTrack | None = None
    least, until_ns = np.inf, None
    sight = MouthSight()
    for frame in frames:
        if until_ns is not None and frame.timestamp_ns > until_ns:
            break
        track = tracker.track(frame)
        tracks.append(replace(track, camera=None))
        if track.face is None:
            continue
        until_ns = until_ns or frame.timestamp_ns + REFERENCE_SEARCH_NS
        score = neutrality(track.face)
        if not sight.sees(frame.image, track.face, frame.timestamp_ns):
            score += _HIDDEN
        if score < least:
            best, least = replace(track, camera=frame), score
    return FirstLook(best, tuple(tracks))


def tracked(
    frames: Iterable[CameraFrame], tracker: Tracker, known: Iterable[FaceTrack]
) -> Iterator[FaceTrack]:
    """Yield what is seen in each frame: of the first ones it is ``known`` already."""
    coming = deque(known)
    for frame in frames:
        if coming and coming[0].timestamp_ns == frame.timestamp_ns:
            yield replace(coming.popleft(), camera=frame)
        else:
            yield tracker.track(frame)
