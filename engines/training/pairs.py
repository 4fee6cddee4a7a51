"""Pairs to learn from, on disk: warped pictures, references, maps, and the pictures that are true.

::

    FOLDER/pairs.json            what ``PairsRecord`` says
    FOLDER/eye.picture.npy       uint8 (pairs × count, side, side, 3); also .reference and .maps
    FOLDER/eye.truth.npy         uint8 (moments × count, side, side, 3)

Several pairs may have one truth (a moment seen from several photographs). Arrays are read in
place, so that a training is not limited by memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avatar.core.errors import EngineError
from avatar.core.files import file_sha256, write_whole
from engines.graph import Array
from engines.patches import Patch

RECORD = "pairs.json"
_KINDS = ("picture", "reference", "maps", "truth")


@dataclass(frozen=True, eq=False)
class Batch:
    """Of one patch: uint8 arrays with the batch in front, as many as there were indices × count."""

    picture: Array
    reference: Array
    maps: Array
    truth: Array


class PairsWriter:
    """Writes pairs into ``folder``, which is empty, one after the other.

    ``pairs`` and ``moments``: how many there will be. Raises ``OSError`` when the disk refuses.
    """

    def __init__(
        self, folder: Path, patches: Sequence[Patch], pairs: int, moments: int, size: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._patches, self._size = folder, tuple(patches), size
        self._moment_of: list[int] = []
        self._files: dict[tuple[str, str], Any] = {}
        for patch in patches:
            for kind in _KINDS:
                many = (moments if kind == "truth" else pairs) * patch.count
                square = (patch.cells, patch.cells, len(patch.maps))
                shape = square if kind == "maps" else (patch.side_px, patch.side_px, 3)
                path = _path(folder, patch, kind)
                file = np.lib.format.open_memmap(path, "w+", np.uint8, (many, *shape))
                _reserve(path)
                self._files[patch.name, kind] = file

    def truth(self, moment: int, values: Mapping[str, Array]) -> None:
        """Write the true pictures of a moment: by patch, (count, side, side, 3)."""
        for patch in self._patches:
            file = self._files[patch.name, "truth"]
            file[moment * patch.count : (moment + 1) * patch.count] = values[patch.name]

    def pair(self, moment: int, pictures: Mapping[str, Array], maps: Mapping[str, Array]) -> None:
        """Write one pair: by patch, pictures (count, side, side, 3), maps (count, cells, …)."""
        at = len(self._moment_of)
        for patch in self._patches:
            rows = slice(at * patch.count, (at + 1) * patch.count)
            self._files[patch.name, "picture"][rows] = pictures[patch.name]
            self._files[patch.name, "maps"][rows] = maps[patch.name]
        self._moment_of.append(moment)

    def reference(self, pair: int, pictures: Mapping[str, Array]) -> None:
        """Write the references of a pair that was written: by patch, (count, side, side, 3)."""
        for patch in self._patches:
            rows = slice(pair * patch.count, (pair + 1) * patch.count)
            self._files[patch.name, "reference"][rows] = pictures[patch.name]

    def read(self, kind: str, patch: Patch, index: int) -> Array:
        """Return what was written: a pair's ``picture`` or a moment's ``truth``, of one patch."""
        rows = slice(index * patch.count, (index + 1) * patch.count)
        return np.array(self._files[patch.name, kind][rows])

    def finish(self, held_out: Sequence[int]) -> None:
        """Write the record; ``held_out``: the moments that are not to be learnt from."""
        for file in self._files.values():
            file.flush()
        record = {
            "schema_version": 1,
            "size": self._size,
            "moment_of": self._moment_of,
            "held_out": sorted(int(moment) for moment in held_out),
            "sha256": _digest(self._folder, self._patches),
        }
        write_whole(self._folder / RECORD, json.dumps(record))


class Pairs:
    """The pairs in ``folder``. Raises ``EngineError`` when they are not whole."""

    def __init__(self, folder: Path, patches: Sequence[Patch]) -> None:
        self.patches = tuple(patches)
        try:
            record = json.loads((folder / RECORD).read_text("utf-8"))
            moments = np.array(record["moment_of"], np.int64)
            held_out = np.isin(moments, np.array(record["held_out"], np.int64))
            self.size, self.sha256 = str(record["size"]), str(record["sha256"])
            self._arrays = {
                (patch.name, kind): np.load(_path(folder, patch, kind), mmap_mode="r")
                for patch in patches
                for kind in _KINDS
            }
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise EngineError(
                f"the prepared pictures in {folder} are not whole ({error}). Delete that folder "
                "and prepare them again: give the clip without --resume"
            ) from error
        self._moment_of = moments
        self.train: npt.NDArray[np.int64] = np.flatnonzero(~held_out)
        self.held_out: npt.NDArray[np.int64] = np.flatnonzero(held_out)

    def batch(self, patch: Patch, pairs: npt.NDArray[np.int64]) -> Batch:
        """Return the patches of these pairs, copied."""
        rows = _rows(pairs, patch.count)
        truths = _rows(self._moment_of[pairs], patch.count)
        return Batch(
            np.asarray(self._arrays[patch.name, "picture"][rows]),
            np.asarray(self._arrays[patch.name, "reference"][rows]),
            np.asarray(self._arrays[patch.name, "maps"][rows]),
            np.asarray(self._arrays[patch.name, "truth"][truths]),
        )


def _reserve(path: Path) -> None:
    """Take the disk space of a file that is a hole so far. Raises ``OSError`` where it is full.

    Writing into the hole of a mapped file on a full disk ends the process, with no word.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _rows(items: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    return np.asarray((items[:, None] * count + np.arange(count)).ravel(), np.int64)


def _path(folder: Path, patch: Patch, kind: str) -> Path:
    return folder / f"{patch.name}.{kind}.npy"


def _digest(folder: Path, patches: Sequence[Patch]) -> str:
    found = hashlib.sha256()
    for patch in patches:
        for kind in _KINDS:
            found.update(bytes.fromhex(file_sha256(_path(folder, patch, kind))))
    return found.hexdigest()
