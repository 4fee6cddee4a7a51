"""Continuing a picture's texture into an unknown part of it: leaves, curtains, shelves, grain.

Every unknown pixel is given a place in the known part to be copied from, such that the patches
around both look alike and neighbours are copied from neighbours. Places are sought from coarse to
fine, and matching and copying take turns (Wexler, Shechtman, Irani, "Space-time completion of
video", 2007); each search keeps what a pixel's neighbours found and tries ever nearer chance
places (Barnes et al., "PatchMatch", 2009), here for all pixels at once. The same picture always
gives the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.fill import fill_unknown

# A patch: this far from its middle, every other pixel of it, in a chequer.
_RADIUS = 3
_OFFSETS = np.array(
    [
        (y, x)
        for y in range(-_RADIUS, _RADIUS + 1)
        for x in range(-_RADIUS, _RADIUS + 1)
        if (y + x) % 2 == 0
    ],
    np.int64,
)
# Copying averages what the nearest neighbours' patches say: the same where they come from one
# place, soft where two places meet.
_VOTERS = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)], np.int64)
# At the coarsest scale the unknown part reaches so deep, pixels.
_COARSEST_PX = 3.0
# So many pixels are searched for; finer scales follow where the coarser ones found theirs.
_SEARCHED = 16_000
_ROUNDS, _FOLLOWED = 3, 1
# What is farther from the known part counts less in a match, by this factor a pixel.
_FADING = 0.93
# A place as far away as the picture is long costs as much as this difference, 8-bit levels.
_FARAWAY = 16.0
# What a place costs for each more that is copied from about it than its share, of a usual
# difference, and for how many at most.
_CROWDED, _MOST = 0.3, 6.0

Places = NDArray[np.int32]


def continue_texture(
    image: UInt8Image,
    unknown: NDArray[np.uint8],
    usable: NDArray[np.uint8] | None = None,
    *,
    ignored: NDArray[np.uint8] | None = None,
    seed: int = 1,
) -> UInt8Image:
    """Return ``image`` with its texture continued over its unknown part.

    ``image``: uint8 (H, W, 3) RGB. ``unknown``: uint8 (H, W), not 0 where it is to be filled.
    ``usable``: uint8 (H, W), not 0 where texture may be taken from; without it, wherever the
    picture is known. ``ignored``: uint8 (H, W), not 0 where the picture is not even looked at.
    What is not unknown stays bit for bit. Where there is nothing to copy from, the filling is
    smooth.
    """
    hole = np.asarray(unknown > 0, bool)
    known = ~hole if ignored is None else ~hole & (ignored == 0)
    taken = known if usable is None else known & (usable > 0)
    places = texture_places(image, hole, taken, known, seed=seed)
    return copied(image, hole, known, places)


def copied(
    image: UInt8Image, unknown: NDArray[np.bool_], known: NDArray[np.bool_], places: Places
) -> UInt8Image:
    """Return ``image`` with ``unknown`` copied from ``places``, as ``texture_places`` gives them.

    Where there is no place (negative), the filling is smooth, from what is ``known``.
    """
    filled = fill_unknown(image, known.astype(np.float32))
    filled[~unknown] = image[~unknown]
    if not unknown.any():
        return filled
    y, x = np.nonzero(unknown)
    colours, weight = _voted(image.astype(np.float32), places, y, x)
    told = weight > 0
    mixed = colours[told] / weight[told][:, None]
    filled[y[told], x[told]] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return filled


def texture_places(
    image: UInt8Image,
    unknown: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    known: NDArray[np.bool_],
    *,
    seed: int = 1,
) -> Places:
    """Return where each pixel is to be copied from: int32 (H, W, 2) of (row, column).

    Bool (H, W) each: ``unknown``; ``usable``, where texture may be taken from; ``known``, what it
    has to fit on to. Pixels that are not unknown, nor beside such, have (-1, -1), as have all
    where nothing is usable.
    """
    chance = np.random.default_rng(seed)
    levels = list(_pyramid(image, unknown, usable, known))
    places: Places | None = None
    for level in reversed(levels):
        if not level.sources.any():
            continue
        if places is None:
            picture = fill_unknown(
                np.clip(level.picture, 0, 255).astype(np.uint8), level.known.astype(np.float32)
            ).astype(np.float32)
            picture = np.where(level.unknown[..., None], picture, level.picture)
            places = _first_places(level, chance)
            rounds = 2 * _ROUNDS
        else:
            places = _doubled(places, level)
            picture = _copied_at(level, places)
            rounds = _ROUNDS if len(level.rows) <= _SEARCHED else _FOLLOWED
        far = len(level.rows) <= _SEARCHED
        for _ in range(rounds):
            _improve(level, picture, places, chance, far=far)
            picture = _copied_at(level, places)
    if places is None:
        return np.full((*unknown.shape, 2), -1, np.int32)
    return places


@dataclass(frozen=True, eq=False)
class _Level:
    """One scale: the picture, what of it is unknown, known, and where patches may come from.

    ``rows``, ``columns``: the pixels whose patches are matched. ``weight``: float32 (H, W), how
    much a pixel counts in them.
    """

    picture: Float32
    unknown: NDArray[np.bool_]
    known: NDArray[np.bool_]
    sources: NDArray[np.bool_]
    weight: Float32
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def _pyramid(
    image: UInt8Image,
    unknown: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> Iterator[_Level]:
    """Give the picture at its own scale, then at halves of it."""
    import cv2

    picture = image.astype(np.float32)
    while True:
        yield _level(picture, unknown, usable, known)
        depth = cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 3)
        if float(depth.max()) <= _COARSEST_PX or min(unknown.shape) < 8 * _RADIUS:
            return
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


def _level(
    picture: Float32,
    unknown: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> _Level:
    import cv2

    size = 2 * _RADIUS + 1
    square = np.ones((size, size), np.uint8)
    inner = cv2.erode(usable.astype(np.uint8), square, borderValue=0).astype(bool)
    inner[:_RADIUS] = inner[-_RADIUS:] = False
    inner[:, :_RADIUS] = inner[:, -_RADIUS:] = False
    depth = cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 3)
    weight = np.where(unknown | known, _FADING**depth, 0).astype(np.float32)
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = np.nonzero(near)
    return _Level(picture, unknown, known, inner, weight, rows, columns)


def _first_places(level: _Level, chance: np.random.Generator) -> Places:
    """Return chance places, near their pixels."""
    nearest = _nearest(level.sources)
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


def _nearest(sources: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the nearest source of each pixel, int64 (H, W, 2) of (row, column)."""
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        (~sources).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(sources)
    of_label = np.zeros((int(labels.max()) + 1, 2), np.int64)
    of_label[labels[rows, columns]] = np.stack([rows, columns], axis=1)
    return np.asarray(of_label[labels], np.int64)


def _doubled(coarse: Places, level: _Level) -> Places:
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
    fine[unfit] = _nearest(level.sources)[fine[unfit, 0], fine[unfit, 1]]
    places = np.full((height, width, 2), -1, np.int32)
    places[rows, columns] = fine
    return places


def _improve(
    level: _Level, picture: Float32, places: Places, chance: np.random.Generator, *, far: bool
) -> None:
    """Let every pixel try its neighbours' places, moved along, and chance ones, in place."""
    height, width = level.unknown.shape
    rows, columns = level.rows, level.columns
    matcher = _Matcher(level, picture)
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


class _Matcher:
    """Says how alike the patches around pixels and around places are."""

    def __init__(self, level: _Level, picture: Float32) -> None:
        height, width = level.unknown.shape
        self._level = level
        self._size = np.array([height, width])
        self._width = width
        # Outside the picture nothing counts.
        rows = level.rows[:, None] + _OFFSETS[:, 0]
        columns = level.columns[:, None] + _OFFSETS[:, 1]
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        flat = np.clip(rows, 0, height - 1) * width + np.clip(columns, 0, width - 1)
        self._wanted = picture.reshape(-1, 3)[flat]
        weight = level.weight.reshape(-1)[flat] * inside
        self._weight = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-6)
        self._pixels = np.ascontiguousarray(level.picture.reshape(-1, 3))
        self._around = _OFFSETS[:, 0] * width + _OFFSETS[:, 1]
        self._at = np.stack([level.rows, level.columns], axis=1)
        self._often = np.zeros(height * width, np.float32)

    def priced(self, places: NDArray[np.int64]) -> Float32:
        """Return the costs of ``places``, int64 (N, 2), and from now on charge for the crowded.

        The flattest place is alike to every blurred patch: uncharged, all would be copied from it
        (Kaspar et al., "Self tuning texture optimization", 2015).
        """
        import cv2

        if not len(places):
            return np.zeros(0, np.float32)
        height, width = self._level.unknown.shape
        count = np.bincount(places[:, 0] * width + places[:, 1], minlength=height * width)
        used = count.reshape(height, width).astype(np.float32)
        size = (2 * _RADIUS + 1, 2 * _RADIUS + 1)
        crowd = cv2.boxFilter(used, -1, size, borderType=cv2.BORDER_CONSTANT).reshape(-1)
        fair = max(1.0, len(places) / max(1, int(np.count_nonzero(self._level.sources))))
        price = _CROWDED * float(np.median(self.cost(places)))
        self._often = np.asarray(price * np.clip(crowd / fair - 1, 0, _MOST), np.float32)
        return self.cost(places)

    def cost(self, places: NDArray[np.int64], which: NDArray[np.int64] | None = None) -> Float32:
        """Return the costs of ``places``, int64 (N, 2), for the pixels ``which``, or for all."""
        chosen: slice | NDArray[np.int64] = slice(None) if which is None else which
        flat = places[:, 0] * self._width + places[:, 1]
        off = np.take(self._pixels, flat[:, None] + self._around, axis=0)
        off -= self._wanted[chosen]
        unlike = np.einsum("npc,npc,np->n", off, off, self._weight[chosen])
        away = np.sum((places - self._at[chosen]) ** 2, axis=1) / float(np.sum(self._size**2))
        return np.asarray(unlike + 3 * _FARAWAY**2 * away + self._often[flat], np.float32)

    def keep_better(
        self,
        best: NDArray[np.int64],
        cost: Float32,
        tried: NDArray[np.int64],
        allowed: NDArray[np.bool_],
    ) -> None:
        """Write into ``best`` and ``cost`` what of ``tried`` is better."""
        within = allowed & ((tried >= 0) & (tried < self._size)).all(axis=1)
        within &= (tried != best).any(axis=1)
        which = np.flatnonzero(within)
        which = which[self._level.sources[tried[which, 0], tried[which, 1]]]
        if not len(which):
            return
        new = self.cost(tried[which], which)
        better = new < cost[which]
        best[which[better]] = tried[which[better]]
        cost[which[better]] = new[better]


def _copied_at(level: _Level, places: Places) -> Float32:
    """Return the level's picture with its unknown part copied from ``places``."""
    picture = level.picture.copy()
    y, x = np.nonzero(level.unknown)
    colours, weight = _voted(level.picture, places, y, x)
    picture[y, x] = colours / np.maximum(weight, 1e-6)[:, None]
    return picture


def _voted(
    picture: Float32, places: Places, y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[Float32, Float32]:
    """Return the sums, float32 (N, 3), of what neighbours' places say of pixels, and of weights."""
    height, width = places.shape[:2]
    flat = picture.reshape(-1, 3)
    total = np.zeros((len(y), 3), np.float32)
    weight = np.zeros(len(y), np.float32)
    for dy, dx in _VOTERS.tolist():
        rows, columns = np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)
        there = places[rows, columns]
        told = there[:, 0] >= 0
        from_y = np.clip(there[:, 0] - (rows - y), 0, height - 1)
        from_x = np.clip(there[:, 1] - (columns - x), 0, width - 1)
        share = told * np.float32(1.0 if dy or dx else 3.0)
        total += np.take(flat, from_y * width + from_x, axis=0) * share[:, None]
        weight += share
    return total, weight
