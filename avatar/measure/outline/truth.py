"""Portraits whose outline is known: rendered heads with strands of hair, before a background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from avatar.core.frames import Float32, UInt8Image
from avatar.learn.renders.assets import Floats, face_units
from avatar.learn.renders.film import mouth_light
from avatar.learn.renders.head import Head
from avatar.learn.renders.painter import Painter
from avatar.learn.renders.people import Appearance, random_person
from avatar.measure.outline.backdrops import backdrops

_FINER = 4
_GRAIN = 2.0


@dataclass(frozen=True, eq=False)
class KnownPortrait:
    """A portrait and the truth about it.

    ``image``, ``background``: uint8 (H, W, 3) RGB. ``coverage``: float32 (H, W), 0 to 1.
    ``person``: float32 (H, W, 3), the person's colours times coverage.
    """

    name: str
    image: UInt8Image
    background: UInt8Image
    coverage: Float32
    person: Float32


def known_portraits(side: int, seed: int) -> Iterator[KnownPortrait]:
    """Draw one person before each background, ``side`` × ``side`` pixels; the same for a seed.

    Raises ``MissingDependencyError`` where moderngl or a driver is missing.
    """
    painter = Painter(side)
    for k, (name, background) in enumerate(backdrops(side, seed).items()):
        random = np.random.default_rng((seed, 1000 + k))
        person, coverage = _person(painter, random, side, long_hair=k % 2 == 0)
        grain = random.normal(0, _GRAIN, (side, side, 1))
        mixed = person + background * (1 - coverage[..., None]) + grain
        image, alone = (
            np.clip(each + 0.5, 0, 255).astype(np.uint8) for each in (mixed, background + grain)
        )
        yield KnownPortrait(name, image, alone, coverage, person)
    painter.close()


def _person(
    painter: Painter, random: np.random.Generator, side: int, *, long_hair: bool
) -> tuple[Float32, Float32]:
    """Return a person's colours times coverage, float32 (H, W, 3), and coverage."""
    someone = random_person(random)
    head, still = Head(someone), np.zeros(len(face_units()))
    posed = head.pose(still, np.zeros(3), np.zeros(2))
    shown = []
    for level in (0, 255):
        painter.begin(head, someone.look, np.full((side, side, 3), level, np.uint8))
        shown.append(painter.draw(*posed, mouth_light(still)).astype(np.float32))
    black, white = shown
    # What shines through of a white wall, but not of a black one, is not covered.
    cover = np.clip(1 - (white - black).mean(axis=2) / 255, 0, 1).astype(np.float32)
    hair, strands = _strands(random, someone.look, cover, long_hair=long_hair)
    behind = 1 - cover
    person = black + hair * behind[..., None]
    return np.asarray(person, np.float32), np.asarray(cover + strands * behind, np.float32)


def _strands(
    random: np.random.Generator, look: Appearance, cover: Float32, *, long_hair: bool
) -> tuple[Float32, Float32]:
    """Return hair that stands off a head, colours times coverage and coverage, behind it."""
    import cv2

    side = len(cover)
    rows = np.flatnonzero((cover > 0.5).sum(axis=1) > 0.02 * side)
    top = int(rows[0])
    head = cover[top : top + side // 3] > 0.5
    columns = np.flatnonzero(head.any(axis=0))
    centre = np.array([(columns[0] + columns[-1]) / 2, top + 0.20 * side])
    half = np.array([(columns[-1] - columns[0]) / 2, 0.20 * side])
    base = np.clip(look.hair, 0, 1) ** (1 / 2.2) * 255
    colour = np.zeros((side * _FINER, side * _FINER, 3), np.float32)
    alpha = np.zeros((side * _FINER, side * _FINER), np.float32)
    for root, tip, bend, wide in _curves(random, side, centre, half, long_hair=long_hair):
        t = np.linspace(0, 1, 24)[:, None]
        curve = root * (1 - t) ** 2 + 2 * t * (1 - t) * bend + tip * t**2
        points = [np.round(curve * _FINER * 16).astype(np.int32)]
        shade = (base * random.uniform(0.7, 1.35)).tolist()
        cv2.polylines(colour, points, False, shade, wide, cv2.LINE_8, 4)
        cv2.polylines(alpha, points, False, (1.0,), wide, cv2.LINE_8, 4)
    size = (side, side)
    return (
        np.asarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA), np.float32),
        np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32),
    )


def _curves(
    random: np.random.Generator, side: int, centre: Floats, half: Floats, *, long_hair: bool
) -> Iterator[tuple[Floats, Floats, Floats, int]]:
    """Give root, tip, the point they bend towards, and width of each strand."""
    for _ in range(260):
        angle = np.radians(random.uniform(-10, 190))
        way = np.array([np.cos(angle), -np.sin(angle)])
        root = centre + way * half * random.uniform(0.85, 1.0)
        length = random.gamma(2.0, 0.022) * side
        tip = root + (way + random.normal(0, 0.5, 2)) * length
        bend = root + way * length * 0.6 + random.normal(0, 0.2, 2) * length
        yield root, tip, bend, int(random.integers(2, 6))
    for _ in range(900 if long_hair else 0):
        sign = random.choice([-1, 1])
        out = random.normal(1.0, 0.16)
        root = centre + np.array([sign * half[0] * random.uniform(0.75, 0.98), 0.0])
        drop = side * random.uniform(0.28, 0.46)
        tip = centre + np.array([sign * half[0] * out * 1.12, drop])
        bend = np.array([centre[0] + sign * half[0] * (out + 0.18), centre[1] + drop * 0.45])
        yield root, tip, bend, int(random.integers(2, 6))
