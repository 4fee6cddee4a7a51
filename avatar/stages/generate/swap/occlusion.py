"""What is before a face: hair, glasses, hands, a microphone. It stays before the new face, too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from avatar.stages.generate.swap.layout import Zones
from avatar.stages.generate.swap.light import hair, luma, opponent

# Differences from the face as it usually is, by which something is surely before it.
_DARKER, _COLOURED = 0.4, 22.0
# Lines on skin thinner than this share of the sheet are glasses or strands.
_THIN = 0.05
_LINE = 0.075
# Temples: where on the sheet, and how much darker or brighter than skin. Of ten people the two with
# glasses have 0.13 and 0.20 on the weaker side, the others 0.07 at most.
_TEMPLE_ROWS, _TEMPLE_COLUMNS = (0.22, 0.36), ((0.08, 0.26), (0.74, 0.92))
_TEMPLE = 0.1


def standing(calm: Float32, zones: Zones, glasses: bool) -> Float32:
    """Return what is always before a face, float32 (S, S), 0 to 1: hair and glasses.

    ``calm``: float32 (S, S, 3), the face as it usually is.
    """
    covered = hair(calm, zones.skin, zones.rim)
    if not glasses or not wears_glasses(calm):
        return covered
    lines = _soft(_lines(calm, zones), max(1, calm.shape[0] // 128))
    return np.maximum(covered, lines)


def wears_glasses(calm: Float32) -> bool:
    """Return whether temples run back from both eyes: a line in nearly every column beside them."""
    import cv2

    side = calm.shape[0]
    # A slit as high as this answers to what lies across it, and not to shade along it.
    slit = np.ones((2 * round(_THIN * side / 2) + 1, 1), np.uint8)
    bright = luma(calm)
    base = np.maximum(cv2.GaussianBlur(bright, (0, 0), len(slit) / 2), 8)
    dark = cv2.morphologyEx(bright, cv2.MORPH_BLACKHAT, slit)
    shiny = cv2.morphologyEx(bright, cv2.MORPH_TOPHAT, slit)
    lines = (np.maximum(dark, shiny) / base)[_cells(_TEMPLE_ROWS, side)].max(axis=0)
    left, right = (lines[_cells(columns, side)] for columns in _TEMPLE_COLUMNS)
    return bool(min(np.median(left), np.median(right)) > _TEMPLE)


def _cells(share: tuple[float, float], side: int) -> slice:
    return slice(round(share[0] * side), round(share[1] * side))


def _lines(calm: Float32, zones: Zones) -> Float32:
    """Return thin dark or bright lines about the eyes, 0 or 1, float32 (S, S): rims, strands.

    Creases of the lids are lines, too: with the film's eyes the film's creases do no harm.
    """
    import cv2

    side = calm.shape[0]
    size = 2 * round(_THIN * side / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    bright = luma(calm)
    base = np.maximum(cv2.GaussianBlur(bright, (0, 0), size / 2), 8)
    dark = cv2.morphologyEx(bright, cv2.MORPH_BLACKHAT, kernel) / base
    shiny = cv2.morphologyEx(bright, cv2.MORPH_TOPHAT, kernel) / base
    found = ((np.maximum(dark, shiny) > _LINE) & (zones.glasses > 0)).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(cv2.dilate(found, cross), np.float32)


def passing(sheet: Float32, calm: Float32, zones: Zones, share: Float32) -> Float32:
    """Return what is before a face just now, float32 (S, S), 0 to 1.

    ``sheet``: the face in this frame, ``calm``: as it usually is, float32 (S, S, 3) each.
    ``share``: float32 (S, S), how well each cell is seen.
    """
    import cv2

    gain = _gain(sheet, calm, zones.skin * share)
    usual = calm * gain
    darker = np.abs(np.log((luma(sheet) + 10) / (luma(usual) + 10)))
    coloured = np.linalg.norm(opponent(sheet) - opponent(usual), axis=-1)
    # Lids, lips and teeth move, and with them what lies on the sheet there.
    lax = 1 + 1.5 * zones.movable + 0.7 * zones.features
    sure = np.maximum(darker / _DARKER, coloured / _COLOURED) / lax
    cells = max(1, sheet.shape[0] // 64)
    found = ((cv2.GaussianBlur(sure, (0, 0), cells) > 1) & (share > 0.2)).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * cells + 1,) * 2)
    return _soft(cv2.dilate(cv2.morphologyEx(found, cv2.MORPH_OPEN, kernel), kernel), cells)


def _gain(sheet: Float32, calm: Float32, weight: Float32) -> Float32:
    """Return by how much the light differs from the usual one, float32 (3,), whatever is before."""
    seen = weight > 0.5
    if not seen.any():
        return np.ones(3, np.float32)
    ratio = (sheet[seen] + 4) / (calm[seen] + 4)
    return np.asarray(np.median(ratio, axis=0), np.float32)


def _soft(mask: NDArray[Any], cells: int) -> Float32:
    import cv2

    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), cells), np.float32)
