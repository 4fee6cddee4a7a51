"""How much of each pixel is the person, and in what colour: matting down to single strands.

Coverage: in every small window of a picture it is nearly a linear function of the colour (Levin,
Lischinski, Weiss, "A closed-form solution to natural image matting", 2008). The energy that says
so is never built: applied to a picture it is that picture less its own guided filtering (He, Sun,
Tang, "Guided image filtering", 2010), which is a few box filters, and conjugate gradients solve it
from coarse to fine. Colours: Germer, Uelwer, Conrad, Harmeling, "Fast multi-level foreground
estimation", 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32, UInt8Image

# A window reaches so far from its middle; colours in it that vary by less than this (a square,
# colours 0 to 1) count as one.
_RADIUS = 1
_NOISE = 3e-5
# Steps of the solver at each scale, and how exact is exact enough.
_STEPS = 60
_TOLERANCE = 2e-3
# Sampled colours: how many of either kind are paired, and looked at alone; how far off their line a
# pixel may lie, and how far apart they must be to say anything; distances in 8-bit RGB.
_SAMPLES, _LOOKED_AT = 7, 16
_OFF_LINE, _APART = 12.0, 40.0
_PLAIN = 12.0
# Smaller than this, a picture is not halved.
_SMALLEST_PX = 48
# Foreground colours: how much neighbours must agree, and more so across an edge of the matte.
_ALIKE, _ACROSS = 5e-3, 1.0
_FEW, _MANY = 2, 10
_TINY_PX = 32


def solve_coverage(
    image: UInt8Image, guess: Float32, pull: Float32, unknown: NDArray[np.bool_]
) -> Float32:
    """Return the coverage, float32 (H, W), 0 to 1, of the person in ``image``.

    ``image``: uint8 (H, W, 3) RGB. ``guess``: float32 (H, W), the coverage, exact where it is not
    ``unknown``, bool (H, W), and elsewhere what to tend to, as strongly as ``pull``, float32
    (H, W), says: 1 is as much as all of a pixel's windows.
    """
    if not unknown.any():
        return guess.copy()
    y0, y1, x0, x1 = _around(unknown)
    part = slice(y0, y1), slice(x0, x1)
    solved = guess.copy()
    colours = np.asarray(image[part] / 255, np.float32)
    solved[part] = _solved(colours, guess[part], pull[part], unknown[part])
    return np.clip(solved, 0, 1)


def _around(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the rows' and columns' range of what is True, with two windows around."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = 4 * _RADIUS
    return (
        max(0, int(rows[0]) - margin),
        min(mask.shape[0], int(rows[-1]) + 1 + margin),
        max(0, int(columns[0]) - margin),
        min(mask.shape[1], int(columns[-1]) + 1 + margin),
    )


def _solved(colours: Float32, guess: Float32, pull: Float32, unknown: NDArray[np.bool_]) -> Float32:
    """Solve at half the size first, and begin with that."""
    import cv2

    height, width = unknown.shape
    begin = guess
    if min(height, width) >= _SMALLEST_PX:
        size = (-(-width // 2), -(-height // 2))
        few, rough, weak, open_ = (
            np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.float32)
            for each in (colours, guess, pull, unknown.astype(np.float32))
        )
        solved = _solved(few, rough, weak, open_ > 0)
        wide = cv2.resize(solved, (width, height), interpolation=cv2.INTER_LINEAR)
        begin = np.where(unknown, np.asarray(wide, np.float32), guess)
    return _conjugate_gradients(_Windows(colours), begin, guess, pull, unknown)


def _conjugate_gradients(
    windows: _Windows,
    begin: Float32,
    guess: Float32,
    pull: Float32,
    unknown: NDArray[np.bool_],
) -> Float32:
    """Return ``begin`` with its unknown part solved (Hestenes, Stiefel 1952), preconditioned."""
    free = unknown.astype(np.float32)
    pull = np.asarray(pull * (2 * _RADIUS + 1) ** 2, np.float32)
    scale = np.asarray(free / (windows.diagonal + pull), np.float32)
    alpha = begin.copy()
    rest = free * (pull * (guess - alpha) - windows.energy(alpha))
    step = np.asarray(scale * rest, np.float32)
    size = float(np.vdot(rest, step))
    enough = size * _TOLERANCE**2
    for _ in range(_STEPS):
        if size <= max(enough, 1e-12):
            break
        moved = np.asarray(free * (windows.energy(step) + pull * step), np.float32)
        bent = float(np.vdot(step, moved))
        if bent <= 0:  # nothing is left but rounding
            break
        length = np.float32(size / bent)
        alpha += length * step
        rest -= length * moved
        nudge = scale * rest
        new = float(np.vdot(rest, nudge))
        step *= np.float32(new / size)
        step += nudge
        size = new
    return alpha


class _Windows:
    """The matting energy of a picture, float32 (H, W, 3), 0 to 1."""

    def __init__(self, colours: Float32) -> None:
        import cv2

        self._colours = colours
        self._count = float((2 * _RADIUS + 1) ** 2)
        # Windows lie whole within the picture: so the energy is symmetric.
        inside = np.zeros(colours.shape[:2], np.float32)
        inside[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS] = 1
        self._inside = inside
        self._times = _summed(inside)
        mean = _summed(colours) / np.float32(self._count)
        self._inverse = self._inverted()
        self._split = [np.asarray(part, np.float32) for part in cv2.split(colours)]
        self._means = [np.asarray(part, np.float32) for part in cv2.split(mean)]
        self.diagonal = np.maximum(self._diagonal(), np.float32(1e-3))

    def _inverted(self) -> list[Float32]:
        """Return the six different entries of each window's inverse covariance."""
        import cv2

        # In double precision: a window of one hue has nearly no volume.
        exact = self._colours.astype(np.float64)
        size = 2 * _RADIUS + 1

        def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
            box = cv2.boxFilter(values, -1, (size, size), borderType=cv2.BORDER_CONSTANT)
            return np.asarray(box, np.float64)

        middle = mean(exact)
        rr, rg, rb, gg, gb, bb = (
            mean(exact[..., i] * exact[..., j])
            - middle[..., i] * middle[..., j]
            + (_NOISE if i == j else 0.0)
            for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        )
        minors = [
            gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg,
            rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg,
        ]  # fmt: skip
        determinant = rr * minors[0] + rg * minors[1] + rb * minors[2]
        share = self._inside / determinant
        return [np.asarray(minor * share, np.float32) for minor in minors]

    def energy(self, values: Float32) -> Float32:
        """Return the energy's matrix times ``values``, float32 (H, W)."""
        count = np.float32(1 / self._count)
        mean = _summed(values) * count
        with_colour = [
            _summed(values * part) * count - mean * middle
            for part, middle in zip(self._split, self._means, strict=True)
        ]
        slope = self._times_inverse(with_colour)
        level = (mean - sum(s * m for s, m in zip(slope, self._means, strict=True))) * self._inside
        fitted = _summed(np.asarray(level, np.float32))
        for part, colour in zip(slope, self._split, strict=True):
            fitted += _summed(part) * colour
        return np.asarray(values * self._times - fitted, np.float32)

    def _times_inverse(self, vector: list[Float32]) -> list[Float32]:
        rr, rg, rb, gg, gb, bb = self._inverse
        r, g, b = vector
        return [rr * r + rg * g + rb * b, rg * r + gg * g + gb * b, rb * r + gb * g + bb * b]

    def _diagonal(self) -> Float32:
        """Return the diagonal of the energy's matrix."""
        # Of each window of n pixels: 1 − (1 + (I − μ)ᵀ Σ⁻¹ (I − μ)) / n, multiplied out.
        slope = self._times_inverse(self._means)
        own = sum(s * m for s, m in zip(slope, self._means, strict=True))
        spread = _summed(np.asarray(own, np.float32))
        for part, colour in zip(slope, self._split, strict=True):
            spread -= 2 * _summed(part) * colour
        rr, rg, rb, gg, gb, bb = (_summed(part) for part in self._inverse)
        r, g, b = self._split
        spread += rr * r * r + gg * g * g + bb * b * b
        spread += 2 * (rg * r * g + rb * r * b + gb * g * b)
        return np.asarray(self._times - (self._times + spread) / self._count, np.float32)


def _summed(values: Float32) -> Float32:
    """Return the sum over each window; outside the picture there is nothing."""
    import cv2

    size = 2 * _RADIUS + 1
    sums = cv2.boxFilter(values, -1, (size, size), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(sums, np.float32)


def sampled_coverage(
    image: UInt8Image,
    person: NDArray[np.bool_],
    wall: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    reach_px: float,
) -> tuple[Float32, Float32, Float32]:
    """Return what coverage colours nearby suggest, how surely, and how little they say.

    Float32 (H, W) each, 0 to 1. A colour says nothing where a pixel could as well be all person as
    all wall, and nothing new where it is plainly the person's ``inside``, bool (H, W), about where
    the person is, or the wall's outside: a busy wall has colours that some mixture explains, too.

    A pixel that is neither ``person`` nor ``wall``, bool (H, W), is explained as a mixture of a
    colour of each, taken within about ``reach_px``; the pairs that explain it best count (Wang,
    Cohen, "Optimized color sampling for robust matting", 2007).
    """
    coverage = person.astype(np.float32)
    sure, alike = np.zeros_like(coverage), np.zeros_like(coverage)
    rows, columns = np.nonzero(~person & ~wall)
    if not (len(rows) and person.any() and wall.any()):
        return coverage, sure, alike
    pixels = image.astype(np.float32)
    seen = pixels[rows, columns]
    chance = np.random.default_rng(1)
    own, behind = (
        _samples(pixels, known, rows, columns, reach_px, chance) for known in (person, wall)
    )
    near = [np.min([np.sum((seen - c) ** 2, axis=1) for c in each], axis=0) for each in
            (own, behind)]  # fmt: skip
    nearest = np.minimum(np.where(inside[rows, columns], *near), np.maximum(*near))
    both = np.exp(-nearest / (2 * _PLAIN**2))
    own, behind = own[:_SAMPLES], behind[:_SAMPLES]
    best = np.full((3, len(rows)), np.inf, np.float32)
    shares, apart = np.zeros_like(best), np.zeros_like(best)
    for one in own:
        for other in behind:
            line = one - other
            length = np.einsum("nc,nc->n", line, line) + 1
            share = np.clip(np.einsum("nc,nc->n", seen - other, line) / length, 0, 1)
            off = seen - other - share[:, None] * line
            cost = np.einsum("nc,nc->n", off, off)
            _keep_best(best, shares, apart, cost, share, length)
    trust = np.exp(-best / (2 * _OFF_LINE**2)) * apart / (apart + _APART**2)
    total = np.maximum(trust.sum(axis=0), 1e-6)
    coverage[rows, columns] = (trust * shares).sum(axis=0) / total
    spread = np.sqrt((trust * (shares - coverage[rows, columns]) ** 2).sum(axis=0) / total)
    sure[rows, columns] = trust.mean(axis=0) * np.exp(-((spread / 0.2) ** 2)) * (1 - both)
    alike[rows, columns] = both
    return coverage, sure, alike


def _samples(
    pixels: Float32,
    known: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    reach_px: float,
    chance: np.random.Generator,
) -> list[Float32]:
    """Return colours, float32 (N, 3), of known pixels near each pixel."""
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    smooth = cv2.GaussianBlur(pixels, (0, 0), 0.7)
    table = np.zeros((int(labels.max()) + 1, 3), np.float32)
    table[labels[known]] = smooth[known]
    found = []
    for k in range(_LOOKED_AT):
        far = reach_px * (k % _SAMPLES) / (_SAMPLES - 1)
        at = np.rint(chance.normal(0, max(far, 0.1), (2, len(rows)))).astype(np.int64)
        y = np.clip(rows + at[0], 0, known.shape[0] - 1)
        x = np.clip(columns + at[1], 0, known.shape[1] - 1)
        found.append(table[labels[y, x]])
    return found


def _keep_best(
    best: Float32, shares: Float32, apart: Float32, cost: Float32, share: Float32, length: Float32
) -> None:
    """Put a pair's cost, share and length, (N,) each, among the three best, (3, N), in place."""
    worst = best.argmax(axis=0)
    place = np.arange(best.shape[1])
    better = cost < best[worst, place]
    at = worst[better], place[better]
    best[at], shares[at], apart[at] = cost[better], share[better], length[better]


def separate_colours(image: UInt8Image, coverage: Float32) -> tuple[Float32, Float32]:
    """Return the person's and the background's colours, float32 (H, W, 3) each, 0 to 255.

    ``image``: uint8 (H, W, 3) RGB. ``coverage``: float32 (H, W), 0 to 1. Laid over each other by
    it, both give the image nearly back; where one of them is not seen, it is continued.
    """
    import cv2

    height, width = coverage.shape
    levels = max(1, int(np.ceil(np.log2(max(height, width)))))
    pixels = image.astype(np.float32)
    person = background = np.asarray(pixels.mean(axis=(0, 1), keepdims=True), np.float32)
    for level in range(levels + 1):
        share = level / levels
        size = max(1, round(width**share)), max(1, round(height**share))
        seen = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
        cover = np.asarray(cv2.resize(coverage, size, interpolation=cv2.INTER_AREA), np.float32)
        person, background = (_widened(part, size) for part in (person, background))
        rounds = _MANY if max(size) <= _TINY_PX else _FEW
        person, background = _agreed(
            seen.reshape(size[1], size[0], 3), cover.reshape(size[1], size[0]),
            person, background, rounds,
        )  # fmt: skip
    return person, background


def _widened(colours: Float32, size: tuple[int, int]) -> Float32:
    import cv2

    wide = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(wide, np.float32).reshape(size[1], size[0], 3)


def _agreed(
    seen: Float32, cover: Float32, person: Float32, background: Float32, rounds: int
) -> tuple[Float32, Float32]:
    """Return both colours after so many rounds of agreeing with the picture and neighbours."""
    weights = [_ALIKE + _ACROSS * np.abs(cover - _beside(cover, k)) for k in range(4)]
    total = sum(weights)
    through = 1 - cover
    one, both, two = cover**2 + total, cover * through, through**2 + total
    scale = 1 / np.maximum(one * two - both**2, 1e-9)
    for _ in range(rounds):
        first, second = cover[..., None] * seen, through[..., None] * seen
        for k, weight in enumerate(weights):
            first = first + weight[..., None] * _beside(person, k)
            second = second + weight[..., None] * _beside(background, k)
        person = np.clip(
            (two[..., None] * first - both[..., None] * second) * scale[..., None], 0, 255
        ).astype(np.float32)
        background = np.clip(
            (one[..., None] * second - both[..., None] * first) * scale[..., None], 0, 255
        ).astype(np.float32)
    return person, background


def _beside(values: Float32, side: int) -> Float32:
    """Return each pixel's neighbour on one of four sides; at the picture's edge itself."""
    moved = values.copy()
    if side == 0:
        moved[1:] = values[:-1]
    elif side == 1:
        moved[:-1] = values[1:]
    elif side == 2:
        moved[:, 1:] = values[:, :-1]
    else:
        moved[:, :-1] = values[:, 1:]
    return moved
