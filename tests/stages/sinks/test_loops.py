"""Loops for chats: they play by themselves, in time, without flicker, and say what they are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from avatar.core.errors import SinkLostError, UsageError
from avatar.core.frames import UInt8Image
from avatar.stages.label import file_metadata, xmp_packet
from avatar.stages.sinks.loops import LoopWriter

TAGS = file_metadata("test", "id-1")
FPS = 30


def picture(k: int) -> UInt8Image:
    image = np.full((96, 64, 3), 90, np.uint8)
    image[:, :, 0] = np.linspace(0, 255, 64, dtype=np.uint8)
    image[40:60, k % 44 : k % 44 + 20] = (250, 240, 30)
    return image


def write(path: Path, count: int = 60) -> Path:
    with LoopWriter(path, FPS, TAGS, xmp_packet("test", TAGS["AIGC"])) as loop:
        for k in range(count):
            loop.write_rgb(picture(k))
        assert not path.exists(), "nothing half written"
        assert loop.frame_count == count
    return path


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_it_plays_for_ever_as_long_as_the_film(tmp_path: Path, name: str) -> None:
    with Image.open(write(tmp_path / name)) as loop:
        assert loop.info.get("loop") == 0
        durations = []
        for frame in ImageSequence.Iterator(loop):
            frame.load()  # WebP tells a frame's time when it is decoded
            durations.append(frame.info["duration"])
    assert sum(durations) == 2000
    assert len(durations) == 40


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_what_does_not_move_does_not_flicker(tmp_path: Path, name: str) -> None:
    with Image.open(write(tmp_path / name)) as loop:
        frames = [np.asarray(f.convert("RGB"), np.int16) for f in ImageSequence.Iterator(loop)]
    still = np.array([frame[:30] for frame in frames])
    assert np.abs(np.diff(still, axis=0)).mean() < 1
    assert np.abs(frames[0] - picture(0)).mean() < 6


def test_it_says_that_it_is_generated(tmp_path: Path) -> None:
    with Image.open(write(tmp_path / "a.gif")) as loop:
        assert b'"ProduceID":"id-1"' in loop.info["comment"]
    with Image.open(write(tmp_path / "a.webp")) as loop:
        assert b"compositeSynthetic" in loop.info["xmp"]


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_the_same_pictures_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir()
    assert write(tmp_path / name).read_bytes() == write(tmp_path / "b" / name).read_bytes()


def test_one_that_was_cut_leaves_the_old_one(tmp_path: Path) -> None:
    old = write(tmp_path / "a.gif").read_bytes()
    with LoopWriter(tmp_path / "a.gif", FPS, TAGS, "") as loop:
        loop.write_rgb(picture(0))
        loop.close(cut=True)
    assert (tmp_path / "a.gif").read_bytes() == old
    assert loop.path == tmp_path / "a.part.gif" and loop.path.exists()


def test_large_pictures_become_small_enough_for_a_chat(tmp_path: Path) -> None:
    with LoopWriter(tmp_path / "a.gif", FPS, TAGS, "") as loop:
        loop.write_rgb(np.zeros((1280, 720, 3), np.uint8))
    with Image.open(tmp_path / "a.gif") as made:
        assert made.size == (270, 480)


def test_too_long_is_said_before_memory_is_full(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"at the most\. Write a film: .*a\.mp4"),
        LoopWriter(tmp_path / "a.gif", 1, TAGS, "") as loop,
    ):
        for _ in range(32):
            loop.write_rgb(np.zeros((8, 8, 3), np.uint8))
    assert not (tmp_path / "a.gif").exists()


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(SinkLostError, match="cannot be written"),
        LoopWriter(tmp_path / "gone" / "a.gif", FPS, TAGS, "") as loop,
    ):
        loop.write_rgb(picture(0))


def test_unmarked_loops_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the tag AIGC"):
        LoopWriter(tmp_path / "a.gif", FPS, {}, "")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_links_file_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "album.gif").write_bytes(b"old")
    (tmp_path / "b.gif").symlink_to(tmp_path / "album.gif")
    with LoopWriter(tmp_path / "b.gif", FPS, TAGS, "") as loop:
        loop.write_rgb(picture(0))
    assert (tmp_path / "b.gif").is_symlink()
    with Image.open(tmp_path / "album.gif") as made:
        assert made.size == (64, 96)
