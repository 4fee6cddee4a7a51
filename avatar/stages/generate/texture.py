"""Continuing a picture's texture into an unknown part of it: leaves, curtains, shelves, grain.

What is wider than a texture goes on smoothly: light, and what stands there. Upon that each unknown
pixel is given a place in the known part to copy the texture from, such that the patches around
both look alike and neighbours are copied from neighbours. Places are sought from coarse to fine,
and matching and copying take turns (Wexler, Shechtman, Irani, "Space-time completion of video",
2007); each search keeps what a pixel's neighbours found and tries ever nearer chance places (Barnes
et al., "PatchMatch", 2009), here for all pixels at once. The same picture always gives the same
result.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.fill import wide_colours
from avatar.stages.generate.texture_match import RADIUS, Level, Matcher, Places, level_of, voted

__all__ = ["Places", "continue_texture", "copied", "texture_places"]

# At the coarsest scale the unknown part reaches so deep, pixels.
_COARSEST_PX = 3.0
# So many pixels are searched for; finer scales follow where the coarser ones found theirs.
_SEARCHED = 16_000
_ROUNDS, _FOLLOWED = 3, 1
# Grain is finer than this, and what is known decides so near to it, of what is no texture any more.
_GRAIN, _NEAR = 0.2, 0.4


def continue_texture(
    image: UInt8Image,
    unknown: NDArray[np.uint8],
    usable: NDArray[np.uint8] | None = None,
    *,
    scale_px: float = 12.0,
    seed: int = 1,
) -> UInt8Image:
    """Return ``image`` with its texture continued over its unknown part.

    ``image``: uint8 (H, W, 3) RGB. ``unknown``: uint8 (H, W), not 0 where it is to be filled.
    ``usable``: uint8 (H, W), not 0 where texture may be taken from; without it, wherever the
    picture is known. ``scale_px``: what is wider than this is no texture and goes on smoothly.
    What is not unknown stays bit for bit. Where there is nothing to copy from, the filling is
    smooth.
    """
    hole = np.asarray(unknown > 0, bool)
    taken = ~hole if usable is None else ~hole & (usable > 0)
    places = texture_places(image, hole, taken, ~hole, scale_px, seed=seed)
    return copied(image, hole, taken, taken, places, scale_px)


def copied(
    image: UInt8Image,
    unknown: NDArray[np.bool_],
    known: NDArray[np.bool_],
    clear: NDArray[np.bool_],
    places: Places,
    scale_px: float,
) -> UInt8Image:
    """Return ``image`` with the texture of ``unknown`` copied from ``places``.

    ``places`` and ``scale_px``: of ``texture_places``. What is wider goes on from what is
    ``clear``, bool (H, W), and close to the rim from all that is ``known``. Where there is no
    place (negative), there is no texture.
    """
    filled = image.copy()
    if not unknown.any():
        return filled
    picture = image.astype(np.float32)
    wide = wide_colours(picture, clear, scale_px)
    texture = picture - wide
    y, x = np.nonzero(unknown)
    found, weight = voted(texture, places, y, x)
    mixed = wide[y, x] + found / np.maximum(weight, 1e-6)[:, None]
    mixed += _rim(texture, unknown, known, places, scale_px)[y, x]
    filled[y, x] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return filled


def _rim(
    texture: Float32,
    unknown: NDArray[np.bool_],
    known: NDArray[np.bool_],
    places: Places,
    scale_px: float,
) -> Float32:
    """Return what has to be added to a copied texture for no rim to be seen, float32 (H, W, 3).

    At the rim the ``texture`` that is ``known`` is compared with what would be copied there; by
    what they differ, but for grain, the unknown differs as well, the less the farther in.
    """
    import cv2

    height, width = unknown.shape
    fine_px, reach_px = max(_GRAIN * scale_px, 1.0), max(_NEAR * scale_px, 1.0)
    told = unknown & (places[..., 0] >= 0)
    if not told.any():
        return np.zeros_like(texture)
    away = cv2.distanceTransform((~told).astype(np.uint8), cv2.DIST_L2, 5)
    rows, columns = np.nonzero(known & (away < 3 * fine_px))
    beside = _nearest_of(told)[rows, columns]
    source = places[beside[:, 0], beside[:, 1]] + np.stack([rows, columns], axis=1) - beside
    source = np.clip(source, 0, [height - 1, width - 1])
    fit = known[source[:, 0], source[:, 1]]
    rows, columns, source = rows[fit], columns[fit], source[fit]
    off, ring = np.zeros_like(texture), np.zeros_like(unknown)
    off[rows, columns] = texture[rows, columns] - texture[source[:, 0], source[:, 1]]
    ring[rows, columns] = True
    depth = cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 5)
    near = np.exp(-np.square(np.minimum(depth / reach_px, 9.0)))[..., None]
    return np.asarray(wide_colours(off, ring, fine_px) * near, np.float32)


def texture_places(
    image: UInt8Image,
    unknown: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    known: NDArray[np.bool_],
    scale_px: float,
    *,
    seed: int = 1,
) -> Places:
    """Return where each pixel is to be copied from: int32 (H, W, 2) of (row, column).

    Bool (H, W) each: ``unknown``; ``usable``, where texture may be taken from; ``known``, what it
    has to fit on to. Pixels that are not unknown, nor beside such, have (-1, -1), as have all
    where nothing is usable. ``scale_px``: what is wider than this is no texture.
    """
    chance = np.random.default_rng(seed)
    levels = list(_pyramid(image, unknown, usable, known, scale_px))
    places: Places | None = None
    for level in reversed(levels):
        if not level.sources.any():
            continue
        far = len(level.rows) <= _SEARCHED
        rounds = _ROUNDS if far else _FOLLOWED
        if places is None:
            places, rounds = _first_places(level, chance), 2 * _ROUNDS
        else:
            places = _doubled(places, level)
        for _ in range(rounds):
            _improve(level, _copied_at(level, places), places, chance, far=far)
    if places is None:
        return np.full((*unknown.shape, 2), -1, np.int32)
    return places


def _pyramid(
    image: UInt8Image,
    unknown: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    known: NDArray[np.bool_],
    scale_px: float,
) -> Iterator[Level]:
    """Give the picture at its own scale, then at halves of it."""
    import cv2

    picture = image.astype(np.float32)
    while True:
        yield level_of(picture, unknown, usable, known, scale_px)
        depth = cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 3)
        if float(depth.max()) <= _COARSEST_PX or min(unknown.shape) < 8 * RADIUS:
            return
        scale_px /= 2
        held = known.astype(np.float32)
        share = _halved(held)
        means = _halved(picture * held[..., None]) / np.maximum(share, 1e-3)[..., None]
        picture = np.asarray(means, np.float32)
        unknown = np.asarray(_halved(unknown.astype(np.float32)) > 0, bool)
        usable = np.asarray((_halved(usable.astype(np.float32)) > 0.99) & ~unknown, bool)
        known = np.asarray((share > 0.49) & ~unknown, bool)


def _halved(values: Float32) -> Float32:
    """Return the means of two by two pixels; an odd edge is repeated."""
    padded = np.pad(
        values, [(0, values.shape[0] % 2), (0, values.shape[1] % 2)] + [(0, 0)] * (values.ndim - 2),
        mode="edge",
    )  # fmt: skip
    rows = padded[::2] + padded[1::2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / 4, np.float32)


def _first_places(level: Level, chance: np.random.Generator) -> Places:
    """Return chance places, near their pixels."""
    nearest = _nearest_of(level.sources)
    spread = 4.0 * _COARSEST_PX
    count = len(level.rows)
    jitter = np.rint(chance.normal(0, spread, (count, 2))).astype(np.int64)
    height, width = level.unknown.shape
    at = nearest[level.rows, level.columns]
    tried = np.clip(at + jitter, 0, [height - 1, width - 1])
    fit = level.sources[tried[:, 0], tried[:, 1]]
    places = np.full((height, width, 2), -1, np.int32)
    places[level.rows, level.columns] = np.where(fit[:, None], tried, at)
    return places


def _nearest_of(sources: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the nearest source of each pixel, int64 (H, W, 2) of (row, column)."""
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        (~sources).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(sources)
    of_label = np.zeros((int(labels.max()) + 1, 2), np.int64)
    of_label[labels[rows, columns]] = np.stack([rows, columns], axis=1)
    return np.asarray(of_label[labels], np.int64)


def _doubled(coarse: Places, level: Level) -> Places:
    """Return the places at the next finer scale."""
    height, width = level.unknown.shape
    rows, columns = level.rows, level.columns
    above = (
        np.minimum(rows // 2, coarse.shape[0] - 1),
        np.minimum(columns // 2, coarse.shape[1] - 1),
    )
    at = coarse[above].astype(np.int64)
    fine = 2 * at + np.stack([rows % 2, columns % 2], axis=1)
    fine = np.clip(fine, 0, [height - 1, width - 1])
    unfit = (at[:, 0] < 0) | ~level.sources[fine[:, 0], fine[:, 1]]
    fine[unfit] = _nearest_of(level.sources)[fine[unfit, 0], fine[unfit, 1]]
    places = np.full((height, width, 2), -1, np.int32)
    places[rows, columns] = fine
    return places


def _improve(
    level: Level, texture: Float32, places: Places, chance: np.random.Generator, *, far: bool
) -> None:
    """Let every pixel try its neighbours' places, moved along, and chance ones, in place."""
    height, width = level.unknown.shape
    rows, columns = level.rows, level.columns
    matcher = Matcher(level, texture)
    best = places[rows, columns].astype(np.int64)
    cost = matcher.priced(best)
    steps = (1, 2, 4) if far else (1,)
    for step in steps:
        for dy, dx in ((0, step), (0, -step), (step, 0), (-step, 0)):
            y = np.clip(rows - dy, 0, height - 1)
            x = np.clip(columns - dx, 0, width - 1)
            there = places[y, x].astype(np.int64)
            tried = there + np.array([dy, dx], np.int64)
            matcher.keep_better(best, cost, tried, there[:, 0] >= 0)
            places[rows, columns] = best
    reach = max(height, width) / 2 if far else 2.0
    while reach >= 1:
        jitter = np.rint(chance.uniform(-reach, reach, best.shape)).astype(np.int64)
        matcher.keep_better(best, cost, best + jitter, np.ones(len(best), bool))
        reach /= 2 if not far else 3
    places[rows, columns] = best


def _copied_at(level: Level, places: Places) -> Float32:
    """Return the level's texture with its unknown part copied from ``places``."""
    texture = level.texture.copy()
    y, x = np.nonzero(level.unknown)
    found, weight = voted(level.texture, places, y, x)
    texture[y, x] = found / np.maximum(weight, 1e-6)[:, None]
    return texture
