"""Turning what the user calls an avatar into a photograph with a face."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from avatar.core.choices import TrackerName
from avatar.core.errors import PhotoError, UsageError
from avatar.core.face.bounds import face_box, face_px
from avatar.core.files import PICTURE_SUFFIXES, expanded, file_sha256, kind_of, pictures_in
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.core.home import Home
from avatar.core.messages import Message, words_of
from avatar.library.avatars import AvatarStore, StoredAvatar, either
from avatar.library.found_faces import FaceCache
from avatar.sessions.upright import AvatarPhoto as AvatarPhoto
from avatar.sessions.upright import upright
from avatar.stages.generate.photo import (
    BUILTIN,
    builtin_matte,
    builtin_photo,
    load_own_matte,
    load_photo,
)
from avatar.stages.track.choice import choose_tracker, detect_faces

MIN_FACE_PX = 64
# More cost memory and start-up time, and are seldom nearer.
MAX_PHOTOS = 5
# A face enlarged more than twice looks soft beside the others.
SOFT_SHARE = 0.5
# A file whose alpha leaves less of the face than this uses it for something else.
_SHOWN = 0.5
FaceChoice = int | Literal["all"]


def open_avatar(
    avatar: str | Path | UInt8Image,
    face_model: Path,
    home: Home,
    say: Callable[[str], None],
    *,
    number: FaceChoice = 1,
    tracker: TrackerName = "auto",
) -> AvatarPhoto:
    """Load a photograph and find its face, or take both from the store.

    ``avatar``: a path, the name of a stored avatar, ``builtin``, or uint8 (H, W, 3) RGB. Several
    photographs of one person: a folder of them, or their paths joined by ``+``.
    ``number``: which face, 1 the largest, or all of them. ``say`` is told what was chosen where
    there was a choice, and when the picture was turned upright. ``home``: whose stored avatars and
    found faces. ``tracker``: what looks for faces. Raises ``UsageError`` when
    there is no such photograph or name, ``PhotoError`` when it has no such face or that is not
    usable.
    """
    look = _Look(face_model, tracker, home, say)
    if not isinstance(avatar, (str, Path)):
        return upright(_chosen("picture", avatar, look.at(avatar), say, number), say)
    together = _joined(avatar)
    if together:
        return _album(f"{together[0].stem}+", together, look, say, number)
    found = resolve(avatar, AvatarStore(home.avatars), say)
    if isinstance(found, StoredAvatar):
        return upright(_stored_photo(found, number), say)
    if found.is_dir():
        return _album(found.name, photos_in(found), look, say, number)
    # Of the built-in portrait everything is known.
    heard = _silent if str(avatar) == BUILTIN else say
    chosen = _chosen(found.stem, *look.with_faces(found), heard, number)
    own = builtin_matte() if str(avatar) == BUILTIN else _own_matte(found, chosen.face)
    return upright(replace(chosen, matte=own), say)


def open_one(
    photo: str | Path,
    face_model: Path,
    home: Home,
    say: Callable[[str], None],
    number: FaceChoice = 1,
) -> AvatarPhoto:
    """Return one photograph with its face, as ``open_avatar``, for whom several are of no use.

    Where several are opened, a ``PhotoError`` names the one it is about. Raises ``UsageError`` for
    several photographs of a person.
    """
    try:
        found = open_avatar(str(photo), face_model, home, say, number=number)
    except PhotoError as error:
        if str(photo) in str(error):
            raise
        named = Message(
            "error.photoNamed", "{photo}: {reason}", photo=str(photo), reason=words_of(error)
        )
        raise PhotoError(named) from None
    if found.more:
        raise UsageError(
            Message(
                "error.severalPhotos",
                "expected one photograph, found {count} of one person: {photo}. Name the best of "
                "them",
                count=1 + len(found.more), photo=str(photo),
            )
        )  # fmt: skip
    return found


def _own_matte(path: Path, face: Face) -> Float32 | None:
    """Return the file's own alpha, unless it hides the face, whatever it may be for then."""
    matte = load_own_matte(path)
    if matte is None:
        return None
    x, y = np.clip(face.landmarks_px[:, :2], 0, np.array(matte.shape[::-1]) - 1).astype(int).T
    return matte if float(np.median(matte[y, x])) > _SHOWN else None


def _silent(line: str) -> None:
    """Say nothing."""


class _Look:
    """What looks for faces in photographs, and remembers those it found."""

    def __init__(
        self, face_model: Path, tracker: TrackerName, home: Home, say: Callable[[str], None]
    ) -> None:
        self._face_model, self._tracker, self._home, self._say = face_model, tracker, home, say

    def at(self, photo: UInt8Image) -> list[Face]:
        return detect_faces(photo, self._face_model, wanted=self._tracker)

    def with_faces(self, path: Path) -> tuple[UInt8Image, list[Face]]:
        photo = load_photo(path)
        size_px = photo.shape[1], photo.shape[0]
        cache = FaceCache(self._home.faces, choose_tracker(self._tracker).name)
        faces = cache.faces(file_sha256(path), size_px, lambda: self.at(photo), self._say)
        return photo, faces


def _joined(avatar: str | Path) -> list[Path]:
    """Return the photographs that ``A.jpg+B.jpg`` stands for; empty where it is one file's name.

    Raises ``UsageError`` for one that is not there.
    """
    parts = str(avatar).split("+")
    if len(parts) < 2 or not all(parts) or kind_of(expanded(avatar)) != "nothing":
        return []
    paths = [expanded(part.strip()) for part in parts]
    for path in paths:
        if kind_of(path) == "nothing":
            raise _unknown(str(path), path, None)
    return paths


def photos_in(folder: Path) -> list[Path]:
    """Return the photographs in a folder, in the order of their names.

    Raises ``PhotoError`` when there is none.
    """
    paths = pictures_in(folder)
    if not paths:
        raise PhotoError(
            f"expected photographs of one person in the folder {folder}, found none "
            f"({', '.join(PICTURE_SUFFIXES)}). Name a photograph, or another folder."
        )
    return paths


def check_count(paths: Sequence[Path]) -> None:
    """Raise ``PhotoError`` when there are more photographs than one person can be made of."""
    if len(paths) > MAX_PHOTOS:
        raise PhotoError(
            f"expected at most {MAX_PHOTOS} photographs of one person, found {len(paths)}. Choose "
            "those that differ most: one from the front with a calm face first, then a smile with "
            "teeth, an open mouth, the head to either side."
        )


def _album(
    name: str,
    paths: list[Path],
    look: _Look,
    say: Callable[[str], None],
    number: FaceChoice,
) -> AvatarPhoto:
    """Return several photographs of one person, the first one in front."""
    check_count(paths)
    if len(paths) == 1:
        return upright(_chosen(paths[0].stem, *look.with_faces(paths[0]), say, number), say)
    if number != 1:
        raise UsageError(
            f"--face {number}: of several photographs the largest face of each is taken. Cut the "
            "photographs closer, or give one of them."
        )
    found = [upright(_chosen(p.name, *look.with_faces(p), say, 1), say) for p in paths]
    say_together([path.name for path in paths], [photo.face for photo in found], say)
    first, more = found[0], tuple((other.photo, other.face) for other in found[1:])
    return AvatarPhoto(name.rstrip("+"), first.photo, first.face, more=more)


def say_together(names: Sequence[str], faces: Sequence[Face], say: Callable[[str], None]) -> None:
    """Say what the user should know of photographs of one person that are taken together."""
    say(f"{len(names)} photographs of one person; that all show the same one is not checked")
    first_px = face_px(faces[0])
    for name, face in zip(names[1:], faces[1:], strict=True):
        if face_px(face) < SOFT_SHARE * first_px:
            say(
                f"the face in {name} has {face_px(face):.0f} pixels, in {names[0]} "
                f"{first_px:.0f}: it will look soft whenever it is shown"
            )


def _chosen(
    name: str,
    photo: UInt8Image,
    faces: list[Face],
    say: Callable[[str], None],
    number: FaceChoice,
) -> AvatarPhoto:
    if number != "all":
        return AvatarPhoto(name, photo, choose_face(name, faces, say, number))
    first, *others = choose_all(name, faces, say)
    return AvatarPhoto(name, photo, first, tuple(others))


def resolve(
    avatar: str | Path, store: AvatarStore, say: Callable[[str], None]
) -> StoredAvatar | Path:
    """Return what ``--avatar`` means: a stored avatar, or the path of a photograph.

    A ``Path``, a word with a folder in it and the name of a file with a suffix mean that file;
    any other word is a stored name first. Raises ``UsageError``, which names what is near, and
    what ``AvatarStore.load`` raises.
    """
    if str(avatar) == BUILTIN:
        return builtin_photo()
    path = expanded(avatar)
    separators = os.sep + (os.altsep or "")
    a_path = isinstance(avatar, Path) or any(character in separators for character in avatar)
    kind = kind_of(path)
    if a_path or (path.suffix and kind == "file"):
        if kind == "nothing":
            raise _unknown(str(avatar), path, None)
        return path
    name = store.find(str(avatar))
    if name is not None:
        if kind != "nothing":
            say(f"{name} is taken as the stored avatar; the file is --avatar .{os.sep}{avatar}")
        return store.load(name)
    if kind == "nothing":
        raise _unknown(str(avatar), path, store)
    return path


def _unknown(avatar: str, path: Path, store: AvatarStore | None) -> UsageError:
    """Return the error for what is neither a file nor, where a store is given, a name."""
    near = [*(store.near(avatar) if store else []), *_near_files(path)]
    hint = f" Did you mean {either(near)}?" if near else " Check the spelling."
    names = " or the name of a stored avatar (`avatar avatars list`)" if store else ""
    return PhotoError(
        f"expected a photograph at {path}{names}, found nothing there.{hint} "
        f"The built-in portrait is `--avatar {BUILTIN}`."
    )


def _near_files(path: Path) -> list[str]:
    """Return paths in the same folder that look like ``path``, with or without its suffix."""
    try:
        files = [file for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        return []  # no such folder, or none to look into: nothing to propose
    known = {file.stem.casefold(): file for file in files}
    known |= {file.name.casefold(): file for file in files}
    near = difflib.get_close_matches(path.name.casefold(), known)
    return list(dict.fromkeys(str(known[name]) for name in near))


def _stored_photo(stored: StoredAvatar, number: FaceChoice) -> AvatarPhoto:
    """Return a stored avatar with the face that was chosen when it was added."""
    again = f'avatar avatars add "{stored.photo}" --name "{stored.name}" --force'
    if number == "all":
        raise UsageError(
            f"the avatar {stored.name} is one face, number {stored.face_number}, of its "
            f'photograph. For all of them: --avatar "{stored.photo}" --face all'
        )
    if number not in (1, stored.face_number):
        raise UsageError(
            f"the avatar {stored.name} is face {stored.face_number} of its photograph, found "
            f"--face {number}. To change it: {again} --face {number}"
        )
    photo = load_photo(stored.photo)
    more = tuple((load_photo(further.photo), further.face) for further in stored.more)
    for picture, face in [(photo, stored.face), *more]:
        size_px = picture.shape[1], picture.shape[0]
        if size_px != face.image_size_px:
            raise PhotoError(
                f"expected a photograph of {face.image_size_px} pixels in {stored.folder}, "
                f"found {size_px}. Find its face again: {again} --face {stored.face_number}"
            )
    return AvatarPhoto(
        stored.name, photo, stored.face, more=more, folder=stored.folder,
        photo_sha256=stored.sha256, matte=_own_matte(stored.photo, stored.face),
    )  # fmt: skip


def choose_face(name: str, faces: list[Face], say: Callable[[str], None], number: int = 1) -> Face:
    """Return face ``number`` of ``faces``, which come largest first; say so when there are several.

    Raises ``PhotoError`` when there is no such face, or it is not large enough.
    """
    if not faces:
        raise PhotoError(
            Message(
                "error.noFace",
                "expected a human face in {name}, found none. Animals and faces seen from the side "
                "or behind are not found: choose a picture in which both eyes show, or cut it "
                "closer.",
                name=name,
            )
        )
    if not 1 <= number <= len(faces):
        raise PhotoError(
            f"expected the number of a face in {name}, 1 (the largest) to {len(faces)}, "
            f"found {number}."
        )
    face = faces[number - 1]
    left, top, right, bottom = face_box(face)
    size = face_px(face)
    if size < MIN_FACE_PX:
        raise PhotoError(
            Message(
                "error.smallFace",
                "expected a face of at least {least} pixels in {name}, found one of {size}. Use a "
                "larger version of the picture, or cut it closer to the face.",
                least=MIN_FACE_PX, name=name, size=round(size),
            )
        )  # fmt: skip
    if len(faces) > 1:
        say(
            Message(
                "said.severalFaces",
                "{count} faces in {name}: {which} moves, at x {left}–{right}, y {top}–{bottom}; "
                "the others stay still",
                count=len(faces), name=name, which=_by_size(number),
                left=round(left), right=round(right), top=round(top), bottom=round(bottom),
            )
        )  # fmt: skip
    else:
        say(
            Message(
                "said.oneFace", "one face in {name}, {size} pixels high",
                name=name, size=round(size),
            )
        )  # fmt: skip
    return face


def _by_size(number: int) -> Message:
    if number == 1:
        return Message("said.largest", "the largest")
    return Message("said.bySize", "number {number} by size", number=number)


def choose_all(name: str, faces: list[Face], say: Callable[[str], None]) -> list[Face]:
    """Return all faces that are large enough, the largest first; say how many there are.

    Raises ``PhotoError`` when there is none.
    """
    if len(faces) < 2:
        return [choose_face(name, faces, say)]
    large = [face for face in faces if face_px(face) >= MIN_FACE_PX]
    small = len(faces) - len(large)
    if not large:
        return [choose_face(name, faces, say)]
    passed = f"; {small} smaller than {MIN_FACE_PX} pixels stay still" if small else ""
    say(f"{len(faces)} faces in {name}: {len(large)} are animated{passed}")
    return large
