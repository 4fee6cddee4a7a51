"""Clips of people who do not exist, as files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from avatar.core.files import PUBLIC, whole_file
from avatar.learn.renders.acting import random_track, shown_track
from avatar.learn.renders.assets import Floats, face_units
from avatar.learn.renders.head import Head
from avatar.learn.renders.painter import Painter, UInt8
from avatar.learn.renders.people import random_person

_GRAIN = 2.0
_QUALITY = "14"


def film(
    painter: Painter,
    path: Path,
    seed: tuple[int, int],
    size: int,
    frames: int,
    fps: int,
    *,
    shown: bool = False,
) -> None:
    """Write the clip of the person that ``seed`` gives, in H.264. Raises ``OSError``.

    ``shown``: with the performance that is written down, else with one by chance.
    """
    import av

    random = np.random.default_rng(seed)
    person = random_person(random)
    track = shown_track(frames, fps) if shown else random_track(random, frames, fps)
    head = Head(person)
    painter.begin(head, person.look, random_background(random, size))
    grain = random.normal(0, _GRAIN, (2 * size, 2 * size, 1)).astype(np.float32)
    made = whole_file(path, mode=PUBLIC)
    with made as part, av.open(str(part), "w", format="mp4") as out:
        stream = out.add_stream(
            "libx264", rate=Fraction(fps), options={"crf": _QUALITY, "threads": "1"}
        )
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for units, turn, shift in zip(track.units, track.head, track.shift, strict=True):
            picture = painter.draw(*head.pose(units, turn, shift), mouth_light(units))
            x, y = random.integers(0, size, 2)
            noisy = picture + grain[y : y + size, x : x + size]
            image = np.clip(noisy + 0.5, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        out.mux(stream.encode())


def mouth_light(units: Floats) -> float:
    """Return how much light reaches the mouth's inside, 0…1: more, the wider it is open."""
    return float(0.35 + 0.65 * min(1.0, units[face_units().index("jawOpen")] / 0.6))


def random_background(random: np.random.Generator, size: int) -> UInt8:
    """Return a room out of focus: soft patches on a soft wall, uint8 (size, size, 3) RGB."""
    import cv2

    wall = random.uniform(40, 210) + random.normal(0, 14, 3)
    picture = np.full((size, size, 3), wall, np.float32)
    for _ in range(int(random.integers(0, 9))):
        x, y = random.integers(-size // 4, size, 2).tolist()
        w, h = random.integers(size // 10, size // 2, 2).tolist()
        colour = tuple(
            np.clip(wall + random.normal(0, 40) + random.normal(0, 16, 3), 5, 250).tolist()
        )
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, -1)
    slope = np.linspace(random.uniform(0.8, 1.1), random.uniform(0.8, 1.1), size)
    soft = cv2.GaussianBlur(picture, (0, 0), float(random.uniform(4, 20)))
    return np.clip(soft * slope[:, None, None], 0, 255).astype(np.uint8)
