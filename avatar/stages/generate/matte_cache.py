"""Outlines of people already cut out, kept by content: the next start need not cut again."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.files import whole_file
from avatar.core.frames import Float32

# One more whenever `split_layers` comes to cut the same picture otherwise.
_CUT = 2
_KEPT = 64


class MatteCache:
    """Keeps mattes in ``root``/KEY.npz, the key being the hash of all that decides a matte.

    A matte is the coverage alone, without a colour of the photograph. Of the entries the newest 64
    are kept. ``say`` is told when one cannot be written.
    """

    def __init__(self, root: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self._root, self._say = root, say

    def matte(self, made_of: Iterable[NDArray[Any]], cut: Callable[[], Float32]) -> Float32:
        """Return the kept matte, float32 (H, W), else what ``cut`` gives, which is then kept.

        ``made_of``: arrays that decide the result. What is kept is given back bit for bit.
        """
        path = self._root / f"{_key(made_of)}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return np.asarray(kept["matte"], np.float32)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            self._say(f"the outline kept in {path} cannot be read ({error}): cutting again")
        matte = cut()
        try:
            self._keep(path, matte)
        except OSError as error:
            self._say(
                f"the outline cannot be kept in {path} ({error.strerror or error}): "
                "the next start cuts again"
            )
        return matte

    def _keep(self, path: Path, matte: Float32) -> None:
        """Write a matte whole or not at all, and delete what is too old."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("wb") as file:
            np.savez_compressed(file, matte=matte)
        newest_last = sorted(self._root.glob("*.npz"), key=lambda kept: kept.stat().st_mtime_ns)
        for old in newest_last[:-_KEPT]:
            old.unlink(missing_ok=True)


def _key(arrays: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256(f"cut {_CUT}".encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
