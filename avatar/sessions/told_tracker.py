"""A tracker that tells somebody what it saw: a calibration, a page."""

from __future__ import annotations

from collections.abc import Callable

from avatar.core.frames import CameraFrame, FaceTrack
from avatar.core.stages import Tracker
from avatar.core.wrapped import Wrapped


class ToldTracker(Wrapped[Tracker]):
    """Tracks with ``tracker``; ``told`` hears each frame and what was seen, in the same thread."""

    def __init__(self, tracker: Tracker, told: Callable[[CameraFrame, FaceTrack], object]) -> None:
        super().__init__(tracker)
        self._told = told

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return what is seen in ``frame``."""
        track = self._inner.track(frame)
        self._told(frame, track)
        return track
