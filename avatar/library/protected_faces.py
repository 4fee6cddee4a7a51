"""Faces that nobody at this computer may put into a film: numbers of how they look, no pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from avatar.core.errors import SinkError, UsageError
from avatar.core.files import private_folder, read_record, write_record
from avatar.core.frames import Float32, UInt8Image
from avatar.core.home import Home
from avatar.library.avatars import check_name

_SUFFIX = ".json"
_HASH_BITS, _HASH_ALIKE = 64, 6
_Level = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]


class ProtectedFace(BaseModel):
    """One face: ``traits``, (side, side, 2) numbers row by row, and its picture's ``hash``."""

    schema_version: Literal[1] = 1
    side: Annotated[int, Field(ge=8, le=256)]
    traits: list[_Level]
    hash: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{_HASH_BITS // 4}}}$")]

    @classmethod
    def of(cls, traits: Float32, picture: UInt8Image) -> ProtectedFace:
        """Return what is kept of a face: ``traits``, float32 (S, S, 2), and its picture's hash."""
        numbers = [round(float(value), 3) for value in traits.ravel()]
        return cls(side=traits.shape[0], traits=numbers, hash=f"{picture_hash(picture):016x}")

    def as_traits(self) -> Float32:
        """Return the traits, float32 (S, S, 2)."""
        return np.array(self.traits, np.float32).reshape(self.side, self.side, 2)

    def same_picture(self, picture: UInt8Image) -> bool:
        """Return whether ``picture`` is the one that was protected, also resized or saved again."""
        differing = bin(int(self.hash, 16) ^ picture_hash(picture)).count("1")
        return differing <= _HASH_ALIKE


def picture_hash(picture: UInt8Image) -> int:
    """Return 64 bits of a picture that saving and resizing change little: which cell is brighter.

    Each of 8×8 cells against the one to its right (a difference hash).
    """
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(int)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


class ProtectedFaces:
    """The faces that are kept in ``home``'s data, by name."""

    def __init__(self, home: Home) -> None:
        self._root = home.data / "protected-faces"

    def path(self, name: str) -> Path:
        """Return where a face is kept. Raises ``UsageError`` for the name."""
        return self._root / f"{check_name(name)}{_SUFFIX}"

    def names(self) -> list[str]:
        """Return the names of all that are kept."""
        return sorted(p.stem for p in self._root.glob(f"*{_SUFFIX}") if not p.name.startswith("."))

    def add(self, name: str, face: ProtectedFace) -> Path:
        """Keep a face; raises ``SinkError`` when the disk fails.

        Raises ``UsageError`` where there is one of that name: replacing it would let it be used.
        """
        path = self.path(name)
        if path.exists():
            raise UsageError(
                f"there is a protected face called {name} already: name another --name"
            )
        try:
            private_folder(self._root)
            write_record(path, face)
        except OSError as error:
            raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error
        return path

    def read(self, name: str, side: int) -> ProtectedFace:
        """Return one of ``side``. Raises ``UsageError`` where it is not there or is broken."""
        path = self.path(name)
        remedy = f"`avatar faces unprotect {name}` removes it"
        face = read_record(path, ProtectedFace, UsageError, remedy)
        if face is None or face.side != side or len(face.traits) != 2 * side**2:
            raise UsageError(
                f"expected a protected face called {name}, found none that can be read; "
                f"`avatar faces list` shows the names, and {remedy}"
            )
        return face

    def remove(self, name: str) -> Path:
        """Forget one, also one that cannot be read; return where it was. Raises ``UsageError``."""
        path = self.path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise UsageError(
                f"expected a protected face called {name}, found none; `avatar faces list` shows "
                "the names"
            ) from None
        except OSError as error:
            raise SinkError(f"{path} cannot be removed: {error.strerror or error}") from error
        return path
