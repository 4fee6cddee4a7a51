"""What was computed once of a photograph, kept on disk by content, for the next start."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from avatar.frames import Float32, UInt8Image

Shapes = Mapping[str, tuple[int, ...]]
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


def read_arrays(path: Path, shapes: Shapes) -> dict[str, Float32]:
    """Return float32 arrays of the given names and shapes from an ``.npz``; nothing is executed.

    Sizes are read before the data, so that a file cannot ask for more memory than its shapes need.
    Raises ``OSError``, and ``ValueError`` that says what differs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {member.filename for member in archive.infolist()}
            if names != {f"{name}.npy" for name in shapes}:
                raise ValueError(f"expected {', '.join(shapes)}, found {', '.join(sorted(names))}")
            return {name: _read_one(archive, name, shape) for name, shape in shapes.items()}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"damaged: {error}") from error


def _read_one(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Float32:
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{name} is in version {version} of the format, expected (1, 0)")
        found, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        if found != shape or dtype != np.float32 or by_column:
            raise ValueError(f"{name}: expected float32 of shape {shape}, found {dtype} {found}")
        size = int(np.prod(shape)) * 4
        data = file.read(size)
        if len(data) != size:
            raise ValueError(f"{name} is cut off")
        values = np.frombuffer(data, np.float32).reshape(shape).copy()
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has values that are not finite")
    return values


def write_arrays(path: Path, arrays: Mapping[str, Float32]) -> None:
    """Write float32 arrays as an ``.npz``, whole or not at all. Raises ``OSError``."""
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            plain = {key: np.ascontiguousarray(value, np.float32) for key, value in arrays.items()}
            np.savez(file, allow_pickle=False, **plain)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
