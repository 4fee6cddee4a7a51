"""The driver's own mouth: teeth and tongue as the camera sees them, in the avatar's light.

After "Bringing Portraits to Life" (Averbuch-Elor et al. 2017): what a photograph with closed lips
never saw is taken from the driver. Only what lies between the lips is taken; it is bent from the
driver's lips onto the avatar's and its colours are scaled by the ratio of both faces' light.
"""

from __future__ import annotations

import numpy as np

from avatar.core.face.topology import INNER_LIPS, ring_triangles
from avatar.core.frames import FaceTrack, Float32, UInt8Image
from avatar.stages.generate.overlay import Box
from avatar.stages.generate.raster import draw_triangles, sample

# Cheeks, upper lip and chin: skin beside the mouth, lit as the mouth is.
_SKIN = np.array([50, 280, 205, 425, 206, 426, 203, 423, 164, 18, 200, 199])
_GAIN_LIMITS = (0.35, 2.2)
_HUE_SHARE, _LIGHT_POWER = 0.4, 0.6
_GAIN_MEMORY = 0.7
_LIGHT_EVERY = 4
# A mouth drawn smaller than this share of its size is averaged first.
_SHRUNK = 0.75
# Both polygons are widened, so that the soft edge has colours on both sides.
_WIDENED = np.float32(1.06)
# MediaPipe's inner lips lie on the lips: on another face a rim of the driver's would show.
_NARROWED = np.float32(0.9)


def skin_colour(image: UInt8Image, landmarks_px: Float32) -> Float32:
    """Return the colour of the skin around the mouth, float32 (3,), 0 to 255, RGB.

    The median over twelve places, so that a shadow or a beard on some does not count.
    """
    height, width = image.shape[:2]
    points = landmarks_px[_SKIN, :2].astype(int)
    x, y = np.clip(points[:, 0], 1, width - 2), np.clip(points[:, 1], 1, height - 2)
    around = [image[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.median(np.mean(around, axis=0), axis=0).astype(np.float32)


class DriverMouth:
    """Takes the mouth's inside from the driver's pictures.

    ``skin``: float32 (3,), the avatar's skin colour, as ``skin_colour`` gives it.
    """

    def __init__(self, skin: Float32) -> None:
        self._skin = skin
        self._gain: Float32 | None = None
        self._calls = 0
        self._triangles = ring_triangles(len(INNER_LIPS))

    def draw(
        self, track: FaceTrack, lips_px: Float32, box: Box, *, exact: bool
    ) -> UInt8Image | None:
        """Return the box's pixels with the driver's mouth bent into ``lips_px``.

        ``lips_px``: float32 (20, 2 or 3), the avatar's inner lips on the canvas. ``exact``: they
        are the driver's own, so that the rim of these belongs there. None when the track has no
        picture, as a replayed one.
        """
        camera, face = track.camera, track.face
        if camera is None or face is None:
            return None
        theirs = _scaled(face.landmarks_px[INNER_LIPS, :2], _WIDENED if exact else _NARROWED)
        ours = _scaled(lips_px[:, :2], _WIDENED) - np.array(box[:2], np.float32)
        mouth, inside = _cut(camera.image, theirs, _width(ours) / _width(theirs))
        colours = np.ones((len(INNER_LIPS), 3), np.float32)
        colours[:, :2] = inside
        buffer = np.zeros((box[3] - box[1], box[2] - box[0], 3), np.float32)
        draw_triangles(buffer, ours, self._triangles, colours)
        size = np.array(mouth.shape[1::-1], np.float32)
        taken = sample(mouth, np.ascontiguousarray(buffer[..., :2]) * size - np.float32(0.5))
        light = self._light(camera.image, face.landmarks_px)
        return np.asarray(np.clip(taken * light, 0, 255), np.uint8)

    def _light(self, source: UInt8Image, landmarks_px: Float32) -> Float32:
        """Return what the driver's colours are multiplied by, float32 (3,); changes slowly."""
        self._calls += 1
        if self._gain is not None and self._calls % _LIGHT_EVERY:
            return self._gain
        ratio = self._skin / np.maximum(skin_colour(source, landmarks_px), 8.0)
        # Not all of the hue: teeth in warm light are warm, but not the colour of skin. Not all of
        # the brightness: a dark painting's teeth are its brightest spot all the same.
        grey = float(ratio.mean())
        tint = _HUE_SHARE * (ratio / grey - 1) + 1
        gain = np.asarray(np.clip(grey**_LIGHT_POWER * tint, *_GAIN_LIMITS), np.float32)
        if self._gain is not None:
            gain = self._gain * np.float32(_GAIN_MEMORY) + gain * np.float32(1 - _GAIN_MEMORY)
        self._gain = gain
        return gain


def _cut(image: UInt8Image, lips_px: Float32, ratio: float) -> tuple[UInt8Image, Float32]:
    """Cut the mouth out of ``image``, shrunk where it is drawn smaller, and the lips in its shares.

    Averaging before a mouth is drawn small keeps teeth from breaking up into dots.
    """
    import cv2

    height, width = image.shape[:2]
    low = np.clip(lips_px.min(axis=0) - 4, 0, (width - 2, height - 2)).astype(int)
    high = np.clip(lips_px.max(axis=0) + 5, low + 2, (width, height)).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    if ratio < _SHRUNK:
        size = np.maximum(np.round((high - low) * ratio), 2).astype(int)
        part = np.asarray(cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
    inside = np.clip((lips_px - low) / (high - low), 0, 1)
    return part, inside.astype(np.float32)


def _width(lips_px: Float32) -> float:
    return max(float(np.linalg.norm(lips_px[0] - lips_px[len(lips_px) // 2])), 1.0)


def _scaled(points: Float32, share: np.float32) -> Float32:
    middle = points.mean(axis=0)
    return np.asarray(middle + (points - middle) * share, np.float32)
