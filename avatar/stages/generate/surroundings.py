"""What lies around the output: the photograph beyond the cut, and beyond its own edges.

A head that turns or moves brings into the picture what stood beside it. Where the photograph has
it, it is the photograph's own; where that ends, the person goes on as people do (hair rounds off,
shoulders fall, a neck stands on a body) and the background in its own texture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import HeadShape, decompose
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.cutout import Rect
from avatar.stages.generate.fill import fill_unknown
from avatar.stages.generate.framing import Canvas
from avatar.stages.generate.matte import FaceFrame, Layers, coverage, face_frame, split_layers
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.texture import copied, texture_places

AROUND = 0.45
"""How far beyond the output the picture is made, in face heights."""

# Hair that an edge cuts reaches on to where hair usually ends, across and along the face, half
# faces, but not beyond so much of half the cut, and a little at least.
_HAIR, _ROUND, _TIP = (1.45, 1.9), 0.45, 0.08
# Shoulders reach so far from the face's middle, and on beyond a side by so much at least; half
# faces.
_SHOULDER, _LEAST = 3.0, 0.6
# What an edge cuts so far below the face's middle, half faces, is no head.
_BODY = -1.2
# A head with its hair: half its width and height, and where its middle is; half faces.
_HEAD, _HEAD_MIDDLE = (1.35, 1.6), 0.25
# Background nearer to the person than this is not taken for texture, half faces; nor are pixels at
# the photograph's own edge, which scanning and scaling darken.
_APART, _RIM_PX = 0.06, 2
# Beyond an edge goes on what is so near to it in the photograph; a chin begins below the mouth;
# half faces.
_BESIDE, _CHIN = 0.6, -0.75
# So many pixels are matched, at whatever size.
_MATCHED = 30_000


def split_wide(
    canvas: Canvas,
    mattes: MatteCache | None = None,
    others: Sequence[FaceFrame] = (),
    *,
    first: bool = True,
    apart: bool = False,
) -> tuple[Canvas, Layers]:
    """Complete a canvas that is wider than its output, and split it.

    ``mattes`` and ``others`` as for ``split_layers``. ``first``: nothing was continued yet around
    the photograph. ``apart``: the person is to stand before another background. Returns the canvas
    with everything around the photograph continued, and its layers.
    """
    landmarks, head = canvas.face.landmarks_px, decompose(canvas.face)
    alpha = wide_coverage(canvas.image, canvas.photo_rect, landmarks, head, others, mattes)
    image = completed(canvas, alpha, face_frame(landmarks, head)) if first else canvas.image
    within = whole(image) if apart else None
    layers = split_layers(image, landmarks, head, apart_within=within, alpha=alpha)
    left, top, right, bottom = canvas.photo_rect
    crown = layers.crown_px
    layers = replace(layers, photo_rect=(left, top + crown, right, bottom + crown))
    return replace(canvas, image=image), layers


def whole(image: UInt8Image) -> Rect:
    """Return the rectangle of all of ``image``."""
    return 0, 0, image.shape[1], image.shape[0]


def wide_coverage(
    image: UInt8Image,
    rect: Rect,
    landmarks_px: Float32,
    head: HeadShape,
    others: Sequence[FaceFrame],
    mattes: MatteCache | None,
) -> Float32:
    """Return the person's coverage, float32 (H, W), as cut in ``rect`` and continued around it."""
    left, top, right, bottom = rect
    origin = np.array([left, top, 0], np.float32)
    moved = replace(head, centre_px=head.centre_px - origin)
    elsewhere = [face.scaled(1.0, origin[:2]) for face in others]
    part = np.ascontiguousarray(image[top:bottom, left:right])
    theirs = _heads_of_others(part.shape, face_frame(landmarks_px - origin, moved), elsewhere)
    if theirs is not None:
        part = _without(part, *theirs)
    cut = coverage(part, landmarks_px - origin, moved, elsewhere, mattes)
    alpha = np.zeros(image.shape[:2], np.float32)
    alpha[top:bottom, left:right] = cut
    _continue_person(alpha, rect, face_frame(landmarks_px, head))
    return alpha


def _heads_of_others(
    shape: tuple[int, ...], frame: FaceFrame, others: Sequence[FaceFrame]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Return where other people's heads are, and where any head is; None without others."""
    if not others:
        return None
    own = _from_head(shape, frame)
    nearest = np.min([_from_head(shape, other) for other in others], axis=0)
    return (nearest < 1) & (nearest < own), np.minimum(nearest, own) < 1


def _from_head(shape: tuple[int, ...], frame: FaceFrame) -> Float32:
    """Return how far pixels are from the middle of a head, float32 (H, W); 1 is its edge."""
    uv = _coordinates(shape, frame)
    u, v = uv[..., 0] / _HEAD[0], (uv[..., 1] - _HEAD_MIDDLE) / _HEAD[1]
    return np.asarray(np.hypot(u, v), np.float32)


def _without(image: UInt8Image, theirs: NDArray[np.bool_], heads: NDArray[np.bool_]) -> UInt8Image:
    """Return ``image`` with other people's heads painted over by what is between heads.

    Hair and skin are of much the same colours in everybody: left in, they would be the background's
    colours, and everybody's hair would be taken for background.
    """
    between = fill_unknown(image, (~heads).astype(np.float32))
    return np.where(theirs[..., None], between, image)


def completed(canvas: Canvas, alpha: Float32, frame: FaceFrame) -> UInt8Image:
    """Return the canvas's picture with person and background continued around the photograph.

    ``alpha``: float32 (H, W), the person's coverage. ``frame``: the face's.
    """
    image = canvas.image
    inside = _photograph(canvas)
    if inside.all():
        return image
    beside_px = _APART * float(frame.half_px[1])
    away = inside & ~_within(alpha, beside_px)
    # Nothing of the background is ever seen outside the output: there it only must not disturb.
    smooth = np.where(inside[..., None], image, fill_unknown(image, away.astype(np.float32)))
    behind = _continued(smooth, ~inside & _output(canvas), away)
    person = _person(image, alpha, inside, frame, canvas.photo_rect)
    cover = alpha[..., None]
    around = person * cover + behind * (1 - cover)
    return np.where(inside[..., None], image, np.asarray(around + 0.5, np.uint8))


def _person(
    image: UInt8Image, alpha: Float32, inside: NDArray[np.bool_], frame: FaceFrame, rect: Rect
) -> UInt8Image:
    """Return ``image`` with the person's own colours around the photograph, ``rect``.

    What an edge cuts goes on as what is beside that edge: hair as hair, clothes as clothes. No
    face goes on, but for the chin where it meets the neck.
    """
    left, top, right, bottom = rect
    beyond, own = ~inside & (alpha > 0), inside & (alpha > 0.95)
    uv = _coordinates(alpha.shape, frame)
    face = (uv[..., 0] / 1.1) ** 2 + uv[..., 1] ** 2 < 1
    near = round(_BESIDE * float(frame.half_px[1]))
    chin = uv[..., 1] < _CHIN
    rows = np.s_[top:bottom]
    for unknown, beside, usable in (
        (np.s_[rows, :left], np.s_[:, left : left + near], ~face),
        (np.s_[rows, right:], np.s_[:, max(0, right - near) : right], ~face),
        (np.s_[:top], np.s_[top : top + near], ~face),
        (np.s_[bottom:], np.s_[max(0, bottom - near) : bottom], ~face | chin),
    ):
        wanted, taken = np.zeros_like(own), np.zeros_like(own)
        wanted[unknown] = beyond[unknown]
        taken[beside] = (own & usable)[beside]
        image = _continued(image, wanted, taken)
    return image


def _output(canvas: Canvas) -> NDArray[np.bool_]:
    """Return where in the canvas the output is, bool (H, W)."""
    margin = canvas.margin_px
    height, width = canvas.image.shape[:2]
    shown = np.zeros((height, width), bool)
    shown[margin : height - margin, margin : width - margin] = True
    return shown


def _within(alpha: Float32, by_px: float) -> NDArray[np.bool_]:
    """Return where the person is, and what is nearer to them than ``by_px``, bool (H, W)."""
    import cv2

    size = 2 * max(1, round(by_px)) + 1
    return np.asarray(cv2.dilate(alpha, np.ones((size, size), np.uint8)) > 0.02)


def _coordinates(shape: tuple[int, ...], frame: FaceFrame) -> Float32:
    """Return each pixel's face coordinates, float32 (H, W, 2)."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) + np.float32(0.5)
    return frame.coordinates(np.stack([x, y], axis=-1))


def _photograph(canvas: Canvas) -> NDArray[np.bool_]:
    """Return where the canvas shows the photograph, bool (H, W), but for its rim where seen."""
    margin = canvas.margin_px
    height, width = canvas.image.shape[:2]
    limits = (margin, margin, width - margin, height - margin)
    left, top, right, bottom = canvas.photo_rect
    x0, y0 = (low + _RIM_PX * (low > edge) for low, edge in zip((left, top), limits, strict=False))
    x1, y1 = (
        high - _RIM_PX * (high < edge)
        for high, edge in zip((right, bottom), limits[2:], strict=True)
    )
    inside = np.zeros((height, width), bool)
    inside[y0:y1, x0:x1] = True
    return inside


def _continued(
    image: UInt8Image, unknown: NDArray[np.bool_], usable: NDArray[np.bool_]
) -> UInt8Image:
    """Return ``image`` with its texture continued, as ``continue_texture``.

    A large part is matched at a smaller size, and copied at its own.
    """
    if not unknown.any():
        return image
    step = max(1, round(float(np.sqrt(np.count_nonzero(unknown) / _MATCHED))))
    height, width = unknown.shape
    rows, columns = (
        np.minimum(np.arange(-(-length // step) * step), length - 1) for length in (height, width)
    )
    cells = (len(rows) // step, step, len(columns) // step, step)
    padded = np.ix_(rows, columns)
    small = image[padded].reshape(*cells, 3).mean(axis=(1, 3)).astype(np.uint8)
    places = texture_places(
        small,
        np.asarray(unknown[padded].reshape(cells).any(axis=(1, 3)), bool),
        np.asarray(usable[padded].reshape(cells).all(axis=(1, 3)), bool),
    )
    fine = np.repeat(np.repeat(places, step, axis=0), step, axis=1)[:height, :width]
    y, x = np.mgrid[0:height, 0:width]
    within = np.stack([y % step, x % step], axis=-1)
    fine = np.where(fine >= 0, fine * step + within, -1).astype(np.int32)
    return copied(image, unknown, usable, fine)


def _continue_person(alpha: Float32, rect: Rect, frame: FaceFrame) -> None:
    """Continue the person's coverage, float32 (H, W), around ``rect``, in place."""
    left, top, right, bottom = rect
    width = alpha.shape[1]
    if left > 0:
        _beside(alpha, rect, left, np.arange(left - 1, -1, -1), frame)
    if right < width:
        _beside(alpha, rect, right - 1, np.arange(right, width), frame)
    if top > 0:
        edge = alpha[top].copy()
        above = np.arange(top, 0, -1, dtype=np.float32)
        level = abs(float(frame.coordinates(np.array([frame.centre_px[0], top], np.float32))[1]))
        pieces = [(*piece, _hair(piece, level, frame, 1)) for piece in _pieces(edge)]
        alpha[:top] = edge * _rounded(edge, above, pieces)
    alpha[bottom:] = alpha[bottom - 1]


def _beside(
    alpha: Float32, rect: Rect, column: int, beyond: NDArray[np.intp], frame: FaceFrame
) -> None:
    """Continue what the column at a side of ``rect`` cuts over the columns ``beyond`` it."""
    _, top, _, bottom = rect
    edge = alpha[top:bottom, column].copy()
    pieces = []
    for first, last in _pieces(edge):
        uv = frame.coordinates(np.array([column, top + (first + last) / 2], np.float32))
        length = last - first
        if last == len(edge) or uv[1] < _BODY:
            # A shoulder: it falls to the side, and what is below it stays.
            room = max(_SHOULDER - abs(float(uv[0])), _LEAST) * float(frame.half_px[0])
            pieces.append((first, last + length, room))
        else:
            pieces.append((first, last, _hair((first, last), abs(float(uv[0])), frame, 0)))
    away = np.arange(1, len(beyond) + 1, dtype=np.float32)
    alpha[top:bottom, beyond] = (edge * _rounded(edge, away, pieces)).T


def _hair(piece: tuple[int, int], level: float, frame: FaceFrame, axis: int) -> float:
    """Return how far hair that is cut at ``level``, half faces, goes on along ``axis``, pixels."""
    usual = max(_HAIR[axis] - level, _TIP) * float(frame.half_px[axis])
    return min(usual, _ROUND * (piece[1] - piece[0]) / 2)


def _pieces(edge: Float32) -> list[tuple[int, int]]:
    """Return the runs, (first, beyond the last), in which ``edge``, float32 (N,), is held."""
    held = np.concatenate([[0], (edge > 0.5).astype(np.int8), [0]])
    turns = np.flatnonzero(np.diff(held)).reshape(-1, 2)
    return [(int(first), int(last)) for first, last in turns]


def _rounded(edge: Float32, away: Float32, pieces: list[tuple[int, int, float]]) -> Float32:
    """Return coverage beyond an edge, float32 (len(away), N): each piece narrows as an ellipse.

    ``away``: float32, distances from the edge, pixels. ``pieces``: where each begins and ends, and
    how far it reaches.
    """
    along = np.arange(len(edge), dtype=np.float32) + np.float32(0.5)
    cover = np.zeros((len(away), len(edge)), np.float32)
    for first, last, reach in pieces:
        half, far = (last - first) / 2, max(reach, 1.0)
        inside = 1 - ((along - (first + last) / 2) / half) ** 2 - (away[:, None] / far) ** 2
        cover = np.maximum(cover, np.clip(inside * min(half, far) / 2, 0, 1))
    return cover
