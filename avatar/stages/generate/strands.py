"""Single strands of hair that stand off a head, farther out than its matte is solved for.

A strand is thin: a median takes it away and leaves the wall behind it. What the picture differs by
from that, towards the hair's colours, more than the wall itself does anywhere, and joined to the
hair, is a strand; how far it differs says how much of the pixel it covers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.face_frame import FaceFrame, pixel_places

# Strands are looked for so far from the solid hair, and are thinner than half of this, half face
# heights; pixels at least.
_REACH, _WINDOW, _LEAST_PX = 0.7, 0.09, 5
# Kinds of hair, by lightness; pixels that say what colours hair and wall have.
_KINDS, _ENOUGH = 3, 60
# How far off the line from wall to hair a pixel may lie, 8-bit RGB.
_OFF_LINE = 14.0
# What this share of the wall's own pixels does not reach is no wall; a strand begins at so many
# times that, and is sure at so many times.
_WALL_SHARE, _BEGIN, _SURE = 0.985, 0.8, 1.6
# Nothing fainter is a strand, 8-bit levels.
_FAINT = 7.0
# A strand is so long at least, half face heights.
_LENGTH = 0.07


def with_strands(image: UInt8Image, coverage: Float32, frame: FaceFrame) -> Float32:
    """Return ``coverage``, float32 (H, W), with the strands of hair in ``image`` around it.

    ``image``: uint8 (H, W, 3) RGB.
    """
    import cv2

    half = float(frame.half_px[1])
    uv = frame.coordinates(pixel_places(coverage.shape))
    u, v = np.abs(uv[..., 0]), uv[..., 1]
    solid = coverage > 0.5
    away = cv2.distanceTransform((~solid).astype(np.uint8), cv2.DIST_L2, 5) / half
    face = (u / 0.95) ** 2 + (v / 0.98) ** 2 < 1
    hair = (coverage > 0.95) & ~face & (v > 0.3)
    wall = (away > _REACH) & (coverage == 0)
    zone = (away < _REACH) & (v > -0.9)
    if min(np.count_nonzero(hair), np.count_nonzero(wall)) < _ENOUGH:
        return coverage
    size = 2 * (max(_LEAST_PX, round(_WINDOW * half)) // 2) + 1
    part = _box(zone)
    share, differs = _explained(image, np.asarray(cv2.medianBlur(image, size)), image[hair])
    usual = max(float(np.quantile(differs[wall], _WALL_SHARE)), _FAINT)
    strong = differs / usual
    held = _joined(zone & (strong > _BEGIN), strong, coverage, half)
    strength = np.asarray((strong - _BEGIN) / (_SURE - _BEGIN), np.float32)
    nearness = np.asarray((_REACH - away) / (0.2 * _REACH), np.float32)
    trust = held * smooth_step(strength) * smooth_step(nearness)
    found = coverage.copy()
    found[part] = np.maximum(coverage, share * trust)[part]
    return np.asarray(found, np.float32)


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _explained(
    image: UInt8Image, wall: UInt8Image, hair: NDArray[np.uint8]
) -> tuple[Float32, Float32]:
    """Return how far from ``wall`` towards ``hair``'s colours each pixel is, float32 (H, W).

    As a share of the way, and in 8-bit levels, less for what lies off the way.
    """
    behind = wall.astype(np.float32)
    off = image - behind
    order = np.argsort(hair.sum(axis=1, dtype=np.int32))
    share = differs = np.zeros(image.shape[:2], np.float32)
    for kind in np.array_split(hair[order], _KINDS):
        way = kind.mean(axis=0, dtype=np.float32) - behind
        length = np.einsum("hwc,hwc->hw", way, way) + 1
        along = np.clip(np.einsum("hwc,hwc->hw", off, way) / length, 0, 1)
        aside = np.sum((off - along[..., None] * way) ** 2, axis=2)
        levels = along * np.sqrt(length) * np.exp(-aside / (2 * _OFF_LINE**2))
        share = np.where(levels > differs, along, share)
        differs = np.maximum(levels, differs)
    return np.asarray(share, np.float32), np.asarray(differs, np.float32)


def _joined(
    mask: NDArray[np.bool_], strong: Float32, coverage: Float32, half: float
) -> NDArray[np.bool_]:
    """Return those parts of ``mask`` that are long, somewhere sure, and reach the hair."""
    import cv2

    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        (mask | (coverage > 0.3)).astype(np.uint8), connectivity=8
    )
    sure = np.zeros(count, bool)
    sure[np.unique(parts[mask & (strong > 1)])] = True
    hairy = np.zeros(count, bool)
    hairy[np.unique(parts[coverage > 0.5])] = True
    longest = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    keep = (sure & (longest > _LENGTH * half)) & hairy
    return np.asarray(mask & keep[parts], bool)
