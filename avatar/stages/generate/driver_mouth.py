"""The driver's own mouth: teeth and tongue as the camera sees them, in the avatar's light.

After "Bringing Portraits to Life" (Averbuch-Elor et al. 2017): what a photograph with closed lips
never saw is taken from the driver. Only what lies between the lips is taken; it is bent from the
driver's lips onto the avatar's, and his light is replaced by the photograph's.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import INNER_LIPS, ring_triangles
from avatar.core.frames import FaceTrack, Float32, UInt8Image
from avatar.stages.generate.driver_light import DriverLight
from avatar.stages.generate.inner_edge import narrowed
from avatar.stages.generate.mouth_light import MouthLight
from avatar.stages.generate.overlay import Box
from avatar.stages.generate.raster import draw_triangles, sample
from avatar.stages.generate.sharpness import Softness

# A mouth drawn smaller than this share of its size is averaged first.
_SHRUNK = 0.75
# Both polygons are widened, so that the soft edge has colours on both sides.
_WIDENED, _KEPT = np.float32(1.06), np.float32(1.0)
# What is so much lighter than teeth are is gloss, of which this share stays.
_BRIGHT, _GLOSS = np.float32(1.03), np.float32(0.4)
# What is taken off another's mouth besides his lips: shares of the height and of the width.
_MARGIN, _CORNERS = np.float32(0.03), 0.06
_COUNT = len(INNER_LIPS)
# Beyond the ring its edge's colours go on for so many pixels: a mask's soft edge lies there.
_SKIRT_PX = np.float32(6)


def _with_skirt() -> NDArray[np.int32]:
    """Return the triangles that fill a ring, and those between it and one around it."""
    k = np.arange(_COUNT, dtype=np.int32)
    after = (k + 1) % _COUNT
    inner = np.stack([k, after, k + _COUNT], axis=1)
    outer = np.stack([after, after + _COUNT, k + _COUNT], axis=1)
    return np.concatenate([ring_triangles(_COUNT), inner, outer]).astype(np.int32)


_TRIANGLES = _with_skirt()
_DEPTH = np.repeat(np.array([0, 1], np.float32), _COUNT)


class DriverMouth:
    """Takes the mouth's inside from the driver's pictures.

    ``photo``: the light on the avatar's mouth. ``blur_px``: how soft its picture is, pixels.
    """

    def __init__(self, photo: MouthLight, blur_px: float) -> None:
        self._light = DriverLight(photo)
        self._softness = Softness(blur_px)
        self._shoulder = _shoulder(photo.teeth)

    def draw(
        self, track: FaceTrack, lips_px: Float32, box: Box, lip_shares: Float32 | None
    ) -> UInt8Image | None:
        """Return the box's pixels with the driver's mouth bent into ``lips_px``.

        ``lips_px``: float32 (20, 2 or 3), the avatar's inner lips on the canvas. ``lip_shares``:
        float32 (2, 9), what of the driver's opening is lip (``InnerEdge.find``); None where they
        are his own, so that the rim of these belongs there. None when the track has no picture,
        as a replayed one.
        """
        import cv2

        camera, face = track.camera, track.face
        if camera is None or face is None:
            return None
        image, landmarks_px = camera.image, face.landmarks_px
        matrix, slope = self._light.change(image, face)
        theirs = landmarks_px[INNER_LIPS, :2]
        if lip_shares is None:
            theirs = _scaled(theirs, _WIDENED)
        else:
            theirs = _scaled(narrowed(theirs, lip_shares + _MARGIN, _CORNERS), _KEPT)
        ours = lips_px[:, :2].astype(np.float32) - np.array(box[:2], np.float32)
        ratio = _width(ours) / _width(theirs)
        mouth, inside = cut(image, theirs, ratio)
        size = (box[3] - box[1], box[2] - box[0])
        taken = bent(mouth, inside, _scaled(ours, _WIDENED), size)
        taken = self._softness.apply(taken, image, landmarks_px, ratio)
        lit = in_light(np.asarray(cv2.transform(taken, matrix), np.uint8), slope, ours)
        if self._light.another < 0.5:
            return lit
        return np.asarray(cv2.LUT(lit, self._shoulder), np.uint8)


def bent(mouth: UInt8Image, inside: Float32, ours: Float32, size: tuple[int, int]) -> UInt8Image:
    """Return ``mouth`` bent from its ring ``inside``, in shares of it, to ``ours``.

    ``inside``, ``ours``: float32 (20, 2), ``ours`` in pixels of what is returned, uint8 (*size, 3).
    """
    colours = np.ones((2 * _COUNT, 3), np.float32)
    colours[:, :2] = np.tile(inside, (2, 1))
    buffer = np.zeros((*size, 3), np.float32)
    draw_triangles(buffer, np.concatenate([ours, _skirt(ours)]), _TRIANGLES, colours, _DEPTH)
    extent = np.array(mouth.shape[1::-1], np.float32)
    at = np.ascontiguousarray(buffer[..., :2]) * extent - np.float32(0.5)
    return np.asarray(sample(mouth, at), np.uint8)


def _skirt(ring: Float32) -> Float32:
    """Return a ring, float32 (20, 2), around another: up, down, and aside at the corners."""
    across = ring[_COUNT // 2] - ring[0]
    across = across * (_SKIRT_PX / max(float(np.hypot(*across)), 1e-3))
    up = np.array([across[1], -across[0]], np.float32)
    out = ring.copy()
    out[1 : _COUNT // 2] += up
    out[_COUNT // 2 + 1 :] -= up
    out[0] -= across
    out[_COUNT // 2] += across
    return out


def _shoulder(teeth: Float32) -> UInt8Image:
    """Return each channel's levels, uint8 (256, 1, 3): what shines is little lighter than teeth.

    Gloss in a strong light is the driver's light, not his teeth.
    """
    levels, teeth = np.arange(256, dtype=np.float32)[:, None, None], teeth * _BRIGHT
    over = np.maximum(levels - teeth, 0)
    return np.asarray(np.rint(np.minimum(levels, teeth) + over * _GLOSS), np.uint8)


def in_light(patch: UInt8Image, slope: Float32, lips_px: Float32) -> UInt8Image:
    """Return ``patch``, uint8 (h, w, 3), multiplied by a field that is 1 at the lips' middle.

    ``slope``: float32 (2, 3), as in ``MouthLight``; ``lips_px``: float32 (20, 2), inner lips on
    the patch. A plane in the logarithm is a product of what depends on the column and what depends
    on the row.
    """
    import cv2

    right, left = lips_px[0], lips_px[len(lips_px) // 2]
    across = (left - right) / max(float((left - right) @ (left - right)), 1.0)
    down = np.array([-across[1], across[0]], np.float32)
    middle = lips_px.mean(axis=0)
    height, width = patch.shape[:2]
    columns = np.arange(width, dtype=np.float32) + np.float32(0.5) - middle[0]
    rows = np.arange(height, dtype=np.float32) + np.float32(0.5) - middle[1]
    along_x = across[0] * slope[0] + down[0] * slope[1]
    along_y = across[1] * slope[0] + down[1] * slope[1]
    field = np.exp(columns[:, None] * along_x)[None] * np.exp(rows[:, None] * along_y)[:, None]
    light = field.astype(np.float32)
    return np.asarray(cv2.multiply(patch, light, dtype=cv2.CV_8U), np.uint8)


def cut(image: UInt8Image, lips_px: Float32, ratio: float) -> tuple[UInt8Image, Float32]:
    """Cut the mouth out of ``image``, shrunk where it is drawn smaller, and the lips in its shares.

    ``lips_px``: float32 (20, 2), the ring of ``INNER_LIPS``; ``ratio``: drawn size over its size.

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
    return max(math.dist(lips_px[0], lips_px[len(lips_px) // 2]), 1.0)


def _scaled(points: Float32, share: np.float32) -> Float32:
    """Return ``points``, float32 (N, 2), ``share`` times as far from their middle."""
    middle = points.mean(axis=0)
    return np.asarray(middle + (points - middle) * share, np.float32)
