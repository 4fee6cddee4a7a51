"""What part of the photograph the output shows: the canvas on which the avatar is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from avatar.core.choices import Framing
from avatar.core.errors import UsageError
from avatar.core.face.bounds import surface_bounds
from avatar.core.frames import Face, Float32, UInt8Image

DEFAULT_PORTRAIT_PX = (512, 512)
# The face oval's height as a share of the picture's, and where its centre stands.
_FACE_SHARE = 0.42
_FACE_CENTRE = 0.44
_CLOSER = 1.3
# The whole head with hair and chin, from the face's centre, in face heights (x, y).
_HEAD_LOW, _HEAD_HIGH = (0.65, 0.95), (0.65, 0.65)
# A picture is made wider than the output by so many outputs at the most.
_WIDEST = 0.5


@dataclass(frozen=True)
class View:
    """The user's own choice of cut: ``zoom`` above 1 is closer; pans in shares of the output."""

    zoom: float = 1.0
    pan_x: float = 0.0
    pan_y: float = 0.0

    def zoomed(self, factor: float) -> View:
        """Return the view closer or farther, within sensible limits."""
        return replace(self, zoom=min(4.0, max(0.4, self.zoom * factor)))

    def panned(self, x: float, y: float) -> View:
        """Return the view moved by shares of the output, within one picture's size."""
        return replace(
            self,
            pan_x=min(1.0, max(-1.0, self.pan_x + x)),
            pan_y=min(1.0, max(-1.0, self.pan_y + y)),
        )


@dataclass(frozen=True, eq=False)
class Canvas:
    """The photograph as the output shows it.

    ``image``: uint8 (H, W, 3) RGB, the output's size. ``face``: its landmarks in this picture.
    ``scale``: output pixels of one photo pixel. ``offset_px``: where the photo's top-left corner
    stands. ``photo_rect``: (left, top, right, bottom) of the photo in the canvas, clipped to it.
    ``margin_px``: how much wider than the output the picture is on every side.
    """

    image: UInt8Image
    face: Face
    scale: float
    offset_px: tuple[float, float]
    photo_rect: tuple[int, int, int, int]
    margin_px: int = 0

    def inner(self) -> Canvas:
        """Return the output's own canvas, without the margin."""
        margin = self.margin_px
        height, width = (length - 2 * margin for length in self.image.shape[:2])
        image = np.ascontiguousarray(self.image[margin : margin + height, margin : margin + width])
        landmarks = self.face.landmarks_px - np.array([margin, margin, 0], np.float32)
        face = Face(landmarks, self.face.blendshapes, self.face.pose, (width, height))
        left, top, right, bottom = (edge - margin for edge in self.photo_rect)
        rect = (max(0, left), max(0, top), min(width, right), min(height, bottom))
        offset = (self.offset_px[0] - margin, self.offset_px[1] - margin)
        return Canvas(image, face, self.scale, offset, rect)


def even_size(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the size rounded down to even numbers, as 4:2:0 video needs."""
    return max(2, size_px[0] // 2 * 2), max(2, size_px[1] // 2 * 2)


def default_size(photo: UInt8Image, framing: Framing) -> tuple[int, int]:
    """Return the output size where none was asked for: the photo's own, or 512×512."""
    if framing == "photo":
        return even_size((photo.shape[1], photo.shape[0]))
    return DEFAULT_PORTRAIT_PX


def make_canvas(
    photo: UInt8Image,
    face: Face,
    framing: Framing,
    size_px: tuple[int, int],
    view: View,
) -> Canvas:
    """Lay the photograph out in the output's size.

    ``portrait`` cuts head and shoulders; ``photo`` shows the whole picture. What the photo does
    not reach is filled with its own blurred enlargement, never left empty. There is nothing below
    the photo, so that nobody ends in the air.
    """
    return make_canvases(photo, [face], framing, size_px, view)[0]


def make_canvases(
    photo: UInt8Image,
    faces: Sequence[Face],
    framing: Framing,
    size_px: tuple[int, int],
    view: View,
    *,
    margin_faces: float = 0.0,
) -> list[Canvas]:
    """Lay the photograph out once for several of its faces; the canvases share one picture.

    ``portrait`` shows all their heads. ``margin_faces``: how much wider than the output the
    picture is made on every side, in heights of the largest face. Raises ``UsageError`` where the
    heads stand too far apart for the output's shape.
    """
    scale, left, top = _placement(photo, faces, framing, size_px, view)
    face_px = scale * max(_head_extent(face)[2] for face in faces)
    margin_px = round(min(margin_faces * face_px, _WIDEST * max(size_px)))
    wide = (size_px[0] + 2 * margin_px, size_px[1] + 2 * margin_px)
    left, top = left + margin_px, top + margin_px
    image, rect = _paint(photo, scale, left, top, wide)
    return [
        Canvas(image, _placed(face, scale, left, top, wide), scale, (left, top), rect, margin_px)
        for face in faces
    ]


def _placement(
    photo: UInt8Image,
    faces: Sequence[Face],
    framing: Framing,
    size_px: tuple[int, int],
    view: View,
) -> tuple[float, float, float]:
    """Return the photograph's scale, left and top in the output."""
    width, height = size_px
    photo_h, photo_w = photo.shape[:2]
    if framing == "photo":
        scale = min(width / photo_w, height / photo_h)
        left, top = (width - photo_w * scale) / 2, (height - photo_h * scale) / 2
    elif len(faces) == 1:
        scale, left, top = _portrait_placement(faces[0], (photo_w, photo_h), size_px)
    else:
        scale, left, top = _group_placement(faces, (photo_w, photo_h), size_px)
    # Whoever a photograph cuts off below stands on the output's lower edge.
    top = max(top, height - photo_h * scale)
    return _apply_view(view, scale, left, top, size_px)


def _placed(face: Face, scale: float, left: float, top: float, size_px: tuple[int, int]) -> Face:
    landmarks = face.landmarks_px * np.float32(scale)
    landmarks[:, :2] += np.array([left, top], np.float32)
    return Face(landmarks.astype(np.float32), face.blendshapes, face.pose, size_px)


def _group_placement(
    faces: Sequence[Face], photo_px: tuple[int, int], size_px: tuple[int, int]
) -> tuple[float, float, float]:
    """Return scale, left and top that show all heads and no strip beside the photo."""
    width, height = size_px
    extents = [_head_extent(face) for face in faces]
    low = np.maximum(np.min([low for low, _, _ in extents], axis=0), 0)
    high = np.minimum(np.max([high for _, high, _ in extents], axis=0), photo_px)
    largest = max(face_px for _, _, face_px in extents)
    fitting = float(np.min(np.array(size_px) / np.maximum(high - low, 1)))
    covering = max(width / photo_px[0], height / photo_px[1])
    if fitting < covering:
        need_w, need_h = (float(v) for v in np.maximum(high - low, 1))
        raise UsageError(
            f"expected faces that fit together into {width}×{height}; found {len(faces)} whose "
            f"heads take {need_w:.0f}×{need_h:.0f} of the photograph's "
            f"{photo_px[0]}×{photo_px[1]} pixels. Take the whole picture, --frame photo, or a "
            "--size of another shape."
        )
    scale = max(covering, min(fitting, _planned_scale(largest, size_px)))
    centre = (low + high) / 2
    left = _inside(width / 2 - float(centre[0]) * scale, photo_px[0] * scale, width, slack=1)
    top = _inside(height / 2 - float(centre[1]) * scale, photo_px[1] * scale, height, slack=1)
    return scale, left, top


def _head_extent(face: Face) -> tuple[Float32, Float32, float]:
    """Return the head's (left, top) and (right, bottom) in the photo, and the face's height."""
    low, high = surface_bounds(face)
    face_px = float(max(high[1] - low[1], (high[0] - low[0]) * 1.15, 1.0))
    centre = (low + high) / 2
    head_low = centre - np.array(_HEAD_LOW, np.float32) * face_px
    head_high = centre + np.array(_HEAD_HIGH, np.float32) * face_px
    return head_low.astype(np.float32), head_high.astype(np.float32), face_px


def _planned_scale(face_px: float, size_px: tuple[int, int]) -> float:
    """Return the scale at which a face has its share of the output."""
    # A tall output is limited by its width: the shoulders must still fit.
    return min(_FACE_SHARE * size_px[1], 0.55 * size_px[0]) / face_px


def _portrait_placement(
    face: Face, photo_px: tuple[int, int], size_px: tuple[int, int]
) -> tuple[float, float, float]:
    """Return scale, left and top that show head and shoulders.

    The cut prefers to stay inside the photo and closes in a little for that, as long as the whole
    head, as far as the photo has it, still fits.
    """
    width, height = size_px
    low, high = surface_bounds(face)
    centre = (low + high) / 2
    head_low, head_high, face_px = _head_extent(face)
    head_low, head_high = np.maximum(head_low, 0), np.minimum(head_high, photo_px)
    scale = _planned_scale(face_px, size_px)
    fitting = float(np.min(np.array(size_px) / np.maximum(head_high - head_low, 1)))
    covering = max(width / photo_px[0], height / photo_px[1])
    # Closer than planned only a little, but never farther than the whole photo.
    whole = min(width / photo_px[0], height / photo_px[1])
    closest = max(whole, min(fitting, _CLOSER * scale))
    # A narrow strip beside the photo looks like a fault: rather a little closer than planned.
    scale = max(scale, covering if covering <= 1.12 * closest else min(covering, closest))
    left = width / 2 - float(centre[0]) * scale
    top = _FACE_CENTRE * height - float(centre[1]) * scale
    left = _inside(left, photo_px[0] * scale, width, slack=0.12)
    top = _inside(top, photo_px[1] * scale, height, slack=0.12)
    # The crown matters more than the chest.
    return scale, left, max(top, min(0.0, -float(head_low[1]) * scale))


def _inside(start: float, length: float, room: int, slack: float) -> float:
    """Move the photo, by at most ``slack`` of the room, so that it covers the output."""
    if length < room:
        centred = (room - length) / 2
        return min(max(start, centred - slack * room), centred + slack * room)
    wanted = min(0.0, max(room - length, start))
    return min(start + slack * room, max(start - slack * room, wanted))


def _apply_view(
    view: View, scale: float, left: float, top: float, size_px: tuple[int, int]
) -> tuple[float, float, float]:
    middle_x, middle_y = size_px[0] / 2, size_px[1] / 2
    left = middle_x + (left - middle_x) * view.zoom + view.pan_x * size_px[0]
    top = middle_y + (top - middle_y) * view.zoom + view.pan_y * size_px[1]
    return scale * view.zoom, left, top


def _paint(
    photo: UInt8Image, scale: float, left: float, top: float, size_px: tuple[int, int]
) -> tuple[UInt8Image, tuple[int, int, int, int]]:
    """Draw the photo at its place, over its own blurred enlargement where it does not reach.

    Returns the picture and the photo's (left, top, right, bottom) in it.
    """
    import cv2

    width, height = size_px
    shrunk, inner = photo, scale
    if scale < 0.5:
        # Halve first: warpAffine samples single pixels and would alias.
        ratio = max(scale * 1.5, 1 / max(photo.shape[:2]))
        half = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        shrunk = np.asarray(half, np.uint8)
        inner = scale * photo.shape[1] / shrunk.shape[1]
    # Pixel centres: x_out = (x + 0.5) · scale + left − 0.5.
    shift = 0.5 * inner - 0.5
    matrix = np.array([[inner, 0, left + shift], [0, inner, top + shift]], np.float64)
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    picture = cv2.warpAffine(shrunk, matrix, size_px, flags=method, borderMode=cv2.BORDER_REPLICATE)
    photo_h, photo_w = photo.shape[:2]
    x0, y0 = min(width, max(0, round(left))), min(height, max(0, round(top)))
    x1 = max(x0, min(width, round(left + photo_w * scale)))
    y1 = max(y0, min(height, round(top + photo_h * scale)))
    rect = (x0, y0, x1, y1)
    if rect == (0, 0, width, height):
        return np.asarray(picture, np.uint8), rect
    filled = _blurred_cover(photo, size_px)
    filled[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    return filled, rect


def _blurred_cover(photo: UInt8Image, size_px: tuple[int, int]) -> UInt8Image:
    import cv2

    width, height = size_px
    ratio = max(width / photo.shape[1], height / photo.shape[0])
    # Blurred at a sixteenth of the size: as smooth, and instant.
    small_w, small_h = max(1, width // 16), max(1, height // 16)
    cover = cv2.resize(
        photo,
        (max(small_w, round(photo.shape[1] * ratio / 16)),
         max(small_h, round(photo.shape[0] * ratio / 16))),
        interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    y, x = (cover.shape[0] - small_h) // 2, (cover.shape[1] - small_w) // 2
    cut = cv2.GaussianBlur(cover[y : y + small_h, x : x + small_w], (0, 0), 2.5)
    blurred = cv2.resize(cut, size_px, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.convertScaleAbs(blurred, alpha=0.6), np.uint8)


def driver_to_canvas(
    canvas: Canvas, driver_size_px: tuple[int, int], head_centre_px: Float32, head_scale_px: float,
    avatar_centre_px: Float32, avatar_scale_px: float,
) -> tuple[float, Float32]:  # fmt: skip
    """Return (scale, offset) that carry the driver's pixels onto the canvas, for absolute motion.

    The driver's picture is laid over the photograph, centre on centre, as large as fits. Where
    that would tear the head away from its body (another framing than the photo's), the driver's
    present head is laid on the avatar's instead.
    """
    left, top = canvas.offset_px
    photo_w = (canvas.image.shape[1] / 2 - left) * 2
    photo_h = (canvas.image.shape[0] / 2 - top) * 2
    scale = min(photo_w / driver_size_px[0], photo_h / driver_size_px[1])
    offset = np.array(
        [
            canvas.image.shape[1] / 2 - driver_size_px[0] * scale / 2,
            canvas.image.shape[0] / 2 - driver_size_px[1] * scale / 2,
        ],
        np.float32,
    )
    placed = head_centre_px * np.float32(scale) + offset
    ratio = head_scale_px * scale / avatar_scale_px
    apart = float(np.linalg.norm(placed - avatar_centre_px)) / avatar_scale_px
    if 0.7 < ratio < 1.4 and apart < 1.2:
        return scale, offset
    scale = avatar_scale_px / head_scale_px
    return scale, (avatar_centre_px - head_centre_px * np.float32(scale)).astype(np.float32)
