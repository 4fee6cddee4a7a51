"""Small real films for tests: the number of each frame stands in its brightness."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

STEP = 8
"""Brightness between two frames' numbers; survives compression."""


def make_film(
    path: Path,
    count: int = 12,
    fps: int = 25,
    size_px: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    rotation_deg: int = 0,
    form: str | None = None,
    title: str = "",
) -> Path:
    """Write ``count`` frames; the top left quarter is red so that turning it shows."""
    with av.open(str(path), "w", format=form) as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture_of(number, size_px), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def picture_of(number: int, size_px: tuple[int, int]) -> np.ndarray:
    """Return the picture of a frame by its number."""
    width, height = size_px
    image = np.full((height, width, 3), 20 + STEP * (number % 25), np.uint8)
    image[: height // 2, : width // 2] = (220, 30, 30)
    return image


def number_of(image: np.ndarray) -> int:
    """Return the number of the frame, read from the middle of its bottom right quarter."""
    height, width = image.shape[:2]
    return round((float(image[height * 3 // 4, width * 3 // 4].mean()) - 20) / STEP)


def make_sound(path: Path) -> Path:
    """Write a second of silence without any picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        samples = np.zeros((1, 1024), np.float32)
        for block in range(40):
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, block * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
