"""Small pictures of faces, for the page."""

from __future__ import annotations

from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.face.bounds import face_box
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.core.pictures import jpeg
from avatar.library.avatars import StoredAvatar
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import open_avatar
from avatar.stages.generate.photo import load_photo
from avatar.stages.track.choice import detect_faces

_THUMBNAIL_PX = 192
# Of the face's own height, around its middle: head and shoulders.
_AROUND = 1.05
_MOST_KEPT = 200


class Portraits:
    """Makes each small picture once. From several threads at a time."""

    def __init__(self, home: Home, face_model: Path | None) -> None:
        self._home, self._face_model = home, face_model
        self._made: dict[tuple[str, int], bytes] = {}

    def thumbnail(self, name: str, stored: StoredAvatar | None, face: int | None) -> bytes:
        """Return a JPEG of an avatar's face, or of face number ``face`` in a stored photograph.

        Raises ``UsageError`` where there is no such face.
        """
        which = face or (stored.face_number if stored is not None else 1)
        key = (stored.sha256 if stored is not None else name, which)
        if key not in self._made:
            picture = self._made_of(name) if face is None else self._other(name, stored, face)
            if len(self._made) >= _MOST_KEPT:
                self._made.clear()
            self._made[key] = picture
        return self._made[key]

    def _made_of(self, name: str) -> bytes:
        model = find_face_model(self._face_model, self._home)
        found = open_avatar(name, model, self._home, lambda line: None)
        return jpeg(_cut(found.photo, found.face))

    def _other(self, name: str, stored: StoredAvatar | None, number: int) -> bytes:
        """Draw all faces of a photograph, since all are asked for one after the other."""
        if stored is None:
            raise UsageError(f"{name} is not stored: its face is chosen when the program starts")
        photo = load_photo(stored.photo)
        faces = detect_faces(photo, find_face_model(self._face_model, self._home))
        if not 1 <= number <= len(faces):
            raise UsageError(f"expected a face of {name}, 1 to {len(faces)}, found {number}")
        for at, face in enumerate(faces, 1):
            if at != number:
                self._made.setdefault((stored.sha256, at), jpeg(_cut(photo, face)))
        return jpeg(_cut(photo, faces[number - 1]))


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
