"""What was computed once of a photograph, kept on disk by content, for the next start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from avatar.core.arrays import Shapes, read_arrays, write_arrays
from avatar.core.frames import Float32, UInt8Image

Say = Callable[[str], None]

# An entry takes 5 to 9 MB; the oldest go first.
_MOST_ENTRIES = 32


class FeatureCache:
    """Keeps arrays in ``root``/HASH.npz.

    The hash is of the picture that they were computed of and of the networks' identity, so an
    entry of other weights is never found. ``say`` is told of an entry that is broken or cannot
    be kept; the cache may be deleted at any time.
    """

    def __init__(self, root: Path, say: Say) -> None:
        self._root, self._say = root, say

    def get(
        self,
        picture: UInt8Image,
        identity: str,
        shapes: Shapes,
        make: Callable[[], dict[str, Float32]],
    ) -> dict[str, Float32]:
        """Return the kept arrays of ``picture``, else those of ``make``, which are then kept.

        ``shapes``: the names and shapes that an entry must have.
        """
        path = self._root / f"{_hash(picture, identity)}.npz"
        try:
            found = read_arrays(path, shapes)
            path.touch()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self._say(f"the features kept in {path.name} are not usable ({error}): made again")
        else:
            return found
        made = make()
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_arrays(path, made)
            self._forget_oldest()
        except OSError as error:
            self._say(
                f"the photograph's features cannot be kept in {self._root} "
                f"({error.strerror or error}): the next start makes them again"
            )
        return made

    def _forget_oldest(self) -> None:
        entries = sorted(self._root.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for path in entries[:-_MOST_ENTRIES]:
            path.unlink(missing_ok=True)


def _hash(picture: UInt8Image, identity: str) -> str:
    made = hashlib.sha256(identity.encode())
    made.update(str(picture.shape).encode())
    made.update(np.ascontiguousarray(picture).tobytes())
    return made.hexdigest()
