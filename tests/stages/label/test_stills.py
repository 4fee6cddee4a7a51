"""Pictures as files: each format says that it is generated, and loses nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import SinkError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Presence
from avatar.stages.label import VisibleLabel, write_still


def labelled(size_px: tuple[int, int] = (96, 64)) -> LabelledFrame:
    width, height = size_px
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 1] = np.linspace(0, 255, width, dtype=np.uint8)
    return VisibleLabel().label(GeneratedFrame(image, 0, 0, Presence.TRACKED))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.webp"])
def test_each_format_says_that_it_is_generated(tmp_path: Path, name: str) -> None:
    frame = labelled()
    write_still(frame, tmp_path / name, "test & more")
    with Image.open(tmp_path / name) as made:
        xmp = made.info.get("xmp") or made.info["XML:com.adobe.xmp"].encode()
        shown = np.asarray(made.convert("RGB"), np.int16)
        if name.endswith("png"):
            assert '"Label":"1"' in made.info["AIGC"]
    assert b"digitalsourcetype/compositeSynthetic" in xmp
    assert b"test &amp; more" in xmp
    assert np.abs(shown - frame.image).mean() < (0.01 if name.endswith("png") else 6)


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_still(labelled(), tmp_path / name, "test")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be written: No such file"):
        write_still(labelled(), tmp_path / "gone" / "a.png", "test")


@pytest.mark.parametrize("corner", ["top-right", "bottom-left"])
def test_each_picture_of_a_grid_has_a_label_of_its_own(corner: str) -> None:
    image = np.full((200, 300, 3), 120, np.uint8)
    grid = VisibleLabel("AI", corner, (3, 2))  # type: ignore[arg-type]
    made = grid.label(GeneratedFrame(image.copy(), 0, 0, Presence.TRACKED)).image
    cell = np.full((100, 100, 3), 120, np.uint8)
    alone = VisibleLabel("AI", corner)  # type: ignore[arg-type]
    one = alone.label(GeneratedFrame(cell, 0, 0, Presence.TRACKED)).image
    for row in range(2):
        for column in range(3):
            cut = made[row * 100 : row * 100 + 100, column * 100 : column * 100 + 100]
            assert np.array_equal(cut, one)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_links_file_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "album.png").write_bytes(b"old")
    (tmp_path / "a.png").symlink_to(tmp_path / "album.png")
    write_still(labelled(), tmp_path / "a.png", "test")
    assert (tmp_path / "a.png").is_symlink()
    with Image.open(tmp_path / "album.png") as made:
        assert made.size == (96, 64)
