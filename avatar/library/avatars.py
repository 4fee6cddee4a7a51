"""Stored avatars: a photograph, the face chosen in it, and a name to call them by.

::

    ROOT/NAME/photo-SHA256.jpg   the photograph, byte for byte (the hash's first digits); several
                                 where several of one person were added together
    ROOT/NAME/avatar.json        what ``AvatarRecord`` says

A folder appears whole or not at all: it is made under another name and renamed. Replacing an
avatar puts the new photograph beside the old one, then swaps ``avatar.json`` for the new one.
"""

from __future__ import annotations

import difflib
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from avatar import __version__
from avatar.core.errors import PhotoError, UsageError
from avatar.core.files import file_sha256, move, read_record, staging, write_record
from avatar.core.frames import Face
from avatar.core.messages import Message
from avatar.library.face_numbers import FaceNumbers

# Records of one photograph are written as schema 1, which older programs read.
SCHEMA_VERSION: Literal[2] = 2
RECORD = "avatar.json"
RESERVED = ("builtin", "demo")
# Together with a suffix within what every file system takes as one name.
MAX_NAME_BYTES = 160
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


FileName = Annotated[str, Field(pattern=r"^[\w-]+(\.\w+)?$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class MorePhoto(BaseModel):
    """A further photograph of the same person, and their face in it."""

    photo: FileName
    sha256: Sha256
    face: FaceNumbers


class AvatarRecord(BaseModel):
    """What ``avatar.json`` says; the photograph's file name has neither folder nor hidden dot."""

    schema_version: Literal[1, 2]
    name: str
    photo: FileName
    sha256: Sha256
    face_number: Annotated[int, Field(ge=1)]
    face_count: Annotated[int, Field(ge=1)]
    face: FaceNumbers
    added: AwareDatetime
    program_version: str
    more: list[MorePhoto] = []


@dataclass(frozen=True, eq=False)
class StoredPhoto:
    """A further photograph in the store, and the face in it, in its pixels."""

    photo: Path
    sha256: str
    face: Face


@dataclass(frozen=True, eq=False)
class StoredAvatar:
    """An avatar in the store.

    ``photo``: the copied photograph. ``face``: the chosen face, in pixels of that photograph as
    ``load_photo`` reads it. ``face_number`` of ``face_count``: 1 is the largest. ``more``: further
    photographs of the same person.
    """

    name: str
    folder: Path
    photo: Path
    sha256: str
    face: Face
    face_number: int
    face_count: int
    added: datetime
    program_version: str
    more: tuple[StoredPhoto, ...] = ()

    @property
    def photos(self) -> list[tuple[Path, str]]:
        """Return all photographs with their hashes, the first one first."""
        return [(self.photo, self.sha256), *((p.photo, p.sha256) for p in self.more)]


_AN_AVATAR = Message("error.anAvatar", "an avatar")


def check_name(name: str, what: str = _AN_AVATAR) -> str:
    """Return ``name`` in Unicode's composed form, fit to be a folder's name everywhere.

    Letters and digits of any script, their marks, space, - and _. Raises ``UsageError``.
    """
    name = unicodedata.normalize("NFC", name)
    wrong = sorted({character for character in name if not _allowed(character)})
    if wrong or not name or name != name.strip(" ") or name.startswith("-"):
        found = f"{name!r}" + (f" with {' '.join(map(repr, wrong))}" if wrong else "")
        raise UsageError(
            Message(
                "error.nameLetters",
                "expected {what}'s name of letters, digits, spaces, - and _, which begins with "
                "none of space and -, and does not end with a space; found {found}",
                what=what, found=found,
            )
        )  # fmt: skip
    if name.casefold() in RESERVED or _DEVICES.fullmatch(name):
        raise UsageError(
            Message(
                "error.nameReserved",
                "the name {name} is reserved: choose another one",
                name=repr(name),
            )
        )
    if len(name.encode()) > MAX_NAME_BYTES:
        raise UsageError(
            Message(
                "error.nameLong",
                "expected {what}'s name of at most {most} bytes (UTF-8), found {found}: choose a "
                "shorter one",
                what=what, most=MAX_NAME_BYTES, found=len(name.encode()),
            )
        )  # fmt: skip
    return name


def _allowed(character: str) -> bool:
    # Marks: without them many scripts cannot write their vowels.
    return character in " -_" or unicodedata.category(character)[0] in "LM" or character.isdecimal()


def name_of_file(path: Path) -> str:
    """Return the name for a photograph that was given none: its file's, made fit.

    Raises ``UsageError`` where nothing fit is left.
    """
    stem = unicodedata.normalize("NFC", path.stem)
    kept = "".join(character if _allowed(character) else "-" for character in stem)
    try:
        return check_name(re.sub(r"--+", "-", kept).strip(" -"))
    except UsageError as error:
        raise UsageError(f"{path.name} gives no name for the avatar: add --name NAME") from error


class AvatarStore:
    """The avatars in ``root``, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Return the names of all stored avatars, usable or not, in the order of the alphabet."""
        try:
            folders = [path for path in self.root.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(
                f"the stored avatars in {self.root} cannot be read: {error.strerror}. "
                "Check the folder's permissions."
            ) from error
        return sorted((path.name for path in folders if _is_name(path.name)), key=_key)

    def find(self, name: str) -> str | None:
        """Return the stored name that ``name`` means, whatever its capitals; None: there is none.

        Raises ``UsageError`` when the store cannot be read.
        """
        names = self.names()
        if name in names:
            return name
        return next((stored for stored in names if _key(stored) == _key(name)), None)

    def near(self, name: str) -> list[str]:
        """Return stored names that look like ``name``, the nearest first."""
        names = {_key(stored): stored for stored in self.names()}
        return [names[key] for key in difflib.get_close_matches(_key(name), names, cutoff=0.5)]

    def read(self, name: str) -> StoredAvatar:
        """Return the avatar ``name`` without looking at its photograph.

        Raises ``UsageError`` when there is none, or its ``avatar.json`` is broken or newer.
        """
        folder = self._folder(name)
        path = folder / RECORD
        remedy = (
            f'Add its photograph again: avatar avatars add PHOTO --name "{folder.name}" --force'
        )
        record = read_record(path, AvatarRecord, UsageError, remedy)
        if record is None:
            raise UsageError(f"{path} cannot be read: there is no such file. {remedy}")
        return _stored(folder, record)

    def load(self, name: str) -> StoredAvatar:
        """Return the avatar ``name``, whose photograph is the one that was added.

        Raises ``UsageError`` as ``read`` does, ``PhotoError`` when the photograph changed.
        """
        stored = self.read(name)
        remedy = f'avatar avatars add PHOTO --name "{stored.name}" --force'
        for photo, sha256 in stored.photos:
            try:
                found = file_sha256(photo)
            except OSError as error:
                raise PhotoError(
                    f"the photograph {photo} of the avatar {stored.name} cannot be read: "
                    f"{error.strerror}. Add it again: {remedy}"
                ) from error
            if found != sha256:
                raise PhotoError(
                    f"the photograph {photo} of the avatar {stored.name} was changed since it "
                    f"was added: expected SHA-256 {sha256}, found {found}. Its face may stand "
                    f"elsewhere now. Add it again: {remedy}"
                )
        return stored

    def check_free(self, name: str, *, replace: bool) -> str:
        """Return ``name``, fit and free; with ``replace``, the stored name that it replaces.

        Raises ``UsageError``.
        """
        name = check_name(name)
        existing = self.find(name)
        if existing is not None and not replace:
            raise UsageError(
                f"there is an avatar {existing} already. Choose another --name, or give --force "
                "to replace it."
            )
        return existing or name

    def add(
        self,
        name: str,
        photo: Path,
        face: Face,
        *,
        face_number: int = 1,
        face_count: int = 1,
        more: Sequence[tuple[Path, Face]] = (),
        replace: bool = False,
    ) -> StoredAvatar:
        """Copy ``photo`` into the store with the face chosen in it.

        ``face``: in pixels of the photograph as ``load_photo`` reads it. ``more``: further
        photographs of the same person, each with the face in it. ``replace``: take the
        place of an avatar of this name. Raises ``UsageError`` for a name that is unfit or taken,
        and when the disk refuses.
        """
        name = self.check_free(name, replace=replace)
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with staging(self.root) as temporary:
                made = temporary / name
                made.mkdir(mode=0o700)
                record = _write(made, name, photo, face, face_number, face_count, more)
                self._put(made, record)
        except OSError as error:
            # Another program may have taken the name in the meantime.
            self.check_free(name, replace=replace)
            raise UsageError(
                f"the avatar {name} cannot be stored in {self.root}: {error.strerror or error}. "
                "Check the folder's permissions and the disk's space."
            ) from error
        return _stored(self.root / name, record)

    def _put(self, made: Path, record: AvatarRecord) -> None:
        """Move a finished folder to its place, or its files over those of the avatar there."""
        folder = self.root / made.name
        if not folder.exists():
            move(made, folder)
            return
        folder.chmod(0o700)
        kept = [record.photo, *(more.photo for more in record.more)]
        for name in kept:
            if (made / name).exists():  # the same photograph given twice is one file
                move(made / name, folder / name)
        move(made / RECORD, folder / RECORD)
        for old in folder.glob("photo-*"):
            if old.name not in kept:
                old.unlink()

    def rename(self, name: str, new: str) -> str:
        """Call the avatar ``name`` by another name, fit and free; return that.

        Raises ``UsageError``.
        """
        folder, new = self._folder(name), check_name(new)
        if self.find(new) not in (None, folder.name):
            raise UsageError(
                Message(
                    "error.nameTaken",
                    "there is an avatar {name} already: choose another name",
                    name=new,
                )
            )
        try:
            move(folder, self.root / new)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be renamed: {error.strerror or error}. Check the folder's "
                "permissions."
            ) from error
        return new

    def set_aside(self, name: str) -> Path:
        """Take the avatar ``name``, broken or not, out of the store; return where it lies now.

        There it can be ``put_back`` or ``delete``d; what is left there when the program is killed
        goes like all that is abandoned (``staging``). Raises ``UsageError``.
        """
        folder = self._folder(name)
        aside: Path | None = None
        try:
            aside = Path(tempfile.mkdtemp(prefix=".removing-", dir=self.root))
            return move(folder, aside / folder.name)
        except OSError as error:
            if aside is not None:
                aside.rmdir()
            raise _not_removed(folder, error) from error

    def delete(self, aside: Path) -> None:
        """Delete an avatar that was set aside; what a link points to is not the store's.

        Raises ``UsageError``.
        """
        try:
            shutil.rmtree(aside.parent)
        except OSError as error:
            raise _not_removed(aside.parent, error) from error

    def put_back(self, aside: Path) -> str:
        """Put an avatar that was set aside back where it was; return its name.

        Raises ``UsageError`` where another one has its name now.
        """
        name = self.check_free(aside.name, replace=False)
        try:
            move(aside, self.root / name)
            aside.parent.rmdir()
        except OSError as error:
            raise UsageError(
                f"{name} cannot be put back from {aside}: {error.strerror or error}. Move the "
                f"folder to {self.root} yourself."
            ) from error
        return name

    def twins(self, stored: StoredAvatar) -> list[str]:
        """Return the other avatars made of the same photograph; broken ones are passed over."""
        return [
            name for name in self.names() if name != stored.name and self._is_twin(name, stored)
        ]

    def _is_twin(self, name: str, stored: StoredAvatar) -> bool:
        try:
            return self.read(name).sha256 == stored.sha256
        except UsageError:
            return False  # `list` says what is wrong with it

    def _folder(self, name: str) -> Path:
        """Return the folder of a stored avatar; raises ``UsageError`` that names the nearest."""
        existing = self.find(name)
        if existing is None:
            raise UsageError(
                f"expected the name of a stored avatar, found {name!r}. {self._known(name)}"
            )
        return self.root / existing

    def _known(self, name: str) -> str:
        near, names = self.near(name), self.names()
        if near:
            return f"Did you mean {either(near)}?"
        if names:
            return f"Stored: {', '.join(names)}."
        return "None is stored yet: avatar avatars add PHOTO"


def _not_removed(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{folder} cannot be removed: {error.strerror or error}. Check the folder's permissions."
    )


def either(names: Sequence[str]) -> str:
    """Return the names as a choice: `a` or `b`."""
    return " or ".join(f"`{name}`" for name in names)


def _key(name: str) -> str:
    """Return what two names have in common that differ in capitals only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except UsageError:
        return False
    return True


def _copied(folder: Path, photo: Path) -> tuple[str, str]:
    """Copy a photograph into ``folder``; return its name there and its hash."""
    suffix = photo.suffix if _SUFFIX.fullmatch(photo.suffix) else ""
    copy = folder / "photo"
    shutil.copyfile(photo, copy)
    copy.chmod(0o600)
    sha256 = file_sha256(copy)
    return move(copy, folder / f"photo-{sha256[:16]}{suffix}").name, sha256


def _write(
    folder: Path,
    name: str,
    photo: Path,
    face: Face,
    face_number: int,
    face_count: int,
    more: Sequence[tuple[Path, Face]],
) -> AvatarRecord:
    """Fill ``folder`` with copies of the photographs and their record."""
    copy, sha256 = _copied(folder, photo)
    further = []
    for other, other_face in more:
        other_copy, other_sha256 = _copied(folder, other)
        further.append(
            MorePhoto(photo=other_copy, sha256=other_sha256, face=FaceNumbers.of(other_face))
        )
    record = AvatarRecord(
        schema_version=SCHEMA_VERSION if further else 1,
        name=name,
        photo=copy,
        sha256=sha256,
        face_number=face_number,
        face_count=face_count,
        face=FaceNumbers.of(face),
        added=datetime.now(UTC).replace(microsecond=0),
        program_version=__version__,
        more=further,
    )
    write_record(folder / RECORD, record)
    return record


def _stored(folder: Path, record: AvatarRecord) -> StoredAvatar:
    # The folder's name counts: renaming it is renaming the avatar.
    return StoredAvatar(
        name=folder.name,
        folder=folder,
        photo=folder / record.photo,
        sha256=record.sha256,
        face=record.face.face(),
        face_number=record.face_number,
        face_count=record.face_count,
        added=record.added,
        program_version=record.program_version,
        more=tuple(
            StoredPhoto(folder / more.photo, more.sha256, more.face.face()) for more in record.more
        ),
    )
