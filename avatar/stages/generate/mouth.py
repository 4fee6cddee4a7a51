"""The inside of the mouth: a cavity with teeth, where the lips part wider than in the photo."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avatar.core.choices import Mouth
from avatar.core.curves import clamped
from avatar.core.face.head import HeadShape
from avatar.core.face.topology import INNER_LIPS
from avatar.core.frames import FaceTrack, Float32, Motion, UInt8Image
from avatar.stages.generate.deform import Pose, lips_gap_px
from avatar.stages.generate.driver_mouth import DriverMouth, in_light
from avatar.stages.generate.grain import Grain
from avatar.stages.generate.mouth_drawn import DrawnMouth
from avatar.stages.generate.mouth_light import lips_colour, mouth_light, skin_colour
from avatar.stages.generate.overlay import Box, blend_into, box_around, polygon_mask
from avatar.stages.generate.own_mouth import OwnMouth, hung, laid
from avatar.stages.generate.sharpness import blur_px
from avatar.stages.generate.toning import Toning

# Lips parted by this share of the mouth's width show what is behind them. Teeth are lighter than
# lips, and of all that is between skin's redness and lips' no nearer to the lips' than so; where
# both are alike, as in a picture without colour, they are at least this bright against skin.
_PARTED_SHARE = 0.10
_TEETH_REDNESS, _COLOURED = 0.25, 0.15
_TEETH_LIGHT = 0.85
# Lips that touch in a photograph still have landmarks apart by this share of its width.
_SHUT_SHARE = 0.04
# Up to so many times their distance in the photo, lips keep the teeth that show there.
_OWN_REACH = 1.6
# The shadow of lips on what lies behind them: how far it reaches, in mouth widths, its light at
# the lips' very edge and how fast that grows inwards; red light passes through lips.
_RIM_REACH, _RIM_LIGHT, _RIM_GROWTH = 0.035, -0.03, 1.2
_RIM_HUE = np.array([0.7, 1, 1], np.float32)
# The light at each level of depth within the lips, float32 (256, 1, 3).
_RIM_LIGHTS = (
    np.clip(_RIM_LIGHT + _RIM_GROWTH * np.linspace(0, 1, 256, dtype=np.float32), 0, 1)[
        :, None, None
    ]
    ** _RIM_HUE
)

# Drawn so many times as high as it is against its width, a driver's mouth still looks like one;
# opened wider, teeth hang from the upper lip at that height, and below them it is dark.
_STRETCHED = 1.4
# How much of the drawn dark and tongue shines through a driver's mouth.
_VEIL = 0.8

# How far the upper lip's shadow reaches down, in mouth widths.
_OVERHANG = 0.03

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
        self._shut_gap = min(self._rest_gap, _SHUT_SHARE * self._width)
        self._shown_gap = self._shut_gap if inside == "empty" else self._rest_gap
        # A photo whose own teeth show keeps them: the mesh bends what lies between its lips.
        parted = self._rest_gap > _PARTED_SHARE * self._width
        keeps = inside == "auto" and parted and _shows_teeth(canvas, landmarks_px)
        self._own = OwnMouth(canvas, landmarks_px) if keeps else None
        photo, blur = mouth_light(canvas, landmarks_px), blur_px(canvas, landmarks_px)
        self._driver = DriverMouth(photo, blur) if inside in ("auto", "driver") else None
        self._drawn = DrawnMouth(photo, blur, head, empty=inside == "empty")
        self._slope = photo.slope
        self._toning = Toning(canvas, landmarks_px)
        self._grain = Grain(canvas, landmarks_px)

    def draw(self, image: UInt8Image, pose: Pose, motion: Motion) -> None:
        """Draw what shows between the lips into ``image``, in place."""
        unit = self._width * pose.scale_px
        gap = lips_gap_px(pose.landmarks_px)
        strength = _parted(gap - self._shut_gap * pose.scale_px, unit)
        wider = gap / max(self._rest_gap * pose.scale_px, 1.0)
        own = None if motion.absolute else self._own
        if own is not None:
            strength = own.share(wider)
        elif self._own is not None:
            # Bent much wider than they were photographed, teeth would be stretched.
            strength *= clamped((wider - _OWN_REACH) / 0.5, 0, 1)
        lips_px = pose.landmarks_px[INNER_LIPS]
        box = box_around(lips_px, 2, image)
        if strength <= 0 or box is None:
            return
        mask = polygon_mask(lips_px, box, feather_px=max(0.6, 0.012 * unit))
        patch = None if own is not None else self._taken(pose, motion, box, mask)
        if own is not None:
            dark = _with_rim(self._drawn.inmost(pose, box), mask, unit)
            patch = own.lay_on(dark, lips_px, box, wider)
        elif patch is None:
            lips = lips_px[:, :2] - np.array(box[:2], np.float32)
            patch = in_light(self._drawn.draw(pose, box), self._slope, lips)
            patch = _with_rim(patch, _under_upper_lip(mask, unit), unit)
            # Parted no wider than in the photograph, lips show what is behind them there.
            strength = min(strength, _parted(gap - self._shown_gap * pose.scale_px, unit))
        else:
            strength *= self._seen(pose, motion, gap / unit)
        patch = self._toning.apply(patch)
        patch = self._grain.lay_on(patch, lips_px[0, :2] - np.array(box[:2], np.float32))
        blend_into(image, box, patch, (mask * strength).astype(np.uint8))

    def _seen(self, pose: Pose, motion: Motion, opening: float) -> float:
        """Return how much of the driver's mouth is shown, 0 to 1.

        Lips that touch have no inside: drawn between parted lips of a photograph they would be a
        smear. And what is narrow there would be stretched beyond recognition, while the photograph
        has teeth of its own between its lips. ``opening``: the avatar's, in mouth widths.
        """
        assert motion.track is not None
        theirs = _opening(motion.track, pose.lip_shares)
        parted = clamped(theirs / 0.05 - 0.2, 0, 1)
        if self._own is None:
            return parted
        # The less stretched of both is shown.
        own = opening * self._width / self._rest_gap
        less = own * theirs / max(opening, 1e-3)
        return parted * clamped((less - 0.9) / 0.25, 0, 1)

    def _taken(
        self, pose: Pose, motion: Motion, box: Box, mask: NDArray[np.uint8]
    ) -> UInt8Image | None:
        """Return the box's pixels with the driver's mouth; None where it is to be drawn."""
        if self._driver is None or motion.track is None:
            return None
        lips_px = pose.landmarks_px[INNER_LIPS]
        if motion.absolute:
            # The driver's own lips, reproduced, have their own shadow.
            return self._driver.draw(motion.track, lips_px, box, pose.lip_shares)
        unit = self._width * pose.scale_px
        hanging = _hanging(lips_px, _opening(motion.track, pose.lip_shares))
        taken = self._driver.draw(motion.track, hanging, box, pose.lip_shares)
        if taken is None:
            return None
        inmost = self._drawn.inmost(pose, box)
        taken = _veiled(taken, inmost)
        if hanging is not lips_px:
            taken = laid(inmost, taken, hanging, box)
        return _with_rim(taken, mask, unit)


def _parted(gap_px: float, width_px: float) -> float:
    """Return how much is seen between lips, 0 to 1, by how far they are apart, pixels."""
    return clamped(gap_px / max(0.05 * width_px, 1.0) - 0.1, 0, 1)


def _hanging(lips_px: Float32, opening: float) -> Float32:
    """Return the ring of ``INNER_LIPS`` within which a driver's mouth is drawn.

    ``lips_px``: float32 (20, 3), the avatar's. ``opening``: the driver's, in mouth widths. Where
    the avatar's is much higher, the lower edge of the ring is raised.
    """
    upper, lower = lips_px[5, :2], lips_px[15, :2]
    width = max(math.dist(lips_px[0, :2], lips_px[10, :2]), 1.0)
    higher = math.dist(upper, lower) / width / max(opening, 1e-3)
    return lips_px if higher <= _STRETCHED else hung(lips_px, _STRETCHED / higher)


def _opening(track: FaceTrack, lip_shares: Float32 | None) -> float:
    """Return how far a driver's lips stand apart at their middle, in mouth widths.

    ``lip_shares``: what of that is lip, ``InnerEdge.find``.
    """
    assert track.face is not None
    points = track.face.landmarks_px
    width = max(math.dist(points[78, :2], points[308, :2]), 1.0)
    lip = 0.0 if lip_shares is None else float(lip_shares[:, 2:7].sum(axis=0).mean())
    return lips_gap_px(points) / width * (1 - lip)


def _shows_teeth(canvas: UInt8Image, landmarks_px: Float32) -> bool:
    """Return whether between the lips there is something lighter and hardly redder than skin is.

    A tongue and gums are as red as lips; teeth in the lips' shadow may be darker than skin.
    """
    lips_px = landmarks_px[INNER_LIPS]
    box = box_around(lips_px, 0, canvas)
    if box is None:
        return False
    inside = polygon_mask(lips_px, box) > 200
    if not inside.any():
        return False
    pixels = canvas[box[1] : box[3], box[0] : box[2]][inside].astype(np.float32)
    light = np.percentile(pixels.mean(axis=1), 80)
    bright = pixels[pixels.mean(axis=1) >= light].mean(axis=0)
    skin, lips = skin_colour(canvas, landmarks_px), lips_colour(canvas, landmarks_px)
    redness, least, most = (float(c[0] / max(c[1:].mean(), 1.0)) for c in (bright, skin, lips))
    if most - least < _COLOURED:
        return bool(bright.mean() > _TEETH_LIGHT * skin.mean())
    return bool(bright.mean() > lips.mean() and redness < least + _TEETH_REDNESS * (most - least))


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

    depth = cv2.GaussianBlur(mask, (0, 0), max(0.6, _RIM_REACH * width_px))
    light = cv2.LUT(cv2.cvtColor(depth, cv2.COLOR_GRAY2RGB), _RIM_LIGHTS)
    return np.asarray(patch * light, np.uint8)


def _under_upper_lip(mask: NDArray[np.uint8], width_px: float) -> NDArray[np.uint8]:
    """Return ``mask`` without the strip that the upper lip shades most: light comes from above."""
    down = min(max(1, round(_OVERHANG * width_px)), mask.shape[0] - 1)
    below = np.zeros_like(mask)
    below[down:] = mask[:-down]
    return np.asarray(np.minimum(mask, below // 4 + mask // 4 * 3), np.uint8)
