"""How alike the places are that a picture's texture could be continued from.

A picture at one scale is what it has at large (light, what stands where) and its texture upon
that. Patches are alike when their textures are; a place whose colours at large, or whose roughness,
are others than belong here costs more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from avatar.stages.generate.fill import wide_colours

# A patch: this far from its middle, every other pixel of it, in a chequer.
RADIUS = 3
_OFFSETS = np.array(
    [
        (y, x)
        for y in range(-RADIUS, RADIUS + 1)
        for x in range(-RADIUS, RADIUS + 1)
        if (y + x) % 2 == 0
    ],
    np.int64,
)
# Copying averages what the nearest neighbours' patches say: the same where they come from one
# place, soft where two places meet.
_VOTERS = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)], np.int64)
# What is farther from the known part counts less in a match, by this factor a pixel.
_FADING = 0.93
# A place as far away as the picture is long costs as much as this difference, 8-bit levels.
_FARAWAY = 16.0
# How much other colours at large cost, of what other texture costs, and another roughness.
_TINT, _ROUGH = 1.0, 2.0
# What a place costs for each more that is copied from about it than its share, of a usual
# difference, and for how many at most.
_CROWDED, _MOST = 0.3, 6.0
# Below this no texture is told from light, pixels.
_LEAST_SCALE_PX = 2.5

Places = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Level:
    """One scale: texture, what belongs where, what is unknown and known, and where patches may be.

    ``texture``: float32 (H, W, 3), 8-bit levels, 0 where nothing is ``known``; with the colours at
    large it is the picture. ``belongs``: float32 (H, W, 4), what a place must have to belong here:
    those colours and the texture's deviation. ``sources``: the middles of patches to copy.
    ``rows``, ``columns``: the pixels whose patches are matched. ``weight``: float32 (H, W), how
    much a pixel counts in them.
    """

    texture: Float32
    belongs: Float32
    unknown: NDArray[np.bool_]
    known: NDArray[np.bool_]
    sources: NDArray[np.bool_]
    weight: Float32
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def level_of(
    picture: Float32,
    unknown: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    known: NDArray[np.bool_],
    scale_px: float,
) -> Level:
    """Return one scale of ``picture``, float32 (H, W, 3); bool (H, W) as for ``texture_places``.

    ``scale_px``: what is wider than this is no texture.
    """
    import cv2

    size = 2 * RADIUS + 1
    square = np.ones((size, size), np.uint8)
    inner = cv2.erode(usable.astype(np.uint8), square, borderValue=0).astype(bool)
    inner[:RADIUS] = inner[-RADIUS:] = False
    inner[:, :RADIUS] = inner[:, -RADIUS:] = False
    depth = cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 3)
    weight = np.where(unknown | known, _FADING**depth, 0).astype(np.float32)
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = np.nonzero(near)
    scale_px = max(scale_px, _LEAST_SCALE_PX)
    wide = wide_colours(picture, known, scale_px)
    texture = np.where(known[..., None], picture - wide, np.float32(0))
    energy = wide_colours(np.square(texture), known, scale_px).mean(axis=2, keepdims=True)
    # Between a rough and a quiet surface it is rather quiet: roughness goes on by its logarithm.
    levels = np.log(np.maximum(energy, 0) + 1)
    ahead = wide_colours(np.repeat(levels, 3, axis=2), known, scale_px)[..., :1]
    rough = np.sqrt(_ROUGH * np.where(known[..., None], energy, np.exp(ahead) - 1).clip(0))
    belongs = np.concatenate([wide * np.float32(np.sqrt(_TINT)), rough], axis=2)
    return Level(
        texture, np.asarray(belongs, np.float32), unknown, known, inner, weight, rows, columns
    )


class Matcher:
    """Says how alike the patches around pixels and around places are.

    ``texture``: float32 (H, W, 3), the level's with its unknown part as it is so far.
    """

    def __init__(self, level: Level, texture: Float32) -> None:
        height, width = level.unknown.shape
        self._level = level
        self._size = np.array([height, width])
        self._width = width
        # Outside the picture nothing counts.
        rows = level.rows[:, None] + _OFFSETS[:, 0]
        columns = level.columns[:, None] + _OFFSETS[:, 1]
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        flat = np.clip(rows, 0, height - 1) * width + np.clip(columns, 0, width - 1)
        self._wanted = texture.reshape(-1, 3)[flat]
        weight = level.weight.reshape(-1)[flat] * inside
        self._weight = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-6)
        self._pixels = np.ascontiguousarray(level.texture.reshape(-1, 3))
        self._kinds = np.ascontiguousarray(level.belongs.reshape(-1, 4))
        self._kind = level.belongs[level.rows, level.columns]
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
        size = (2 * RADIUS + 1, 2 * RADIUS + 1)
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
        other = np.take(self._kinds, flat, axis=0) - self._kind[chosen]
        unlike += np.einsum("nc,nc->n", other, other)
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


def voted(
    texture: Float32, places: Places, y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[Float32, Float32]:
    """Return what neighbours' places say of pixels ``y``, ``x``, float32 (N, 3), and the weights.

    The sums of ``texture``, float32 (H, W, 3), times weight; weights are 0 where nothing is said.
    """
    height, width = places.shape[:2]
    flat = texture.reshape(-1, 3)
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
