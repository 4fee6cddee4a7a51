"""Strips of pictures for a report's page: rows of drivers and avatars, frame under frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avatar.core.frames import UInt8Image
from avatar.core.pictures import jpeg
from avatar.measure.page import Html, element, joined, picture

_TILE_PX = 192
_MARGIN_PX = 92
_JPEG_QUALITY = 84

NOTICE = (
    "Every picture in a row named avatar is generated. It shows real people and works of others: "
    "keep this page to yourself."
)


def strip_section(
    title: str,
    names: Sequence[str],
    tiles: Sequence[Sequence[UInt8Image]],
    captions: Sequence[str],
    tile_px: int = _TILE_PX,
) -> Html:
    """Return a heading and its strip: ``tiles`` row by row, each of the side ``tile_px``."""
    strip = _strip(names, tiles, captions, tile_px)
    return joined(element("h2", title), picture(title, jpeg(strip, _JPEG_QUALITY), "jpeg"))


def _strip(
    names: Sequence[str],
    tiles: Sequence[Sequence[UInt8Image]],
    captions: Sequence[str],
    side: int,
) -> UInt8Image:
    """Lay tiles out in rows; each row's name stands before it, in the picture itself."""
    import cv2

    line = 18
    height, width = side * len(tiles) + line, _MARGIN_PX + side * len(tiles[0])
    sheet = np.full((height, width, 3), 32, np.uint8)
    for y, row in enumerate(tiles):
        _write(sheet, names[y], 4, y * side + side // 2)
        if names[y] == "avatar":
            _write(sheet, "(generated)", 4, y * side + side // 2 + 16)
        for x, tile in enumerate(row):
            small = cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA)
            left = _MARGIN_PX + x * side
            sheet[y * side : (y + 1) * side, left : left + side] = small
    for x, caption in enumerate(captions):
        _write(sheet, caption, _MARGIN_PX + x * side + 4, height - 5)
    return sheet


def _write(sheet: UInt8Image, text: str, x: int, y: int) -> None:
    import cv2

    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (220, 220, 220), 1, cv2.LINE_AA)
