"""What lies around the output: the photograph beyond the cut, and beyond its own edges.

A head that turns or moves brings into the picture what stood beside it. Where the photograph has
it, it is the photograph's own; where that ends, the person goes on as people do (hair rounds off,
shoulders fall, a neck stands on a body) and the background in its own texture.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import decompose
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.cutout import Rect
from avatar.stages.generate.face_frame import FaceFrame, face_frame, pixel_places
from avatar.stages.generate.fill import fill_unknown
from avatar.stages.generate.framing import Canvas
from avatar.stages.generate.matte import (
    Layers,
    placed_coverage,
    placed_plate,
    two_layers,
)
from avatar.stages.generate.outline_beyond import continue_person
from avatar.stages.generate.person_cut import PersonCut
from avatar.stages.generate.texture import copied, texture_places

AROUND = 0.45
"""How far beyond the output the picture is made, in face heights."""

# Background nearer to the person than this is not taken for texture, half faces; nor are pixels at
# the photograph's own edge, which scanning and scaling darken.
_APART, _RIM_PX = 0.06, 2
# Beyond an edge goes on what is so near to it in the photograph; a chin begins below the mouth;
# half faces.
_BESIDE, _CHIN = 0.6, -0.75
# With less background than this share of a photograph, there is none to go on.
_LEAST_AWAY = 0.005
# What is wider than this is light, not texture, half faces.
_LIGHT = 0.15
# So many pixels are matched, at whatever size.
_MATCHED = 30_000


def split_wide(
    canvas: Canvas, cut: PersonCut, standing: UInt8Image | None = None, *, apart: bool = False
) -> tuple[Canvas, Layers]:
    """Complete a canvas that is wider than its output, and split it.

    ``cut``: the person in the photograph. ``standing``: uint8 (H, W, 3), the canvas's picture
    without the people who stand nearer, where there are such: complete within the output.
    ``apart``: the person is to stand before another background. Returns the canvas with everything
    around the photograph continued, and its layers.
    """
    frame = face_frame(canvas.face.landmarks_px, decompose(canvas.face))
    left, top = canvas.offset_px
    matrix = np.array([[canvas.scale, 0, left], [0, canvas.scale, top]], np.float32)
    rect = canvas.photo_rect
    if standing is not None:
        canvas = replace(canvas, image=standing)
    alpha = placed_coverage(cut, canvas.image, matrix)
    inside = _photograph(canvas, rim=standing is None)
    continue_person(alpha, rect, frame)
    if standing is not None:
        # Who stands behind does not go on where that would be seen: others may stand there.
        alpha[_output(canvas) & ~inside] = 0
    image, behind = completed(canvas, inside, alpha, frame)
    if standing is not None:
        shown = _output(canvas)[..., None]
        image, behind = np.where(shown, standing, image), np.where(shown, standing, behind)
    away = _away(inside, alpha, frame)
    known = inside if inside.all() or not _few(away, inside) else np.zeros_like(inside)
    plate = np.where(known[..., None], placed_plate(cut, image, matrix), behind)
    layers = two_layers(image, plate, alpha, frame, apart=apart)
    crown = layers.crown_px
    photo_rect = (rect[0], rect[1] + crown, rect[2], rect[3] + crown)
    return replace(canvas, image=image), replace(layers, photo_rect=photo_rect)


def completed(
    canvas: Canvas, inside: NDArray[np.bool_], alpha: Float32, frame: FaceFrame
) -> tuple[UInt8Image, UInt8Image]:
    """Return the canvas's picture with person and background continued around the photograph.

    ``inside``: bool (H, W), where the photograph is. ``alpha``: float32 (H, W), the person's
    coverage. ``frame``: the face's. Returns it with the person and, around it, without.
    """
    image = canvas.image
    if inside.all():
        return image, image
    away = _away(inside, alpha, frame)
    person = _person(image, alpha, inside, frame, canvas.photo_rect)
    if _few(away, inside):
        behind = np.where((inside & (alpha <= 0))[..., None], image, _enlarged(canvas))
        return _over(image, person, behind, alpha, inside), behind
    # Nothing of the background is ever seen outside the output: there it only must not disturb.
    smooth = np.where(inside[..., None], image, fill_unknown(image, away.astype(np.float32)))
    scale_px = _LIGHT * float(frame.half_px[1])
    behind = _continued(smooth, ~inside & _output(canvas), away, scale_px)
    return _over(image, person, behind, alpha, inside), behind


def _few(away: NDArray[np.bool_], inside: NDArray[np.bool_]) -> bool:
    """Return whether a photograph is so full of one person that no background can be continued."""
    return bool(np.count_nonzero(away) < _LEAST_AWAY * np.count_nonzero(inside))


def _enlarged(canvas: Canvas) -> UInt8Image:
    """Return what stands around the photograph already, its own blurred enlargement, everywhere.

    Behind a face that fills a photograph there is nothing else to show: faces are no texture.
    """
    left, top, right, bottom = canvas.photo_rect
    around = np.ones(canvas.image.shape[:2], np.float32)
    around[top:bottom, left:right] = 0
    return fill_unknown(canvas.image, around)


def _over(
    image: UInt8Image,
    person: UInt8Image,
    behind: UInt8Image,
    alpha: Float32,
    inside: NDArray[np.bool_],
) -> UInt8Image:
    """Return ``image`` where it is ``inside``, else ``person`` over ``behind``."""
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
    uv = frame.coordinates(pixel_places(alpha.shape))
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
        image = _continued(image, wanted, taken, _LIGHT * float(frame.half_px[1]))
    return image


def _output(canvas: Canvas) -> NDArray[np.bool_]:
    """Return where in the canvas the output is, bool (H, W)."""
    margin = canvas.margin_px
    height, width = canvas.image.shape[:2]
    shown = np.zeros((height, width), bool)
    shown[margin : height - margin, margin : width - margin] = True
    return shown


def _away(inside: NDArray[np.bool_], alpha: Float32, frame: FaceFrame) -> NDArray[np.bool_]:
    """Return where the photograph shows sure background, bool (H, W)."""
    import cv2

    size = 2 * max(1, round(_APART * float(frame.half_px[1]))) + 1
    return inside & ~np.asarray(cv2.dilate(alpha, np.ones((size, size), np.uint8)) > 0.02)


def _photograph(canvas: Canvas, *, rim: bool) -> NDArray[np.bool_]:
    """Return where the canvas shows the photograph, bool (H, W).

    ``rim``: but for its rim, where that is in the output.
    """
    rim_px = _RIM_PX if rim else 0
    margin = canvas.margin_px
    height, width = canvas.image.shape[:2]
    limits = (margin, margin, width - margin, height - margin)
    left, top, right, bottom = canvas.photo_rect
    x0, y0 = (low + rim_px * (low > edge) for low, edge in zip((left, top), limits, strict=False))
    x1, y1 = (
        high - rim_px * (high < edge)
        for high, edge in zip((right, bottom), limits[2:], strict=True)
    )
    inside = np.zeros((height, width), bool)
    inside[y0:y1, x0:x1] = True
    return inside


def _continued(
    image: UInt8Image,
    unknown: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    scale_px: float,
) -> UInt8Image:
    """Return ``image`` with its texture continued, as ``continue_texture``.

    Only the part with what is unknown and what is taken is looked at. A large one is matched at a
    smaller size, and copied at its own.
    """
    if not unknown.any():
        return image
    part = _extent(unknown | usable)
    whole, image = image, image[part]
    unknown, usable = unknown[part], usable[part]
    step = max(1, round(float(np.sqrt(np.count_nonzero(unknown) / _MATCHED))))
    height, width = unknown.shape
    rows, columns = (
        np.minimum(np.arange(-(-length // step) * step), length - 1) for length in (height, width)
    )
    cells = (len(rows) // step, step, len(columns) // step, step)
    padded = np.ix_(rows, columns)
    small = image[padded].reshape(*cells, 3).mean(axis=(1, 3)).astype(np.uint8)
    taken = np.asarray(usable[padded].reshape(cells).all(axis=(1, 3)), bool)
    places = texture_places(
        small,
        np.asarray(unknown[padded].reshape(cells).any(axis=(1, 3)), bool),
        taken,
        taken,
        scale_px / step,
    )
    fine = np.repeat(np.repeat(places, step, axis=0), step, axis=1)[:height, :width]
    y, x = np.mgrid[0:height, 0:width]
    within = np.stack([y % step, x % step], axis=-1)
    fine = np.where(fine >= 0, fine * step + within, -1).astype(np.int32)
    continued = whole.copy()
    continued[part] = copied(image, unknown, usable, usable, fine, scale_px)
    return continued


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns within which ``mask``, bool (H, W) and not empty, is set."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
