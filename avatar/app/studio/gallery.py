"""The avatars that the page shows: the stored, the built-in, and those named at the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from avatar.app.avatars import add_photo, remove_stored
from avatar.core.errors import PhotoError, UsageError
from avatar.core.face.bounds import face_box
from avatar.core.files import file_sha256
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.core.messages import Message, words_of
from avatar.core.pictures import jpeg
from avatar.library.avatars import RECORD, AvatarStore, check_name
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import open_avatar
from avatar.stages.generate.photo import BUILTIN
from avatar.stages.generate.picture_file import SENT_FORMATS, check_picture

_THUMBNAIL_PX = 192
# Of the face's own height, around its middle: head and shoulders.
_AROUND = 1.05


class Gallery:
    """Avatars by the word that ``--avatar`` knows them by.

    ``named``: what the program was started with. ``say`` hears what was found in a photograph.
    """

    def __init__(
        self, home: Home, named: tuple[str, ...], face_model: Path | None,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._store, self._named, self._say = AvatarStore(home.avatars), named, say
        self._home, self._face_model = home, face_model
        self._thumbnails: dict[str, bytes] = {}

    def list(self) -> list[dict[str, Any]]:
        """Return the avatars: what to call them, what to show, and why one cannot be used."""
        stored = self._store.names()
        words = [*(word for word in self._named if word not in stored and word != BUILTIN), BUILTIN]
        return [self._entry(name) for name in stored] + [
            {"name": word, "label": Path(word).stem, "stored": False, "fault": None}
            for word in words
        ]

    def _entry(self, name: str) -> dict[str, Any]:
        fault = None
        try:
            self._store.read(name)
        except UsageError as error:
            fault = words_of(error)
        return {"name": name, "label": name, "stored": True, "fault": fault}

    def check_known(self, name: str) -> str:
        """Return ``name`` if it is one of those shown: a page opens no other files."""
        if name not in {*self._store.names(), *self._named, BUILTIN}:
            raise UsageError(f"expected one of the avatars shown, found {name!r}")
        return name

    def key(self, name: str) -> str:
        """Return what changes when another photograph is kept under ``name``; quick."""
        self.check_known(name)
        try:
            return f"{name}:{(self._store.root / name / RECORD).stat().st_mtime_ns}"
        except OSError:  # it is not stored
            return name

    def photo(self, name: str) -> Path:
        """Return the file of an avatar's photograph; of one that is not stored, its word."""
        self.check_known(name)
        return self._store.read(name).photo if self._store.find(name) == name else Path(name)

    def add(self, photo: Path, name: str) -> str:
        """Store an uploaded photograph under a free name near ``name``; return that name.

        From several threads at a time: reading a picture takes its time, and nothing waits for it.
        """
        name = check_name(name.strip() or "photo")
        try:
            check_picture(photo, SENT_FORMATS)
            while True:
                free = self._free(name)
                try:
                    return self._add(photo, free)
                except PhotoError:
                    raise
                except UsageError:
                    if self._store.find(free) is None:
                        raise
                    # Another page took the name meanwhile.
        except PhotoError as error:
            raise PhotoError(_as_sent(error, photo)) from error

    def _add(self, photo: Path, name: str) -> str:
        return add_photo(
            photo, name=name, face_model=self._face_model, home=self._home, say=self._say
        ).name

    def _free(self, name: str) -> str:
        """Return ``name``, or with the first number that nobody has: nothing is replaced."""
        number = 1
        free = name
        while self._store.find(free) is not None:
            number += 1
            free = f"{name} {number}"
        return free

    def remove(self, name: str) -> None:
        """Delete a stored avatar."""
        remove_stored(name, self._home)
        self._thumbnails.clear()

    def thumbnail(self, name: str) -> bytes:
        """Return a JPEG of the avatar's face, made once."""
        self.check_known(name)
        key = name
        if self._store.find(name) == name:
            key = f"{name}:{file_sha256(self._store.read(name).photo)}"
        if key not in self._thumbnails:
            model = find_face_model(self._face_model, self._home)
            found = open_avatar(name, model, self._home, lambda line: None)
            self._thumbnails[key] = jpeg(_cut(found.photo, found.face))
        return self._thumbnails[key]


def _as_sent(error: PhotoError, photo: Path) -> str:
    """Return an error's words with the file's name as the user knows it, not as it is kept here."""
    words = words_of(error)
    if isinstance(words, Message):
        return words.having(file=photo.name) if "file" in words.values else words
    return words.replace(str(photo), photo.name)


def _cut(photo: UInt8Image, face: Face) -> UInt8Image:
    """Return a small square with the head in it."""
    import cv2
    import numpy as np

    left, top, right, bottom = face_box(face)
    reach = max(1, round(_AROUND * (bottom - top)))
    x, y = round((left + right) / 2) - reach, round((top + bottom) / 2) - reach
    height, width = photo.shape[:2]
    part = photo[max(y, 0) : y + 2 * reach, max(x, 0) : x + 2 * reach]
    # Beyond the photograph's edge its colours go on, as they do in the portrait framing.
    square = cv2.copyMakeBorder(
        part,
        max(-y, 0), max(y + 2 * reach - height, 0), max(-x, 0), max(x + 2 * reach - width, 0),
        cv2.BORDER_REPLICATE,
    )  # fmt: skip
    smaller = cv2.resize(square, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.uint8)
