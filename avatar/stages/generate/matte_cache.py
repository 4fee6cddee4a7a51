"""Outlines of people already cut out, kept by content: the next start need not cut again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.archives import UNUSABLE
from avatar.core.files import whole_file
from avatar.core.frames import Float32
from avatar.stages.generate.texture import Places

# One more whenever `split_layers` comes to cut the same picture otherwise.
_CUT = 5
_KEPT = 64
_OWNER_DIGITS = 16


class MatteCache:
    """Keeps mattes in ``root``/KEY.npz, the key being the hash of all that decides a matte.

    A matte is the coverage, and from where in the photograph what is behind is copied: numbers,
    without a colour of the photograph. Of the entries the newest 64 are kept. ``say`` is told when
    one cannot be written. ``owner``: the hash of a stored avatar's photograph, whose entries can be
    ``forget``-ten; empty for others.
    """

    def __init__(
        self, root: Path, say: Callable[[str], None] = lambda line: None, owner: str = ""
    ) -> None:
        self._root, self._say, self._owner = root, say, owner[:_OWNER_DIGITS]

    def of(self, owner: str) -> MatteCache:
        """Return this cache for the entries of ``owner``."""
        return MatteCache(self._root, self._say, owner)

    def forget(self) -> None:
        """Delete the entries of the owner; nothing without one."""
        if self._owner:
            for entry in self._root.glob(f"{self._owner}-*.npz"):
                with suppress(OSError):
                    entry.unlink()

    def matte(
        self, made_of: Sequence[NDArray[Any]], cut: Callable[[], tuple[Float32, Places]]
    ) -> tuple[Float32, Places]:
        """Return the kept matte and places, float32 (H, W) and int32 (H, W, 2), else ``cut``'s.

        These are then kept. ``made_of``: arrays that decide the result, the picture first. What is
        kept is given back bit for bit.
        """
        before = f"{self._owner}-" if self._owner else ""
        path = self._root / f"{before}{_key(made_of)}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return _checked(kept["matte"], kept["places"], made_of[0].shape[:2])
        except FileNotFoundError:
            pass
        except UNUSABLE as error:
            self._say(f"the outline kept in {path} cannot be read ({error}): cutting again")
        matte, places = cut()
        try:
            self._keep(path, matte, places)
        except OSError as error:
            self._say(
                f"the outline cannot be kept in {path} ({error.strerror or error}): "
                "the next start cuts again"
            )
        return matte, places

    def _keep(self, path: Path, matte: Float32, places: Places) -> None:
        """Write a matte whole or not at all, and delete what is too old."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("wb") as file:
            np.savez_compressed(file, matte=matte, places=places.astype(np.int16))
        newest_last = sorted(self._root.glob("*.npz"), key=lambda kept: kept.stat().st_mtime_ns)
        for old in newest_last[:-_KEPT]:
            old.unlink(missing_ok=True)


def _checked(
    matte: NDArray[Any], places: NDArray[Any], shape: tuple[int, ...]
) -> tuple[Float32, Places]:
    """Return what was kept; raises ``ValueError`` where it does not belong to the picture."""
    if matte.dtype != np.float32 or matte.shape != shape or not np.isfinite(matte).all():
        raise ValueError(f"expected a matte of {shape}, found {matte.dtype} {matte.shape}")
    if places.dtype != np.int16 or places.shape != (*shape, 2):
        raise ValueError(f"expected places of {shape}, found {places.dtype} {places.shape}")
    if (places < -1).any() or (places >= np.array(shape)).any():
        raise ValueError("expected places within the picture")
    return np.asarray(matte, np.float32), places.astype(np.int32)


def _key(arrays: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256(f"cut {_CUT}".encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
