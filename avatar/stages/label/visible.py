"""A persistent label: light text on a dark plate with a light rim, in a corner of every frame.

The plate makes the text readable on any picture, the rim makes the plate visible on a dark one.
Both are grey, so that the subsampled colour of a video (4:2:0) takes nothing away.
"""

from __future__ import annotations

import math
import threading
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from avatar.core.choices import Corner
from avatar.core.errors import UsageError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Seal, UInt8Image
from avatar.core.messages import Message
from avatar.stages.label.fonts import find_font

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

CORNERS: tuple[Corner, ...] = get_args(Corner)
DEFAULT_TEXT = "AI"

# GB 45438-2025 asks for 5 % of the shortest side; a little more survives scaling and rounding.
_HEIGHT_FRACTION = 0.052
_LEAST_HEIGHT_PX = 8
_LEAST_FRAME_PX = 32

# Shares of the text's height.
_PADDING = 0.5
_MARGIN = 0.55
_RADIUS = 0.5
_RIM = 0.06

_PLATE = (16, 17, 20)
_PLATE_OPACITY = 0.74
_RIM_COLOUR = (255, 255, 255)
_RIM_OPACITY = 0.55
_TEXT_COLOUR = (255, 255, 255)
_SUPERSAMPLING = 4

_SEAL = Seal()


@dataclass(frozen=True, eq=False)
class _Plate:
    """The label drawn for one frame size.

    ``colour``: uint16 (h, w, 3), premultiplied by opacity and 256. ``keep``: uint16 (h, w, 3),
    256 minus the opacity: how much of the picture stays. ``cover``: uint8 (h, w), where the plate
    is: there a transparent picture becomes opaque. ``margin_px``: distance from the corner.
    ``scratch``: uint16 (h, w, 3), overwritten by each frame.
    """

    colour: NDArray[np.uint16]
    keep: NDArray[np.uint16]
    cover: NDArray[np.uint8]
    scratch: NDArray[np.uint16]
    margin_px: int
    text_height_px: int


class VisibleLabel:
    """Draws ``text`` into a corner of every frame; safe to steer from another thread.

    The capitals are at least 5 % of the frame's shortest side high. ``grid``: of so many columns
    and rows of pictures each has a label of its own, as each can be cut out. Raises ``UsageError``
    for a text that shows nothing or that no font can draw.
    """

    def __init__(
        self,
        text: str = DEFAULT_TEXT,
        corner: Corner = "top-right",
        grid: tuple[int, int] = (1, 1),
    ) -> None:
        if corner not in CORNERS:
            raise UsageError(
                f"The label's corner must be one of {', '.join(CORNERS)}; found {corner!r}."
            )
        self._text = _checked_text(text)
        self._font_path = find_font(self._text)
        self._corner: Corner = corner
        self._grid = grid
        self._plates: dict[tuple[int, int], _Plate] = {}
        self._lock = threading.Lock()

    @property
    def text(self) -> str:
        """Return what stands on the plate."""
        return self._text

    @property
    def corner(self) -> Corner:
        """Return where the label is drawn now."""
        with self._lock:
            return self._corner

    def next_corner(self) -> Corner:
        """Move the label to the next corner, anticlockwise, and return that corner."""
        with self._lock:
            self._corner = CORNERS[(CORNERS.index(self._corner) + 1) % len(CORNERS)]
            return self._corner

    def prepare(self, size_px: tuple[int, int]) -> tuple[int, int]:
        """Draw the plate for frames of ``size_px`` (width, height) and return its size.

        Raises ``UsageError`` when the text does not fit into such a frame.
        """
        with self._lock:
            height, width, _ = self._plate(self._cell_px(size_px)).colour.shape
        return width, height

    def _cell_px(self, size_px: tuple[int, int]) -> tuple[int, int]:
        return size_px[0] // self._grid[0], size_px[1] // self._grid[1]

    def label(self, frame: GeneratedFrame) -> LabelledFrame:
        """Return the frame with the label blended into it, opaque where the picture is not.

        Draws into ``frame.image`` and ``frame.alpha`` themselves, or into copies when they are
        read-only.
        """
        image, alpha = _writable(frame.image), frame.alpha
        with self._lock:
            plate = self._plate(self._cell_px((image.shape[1], image.shape[0])))
            for cell in self._cells(image):
                _blend(plate, _region(cell, plate, self._corner))
            if alpha is not None:
                alpha = _writable(alpha)
                for cell in self._cells(alpha):
                    _cover(plate, _region(cell, plate, self._corner))
        return LabelledFrame(
            image, frame.timestamp_ns, frame.index, frame.presence, self._text, _SEAL, alpha
        )

    def _cells(self, image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """Return the pictures that ``image`` is made of, as views."""
        width, height = self._cell_px((image.shape[1], image.shape[0]))
        columns, rows = self._grid
        return [
            image[row * height : (row + 1) * height, column * width : (column + 1) * width]
            for row in range(rows)
            for column in range(columns)
        ]

    def _plate(self, size_px: tuple[int, int]) -> _Plate:
        plate = self._plates.get(size_px)
        if plate is None:
            plate = self._plates[size_px] = self._draw(size_px)
        return plate

    def _draw(self, size_px: tuple[int, int]) -> _Plate:
        width, height = size_px
        if min(size_px) < _LEAST_FRAME_PX:
            raise UsageError(
                f"A label needs a frame of at least {_LEAST_FRAME_PX}×{_LEAST_FRAME_PX} pixels; "
                f"found {width}×{height}. Choose a larger --size."
            )
        text_height = max(_LEAST_HEIGHT_PX, math.ceil(min(size_px) * _HEIGHT_FRACTION))
        rgba, cover = _draw_plate(self._text, self._font(text_height), text_height)
        plate = _premultiplied(rgba, cover, text_height)
        needed_w, needed_h = (n + 2 * plate.margin_px for n in plate.colour.shape[1::-1])
        if needed_w > width or needed_h > height:
            raise UsageError(
                f"The label {self._text!r} is too long: at the height that the rules ask for "
                f"({text_height} pixels) it needs {needed_w}×{needed_h} pixels, but the frame is "
                f"{width}×{height}. Shorten --label-text."
            )
        return plate

    def _font(self, text_height_px: int) -> FreeTypeFont:
        """Load the font so that both its capitals and this text are tall enough.

        Drawn larger and reduced later: placing to a fraction of a pixel gives even edges.
        """
        from PIL import ImageFont

        trial = 256
        font = ImageFont.truetype(self._font_path, trial)
        heights = [_ink_height(font, "H"), _ink_height(font, self._text)]
        if heights[1] == 0:
            raise UsageError(f"The label {self._text!r} shows nothing; choose a visible text.")
        smallest = min(height for height in heights if height)
        target = text_height_px * _SUPERSAMPLING
        return ImageFont.truetype(self._font_path, math.ceil(trial * target / smallest))


def _checked_text(text: str) -> str:
    """Return ``text`` composed and trimmed, or raise ``UsageError`` when it shows nothing."""
    clean = unicodedata.normalize("NFC", text).strip()
    if not any(unicodedata.category(char).startswith("L") for char in clean):
        raise UsageError(
            Message(
                "error.labelEmpty",
                "The label needs a text with at least one letter, such as 'AI'; found {found}. To "
                "run without a label use --no-label --acknowledge-disclosure-duty.",
                found=repr(text),
            )
        )
    hidden = [char for char in clean if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")]
    if hidden:
        raise UsageError(
            f"The label must be one line of visible characters; {text!r} has "
            f"{', '.join(f'U+{ord(char):04X}' for char in dict.fromkeys(hidden))}. Remove them."
        )
    if _needs_shaping(clean) and not _can_shape():
        raise UsageError(
            f"The label {text!r} is in a script whose letters join or turn; drawing it needs the "
            "library FriBiDi. Debian, Ubuntu: sudo apt install libfribidi0. Or choose another "
            "--label-text."
        )
    return clean


def _needs_shaping(text: str) -> bool:
    return any(
        unicodedata.bidirectional(char) in ("R", "AL") or unicodedata.category(char)[0] == "M"
        for char in text
    )


def _can_shape() -> bool:
    from PIL import features

    return bool(features.check("raqm"))


def _ink_height(font: FreeTypeFont, text: str) -> int:
    _, top, _, bottom = font.getbbox(text)
    return round(bottom - top)


def _draw_plate(
    text: str, font: FreeTypeFont, text_height_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the label as premultiplied float32 (h, w, 4), opacity in [0, 1], and its outline.

    The outline, float32 (h, w), is 1 on all of the plate, however much shows through it. The
    text's ink is centred on the plate, whatever the font's own spacing says.
    """
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(text)
    unit = text_height_px * _SUPERSAMPLING
    padding = round(unit * _PADDING)
    wide, high = round(right - left), round(bottom - top)
    width, height = (
        math.ceil((n + 2 * padding) / _SUPERSAMPLING) * _SUPERSAMPLING for n in (wide, high)
    )
    shape = (0, 0, width - 1, height - 1)
    rim_px = max(_SUPERSAMPLING, round(unit * _RIM))
    radius = round(unit * _RADIUS)

    body = Image.new("L", (width, height))
    ImageDraw.Draw(body).rounded_rectangle(shape, radius, fill=255)
    rim = Image.new("L", (width, height))
    ImageDraw.Draw(rim).rounded_rectangle(shape, radius, outline=255, width=rim_px)
    ink = Image.new("L", (width, height))
    origin = ((width - wide) / 2 - left, (height - high) / 2 - top)
    ImageDraw.Draw(ink).text(origin, text, fill=255, font=font)

    small = (width // _SUPERSAMPLING, height // _SUPERSAMPLING)
    masks = [np.asarray(mask.resize(small, Image.Resampling.BOX)) for mask in (body, rim, ink)]
    body_a, rim_a, ink_a = (mask.astype(np.float32) / np.float32(255) for mask in masks)
    canvas = np.zeros((small[1], small[0], 4), np.float32)
    canvas = _over(canvas, _PLATE, body_a * _PLATE_OPACITY)
    canvas = _over(canvas, _RIM_COLOUR, rim_a * _RIM_OPACITY)
    return _over(canvas, _TEXT_COLOUR, ink_a), body_a


def _over(
    below: NDArray[np.float32], colour: tuple[int, int, int], opacity: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Lay one colour over premultiplied (h, w, 4); Porter and Duff's 'over' operator (1984)."""
    top = np.empty_like(below)
    top[..., :3] = np.asarray(colour, np.float32) * opacity[..., None]
    top[..., 3] = opacity
    return top + below * (1 - opacity[..., None])


def _premultiplied(
    rgba: NDArray[np.float32], cover: NDArray[np.float32], text_height_px: int
) -> _Plate:
    """Turn premultiplied float RGBA into the integers that ``_blend`` uses.

    Opacity is in 256ths, so that dividing is a shift; +128 rounds. An opaque white gives
    255·256+128, which still fits 16 bits, and so does any blend with a picture.
    """
    opacity = np.rint(rgba[..., 3:] * 256)
    colour = (np.rint(rgba[..., :3] * 256) + 128).astype(np.uint16)
    keep = np.broadcast_to(256 - opacity, colour.shape).astype(np.uint16)
    # Rounding of both parts must not carry a light picture past 255.
    room = 65535 - keep.astype(np.int64) * 255
    colour = np.minimum(colour, room).astype(np.uint16)
    margin = round(text_height_px * _MARGIN)
    opaque = np.maximum(cover, rgba[..., 3]) * 255
    solid = np.rint(opaque).astype(np.uint8)
    return _Plate(colour, keep, solid, np.empty_like(colour), margin, text_height_px)


def _writable(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return array if array.flags.writeable else array.copy()


def _region(image: UInt8Image, plate: _Plate, corner: Corner) -> UInt8Image:
    """Return the view of ``image`` that the plate covers."""
    height, width, _ = plate.colour.shape
    bottom, right = image.shape[0] - plate.margin_px, image.shape[1] - plate.margin_px
    top = plate.margin_px if corner.startswith("top") else bottom - height
    left = plate.margin_px if corner.endswith("left") else right - width
    return image[top : top + height, left : left + width]


def _blend(plate: _Plate, region: UInt8Image) -> None:
    """Lay the plate over ``region`` in place."""
    np.multiply(region, plate.keep, out=plate.scratch)
    np.add(plate.scratch, plate.colour, out=plate.scratch)
    np.right_shift(plate.scratch, 8, out=plate.scratch)
    np.copyto(region, plate.scratch, casting="unsafe")


def _cover(plate: _Plate, region: NDArray[np.uint8]) -> None:
    """Make ``region`` of an alpha opaque in place where the plate is.

    The plate's own rim is antialiased, so both coverages are combined as 'over' does it.
    """
    through = (255 - plate.cover).astype(np.uint16) * (255 - region)
    np.copyto(region, 255 - (through + 127) // 255, casting="unsafe")
