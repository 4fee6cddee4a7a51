"""Twelve busy backgrounds, each a function of chance alone: what stands behind people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from avatar.core.frames import Float32, UInt8Image

Random = np.random.Generator


def backdrops(side: int, seed: int) -> dict[str, UInt8Image]:
    """Return the twelve by name, uint8 (side, side, 3) RGB each."""
    return {
        draw.__name__.strip("_"): np.clip(draw(np.random.default_rng((seed, k)), side), 0, 255)
        .astype(np.uint8)
        for k, draw in enumerate(_ALL)
    }  # fmt: skip


def _noise(random: Random, side: int, scale: float, stretch: float = 1.0) -> Float32:
    """Return soft noise of deviation 1, float32 (side, side), ``stretch`` times as high as wide."""
    import cv2

    rough = random.normal(0, 1, (side, side)).astype(np.float32)
    soft = cv2.GaussianBlur(rough, (0, 0), scale, sigmaY=scale * stretch)
    return np.asarray(soft / max(float(soft.std()), 1e-6), np.float32)


def _clouds(random: Random, side: int) -> Float32:
    octaves = [_noise(random, side, scale) * scale**0.7 for scale in (1.2, 3, 8, 20, 50)]
    total = np.sum(octaves, axis=0)
    return np.asarray(total / total.std(), np.float32)


def _plain(side: int, rgb: tuple[int, int, int]) -> Float32:
    return np.broadcast_to(np.array(rgb, np.float32), (side, side, 3)).copy()


def _leaves(random: Random, side: int) -> Float32:
    import cv2

    picture = _plain(side, (22, 34, 16))
    for _ in range(side * side // 90):
        x, y = random.uniform(0, side, 2)
        size = random.uniform(0.010, 0.026) * side
        light = random.uniform(0.5, 1.5)
        colour = np.array([70, 110, 40]) * light + random.normal(0, 10, 3)
        cv2.ellipse(
            picture, ((x, y), (size, 2.2 * size), random.uniform(0, 180)), colour.tolist(), -1,
            cv2.LINE_AA,
        )  # fmt: skip
    return picture


def _grass(random: Random, side: int) -> Float32:
    import cv2

    picture = _plain(side, (50, 70, 30))
    for _ in range(side * side // 40):
        x, y = random.uniform(0, side, 2)
        lean, tall = random.normal(0, 4), random.uniform(8, 26)
        colour = np.array([90, 130, 50]) * random.uniform(0.5, 1.5)
        tip = round(x + lean), round(y - tall)
        cv2.line(picture, (round(x), round(y)), tip, colour.tolist(), 1, cv2.LINE_AA)
    return picture


def _curtain(random: Random, side: int) -> Float32:
    x = np.linspace(0, 1, side, dtype=np.float32)
    folds = np.sin(2 * np.pi * 11 * x + 2.5 * np.sin(2 * np.pi * 2.3 * x + random.uniform(0, 6)))
    shade = 0.75 + 0.28 * folds[None] + 0.03 * _noise(random, side, 1.0, 6)
    return np.asarray(shade[..., None] * np.array([150, 90, 80], np.float32))


def _shelves(random: Random, side: int) -> Float32:
    import cv2

    picture = _plain(side, (60, 42, 30))
    tall = side // 6
    for top in range(0, side, tall):
        x = 0
        while x < side:
            wide = int(random.integers(7, 22))
            up = top + int(random.integers(6, tall // 3))
            colour = random.uniform(30, 210, 3)
            cv2.rectangle(picture, (x, up), (x + wide - 2, top + tall - 9), colour.tolist(), -1)
            x += wide
        cv2.rectangle(picture, (0, top + tall - 8), (side, top + tall - 2), (120, 88, 60), -1)
    return picture + 4 * _noise(random, side, 1.0)[..., None]


def _bricks(random: Random, side: int) -> Float32:
    import cv2

    picture = _plain(side, (168, 160, 150))
    high, wide = 18, 44
    for row, y in enumerate(range(0, side, high)):
        for x in range(-(row % 2) * wide // 2, side, wide):
            colour = np.array([150, 78, 60]) * random.uniform(0.75, 1.2)
            cv2.rectangle(picture, (x, y), (x + wide - 4, y + high - 4), colour.tolist(), -1)
    return picture + 8 * _noise(random, side, 1.0)[..., None]


def _planks(random: Random, side: int) -> Float32:
    grain = _noise(random, side, 0.8, 30) * 9 + _noise(random, side, 3, 40) * 10
    picture = np.asarray(grain[..., None] + np.array([150, 112, 76], np.float32), np.float32)
    for x in range(0, side, 46):
        picture[:, x : x + 46] += random.normal(0, 14)
        picture[:, x : x + 2] *= 0.45
    return picture


def _wallpaper(random: Random, side: int) -> Float32:
    import cv2

    picture = _plain(side, (205, 196, 170))
    for row, y in enumerate(range(0, side + 30, 26)):
        for x in range(-(row % 2) * 15, side + 30, 30):
            cv2.circle(picture, (x, y), 7, (120, 60, 70), -1, cv2.LINE_AA)
            cv2.circle(picture, (x, y), 3, (225, 190, 90), -1, cv2.LINE_AA)
    return picture + 3 * _noise(random, side, 0.7)[..., None]


def _film_grain(random: Random, side: int) -> Float32:
    light = np.linspace(150, 95, side, dtype=np.float32)[None, :, None]
    grain = np.stack([_noise(random, side, 0.7) for _ in range(3)], axis=-1)
    return np.asarray(light * np.array([1, 0.97, 0.9], np.float32) + 11 * grain)


def _lights(random: Random, side: int) -> Float32:
    import cv2

    picture = _plain(side, (24, 22, 30))
    for _ in range(150):
        x, y = random.uniform(0, side, 2)
        disc = np.zeros_like(picture)
        colour = random.uniform(20, 150, 3)
        cv2.circle(disc, (round(x), round(y)), int(random.integers(4, 16)), colour.tolist(), -1,
                   cv2.LINE_AA)  # fmt: skip
        picture += disc * 0.7
    return picture + 3 * _noise(random, side, 0.7)[..., None]


def _windows(random: Random, side: int) -> Float32:
    import cv2

    picture = _plain(side, (112, 116, 124))
    for y in range(4, side, 34):
        for x in range(4, side, 26):
            lit = random.random() < 0.4
            colour = np.array([214, 196, 130] if lit else [44, 54, 70]) * random.uniform(0.7, 1.1)
            cv2.rectangle(picture, (x, y), (x + 15, y + 22), colour.tolist(), -1)
    return picture + 4 * _noise(random, side, 0.8)[..., None]


def _bark(random: Random, side: int) -> Float32:
    rough = np.abs(_noise(random, side, 2.0, 7)) * 24 + _noise(random, side, 0.9, 3) * 9
    return np.asarray(rough[..., None] * np.array([1.1, 1, 0.85]) + np.array([62, 54, 44]))


def _forest(random: Random, side: int) -> Float32:
    light = _clouds(random, side)[..., None] * 24
    tint = _noise(random, side, 14)[..., None] * np.array([8, 2, -8])
    return np.asarray(np.array([74, 92, 60]) + light + tint, np.float32)


_ALL: tuple[Callable[[Random, int], Float32], ...] = (
    _leaves, _grass, _curtain, _shelves, _bricks, _planks,
    _wallpaper, _film_grain, _lights, _windows, _bark, _forest,
)  # fmt: skip
