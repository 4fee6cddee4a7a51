"""Films with transparency, read back: colours straight, alpha, sound, marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avatar.core.errors import SinkError, UsageError
from avatar.stages.sinks.alpha_film import ALPHA_SUFFIXES, AlphaFilmWriter, straight
from avatar.stages.sinks.film_sound import find_sound
from tests.stages.sources.films import make_sound

SIZE = (96, 64)
TAGS = {"AIGC": '{"Label":"1"}'}


def picture() -> tuple[Any, Any]:
    """Red, whole on the left, half transparent in the middle, nothing on the right."""
    alpha = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    alpha[:, :32], alpha[:, 32:64] = 255, 128
    image = (np.array([220, 80, 40]) * alpha[..., None] / 255 + 0.5).astype(np.uint8)
    return image, alpha


def read(path: Path) -> tuple[list[Any], list[float]]:
    """Return the film's pictures, uint8 (H, W, 4) straight, and their times."""
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        # FFmpeg's own VP9 decoder leaves alpha out; libvpx has it.
        name = "libvpx-vp9" if path.suffix == ".webm" else stream.codec_context.name
        if path.suffix == ".webm":
            decoder = av.CodecContext.create(name, "r")
            frames = [f for packet in film.demux(stream) for f in decoder.decode(packet)]
        else:
            frames = list(film.decode(stream))
        return [f.to_ndarray(format="rgba") for f in frames], [float(f.time) for f in frames]


@pytest.mark.parametrize("suffix", ALPHA_SUFFIXES)
def test_alpha_and_straight_colours_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    with AlphaFilmWriter(path, SIZE, 25, TAGS) as writer:
        for _ in range(5):
            writer.write_rgba(*picture())
        writer.repeat_last()
        assert writer.frame_count == 6
    pictures, times = read(path)
    assert times == pytest.approx([k / 25 for k in range(6)], abs=0.002)
    for place, alpha in ((16, 255), (48, 128), (80, 0)):
        seen = pictures[-1][32, place].astype(int)
        assert abs(seen[3] - alpha) <= 3
        if alpha:
            assert np.abs(seen[:3] - (220, 80, 40)).max() <= 8
    with av.open(str(path)) as film:
        assert film.metadata["AIGC"] == TAGS["AIGC"]


@pytest.mark.parametrize("suffix", ALPHA_SUFFIXES)
def test_sound_comes_along(tmp_path: Path, suffix: str) -> None:
    sound = find_sound(make_sound(tmp_path / "sound.mp4"))
    assert sound is not None
    path = tmp_path / f"film{suffix}"
    writer = AlphaFilmWriter(path, SIZE, 25, TAGS)
    writer.take_sound(sound)
    with writer:
        for _ in range(25):
            writer.write_rgba(*picture())
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        times = [float(frame.time) for frame in film.decode(stream)]
    assert times[0] < 0.05
    assert times[-1] == pytest.approx(1.0, abs=0.1)


def test_a_film_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "film.webm"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        AlphaFilmWriter(path, SIZE, 25, TAGS).__enter__()
    assert path.read_text() == "mine"


def test_another_size_is_refused(tmp_path: Path) -> None:
    image, alpha = picture()
    with (
        AlphaFilmWriter(tmp_path / "film.mov", SIZE, 25, TAGS) as writer,
        pytest.raises(SinkError, match="expected a picture of 96×64"),
    ):
        writer.write_rgba(image, alpha[:-2])


def test_straight_colours_times_alpha_are_the_premultiplied_ones() -> None:
    rng = np.random.default_rng(1)
    alpha = rng.integers(0, 256, (40, 50), np.uint8)
    image = (rng.integers(0, 256, (40, 50, 3)) * (alpha[..., None] / 255)).astype(np.uint8)
    rgba = straight(image, alpha)
    assert np.abs(rgba[..., :3] * (alpha[..., None] / 255) - image).max() <= 0.51
    assert (rgba[alpha == 0] == 0).all()
