"""A tracker that reports what it saw: to a calibration, to a page."""

from __future__ import annotations

from collections.abc import Callable

from avatar.core.frames import CameraFrame, FaceTrack
from avatar.core.stages import Tracker
from avatar.core.wrapped import Wrapped


class ObservedTracker(Wrapped[Tracker]):
    """Tracks with ``tracker``; ``on_track`` hears each frame and its track, in the same thread."""

    def __init__(
        self, tracker: Tracker, on_track: Callable[[CameraFrame, FaceTrack], object]
    ) -> None:
        super().__init__(tracker)
        self._on_track = on_track

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return what is seen in ``frame``."""
        track = self._inner.track(frame)
        self._on_track(frame, track)
        return track
