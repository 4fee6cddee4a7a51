"""The room *Still*: a photograph with sliders, drawn as fast as they are moved."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from avatar.app.studio.gallery import Gallery
from avatar.core.choices import Corner
from avatar.core.config_file import checked
from avatar.core.errors import UsageError
from avatar.core.files import STILL_SUFFIXES
from avatar.core.frames import Face
from avatar.core.home import Home
from avatar.core.messages import Message
from avatar.core.options import declared, default_of
from avatar.core.pictures import jpeg
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import choose_face, open_one
from avatar.sessions.still import StillMaker, drawn, look_like, save_still
from avatar.sessions.still_request import StillRequest
from avatar.sessions.upright import AvatarPhoto
from avatar.stages.generate.photo import load_photo
from avatar.stages.generate.picture_file import SENT_FORMATS, check_picture
from avatar.stages.motion.expressions import Look
from avatar.stages.track.choice import detect_faces

Label = Callable[[], tuple[str, Corner]]
SHOWN_PX = (1280, 720)
"""The room the picture has while its sliders are moved: what a page shows at once."""
_QUALITY = 88
# Open photographs, and faces whose expression is taken; a photograph takes up to 200 MB.
_MOST_OPEN, _MOST_FACES = 2, 8
GROUPS: dict[str, tuple[str, ...]] = {
    "head": ("turn", "nod", "tilt", "across", "down", "zoom"),
    "eyes": ("look", "look_down", "lids", "wink_left", "wink_right"),
    "brows": ("brows", "brows_inner"),
    "mouth": (
        "smile", "smile_left", "smile_right", "frown", "jaw", "pout", "press", "puff",
    ),
}  # fmt: skip
"""The sliders of the page, from the crown to the chin."""


def sliders() -> list[dict[str, Any]]:
    """Return the sliders as the page shows them, from their one declaration."""
    options = declared(StillRequest)
    found = []
    for group, names in GROUPS.items():
        for name in names:
            low, high, step = options[name].bounds or (0, 1, 0.05)
            found.append(
                {
                    "name": name, "group": group, "min": low, "max": high, "step": step,
                    "unit": options[name].unit, "default": default_of(name, StillRequest),
                }
            )  # fmt: skip
    return found


@dataclass
class _Open:
    """A photograph that is drawn; one thread at a time."""

    person: AvatarPhoto
    shown: StillMaker
    lock: threading.Lock = field(default_factory=threading.Lock)


class StillRoom:
    """Draws stills for the pages. Every method may be called from any thread and may block.

    ``label``: what stands in the pictures, and where, at present.
    """

    def __init__(
        self, home: Home, gallery: Gallery, face_model: Path | None, label: Label,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._home, self._gallery, self._label, self._say = home, gallery, label, say
        self._face_model = face_model
        self._opening = threading.Lock()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._faces: OrderedDict[str, Face] = OrderedDict()

    def picture(self, values: dict[str, Any]) -> bytes:
        """Return the photograph with its expression as JPEG, small enough to be shown at once.

        ``values``: ``photo``, an avatar's name; sliders by their names; ``like``, from ``like`` or
        an avatar's name after ``avatar:``. Raises ``UsageError`` and ``PhotoError``.
        """
        request = self._request(values)
        opened = self._opened(str(request.photo))
        begun = self._begun(values, opened.person)
        with opened.lock:
            frame = drawn(opened.shown, request, begun)
        return jpeg(frame.image, _QUALITY)

    def saved(self, values: dict[str, Any]) -> tuple[bytes, str]:
        """Return a file of the photograph's own size, and its suffix.

        ``values``: as of ``picture``, ``kind`` (png, jpg, webp) and ``frames``, so many side by
        side.
        """
        suffix = f".{values.get('kind', 'png')}"
        if suffix not in STILL_SUFFIXES:
            raise UsageError(f"expected one of {', '.join(STILL_SUFFIXES)}, found {suffix!r}")
        request = self._request(values)
        person = self._opened(str(request.photo)).person
        with StillMaker(person, self._home) as maker:
            frame = drawn(maker, request, self._begun(values, person))
        with TemporaryDirectory(prefix="webcam-avatar-") as folder:
            path = Path(folder) / f"still{suffix}"
            save_still(frame, path)
            return path.read_bytes(), suffix

    def like(self, photo: Path) -> str:
        """Return what stands for the expression of an uploaded photograph.

        Its face is kept as points until the program ends, and nothing of the picture. Raises
        ``PhotoError``.
        """
        check_picture(photo, SENT_FORMATS)
        model = find_face_model(self._face_model, self._home)
        face = choose_face(photo.name, detect_faces(load_photo(photo), model), self._say)
        key = f"face:{secrets.token_hex(8)}"
        self._keep(key, face)
        return key

    def close(self) -> None:
        """Let go of every photograph."""
        with self._opening:
            kept, self._open = list(self._open.values()), OrderedDict()
        for one in kept:
            _let_go(one)

    def _request(self, values: dict[str, Any]) -> StillRequest:
        names = {slider["name"] for slider in sliders()} | {"frames"}
        photo = values.get("photo")
        if not isinstance(photo, str):
            raise UsageError("expected the name of a photograph, found none")
        self._gallery.check_known(photo)
        given = {
            name: checked(name, value, StillRequest)
            for name, value in values.items()
            if name in names
        }
        text, corner = self._label()
        return StillRequest(photo=Path(photo), label_text=text, label_corner=corner, **given)

    def _opened(self, name: str) -> _Open:
        key = self._gallery.key(name)
        with self._opening:
            if key in self._open:
                self._open.move_to_end(key)
                return self._open[key]
        opened = self._new(name)
        with self._opening:
            # Another request may have opened it meanwhile: then that one is drawn.
            kept = self._open.setdefault(key, opened)
            self._open.move_to_end(key)
            older = [
                self._open.popitem(last=False)[1]
                for _ in range(max(0, len(self._open) - _MOST_OPEN))
            ]
        for one in older:
            _let_go(one)
        return kept

    def _new(self, name: str) -> _Open:
        model = find_face_model(self._face_model, self._home)
        person = open_one(name, model, self._home, lambda line: None)
        height, width = person.photo.shape[:2]
        shown = StillMaker(person, self._home, within((width, height), SHOWN_PX))
        shown.__enter__()
        return _Open(person, shown)

    def _begun(self, values: dict[str, Any], person: AvatarPhoto) -> Look:
        like = values.get("like")
        if not isinstance(like, str) or not like:
            return Look()
        if like.startswith("avatar:"):
            name = like.removeprefix("avatar:")
            like = self._gallery.key(name)
            if like not in self._faces:
                model = find_face_model(self._face_model, self._home)
                other = open_one(name, model, self._home, lambda line: None)
                self._keep(like, other.face)
        face = self._faces.get(like)
        if face is None:
            raise UsageError(
                Message("error.likeGone", "that expression is no longer kept: choose it again")
            )
        return look_like(face, person.face)

    def _keep(self, key: str, face: Face) -> None:
        with self._opening:
            self._faces[key] = face
            while len(self._faces) > _MOST_FACES:
                self._faces.popitem(last=False)


def _let_go(one: _Open) -> None:
    with one.lock:
        one.shown.__exit__(None, None, None)


def within(size_px: tuple[int, int], most_px: tuple[int, int]) -> tuple[int, int]:
    """Return a photograph's size, or a smaller one of its shape, that lies within ``most_px``."""
    scale = min(1.0, *(most / size for most, size in zip(most_px, size_px, strict=True)))
    width, height = (max(2, round(size * scale / 2) * 2) for size in size_px)
    return width, height
