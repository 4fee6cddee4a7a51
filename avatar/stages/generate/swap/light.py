"""The light on a face: what varies slowly over its skin, and what an expression does to it."""

from __future__ import annotations

import numpy as np

from avatar.core.frames import Float32

SPREAD = 0.085
"""What is wider than this share of the sheet is light, what is finer belongs to the face."""
_FEW = np.float32(0.02)
# By how much skin's lightness and the proportions of its colours may differ from the typical, as
# natural logarithms.
_LIGHTNESS, _COLOUR = 0.85, 0.3
_FOLD_FROM, _FOLD_TO = 0.72, 1.3
_COARSE, _OWN_SHADE = 0.018, 0.25


def luma(sheet: Float32) -> Float32:
    """Return the brightness of RGB levels, float32 (…,) (ITU-R BT.601)."""
    return np.asarray(sheet @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def opponent(sheet: Float32) -> Float32:
    """Return red against green and yellow against blue, float32 (…, 2), levels."""
    red, green, blue = (sheet[..., k] for k in range(3))
    return np.asarray(np.stack([red - green, (red + green) / 2 - blue], axis=-1), np.float32)


def low(sheet: Float32, weight: Float32) -> Float32:
    """Return what varies slowly over a sheet, float32 (S, S, 3), as its skin has it.

    ``weight``: float32 (S, S), how much each cell counts. Where none does, the nearest that do.
    """
    import cv2

    side = sheet.shape[0]
    small = min(side, 64)
    scale = small / side
    weighed = np.dstack([sheet * weight[..., None], weight])
    if scale < 1:
        weighed = cv2.resize(weighed, (small, small), interpolation=cv2.INTER_AREA)
    total = max(float(weighed[..., 3].sum()), 1e-3)
    mean = weighed[..., :3].sum(axis=(0, 1)) / total
    spread = cv2.GaussianBlur(weighed, (0, 0), SPREAD * small, borderType=cv2.BORDER_REPLICATE)
    wide = cv2.GaussianBlur(weighed, (0, 0), 3 * SPREAD * small, borderType=cv2.BORDER_REPLICATE)
    far = (wide[..., :3] + _FEW * mean) / (wide[..., 3:] + _FEW)
    found = (spread[..., :3] + _FEW * far) / (spread[..., 3:] + _FEW)
    if scale < 1:
        found = cv2.resize(found, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(found, np.float32)


def unlike_skin(sheet: Float32, skin: Float32) -> Float32:
    """Return how far each cell is from the skin's colour, float32 (S, S); from 1 on it is none.

    The typical colour is that of the middle of the face, which nothing but skin covers for long.
    Shade changes a skin's lightness much and the proportions of its colours little.
    """
    import cv2

    side = sheet.shape[0]
    middle = np.zeros_like(skin)
    middle[side * 2 // 5 : side * 4 // 5, side // 4 : side * 3 // 4] = 1
    sure = (skin * middle) > 0
    blurred = np.asarray(cv2.GaussianBlur(sheet, (0, 0), side / 128), np.float32)
    logs = np.log(blurred + 8)
    bright = logs.mean(axis=-1)
    colour = logs[..., :2] - logs[..., 1:]
    lightness = np.abs(bright - np.median(bright[sure])) / _LIGHTNESS
    other = np.linalg.norm(colour - np.median(colour[sure], axis=0), axis=-1) / _COLOUR
    return np.asarray(np.hypot(lightness, other), np.float32)


def hair(sheet: Float32, skin: Float32, rim: Float32) -> Float32:
    """Return where hair lies on a face, float32 (S, S), 0 to 1: what is unlike skin at its rim."""
    import cv2

    side = sheet.shape[0]
    cells = max(1, side // 64)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * cells + 1,) * 2)
    found = ((unlike_skin(sheet, skin) > 1) & (rim > 0)).astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, kernel[::2, ::2])
    # Skin beside hair lies in its shade, and strands thinner than a cell are between.
    wide = cv2.dilate(opened, kernel, iterations=2).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(wide, (0, 0), cells), np.float32)


def folds(sheet: Float32, light: Float32, calm: Float32, calm_light: Float32) -> Float32:
    """Return what an expression does to the light on a skin, float32 (S, S): a factor about 1.

    ``calm``: the same face as it usually is.
    """
    import cv2

    now = cv2.GaussianBlur(luma(sheet) / np.maximum(luma(light), 4), (0, 0), 1.0)
    usual = cv2.GaussianBlur(luma(calm) / np.maximum(luma(calm_light), 4), (0, 0), 1.0)
    ratio = np.clip(now / np.maximum(usual, 0.05), _FOLD_FROM, _FOLD_TO)
    # Of the shade that is always there, as that of a nose, a part belongs to the film's light.
    coarse = cv2.GaussianBlur(usual, (0, 0), _COARSE * sheet.shape[0])
    ratio *= np.clip(coarse, _FOLD_FROM, _FOLD_TO) ** np.float32(_OWN_SHADE)
    return np.asarray(cv2.GaussianBlur(ratio, (0, 0), 0.8), np.float32)
