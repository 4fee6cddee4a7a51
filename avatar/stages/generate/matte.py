"""A picture in two layers: the person, and the background with the person filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import HeadShape
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.cutout import Rect, cut_out
from avatar.stages.generate.face_frame import FaceFrame, face_frame
from avatar.stages.generate.fill import fill_unknown
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.person_cut import PersonCut, cut_person

__all__ = ["FaceFrame", "Layers", "face_frame", "lay_out", "split_layers", "two_layers"]

# Less of a person than this may be noise of the matte.
_RIM = 0.1
# What is covered more than this has the person's colours.
_SOLID = 0.95
# Strands are finer than this, half face heights, and a wall's roughness is that so many times
# farther around.
_SOFT, _AROUND = 0.04, 5.0


@dataclass(frozen=True, eq=False)
class Layers:
    """A picture in two layers that give it back when laid over each other.

    ``person``: uint8, RGB already multiplied by alpha, and alpha, wider than the picture by
    ``crown_px`` rows above, ``side_px`` columns on either side and any number of rows below: what
    comes into the picture when the person moves. ``plate``: uint8 (H, W, 3), the background with
    the person filled in. ``photo_rect``: (left, top, right, bottom) of what in ``person`` was
    photographed; None where nobody knows.
    """

    person: NDArray[np.uint8]
    plate: UInt8Image
    crown_px: int
    side_px: int = 0
    photo_rect: Rect | None = None

    @property
    def shown(self) -> NDArray[np.uint8]:
        """Return the person as the picture shows it at rest, uint8 (H, W, 4), not a copy."""
        height, width = self.plate.shape[:2]
        return self.person[
            self.crown_px : self.crown_px + height, self.side_px : self.side_px + width
        ]

    def inner(self, margin_px: int) -> Layers:
        """Return the layers of the picture without ``margin_px`` on every side; it keeps them."""
        height, width = (length - margin_px for length in self.plate.shape[:2])
        plate = np.ascontiguousarray(self.plate[margin_px:height, margin_px:width])
        crown, side = self.crown_px + margin_px, self.side_px + margin_px
        return replace(self, plate=plate, crown_px=crown, side_px=side)


def split_layers(
    image: UInt8Image,
    landmarks_px: Float32,
    head: HeadShape,
    others: Sequence[FaceFrame] = (),
    mattes: MatteCache | None = None,
) -> Layers:
    """Split ``image``, uint8 (H, W, 3) RGB, into person and background.

    ``landmarks_px``: float32 (478, 3) in its pixels. ``others``: further faces in the picture,
    which count as background. ``mattes``: where outlines are kept from one start to the next.
    """
    cut = cut_person(image, landmarks_px, head, others, mattes)
    frame = face_frame(landmarks_px, head)
    return two_layers(image, cut.plate, cut.coverage, frame)


def lay_out(
    cut: PersonCut,
    image: UInt8Image,
    matrix: Float32,
    frame: FaceFrame,
    *,
    apart: bool = False,
) -> Layers:
    """Return the layers of a photograph drawn elsewhere in another size.

    ``image``: uint8 (H, W, 3) RGB, the photograph of ``cut`` drawn through ``matrix``, float32
    (2, 3), from its pixels (their corners) to those of ``image``, its edge repeated beyond it.
    ``frame``: the face there. ``apart``: the person is to stand before another background; else
    the layers give ``image`` back.
    """
    alpha = placed_coverage(cut, image, matrix)
    return two_layers(image, placed_plate(cut, image, matrix), alpha, frame, apart=apart)


def placed_coverage(cut: PersonCut, image: UInt8Image, matrix: Float32) -> Float32:
    """Return the person's coverage in ``image``, float32 (H, W); arguments as for ``lay_out``."""
    return _drawn(cut.coverage, _from_cut(cut, matrix), (image.shape[1], image.shape[0]))


def placed_plate(cut: PersonCut, image: UInt8Image, matrix: Float32) -> UInt8Image:
    """Return ``image`` with the person filled in; arguments as for ``lay_out``."""
    size_px, inner = (image.shape[1], image.shape[0]), _from_cut(cut, matrix)
    hidden = _drawn(cut.filled.astype(np.float32), inner, size_px)[..., None]
    plate = image.copy()
    where = hidden[..., 0] > 0
    drawn = _drawn(cut.plate.astype(np.float32), inner, size_px)
    mixed = image * (1 - hidden) + drawn * hidden
    plate[where] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)[where]
    return plate


def _from_cut(cut: PersonCut, matrix: Float32) -> NDArray[np.float64]:
    inner = matrix.astype(np.float64)
    inner[:, :2] /= cut.ratio
    return inner


def _drawn(values: Float32, matrix: NDArray[np.float64], size_px: tuple[int, int]) -> Float32:
    """Return ``values`` drawn through ``matrix``, from corners to corners, edges repeated."""
    import cv2

    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    matrix = matrix.copy()
    if scale < 0.5:
        # Shrunk first: warpAffine samples single pixels and would alias.
        size = (
            max(1, round(values.shape[1] * 1.5 * scale)),
            max(1, round(values.shape[0] * 1.5 * scale)),
        )
        matrix[:, :2] *= [values.shape[1] / size[0], values.shape[0] / size[1]]
        values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
    # Pixel centres are at halves on both sides.
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    drawn = cv2.warpAffine(
        values, matrix, size_px, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(drawn, np.float32)


def two_layers(
    image: UInt8Image, plate: UInt8Image, alpha: Float32, frame: FaceFrame, *, apart: bool = False
) -> Layers:
    """Return the layers of ``image``, uint8 (H, W, 3), whose background is ``plate``.

    ``alpha``: float32 (H, W), the person's coverage; ``frame`` and ``apart`` as for ``lay_out``.
    """
    if apart:
        within = (0, 0, image.shape[1], image.shape[0])
        return _crowned(cut_out(image, alpha, within), plate, frame)
    plate = _shared(plate, image, alpha, _SOFT * float(frame.half_px[1]))
    alpha = _enough(plate, image, alpha)
    alpha = np.round(alpha * 255) / np.float32(255)
    plate = _possible(plate, image, alpha)
    # What is left of the picture once the background's share is taken away: laid over each other
    # again, both give the photograph back exactly, whatever the cut.
    own = image - plate * (1 - alpha[..., None])
    person = np.empty((*alpha.shape, 4), np.uint8)
    person[..., :3] = np.clip(own + 0.5, 0, alpha[..., None] * 255 + 0.5)
    person[..., 3] = np.clip(alpha * 255 + 0.5, 0, 255)
    return _crowned(person, plate, frame)


def _shared(plate: UInt8Image, image: UInt8Image, alpha: Float32, soft_px: float) -> UInt8Image:
    """Return ``plate`` with its share of what it and the person's colours do not explain.

    Behind half covered pixels both are guesses, the person's from the nearest covered ones. Were
    the plate held for true, all of its error would be the person's: hair would be purple before
    what was taken for leaves. Only what is wider than ``soft_px`` is shared: strands are hair.
    """
    import cv2

    half, solid = (alpha > 0) & (alpha < 1), alpha > _SOLID
    if not (half.any() and solid.any()):
        return plate
    person = fill_unknown(image, solid.astype(np.float32))
    rows, columns = np.nonzero(half)
    cover = alpha[rows, columns, None]
    through = 1 - cover
    seen, own, behind = (each[rows, columns].astype(np.float32) for each in (image, person, plate))
    unexplained = seen - cover * own - through * behind
    off, weight = np.zeros_like(image, np.float32), np.zeros_like(alpha)
    off[rows, columns] = unexplained * through**2 / (cover**2 + through**2)
    weight[rows, columns] = through[:, 0]
    wide, share = (cv2.GaussianBlur(each, (0, 0), max(soft_px, 1.0)) for each in (off, weight))
    wrong = wide[rows, columns] / np.maximum(share[rows, columns], 1e-3)[:, None]
    # A guessed background is wrong by about as much as it is rough.
    exact = plate.astype(np.float32)
    size = (2 * round(_AROUND * soft_px) + 1,) * 2
    mean, square = (cv2.blur(each, size) for each in (exact, exact * exact))
    rough = np.sqrt(np.maximum(square - mean * mean, 0))[rows, columns]
    shared = plate.copy()
    nearer = behind + np.clip(wrong, -rough, rough)
    shared[rows, columns] = np.clip(nearer + 0.5, 0, 255).astype(np.uint8)
    return shared


def _enough(plate: UInt8Image, image: UInt8Image, alpha: Float32) -> Float32:
    """Return ``alpha`` as much greater as a half covered pixel needs to hide ``plate``.

    A dark rim before a bright wall is more of the person than its matte says; else its darkness
    would stay in the wall as a line.
    """
    rows, columns = np.nonzero((alpha > _RIM) & (alpha < 1))
    seen, behind = (each[rows, columns].astype(np.float32) for each in (image, plate))
    darker, lighter = (
        np.maximum(off, 0) / np.maximum(room, 1)
        for off, room in ((behind - seen, behind), (seen - behind, 255 - behind))
    )
    enough = alpha.copy()
    needed = np.minimum(np.maximum(darker, lighter).max(axis=1), 1)
    enough[rows, columns] = np.maximum(alpha[rows, columns], needed)
    return enough


def _possible(plate: UInt8Image, image: UInt8Image, alpha: Float32) -> UInt8Image:
    """Return ``plate`` with colours through which the picture can be seen as it is.

    Behind a dark pixel that is half person there cannot be a bright wall.
    """
    rows, columns = np.nonzero((alpha < 1) & (plate != image).any(axis=2))
    cover = alpha[rows, columns, None]
    seen, through = image[rows, columns].astype(np.float32), 1 - cover
    lowest, highest = (seen - 255 * cover) / through, seen / through
    behind = np.clip(plate[rows, columns], lowest, highest)
    possible = plate.copy()
    possible[rows, columns] = np.clip(behind + 0.5, 0, 255).astype(np.uint8)
    return possible


def _crowned(person: NDArray[np.uint8], plate: UInt8Image, frame: FaceFrame) -> Layers:
    """Return the layers with what the picture's upper edge cuts off rounded off above it."""
    crown = _crown(person[0], round(0.5 * float(frame.half_px[1])))
    return Layers(np.concatenate([crown, person]), plate, len(crown))


def _crown(edge: NDArray[np.uint8], height_px: int) -> NDArray[np.uint8]:
    """Return rows, uint8 (height_px, W, 4), that round off what ``edge``, uint8 (W, 4), cuts.

    A head cut by the picture's edge shows its cut when it nods; here each piece of the edge goes
    on upwards in its own colours and narrows as an ellipse.
    """
    rows = np.repeat(edge[None], height_px, axis=0)
    held = np.flatnonzero(edge[:, 3] > 127)
    pieces = np.split(held, np.flatnonzero(np.diff(held) > 1) + 1) if len(held) else []
    x = np.arange(len(edge), dtype=np.float32)
    above = np.arange(height_px, 0, -1, dtype=np.float32)[:, None]
    cover = np.zeros((height_px, len(edge)), np.float32)
    for piece in pieces:
        half = max(len(piece) / 2, 1.0)
        top = min(0.45 * half, float(height_px))
        inside = 1 - ((x - (piece[0] + half - 0.5)) / half) ** 2 - (above / top) ** 2
        cover = np.maximum(cover, np.clip(inside * top / 2, 0, 1))
    return np.asarray(rows * cover[..., None] + 0.5, np.uint8)
