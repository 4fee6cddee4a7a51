"""Faces already found in a photograph, kept by its content: the next start need not look again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from avatar import __version__
from avatar.core.files import parse_record, write_record
from avatar.core.frames import Face
from avatar.library.face_model import FACE_MODEL_SHA256
from avatar.library.face_numbers import FaceNumbers

# One more whenever `detect_faces` comes to find other landmarks in the same picture.
_DETECTION = 3


def found_by(tracker: str) -> str:
    """Return what an entry says of the program and the tracker that found its faces."""
    return (
        f"webcam-avatar {__version__}, detection {_DETECTION}, tracker {tracker}, "
        f"model {FACE_MODEL_SHA256[:16]}"
    )


class _Entry(BaseModel):
    """All faces of one picture, the largest first, and what found them."""

    schema_version: Literal[1]
    found_by: str
    faces: list[FaceNumbers]


class FaceCache:
    """Keeps found faces in ``root``/SHA256.json, the hash being that of the photograph's file.

    An entry has all faces of the picture, so that it serves whichever is asked for. ``tracker``:
    the name of what finds them; what another found is not used.
    """

    def __init__(self, root: Path, tracker: str = "own") -> None:
        self._root, self._found_by = root, found_by(tracker)

    def path(self, sha256: str) -> Path:
        """Return where the faces of the photograph with this hash are kept."""
        return self._root / f"{sha256}.json"

    def faces(
        self,
        sha256: str,
        size_px: tuple[int, int],
        detect: Callable[[], list[Face]],
        say: Callable[[str], None],
    ) -> list[Face]:
        """Return the kept faces of a picture, else those ``detect`` finds, which are then kept.

        ``size_px``: (width, height) of the picture as it was read. ``say`` is told of an entry
        that is broken, or that cannot be written. Finding nobody is not kept.
        """
        path = self.path(sha256)
        try:
            return _read(path, size_px, self._found_by)
        except FileNotFoundError:
            pass
        except OSError as error:
            say(f"the faces kept in {path} cannot be read ({error.strerror}): looking again")
        except ValueError as error:
            say(f"the faces kept in {path} are not usable ({error}): looking again")
        faces = detect()
        if faces:
            self._keep(path, faces, say)
        return faces

    def _keep(self, path: Path, faces: list[Face], say: Callable[[str], None]) -> None:
        entry = _Entry(
            schema_version=1,
            found_by=self._found_by,
            faces=[FaceNumbers.of(face) for face in faces],
        )
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_record(path, entry)
        except OSError as error:
            say(
                f"the face found cannot be kept in {path} ({error.strerror or error}): "
                "the next start looks again"
            )


def _read(path: Path, size_px: tuple[int, int], wanted: str) -> list[Face]:
    """Return the faces in ``path``; raises ``OSError`` and ``ValueError``."""
    entry = parse_record(path.read_bytes(), _Entry)
    if entry.found_by != wanted:
        raise _MismatchError(f"found by {entry.found_by}")
    if not entry.faces or any(face.image_size_px != size_px for face in entry.faces):
        raise _MismatchError("of another picture size")
    return [numbers.face() for numbers in entry.faces]


class _MismatchError(ValueError):
    """An entry that is whole but does not fit."""
