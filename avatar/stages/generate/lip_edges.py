"""Where a driver's lips end, as far as his picture shows it: once for each of his frames."""

from __future__ import annotations

import numpy as np

from avatar.core.frames import FaceTrack, Float32, Motion
from avatar.stages.generate.inner_edge import InnerEdge
from avatar.stages.generate.mouth_light import mouth_opening, skin_colour, teeth_colour

# Landmarks nearer than this, in mouth widths, have no opening to share out.
_SHUT = 0.012
_TEETH_EVERY = 8


class LipEdges:
    """Looks for the inner edges of one driver's lips (``InnerEdge``), frame by frame."""

    def __init__(self) -> None:
        self._edge = InnerEdge()
        self._last: tuple[Motion, Float32] | None = None
        self._teeth: Float32 | None = None
        self._calls = 0

    def shares(self, motion: Motion) -> Float32 | None:
        """Return how much of the driver's opening is lip, as ``InnerEdge.find``; None unseen."""
        if self._last is None or self._last[0] is not motion:
            found = None if motion.track is None else self._found(motion.track)
            if found is None:
                return None
            self._last = motion, found
        return self._last[1]

    def _found(self, track: FaceTrack) -> Float32 | None:
        if track.face is None or track.camera is None:
            return None
        image, landmarks_px = track.camera.image, track.face.landmarks_px
        if mouth_opening(landmarks_px) < _SHUT:
            return np.zeros((2, 9), np.float32)
        if self._teeth is None or self._calls % _TEETH_EVERY == 0:
            self._teeth = teeth_colour(skin_colour(image, landmarks_px), None)
        self._calls += 1
        return self._edge.find(image, landmarks_px, self._teeth)
