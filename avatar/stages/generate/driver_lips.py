"""The avatar's lips where the driver's landmarks alone would thin them away.

MediaPipe's inner landmarks lie on a driver's lips, more so the less his lips stand out; moved by
them, the avatar's lips would open where his touch. And a wide smile draws thin lips to a line:
lips are soft, but not without volume.
"""

from __future__ import annotations

import numpy as np

from avatar.core.face.head import mouth_width
from avatar.core.face.topology import INNER_LIPS, OUTER_LIPS
from avatar.core.frames import FaceTrack, Float32, Motion
from avatar.stages.generate.inner_edge import InnerEdge
from avatar.stages.generate.mouth_light import mouth_opening, skin_colour, teeth_colour

# Rings of lips between outer and inner edge, and their share of what the inner edge moves.
_MIDDLE = np.array(
    [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16, 85, 180, 90, 77]
)
_INMOST = np.array(
    [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15, 86, 179, 89, 96]
)
_RINGS = ((INNER_LIPS, 1.0), (_INMOST, 0.65), (_MIDDLE, 0.25))
_UPPER, _LOWER = slice(1, 10), slice(19, 10, -1)
# A lip keeps this share of its height in the photograph, divided by how much wider the mouth grew;
# no more of the opening than this is given up for it.
_KEPT_HEIGHT, _MOST_OF_GAP = 0.8, 0.3
# Landmarks nearer than this, in mouth widths, have no opening to share out.
_SHUT = 0.012
_TEETH_EVERY = 8


class DriverLips:
    """Corrects one avatar's lips. ``rest``: float32 (478, 3), its shape, head frame."""

    def __init__(self, rest: Float32) -> None:
        self._edge = InnerEdge()
        self._heights, self._gaps = _heights(rest), _gaps(rest)
        self._width = mouth_width(rest)
        self._last: tuple[Motion, Float32] | None = None
        self._reference: tuple[FaceTrack, Float32] | None = None
        self._teeth: Float32 | None = None
        self._calls = 0

    def shares(self, motion: Motion) -> Float32 | None:
        """Return how much of the driver's opening is lip, as ``InnerEdge.find``; None unseen."""
        if self._last is None or self._last[0] is not motion:
            found = None if motion.track is None else self._found(self._edge, motion.track)
            if found is None:
                return None
            self._last = motion, found
        return self._last[1]

    def __call__(self, shape: Float32, motion: Motion) -> Float32:
        """Return ``shape``, float32 (478, 3), head frame, with lips of their own height."""
        across = shape[INNER_LIPS[_LOWER]] - shape[INNER_LIPS[_UPPER]]
        gap = np.maximum(_gaps(shape), 1e-4)
        # Lips that stood apart in the photograph do so where nothing moves them.
        opened = np.clip(1 - self._gaps / gap, 0, 1)
        moved = np.clip(self._lacking(shape) / gap, 0, _MOST_OF_GAP) * opened
        moved = np.maximum(moved, np.minimum(self._overlap(motion), 0.5) * opened)
        moved = moved.astype(np.float32)
        out = shape.copy()
        for ring, share in _RINGS:
            out[ring[_UPPER]] += across * (moved[0] * np.float32(share))[:, None]
            out[ring[_LOWER]] -= across * (moved[1] * np.float32(share))[:, None]
        return out

    def _overlap(self, motion: Motion) -> Float32:
        """Return how much of the driver's opening is lip that was none at the reference.

        float32 (2, 9), shares of it.
        """
        now = self.shares(motion)
        if now is None or not motion.neutral.any():
            return np.zeros((2, 9), np.float32)
        then = self._at_reference(motion.reference)
        gap = np.maximum(_gaps(motion.neutral + motion.expression), 1e-4)
        return np.asarray(np.maximum(now - then * _gaps(motion.neutral) / gap, 0), np.float32)

    def _at_reference(self, reference: FaceTrack | None) -> Float32:
        if reference is None:
            return np.zeros((2, 9), np.float32)
        if self._reference is None or self._reference[0] is not reference:
            found = self._found(InnerEdge(), reference)
            self._reference = reference, np.zeros((2, 9), np.float32) if found is None else found
        return self._reference[1]

    def _found(self, edge: InnerEdge, track: FaceTrack) -> Float32 | None:
        if track.face is None or track.camera is None:
            return None
        image, landmarks_px = track.camera.image, track.face.landmarks_px
        if mouth_opening(landmarks_px) < _SHUT:
            return np.zeros((2, 9), np.float32)
        if self._teeth is None or self._calls % _TEETH_EVERY == 0:
            self._teeth = teeth_colour(skin_colour(image, landmarks_px), None)
        self._calls += 1
        return edge.find(image, landmarks_px, self._teeth)

    def _lacking(self, shape: Float32) -> Float32:
        """Return how much height each lip lost beyond what it may, float32 (2, 9), head units."""
        wider = max(mouth_width(shape) / max(self._width, 1e-3), 1.0)
        return np.asarray(self._heights * (_KEPT_HEIGHT / wider) - _heights(shape), np.float32)


def _gaps(shape: Float32) -> Float32:
    """Return how far the lips stand apart at nine places, float32 (9,), head units."""
    across = shape[INNER_LIPS[_LOWER]] - shape[INNER_LIPS[_UPPER]]
    return np.asarray(np.linalg.norm(across, axis=1), np.float32)


def _heights(shape: Float32) -> Float32:
    """Return how high the upper and the lower lip are at nine places, float32 (2, 9)."""
    apart = np.linalg.norm(shape[OUTER_LIPS] - shape[INNER_LIPS], axis=1)
    return np.stack([apart[_UPPER], apart[_LOWER]]).astype(np.float32)
