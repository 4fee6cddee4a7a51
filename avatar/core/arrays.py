"""Arrays in ``.npz`` files without objects: written whole or not at all, read without trust.

An ``.npz`` is a ZIP of ``.npy`` files. NumPy's own reader takes sizes from the file; this one is
given them, so that a file can neither run code nor ask for more memory than it should.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avatar.core.archives import DAMAGED
from avatar.core.files import whole_file
from avatar.core.frames import Float32

Shapes = Mapping[str, tuple[int, ...]]
TEXT = "text"
"""The member that holds a text beside the arrays."""

_MAX_TEXT_BYTES = 65_536


def read_arrays(path: Path, shapes: Shapes) -> dict[str, Float32]:
    """Return float32 arrays of exactly the given names and shapes.

    Raises ``OSError``, and ``ValueError`` that says what differs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {member.filename for member in archive.infolist()} - {TEXT}
            if names != {f"{name}.npy" for name in shapes}:
                found = ", ".join(sorted(names)[:20])
                raise ValueError(f"expected {', '.join(shapes)}, found {found}")
            return {name: _read_one(archive, name, shape) for name, shape in shapes.items()}
    except DAMAGED as error:
        raise ValueError(f"damaged: {error}") from error


def read_text(path: Path) -> str:
    """Return the text in a file of arrays. Raises ``OSError`` and ``ValueError``."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(TEXT) as file:
            data = file.read(_MAX_TEXT_BYTES + 1)
    except KeyError as error:
        raise ValueError("it has no description") from error
    except DAMAGED as error:
        raise ValueError(f"damaged: {error}") from error
    if len(data) > _MAX_TEXT_BYTES:
        raise ValueError(f"its description is longer than {_MAX_TEXT_BYTES} bytes")
    return data.decode()


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


def write_arrays(path: Path, arrays: Mapping[str, Float32], text: str | None = None) -> None:
    """Write float32 arrays, and a text beside them. Raises ``OSError``."""
    plain = {name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()}
    with whole_file(path) as part, zipfile.ZipFile(part, "w") as archive:
        if text is not None:
            archive.writestr(TEXT, text)
        for name, value in plain.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, value, (1, 0), allow_pickle=False)
