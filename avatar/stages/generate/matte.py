"""Cutting a person from the photograph: matte, foreground colours, and the background behind.

The matte is GrabCut (Rother, Kolmogorov, Blake 2004), seeded by where the landmarks put face,
skull, neck and shoulders, and refined along the picture's own edges by a guided filter (He, Sun,
Tang 2010). No learned weights: nothing to download, and the licence of nothing to mind. Where
head and background have the same colours the cut is soft rather than wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import HeadShape
from avatar.core.face.topology import FACE_OVAL
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.cutout import Rect, cut_out
from avatar.stages.generate.fill import fill_unknown
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.raster import sample

# The face's height while cutting: enough for hair, small enough for a second or two.
_FACE_PX = 90.0
_REACH = 3.4
_ROUNDS = 5
# Hair that the cut may have lost: rays it is looked for along; L*a*b* distances (8 bits a channel)
# that are no edge, that are still skin, and by which hair is darker than skin.
_RAYS = 72
_UNSEEN, _SKIN_LIKE, _DARKER = 14.0, 40.0, 60.0


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """The face as coordinates: u to the picture's right along the face, v up, the oval is ±1.

    ``centre_px``: float32 (2,). ``right``, ``up``: unit vectors in pixels. ``half_px``: half the
    oval's width and height.
    """

    centre_px: Float32
    right: Float32
    up: Float32
    half_px: Float32

    @property
    def arrays(self) -> tuple[Float32, ...]:
        """Return all its numbers."""
        return self.centre_px, self.right, self.up, self.half_px

    def coordinates(self, points_px: Float32) -> Float32:
        """Return (u, v) of points, float32 (..., 2) each."""
        offset = points_px - self.centre_px
        axes = np.stack([self.right, self.up]) / self.half_px[:, None]
        return np.asarray(offset @ axes.T, np.float32)

    def pixels(self, uv: Float32) -> Float32:
        """Return the points, float32 (..., 2) pixels, of coordinates (u, v)."""
        axes = np.stack([self.right, self.up]) * self.half_px[:, None]
        return np.asarray(self.centre_px + uv @ axes, np.float32)

    def scaled(self, ratio: float, origin_px: Float32) -> FaceFrame:
        """Return the same frame in a picture cut at ``origin_px`` and scaled by ``ratio``."""
        factor = np.float32(ratio)
        return FaceFrame(
            (self.centre_px - origin_px) * factor, self.right, self.up, self.half_px * factor
        )


def face_frame(landmarks_px: Float32, head: HeadShape) -> FaceFrame:
    """Return the frame of a face, upright with the head's own roll."""
    up = np.array([head.rotation[0, 1], -head.rotation[1, 1]], np.float32)
    up /= max(float(np.linalg.norm(up)), 1e-6)
    right = np.array([-up[1], up[0]], np.float32)
    oval = landmarks_px[FACE_OVAL, :2]
    middle = oval.mean(axis=0)
    spread = [float(np.ptp((oval - middle) @ axis)) / 2 for axis in (right, up)]
    half = np.maximum(np.array(spread, np.float32), 1.0)
    return FaceFrame(middle.astype(np.float32), right, up, half)


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
    apart_within: Rect | None = None,
    alpha: Float32 | None = None,
) -> Layers:
    """Split ``image``, uint8 (H, W, 3) RGB, into person and background.

    ``landmarks_px``: float32 (478, 3) in its pixels. ``others``: further faces in the picture,
    which count as background. ``mattes``: where outlines are kept from one start to the next.
    ``alpha``: float32 (H, W), the person's ``coverage`` where it is known. ``apart_within``: given
    where the person is to stand before another background: the part of ``image`` that is the
    photograph (``cut_out``). The layers then no longer give the picture back.
    """
    frame = face_frame(landmarks_px, head)
    if alpha is None:
        alpha = coverage(image, landmarks_px, head, others, mattes)
    plate = fill_unknown(image, 1 - _grown(alpha, 0.07 * float(frame.half_px[1])))
    if apart_within is not None:
        cut_person = cut_out(image, plate, alpha, float(frame.half_px[1]), apart_within)
        return _crowned(cut_person, plate, frame)
    # What is left of the picture once the background's share is taken away: laid over each other
    # again, both give the photograph back exactly, whatever the cut.
    own = image - plate * (1 - alpha[..., None])
    person = np.empty((*alpha.shape, 4), np.uint8)
    person[..., :3] = np.clip(own + 0.5, 0, alpha[..., None] * 255 + 0.5)
    person[..., 3] = np.clip(alpha * 255 + 0.5, 0, 255)
    return _crowned(person, plate, frame)


def coverage(
    image: UInt8Image,
    landmarks_px: Float32,
    head: HeadShape,
    others: Sequence[FaceFrame] = (),
    mattes: MatteCache | None = None,
) -> Float32:
    """Return the person's coverage, float32 (H, W), 0 to 1; arguments as for ``split_layers``."""
    frame = face_frame(landmarks_px, head)

    def cut() -> Float32:
        return _alpha(image, landmarks_px, frame, others)

    if mattes is None:
        return cut()
    frames = [part for face in (frame, *others) for part in face.arrays]
    return mattes.matte([image, landmarks_px, *frames], cut)


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


def _alpha(
    image: UInt8Image, landmarks_px: Float32, frame: FaceFrame, others: Sequence[FaceFrame]
) -> Float32:
    """Return the person's coverage, float32 (H, W), 0 to 1."""
    import cv2

    height, width = image.shape[:2]
    reach = _REACH * float(frame.half_px[1])
    low = np.maximum(frame.centre_px - reach, 0).astype(int)
    high = np.minimum(frame.centre_px + reach * 1.6, (width, height)).astype(int)
    cut = image[low[1] : high[1], low[0] : high[0]]
    ratio = min(1.0, _FACE_PX / (2 * float(frame.half_px[1])))
    small = cv2.resize(cut, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    local = frame.scaled(ratio, low.astype(np.float32))
    elsewhere = [other.scaled(ratio, low.astype(np.float32)) for other in others]
    oval = (landmarks_px[FACE_OVAL, :2] - low) * np.float32(ratio)
    solid = _grab_cut(np.asarray(small, np.uint8), local, oval, elsewhere)
    soft = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), 0.8)
    size = (cut.shape[1], cut.shape[0])
    wide = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR)
    # Once more at full size, where hair has its edges.
    radius = max(2, round(0.03 * float(frame.half_px[1])))
    fine = cv2.ximgproc.guidedFilter(cut.astype(np.float32) / 255, wide, radius, 1e-4)
    alpha = np.zeros((height, width), np.float32)
    alpha[low[1] : high[1], low[0] : high[0]] = np.clip((fine - 0.1) / 0.8, 0, 1)
    return alpha


def _grab_cut(
    image: UInt8Image, frame: FaceFrame, oval_px: Float32, others: Sequence[FaceFrame]
) -> NDArray[np.uint8]:
    """Return 1 where the person is, uint8 (h, w)."""
    import cv2

    seeds = _seeds(image.shape[:2], frame, oval_px, others)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)  # k-means inside starts at random; the same photo must give the same cut
    cv2.grabCut(
        image, seeds, (0, 0, 0, 0), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK
    )  # fmt: skip
    person = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts = cv2.connectedComponents(person)
    x, y = np.clip(frame.centre_px, 0, np.array(image.shape[1::-1]) - 1).astype(int)
    person = (parts == parts[y, x]).astype(np.uint8)
    for operation, size in ((cv2.MORPH_CLOSE, 7), (cv2.MORPH_OPEN, 5)):
        ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        person = np.asarray(cv2.morphologyEx(person, operation, ball), np.uint8)
    return _with_hair(person, image, frame)


def _seeds(
    shape: tuple[int, ...], frame: FaceFrame, oval_px: Float32, others: Sequence[FaceFrame]
) -> NDArray[np.uint8]:
    """Return GrabCut's seeds: where a person must, may, and cannot be around a face."""
    import cv2

    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) + np.float32(0.5)
    places = np.stack([x, y], axis=-1)
    uv = frame.coordinates(places)
    u, v = np.abs(uv[..., 0]), uv[..., 1]
    seeds = np.full(shape[:2], cv2.GC_PR_BGD, np.uint8)
    hair = (u / 1.5) ** 2 + ((v - 0.2) / 1.8) ** 2 < 1
    below = np.maximum(-1.1 - v, 0)
    body = (v < -0.8) & (u < 0.65 + 3.0 * below)
    seeds[hair | body] = cv2.GC_PR_FGD
    seeds[((u / 2.3) ** 2 + ((v - 0.3) / 2.4) ** 2 > 1) & (v > -1.2)] = cv2.GC_BGD
    skull = (u / 1.04) ** 2 + ((v - 0.1) / 1.35) ** 2 < 1
    neck = (u < 0.45) & (v < -0.7) & (v > -1.45)
    chest = u < np.clip((-1.2 - v) * 2.2, 0, 1.2)
    seeds[(skull & (v > -0.2)) | neck | chest] = cv2.GC_FGD
    for other in others:
        theirs = other.coordinates(places)
        seeds[(theirs[..., 0] / 1.1) ** 2 + ((theirs[..., 1] - 0.15) / 1.3) ** 2 < 1] = cv2.GC_BGD
    shrunk = oval_px.mean(axis=0) + (oval_px - oval_px.mean(axis=0)) * np.float32(0.97)
    cv2.fillPoly(seeds, [np.round(shrunk).astype(np.int32)], cv2.GC_FGD)
    return seeds


def _with_hair(person: NDArray[np.uint8], image: UInt8Image, frame: FaceFrame) -> NDArray[np.uint8]:
    """Add the hair that a cut by colour lost, to uint8 (h, w) of 0 and 1.

    Dark hair before a dark wall is cut where nothing is to be seen. Along rays from the face
    over the upper half of the head, a cut with the same colour on both sides is not believed,
    nor one where skin ends at something dark: there hair is taken to reach as far as it usually
    does. What is wrongly added has the wall's own colour, so its moving does not show.
    """
    import cv2

    angles = np.linspace(np.radians(-15), np.radians(195), _RAYS)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)

    def along(picture: NDArray[np.float32], reach: NDArray[np.floating]) -> NDArray[np.float32]:
        points = frame.pixels((rays[:, None] * reach[..., None]).astype(np.float32)) - 0.5
        return np.asarray(sample(picture, points.astype(np.float32)), np.float32)

    reaches = np.arange(0.3, 2.6, 0.03)
    outside = along(person.astype(np.float32), np.tile(reaches, (_RAYS, 1))) < 0.5
    outside[:, -1] = True
    cut = reaches[np.argmax(outside, axis=1)]
    usual = 1 / np.hypot(rays[:, 0] / 1.4, rays[:, 1] / 1.85)
    within = along(lab, cut[:, None] - np.linspace(0.06, 0.2, 5)).mean(axis=1)
    beyond = along(lab, cut[:, None] + np.linspace(0.08, 0.25, 5)).mean(axis=1)
    same = np.linalg.norm(within - beyond, axis=1) < _UNSEEN
    skin = np.median(along(lab, np.full((_RAYS, 1), 0.4))[:, 0], axis=0)
    hairline = np.linalg.norm(within - skin, axis=1) < _SKIN_LIKE
    hairline &= (skin[0] - beyond[:, 0] > _DARKER) & (rays[:, 1] > 0.5)
    doubted = np.convolve((same | hairline) & (cut < usual), np.full(9, 1 / 9), "same")
    reach = np.where(doubted > 0.4, np.maximum(cut, usual), cut)
    reach = np.convolve(np.pad(reach, 3, "edge"), np.full(7, 1 / 7), "valid")
    rim = frame.pixels((rays * reach[:, None]).astype(np.float32)).round().astype(np.int32)
    middle = frame.centre_px.round().astype(np.int32)
    for k in np.flatnonzero((doubted[:-1] > 0.3) & (doubted[1:] > 0.3)):
        cv2.fillConvexPoly(person, np.stack([middle, rim[k], rim[k + 1]]), (1,))
    return person


def _grown(alpha: Float32, by_px: float) -> Float32:
    """Return alpha with a margin, so that no colour of the person is left in the background."""
    import cv2

    size = 2 * max(1, round(by_px)) + 1
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    wide = cv2.dilate((alpha > 0.02).astype(np.float32), ball)
    return np.asarray(cv2.GaussianBlur(wide, (0, 0), max(1.0, by_px / 4)), np.float32)
