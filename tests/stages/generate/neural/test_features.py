"""The cache of features: found by content, whole or not at all, never trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avatar.core.arrays import read_arrays, write_arrays
from avatar.core.frames import Float32
from avatar.stages.generate.neural.features import FeatureCache

SHAPES = {"a": (2, 3), "b": (4,)}
PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def arrays() -> dict[str, Float32]:
    return {"a": np.full((2, 3), 0.5, np.float32), "b": np.arange(4, dtype=np.float32)}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> FeatureCache:
    return FeatureCache(tmp_path / "features", said.append)


def fail() -> dict[str, Float32]:
    raise AssertionError("made again")


def test_what_was_made_once_is_found_again(cache: FeatureCache) -> None:
    cache.get(PICTURE, "weights 1", SHAPES, arrays)
    found = cache.get(PICTURE, "weights 1", SHAPES, fail)
    assert all(np.array_equal(found[name], value) for name, value in arrays().items())


def test_other_pictures_and_other_weights_are_other_entries(cache: FeatureCache) -> None:
    cache.get(PICTURE, "weights 1", SHAPES, arrays)
    for picture, identity in ((PICTURE + 1, "weights 1"), (PICTURE, "weights 2")):
        with pytest.raises(AssertionError):
            cache.get(picture, identity, SHAPES, fail)


@pytest.mark.parametrize(
    "spoil", ["cut", "empty", "noise", "code", "shape", "names", "nan", "type"]
)
def test_a_spoilt_entry_is_told_and_made_again(
    cache: FeatureCache, said: list[str], tmp_path: Path, spoil: str
) -> None:
    cache.get(PICTURE, "w", SHAPES, arrays)
    (path,) = (tmp_path / "features").iterdir()
    data = path.read_bytes()
    written = {
        "cut": lambda: path.write_bytes(data[: len(data) // 2]),
        "empty": lambda: path.write_bytes(b""),
        "noise": lambda: path.write_bytes(bytes(len(data))),
        "code": lambda: np.savez(path, a=np.array([{}], object), b=arrays()["b"]),
        "shape": lambda: np.savez(path, a=np.zeros((3, 2), np.float32), b=arrays()["b"]),
        "names": lambda: np.savez(path, a=arrays()["a"]),
        "nan": lambda: np.savez(path, a=np.full((2, 3), np.nan, np.float32), b=arrays()["b"]),
        "type": lambda: np.savez(path, a=np.zeros((2, 3), np.float64), b=arrays()["b"]),
    }
    written[spoil]()
    found = cache.get(PICTURE, "w", SHAPES, arrays)
    assert np.array_equal(found["b"], arrays()["b"])
    assert len(said) == 1
    assert "made again" in said[0]
    cache.get(PICTURE, "w", SHAPES, fail)


def test_a_folder_that_cannot_be_made_is_told_and_no_more(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "file").write_text("")
    cache = FeatureCache(tmp_path / "file" / "features", said.append)
    assert cache.get(PICTURE, "w", SHAPES, arrays)["b"][1] == 1
    assert any("cannot be kept" in line for line in said)


def test_the_oldest_entries_go_first(cache: FeatureCache, tmp_path: Path) -> None:
    for k in range(40):
        cache.get(PICTURE, f"weights {k}", SHAPES, arrays)
    assert len(list((tmp_path / "features").iterdir())) == 32


def test_nothing_half_written_stays_behind(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_arrays(tmp_path / "a.npz", {"a": np.array([{}], object)})
    assert list(tmp_path.iterdir()) == []
    write_arrays(tmp_path / "a.npz", arrays())
    assert read_arrays(tmp_path / "a.npz", SHAPES).keys() == SHAPES.keys()
