"""A tracker that tells somebody what it saw: a calibration, a page."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from avatar.frames import CameraFrame, FaceTrack
from avatar.stages import Tracker


class ToldTracker:
    """Tracks with ``tracker``; ``told`` hears each frame and what was seen, in the same thread."""

    def __init__(self, tracker: Tracker, told: Callable[[CameraFrame, FaceTrack], object]) -> None:
        self._tracker, self._told = tracker, told

    def __enter__(self) -> Self:
        self._tracker.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tracker.__exit__(kind, error, trace)

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return what is seen in ``frame``."""
        track = self._tracker.track(frame)
        self._told(frame, track)
        return track
