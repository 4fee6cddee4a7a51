"""The avatars that the page shows: the stored, the built-in, and those named at the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from avatar.app.avatars import add_photo, rename_stored
from avatar.app.studio.portraits import Portraits
from avatar.core.errors import PhotoError, UsageError
from avatar.core.home import Home
from avatar.core.messages import Message, words_of
from avatar.library.avatars import AvatarStore, check_name
from avatar.stages.generate.photo import BUILTIN
from avatar.stages.generate.picture_file import SENT_FORMATS, check_picture


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
        self._portraits = Portraits(home, face_model)

    def list(self) -> list[dict[str, Any]]:
        """Return the avatars: what to call them, what to show, and why one cannot be used."""
        stored = self._store.names()
        words = [*(word for word in self._named if word not in stored and word != BUILTIN), BUILTIN]
        return [self._entry(name) for name in stored] + [
            {
                "name": word,
                "label": Path(word).stem,
                "stored": False,
                "fault": None,
                "faces": 1,
                "face": 1,
            }
            for word in words
        ]

    def _entry(self, name: str) -> dict[str, Any]:
        entry = {"name": name, "label": name, "stored": True, "fault": None, "faces": 1, "face": 1}
        try:
            stored = self._store.read(name)
        except UsageError as error:
            return entry | {"fault": words_of(error)}
        if stored.more:  # of several photographs each has its face
            return entry
        return entry | {"faces": stored.face_count, "face": stored.face_number}

    def knows(self, name: str) -> bool:
        """Return whether an avatar is one of those shown."""
        return name in {entry["name"] for entry in self.list()}

    def check_known(self, name: str) -> str:
        """Return ``name`` if it is one of those shown: a page opens no other files."""
        if not self.knows(name):
            raise UsageError(f"expected one of the avatars shown, found {name!r}")
        return name

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

    def rename(self, name: str, new: str) -> str:
        """Call a stored avatar by another name; return that. Raises ``UsageError``."""
        return rename_stored(name, new.strip(), self._home)

    def choose_face(self, name: str, number: int) -> None:
        """Have another face of a stored photograph move, 1 the largest. Raises ``UsageError``."""
        stored = self._store.load(name)
        if stored.more:
            raise UsageError(f"{name} has several photographs: the largest face of each is taken")
        add_photo(
            stored.photo, name=stored.name, face=number, force=True,
            face_model=self._face_model, home=self._home, say=self._say,
        )  # fmt: skip

    def faces_of(self, name: str) -> int:
        """Return how many faces an avatar's photograph has, one of which moves."""
        return next(int(entry["faces"]) for entry in self.list() if entry["name"] == name)

    def thumbnail(self, name: str, face: int | None = None) -> bytes:
        """Return a JPEG of the avatar's face, or of face number ``face`` in its photograph."""
        self.check_known(name)
        stored = self._store.read(name) if self._store.find(name) == name else None
        return self._portraits.thumbnail(name, stored, face)


def _as_sent(error: PhotoError, photo: Path) -> str:
    """Return an error's words with the file's name as the user knows it, not as it is kept here."""
    words = words_of(error)
    if isinstance(words, Message):
        return words.having(file=photo.name) if "file" in words.values else words
    return words.replace(str(photo), photo.name)
