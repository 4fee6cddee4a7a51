"""A tracker that plays recorded tracks: the fake that ships beside the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from avatar.core.errors import TrackerError
from avatar.core.frames import CameraFrame, FaceTrack


class ReplayTracker:
    """Answers frame ``i`` with the face of recorded track ``i``, starting over at the end."""

    def __init__(self, tracks: Sequence[FaceTrack]) -> None:
        if not tracks:
            raise TrackerError("a replay needs at least one recorded track, found none")
        self._tracks = tracks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Hold nothing, release nothing."""

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return the recorded face with this frame's timestamp and index."""
        recorded = self._tracks[frame.index % len(self._tracks)]
        return replace(recorded, timestamp_ns=frame.timestamp_ns, index=frame.index, camera=frame)
