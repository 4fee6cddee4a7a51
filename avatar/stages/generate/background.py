"""What stands behind the avatar: the photograph's own background, or something in its place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import PhotoError, UsageError
from avatar.core.files import expanded
from avatar.core.frames import UInt8Image
from avatar.stages.generate.photo import load_photo

Kind = Literal["photo", "blur", "transparent", "colour", "picture"]
WORDS = ("photo", "blur", "transparent")
# The blur of a background, as a share of the picture's longer side: shapes go, light stays.
_BLUR_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Background:
    """What ``--background`` asked for.

    ``colour``: RGB, where ``kind`` is ``colour``. ``picture``: uint8 (H, W, 3) RGB of any size,
    where it is ``picture``.
    """

    kind: Kind = "photo"
    colour: tuple[int, int, int] = (0, 0, 0)
    picture: UInt8Image | None = None

    @property
    def own(self) -> bool:
        """Return whether the photograph's background stays as it is."""
        return self.kind == "photo"

    @property
    def another(self) -> bool:
        """Return whether nothing of the photograph's background is to be seen."""
        return self.kind not in ("photo", "blur")

    def behind(self, plate: UInt8Image) -> NDArray[np.uint8]:
        """Return what the people are laid over: uint8 (H, W, 3), or (H, W, 4) where transparent.

        ``plate``: uint8 (H, W, 3), the photograph's background with the people filled in.
        """
        height, width = plate.shape[:2]
        if self.kind == "transparent":
            return np.zeros((height, width, 4), np.uint8)
        if self.kind == "colour":
            return np.full((height, width, 3), self.colour, np.uint8)
        if self.kind == "blur":
            return _blurred(plate)
        if self.picture is not None:
            return cover(self.picture, (width, height))
        return plate


PHOTO = Background()


def parse_background(text: str) -> Background:
    """Return the background that ``text`` names; a picture is read at once.

    ``text``: ``photo``, ``blur``, ``transparent``, a colour (``green``, ``#00ff00``), or the path
    of a picture. A file with a colour's name is written ``./green``.
    Raises ``UsageError`` for what is none of them, ``PhotoError`` for an unreadable picture.
    """
    word = text.strip().lower()
    if word == "photo":
        return PHOTO
    if word == "blur":
        return Background("blur")
    if word == "transparent":
        return Background("transparent")
    colour = _colour(word)
    if colour is not None:
        return Background("colour", colour)
    path = expanded(text)
    if not path.is_file():
        raise UsageError(_unknown(text, path))
    try:
        return Background("picture", picture=load_photo(path))
    except PhotoError as error:
        raise PhotoError(f"--background: {error}") from error


def cover(picture: UInt8Image, size_px: tuple[int, int]) -> UInt8Image:
    """Return the middle of ``picture``, uint8 (H, W, 3), so large that it fills (width, height)."""
    import cv2

    width, height = size_px
    photo_h, photo_w = picture.shape[:2]
    ratio = max(width / photo_w, height / photo_h)
    cut_w, cut_h = min(photo_w, round(width / ratio)), min(photo_h, round(height / ratio))
    left, top = (photo_w - cut_w) // 2, (photo_h - cut_h) // 2
    cut = picture[top : top + max(1, cut_h), left : left + max(1, cut_w)]
    method = cv2.INTER_CUBIC if ratio > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(cut, size_px, interpolation=method), np.uint8)


def _blurred(plate: UInt8Image) -> UInt8Image:
    import cv2

    sigma = max(1.0, _BLUR_SHARE * max(plate.shape[:2]))
    return np.asarray(cv2.GaussianBlur(plate, (0, 0), sigma), np.uint8)


def _colour(word: str) -> tuple[int, int, int] | None:
    """Return the RGB of a CSS colour name or of ``#rgb`` and ``#rrggbb``, else None."""
    from PIL import ImageColor

    if not (word in ImageColor.colormap or (word.startswith("#") and len(word) in (4, 7))):
        return None
    try:
        red, green, blue = ImageColor.getrgb(word)[:3]
    except ValueError:
        return None
    return red, green, blue


def _unknown(text: str, path: Path) -> str:
    from PIL import ImageColor

    known = f"{', '.join(WORDS)}, a colour such as green or #00ff00, or a picture's file"
    if path.is_dir():
        return f"--background: expected {known}; found a folder, {path}."
    if path.suffix or len(path.parts) > 1:
        return f"--background: expected {known}; found no file {path}. Check the spelling."
    near = difflib.get_close_matches(text.lower(), [*WORDS, *ImageColor.colormap], 1, 0.7)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"--background: expected {known}; found {text!r}, which is none of them.{hint}"
