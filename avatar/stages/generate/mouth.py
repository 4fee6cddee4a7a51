"""The inside of the mouth: a cavity with teeth, where the lips part wider than in the photo."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avatar.core.choices import Mouth
from avatar.core.face.head import HeadShape, compose
from avatar.core.face.topology import INNER_LIPS
from avatar.core.frames import FaceTrack, Float32, Motion, UInt8Image
from avatar.stages.generate.deform import Pose, lips_gap_px
from avatar.stages.generate.driver_mouth import DriverMouth
from avatar.stages.generate.grain import Grain
from avatar.stages.generate.mouth_light import mouth_light, skin_colour
from avatar.stages.generate.overlay import Box, blend_into, box_around, polygon_mask
from avatar.stages.generate.sharpness import blur_px
from avatar.stages.generate.toning import Toning

# The drawn mouth's own picture: 240 units across the corners.
_PATCH_W, _PATCH_H = 240, 130
_TEETH_TOP, _TEETH_LENGTH = 6, 34
# Lips parted by this share of the mouth's width show what is behind them; teeth are at least this
# bright against skin.
_PARTED_SHARE = 0.10
_TEETH_LIGHT = 0.85
# Lips that touch in a photograph still have landmarks apart by this share of its width.
_SHUT_SHARE = 0.04
# Up to so many times their distance in the photo, lips keep the teeth that show there.
_OWN_REACH = 1.6
# The shadow of lips on what lies behind them: how far it reaches, in mouth widths, its light at
# the lips' very edge and how fast that grows inwards; red light passes through lips.
_RIM_REACH, _RIM_LIGHT, _RIM_GROWTH = 0.035, -0.03, 1.2
_RIM_HUE = np.array([0.7, 1, 1], np.float32)

# How much of the drawn dark and tongue shines through a driver's mouth.
_VEIL = 0.8

_IVORY, _DARK = np.array([232, 222, 206], np.float32), (60, 24, 23)

MouthInside = Mouth | Literal["empty"]


class MouthLayer:
    """The avatar's mouth inside.

    ``inside``: ``driver`` takes it from the driver's picture, ``teeth`` draws it in the
    photograph's light (upper teeth fixed to the skull, lower teeth to the jaw), ``auto`` keeps
    the teeth that a photo shows of its own, else takes the driver's. Where there is no
    driver's picture (an idle avatar, a replayed track), it is drawn. ``empty`` is its dark alone,
    for who draws the teeth himself.
    """

    def __init__(
        self,
        canvas: UInt8Image,
        landmarks_px: Float32,
        head: HeadShape,
        inside: MouthInside = "auto",
    ) -> None:
        self._rest_gap = lips_gap_px(landmarks_px) / head.scale_px
        corners = head.shape[[78, 308]]
        self._width = float(np.linalg.norm(corners[0] - corners[1]))
        # A photo whose own teeth show keeps them: the mesh bends what lies between its lips.
        parted = self._rest_gap > _PARTED_SHARE * self._width
        self._own = inside == "auto" and parted and _shows_teeth(canvas, landmarks_px)
        self._empty = inside == "empty"
        drawn = inside in ("teeth", "empty")
        photo = mouth_light(canvas, landmarks_px)
        self._driver = None if drawn else DriverMouth(photo, blur_px(canvas, landmarks_px))
        self._toning = Toning(canvas, landmarks_px)
        self._skull = corners.mean(axis=0).astype(np.float32)
        self._skull[1] = head.shape[13, 1]
        self._grain = Grain(canvas, landmarks_px)
        light = photo.teeth / _IVORY
        self._dark = np.rint(np.array(_DARK, np.float32) * light).astype(np.uint8)
        self._cavity = _draw_cavity(light)
        self._upper, self._upper_alpha = _draw_teeth(light, _TEETH_LENGTH, 1.0)
        lower, alpha = _draw_teeth(light * 0.82, _TEETH_LENGTH * 0.7, 0.92)
        self._lower, self._lower_alpha = lower[::-1].copy(), alpha[::-1].copy()

    def draw(self, image: UInt8Image, pose: Pose, motion: Motion) -> None:
        """Draw what shows between the lips into ``image``, in place."""
        unit = self._width * pose.scale_px
        gap = lips_gap_px(pose.landmarks_px)
        opened = gap - min(self._rest_gap, _SHUT_SHARE * self._width) * pose.scale_px
        strength = float(np.clip(opened / max(0.05 * unit, 1.0) - 0.1, 0, 1))
        if self._own:
            # Bent much wider than they were photographed, teeth would be stretched.
            wider = gap / max(self._rest_gap * pose.scale_px, 1.0)
            strength *= float(np.clip((wider - _OWN_REACH) / 0.5, 0, 1))
        lips_px = pose.landmarks_px[INNER_LIPS]
        box = box_around(lips_px, 2, image)
        if strength <= 0 or box is None:
            return
        mask = polygon_mask(lips_px, box, feather_px=max(0.6, 0.012 * unit))
        patch = self._taken(pose, motion, box, mask)
        if patch is None:
            patch = self._drawn(pose, box)
            _shade_edges(patch, mask)
        else:
            strength *= self._seen(pose, motion, gap / unit)
        patch = self._toning.apply(patch)
        patch = self._grain.lay_on(patch, lips_px[0, :2] - np.array(box[:2], np.float32))
        blend_into(image, box, patch, (mask * strength).astype(np.uint8))

    def _seen(self, pose: Pose, motion: Motion, opening: float) -> float:
        """Return how much of the driver's mouth is shown, 0 to 1.

        Lips that touch have no inside: drawn between parted lips of a photograph they would be a
        smear. And what is narrow there would be stretched beyond recognition, while the photograph
        has something of its own between its lips. ``opening``: the avatar's, in mouth widths.
        """
        assert motion.track is not None
        theirs = _opening(motion.track, pose.lip_shares)
        parted = float(np.clip(theirs / 0.05 - 0.2, 0, 1))
        if self._rest_gap <= _SHUT_SHARE * self._width:
            return parted
        # The less stretched of both is shown.
        own = opening * self._width / self._rest_gap
        less = own * theirs / max(opening, 1e-3)
        return parted * float(np.clip((less - 0.9) / 0.25, 0, 1))

    def _taken(
        self, pose: Pose, motion: Motion, box: Box, mask: NDArray[np.uint8]
    ) -> UInt8Image | None:
        """Return the box's pixels with the driver's mouth; None where it is to be drawn."""
        if self._driver is None or motion.track is None:
            return None
        lips_px = pose.landmarks_px[INNER_LIPS]
        taken = self._driver.draw(motion.track, lips_px, box, pose.lip_shares)
        if taken is None or motion.absolute:
            # The driver's own lips, reproduced, have their own shadow.
            return taken
        return _with_rim(_veiled(taken, self._inmost(pose, box)), mask, self._width * pose.scale_px)

    def _inmost(self, pose: Pose, box: Box) -> UInt8Image:
        """Return the box's pixels with the drawn dark and tongue."""
        origin = np.array(box[:2], np.float32)
        upper_at, lower_at = self._anchors(pose)
        middle = (upper_at + lower_at) * np.float32(0.5)
        return self._warp(
            self._cavity, middle, pose, origin, (box[2] - box[0], box[3] - box[1]), 0.5
        )

    def _drawn(self, pose: Pose, box: Box) -> UInt8Image:
        """Return the box's pixels with the drawn cavity, tongue and teeth."""
        origin = np.array(box[:2], np.float32)
        size = (box[2] - box[0], box[3] - box[1])
        if self._empty:
            return np.full((*size[::-1], 3), self._dark, np.uint8)
        upper_at, lower_at = self._anchors(pose)
        patch = self._inmost(pose, box)
        for teeth, alpha, at, up in (
            (self._lower, self._lower_alpha, lower_at, 1.0),
            (self._upper, self._upper_alpha, upper_at, 0.0),
        ):
            drawn = self._warp(teeth, at, pose, origin, size, up)
            shown = self._warp(alpha, at, pose, origin, size, up)
            blend_into(patch, (0, 0, *size), drawn, shown)
        return patch

    def _anchors(self, pose: Pose) -> tuple[Float32, Float32]:
        """Return where the teeth are rooted, float32 (2,) each: in the skull and in the jaw."""
        skull = compose(self._skull[None], pose.rotation, pose.centre_px, pose.scale_px)[0, :2]
        lower_lip = pose.landmarks_px[14, :2]
        upper_lip = pose.landmarks_px[13, :2]
        # A raised lip bares the teeth; a lowered one never leaves them floating below it.
        down = pose.rotation @ np.array([0, -1, 0], np.float32)
        axis = np.array([down[0], -down[1]], np.float32)
        sunk = float((skull - upper_lip) @ axis)
        skull = skull - axis * np.float32(max(0.0, sunk - 0.03 * self._width * pose.scale_px))
        return skull.astype(np.float32), lower_lip.astype(np.float32)

    def _warp(
        self,
        picture: UInt8Image,
        at: Float32,
        pose: Pose,
        origin: Float32,
        size: tuple[int, int],
        rooted: float,
    ) -> UInt8Image:
        """Draw ``picture`` at the mouth's size and turn; ``rooted``: its height put at ``at``."""
        import cv2

        unit = np.float32(self._width * pose.scale_px / _PATCH_W)
        right, down = pose.rotation[:, 0] * unit, -pose.rotation[:, 1] * unit
        columns = np.array([[right[0], down[0]], [-right[1], -down[1]]], np.float64)
        home = np.array([_PATCH_W / 2, _PATCH_H * rooted])
        shift = at - origin - 0.5 - columns @ home
        matrix = np.hstack([columns, shift[:, None]])
        border = cv2.BORDER_REPLICATE if picture.ndim == 3 else cv2.BORDER_CONSTANT
        warped = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
        return np.asarray(warped, np.uint8)


def _opening(track: FaceTrack, lip_shares: Float32 | None) -> float:
    """Return how far a driver's lips stand apart at their middle, in mouth widths.

    ``lip_shares``: what of that is lip, ``InnerEdge.find``.
    """
    assert track.face is not None
    points = track.face.landmarks_px
    width = max(float(np.linalg.norm(points[78, :2] - points[308, :2])), 1.0)
    lip = 0.0 if lip_shares is None else float(lip_shares[:, 2:7].sum(axis=0).mean())
    return lips_gap_px(points) / width * (1 - lip)


def _shows_teeth(canvas: UInt8Image, landmarks_px: Float32) -> bool:
    """Return whether between the lips there is something as bright as skin, and no redder."""
    lips_px = landmarks_px[INNER_LIPS]
    box = box_around(lips_px, 0, canvas)
    if box is None:
        return False
    inside = polygon_mask(lips_px, box) > 200
    if not inside.any():
        return False
    pixels = canvas[box[1] : box[3], box[0] : box[2]][inside].astype(np.float32)
    skin = skin_colour(canvas, landmarks_px)
    light = np.percentile(pixels.mean(axis=1), 80)
    bright = pixels[pixels.mean(axis=1) >= light].mean(axis=0)
    redness = float(bright[0] / max(bright[1:].mean(), 1.0))
    return bool(
        bright.mean() > _TEETH_LIGHT * skin.mean() and redness < skin[0] / max(skin[1:].mean(), 1.0)
    )


def _draw_cavity(light: Float32) -> UInt8Image:
    """Draw the dark of the mouth with a tongue below."""
    y, x = np.mgrid[0:_PATCH_H, 0:_PATCH_W].astype(np.float32)
    v, u = y / _PATCH_H, (x - _PATCH_W / 2) / (_PATCH_W / 2)
    dark = np.array(_DARK, np.float32)
    tongue = np.array([158, 78, 78], np.float32)
    rise = np.clip((v - 0.52 - 0.10 * u * u) / 0.22, 0, 1) * np.clip(1.15 - np.abs(u) * 1.3, 0, 1)
    groove = 1 - 0.18 * np.exp(-((u / 0.06) ** 2))
    colour = dark + (tongue - dark) * (rise * 0.75 * groove)[..., None]
    return np.asarray(np.clip(colour * light, 0, 255), np.uint8)


def _draw_teeth(light: Float32, length: float, width: float) -> tuple[UInt8Image, UInt8Image]:
    """Draw a row of teeth hanging from the picture's top; returns colours and alpha."""
    y, x = np.mgrid[0:_PATCH_H, 0:_PATCH_W].astype(np.float32)
    u = (x - _PATCH_W / 2) / (_PATCH_W / 2 * width)
    # Teeth seen round the arch: narrower and darker to the sides.
    edges = np.array([0, 0.20, 0.37, 0.52, 0.64, 0.74])
    gap = np.min([np.abs(np.abs(u) - edge) for edge in edges], axis=0)
    scallop = 5.0 * np.clip(1 - gap / 0.06, 0, 1) ** 2
    bottom = _TEETH_TOP + length * (1 - 0.30 * u * u) - scallop
    alpha = np.clip((bottom - y) / 2.5, 0, 1) * np.clip((0.80 - np.abs(u)) / 0.10, 0, 1)
    shade = (1 - 0.55 * np.clip(np.abs(u), 0, 1) ** 2) * (1 - 0.16 * np.exp(-((gap / 0.012) ** 2)))
    gum = np.clip((_TEETH_TOP + 2 - y) / 6, 0, 1)
    pink = np.array([170, 92, 92], np.float32)
    colour = _IVORY * (1 - gum[..., None]) + pink * gum[..., None]
    colour = colour * shade[..., None] * light
    return np.clip(colour, 0, 255).astype(np.uint8), (alpha * 255).astype(np.uint8)


def _veiled(patch: UInt8Image, dark: UInt8Image) -> UInt8Image:
    """Return a mouth whose darkest places are no darker than ``dark``, uint8 (h, w, 3).

    A dim room leaves nothing but black between a driver's lips. Both add as light does that is
    spread, by their squares: what is bright stays.
    """
    import cv2

    veil = dark.astype(np.float32) * np.float32(_VEIL)
    return np.asarray(cv2.magnitude(patch.astype(np.float32), veil).clip(0, 255), np.uint8)


def _with_rim(patch: UInt8Image, mask: NDArray[np.uint8], width_px: float) -> UInt8Image:
    """Return a driver's mouth in the shadow of the avatar's lips.

    Drawn small, the driver's own shadow is averaged away, and painted lips often have no contour:
    without it bright teeth look like a part of the skin. ``mask``: uint8 (h, w), the inside.
    """
    import cv2

    depth = cv2.GaussianBlur(mask, (0, 0), max(0.6, _RIM_REACH * width_px)).astype(np.float32) / 255
    light = np.clip(_RIM_LIGHT + _RIM_GROWTH * depth, 0, 1)[..., None] ** _RIM_HUE
    return np.asarray(patch * light, np.uint8)


def _shade_edges(patch: UInt8Image, mask: UInt8Image) -> None:
    """Darken the inside towards the lips, which shade it, in place."""
    import cv2

    reach = max(1.0, 0.10 * max(mask.shape))
    depth = cv2.GaussianBlur(mask, (0, 0), reach).astype(np.float32) / 255
    light = np.clip(0.25 + 0.95 * depth, 0, 1)
    np.copyto(patch, (patch * light[..., None]).astype(np.uint8))
