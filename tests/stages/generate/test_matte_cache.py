"""Outlines kept from one start to the next."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.core.face.head import decompose
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate import person_cut
from avatar.stages.generate.framing import View
from avatar.stages.generate.matte import Layers, split_layers
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every cut that is really made."""
    made: list[int] = []
    cut = person_cut._coverage

    def counted(*given: object) -> Float32:
        made.append(1)
        return cut(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(person_cut, "_coverage", counted)
    return made


def split(photo: UInt8Image, face: Face, cache: MatteCache | None) -> Layers:
    return split_layers(photo, face.landmarks_px, decompose(face), mattes=cache)


def test_the_second_start_does_not_cut_and_gives_the_same_layers(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path, cuts: list[int]
) -> None:
    without = split(portrait, portrait_face, None)
    first, second = (split(portrait, portrait_face, MatteCache(tmp_path / "m")) for _ in range(2))
    assert len(cuts) == 2
    for layers in (first, second):
        assert np.array_equal(layers.person, without.person)
        assert np.array_equal(layers.plate, without.plate)


def test_another_picture_or_face_is_cut_anew(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path, cuts: list[int]
) -> None:
    cache = MatteCache(tmp_path)
    split(portrait, portrait_face, cache)
    changed = portrait.copy()
    changed[0, 0] ^= 1
    split(changed, portrait_face, cache)
    moved = Face(portrait_face.landmarks_px + 1, portrait_face.blendshapes, portrait_face.pose,
                 portrait_face.image_size_px)  # fmt: skip
    split(portrait, moved, cache)
    assert len(cuts) == 3
    assert len(list(tmp_path.glob("*.npz"))) == 3


def test_no_colour_is_kept_and_the_outline_for_the_owner_alone(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path
) -> None:
    split(portrait, portrait_face, MatteCache(tmp_path / "m"))
    (kept,) = (tmp_path / "m").iterdir()
    with np.load(kept) as content:
        assert sorted(content) == ["matte", "places"]
        assert content["matte"].shape == portrait.shape[:2]
        assert content["places"].shape == (*portrait.shape[:2], 2)
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_a_broken_entry_is_told_and_replaced(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path, cuts: list[int], content: bytes
) -> None:
    said: list[str] = []
    cache = MatteCache(tmp_path, said.append)
    split(portrait, portrait_face, cache)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(content)
    split(portrait, portrait_face, cache)
    assert len(said) == 1
    assert "cutting again" in said[0]
    split(portrait, portrait_face, cache)
    assert len(cuts) == 2


def test_a_folder_that_cannot_be_written_is_told_and_costs_nothing_else(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    said: list[str] = []
    layers = split(portrait, portrait_face, MatteCache(tmp_path / "file" / "m", said.append))
    assert layers.plate.shape == portrait.shape
    assert any("cannot be kept" in line for line in said)


def test_old_entries_give_way(tmp_path: Path) -> None:
    cache = MatteCache(tmp_path)
    flat = np.zeros((2, 2), np.float32)
    for k in range(70):
        cache.matte([np.full((2, 2), k)], lambda: (flat, np.zeros((2, 2, 2), np.int32)))
        for age, path in enumerate(sorted(tmp_path.glob("*.npz"), key=os.path.getmtime)):
            os.utime(path, ns=(age, age))
    assert len(list(tmp_path.glob("*.npz"))) == 64


@pytest.mark.parametrize(
    "broken",
    [
        {"matte": np.zeros((3, 3), np.float32)},
        {"matte": np.array(["x"])},
        {"places": np.zeros((3, 3, 2), np.int16)},
        {"places": np.full((600, 512, 2), 700, np.int16)},
        {"places": np.full((600, 512, 2), -9, np.int16)},
    ],
)
def test_an_entry_that_does_not_fit_the_picture_is_told_and_replaced(
    portrait: UInt8Image,
    portrait_face: Face,
    tmp_path: Path,
    cuts: list[int],
    broken: dict[str, NDArray[Any]],
) -> None:
    said: list[str] = []
    cache = MatteCache(tmp_path, said.append)
    first = split(portrait, portrait_face, cache)
    (kept,) = tmp_path.iterdir()
    with np.load(kept) as content:
        entries = {**content, **broken}
    with kept.open("wb") as file:
        np.savez_compressed(file, **entries)
    assert np.array_equal(split(portrait, portrait_face, cache).person, first.person)
    assert len(said) == 1
    assert "cutting again" in said[0]
    assert len(cuts) == 2


def test_zooming_cuts_nobody_again(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path, cuts: list[int]
) -> None:
    settings = PortraitSettings(mattes=MatteCache(tmp_path))
    with PortraitGenerator(portrait, portrait_face, "portrait", (128, 128), settings) as generator:
        generator.set_view(View(zoom=1.2))
    assert len(list(tmp_path.iterdir())) == 1
    assert len(cuts) == 1


def test_entries_of_an_owner_can_be_forgotten(tmp_path: Path) -> None:
    made = np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.int32)
    image = np.zeros((4, 4, 3), np.uint8)
    mattes = MatteCache(tmp_path)
    for cache in (mattes, mattes.of("a" * 64), mattes.of("b" * 64)):
        cache.matte([image], lambda: made)
    assert len(list(tmp_path.iterdir())) == 3
    mattes.of("a" * 64).forget()
    assert len(list(tmp_path.iterdir())) == 2
    mattes.forget()
    assert len(list(tmp_path.iterdir())) == 2, "nobody's stay"
    mattes.of("a" * 64).matte([image], lambda: made)
    assert len(list(tmp_path.iterdir())) == 3
