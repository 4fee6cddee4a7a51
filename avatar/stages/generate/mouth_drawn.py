"""The drawn mouth: what shows between lips where no picture of a driver's is at hand.

Upper teeth are fixed to the skull, lower teeth and tongue to the jaw, which the chin tells; lips
that move bare them or hide them. Lengths are in mouth widths at rest (some 50 mm), from dental
anatomy: a central incisor is 8.5 mm wide and 10.5 mm long, of which parted lips show 4 mm.
"""

from __future__ import annotations

import numpy as np

from avatar.core.face.head import HeadShape, compose
from avatar.core.face.topology import CHIN, LIPS_MIDDLE, MOUTH_CORNERS, NOSE_BASE
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.deform import Pose
from avatar.stages.generate.mouth_light import MouthLight
from avatar.stages.generate.overlay import Box, blend_into

# Units of a picture in one mouth width; a picture is wider than a mouth at rest, for a smile.
_UNITS, _SPAN = 240, 340
# Where teeth end sideways, from the middle, in half mouth widths: incisors, canine, premolars.
_ENDS = np.array([0.0, 0.33, 0.58, 0.76, 0.91, 1.03, 1.13])
_LONG = np.array([1.0, 0.90, 0.98, 0.86, 0.76, 0.68])
# No two teeth are alike: how much longer and lighter each is, from the right one to the left.
_UNEVEN = np.array([0.01, -0.03, 0.02, -0.02, 0.03, 0.0, -0.01, 0.02, -0.03, 0.01, -0.02, 0.02])
# Upper and lower teeth: how tall the picture, where gums end in it, how long a tooth, how wide
# the row; units.
_UPPER, _LOWER = (96, 34, 50, 1.0), (80, 26, 40, 0.80)
# How far below the upper lip at rest incisors end, and how far lower ones reach behind them.
_BARED, _OVERBITE = 0.08, 0.04
# The most of lower teeth that a lip bares, and how far a tongue rises above them.
_LOWER_BARED, _TONGUE_ABOVE = 0.08, 0.34
# Shares of the light of teeth: gums, tongue, the dark.
_GUM = np.array([0.78, 0.48, 0.47], np.float32)
_TONGUE = np.array([0.72, 0.41, 0.41], np.float32)
_DARK = np.array([0.26, 0.108, 0.112], np.float32)
_GAP = np.array([0.72, 0.62, 0.56], np.float32)
_NECK, _EDGE = np.array([0.95, 0.89, 0.80], np.float32), np.array([0.93, 0.94, 0.96], np.float32)
_SIDES_LIGHT, _LOWER_LIGHT = 0.5, 0.84
_TONGUE_TALL = 130


class DrawnMouth:
    """One avatar's drawn mouth.

    ``light``: the light on its photograph's mouth; ``blur_px``: how soft that picture is, pixels;
    ``head``: its head at rest; ``empty``: leaves but the dark.
    """

    def __init__(
        self, light: MouthLight, blur_px: float, head: HeadShape, *, empty: bool = False
    ) -> None:
        corners = head.shape[list(MOUTH_CORNERS)]
        self._width = float(np.linalg.norm(corners[0] - corners[1]))
        self._light, self._empty = light, empty
        middle = corners.mean(axis=0)
        self._skull = np.array([middle[0], head.shape[13, 1], middle[2]], np.float32)
        self._chin = float(head.shape[NOSE_BASE, 1] - head.shape[CHIN, 1])
        # Drawn large and made as small and as soft as the picture, which keeps lines from dots.
        self._grain = float(np.clip(1.25 * self._width * head.scale_px / _UNITS, 0.2, 1.0))
        self._soft = max(blur_px, 0.6) * 1.25
        self._dark = _lit(_DARK[None, None], light)[0, 0]
        self._tongue = self._prepared(_draw_tongue())
        upper, lower = _draw_teeth(*_UPPER), _draw_teeth(*_LOWER)[::-1]
        lower[..., :3] *= _LOWER_LIGHT
        self._upper, self._lower = self._prepared(upper), self._prepared(lower)

    def draw(self, pose: Pose, box: Box) -> UInt8Image:
        """Return the box's pixels, uint8 (h, w, 3), with the dark, the tongue and the teeth."""
        patch = self.inmost(pose, box)
        if self._empty:
            return patch
        end, meeting = self._places(pose)
        tall, gum, length, _ = _LOWER
        self._lay(patch, self._lower, meeting, tall - gum - length, pose, box)
        _, gum, length, _ = _UPPER
        self._lay(patch, self._upper, end, gum + length, pose, box)
        return patch

    def inmost(self, pose: Pose, box: Box) -> UInt8Image:
        """Return the box's pixels, uint8 (h, w, 3), with the dark and the tongue."""
        patch = np.full((box[3] - box[1], box[2] - box[0], 3), self._dark, np.uint8)
        if not self._empty:
            row = _TONGUE_ABOVE * _UNITS
            self._lay(patch, self._tongue, self._places(pose)[1], row, pose, box)
        return patch

    def _prepared(self, picture: Float32) -> UInt8Image:
        """Return a picture, float32 (h, w, 4), in its light, size and softness, uint8."""
        import cv2

        picture[..., :3] = _lit(picture[..., :3], self._light)
        picture[..., 3] *= 255
        small = cv2.resize(
            picture, None, fx=self._grain, fy=self._grain, interpolation=cv2.INTER_AREA
        )
        soft = cv2.GaussianBlur(small, (0, 0), self._soft, borderType=cv2.BORDER_REPLICATE)
        return np.clip(soft, 0, 255).astype(np.uint8)

    def _places(self, pose: Pose) -> tuple[Float32, Float32]:
        """Return where the upper incisors end and where the lower ones do, float32 (2,) each."""
        down = pose.rotation @ np.array([0, -1, 0], np.float32)
        axis = np.array([down[0], -down[1]], np.float32)
        unit = np.float32(self._width * pose.scale_px)
        lip = compose(self._skull[None], pose.rotation, pose.centre_px, pose.scale_px)[0, :2]
        end = lip + axis * np.float32(_BARED) * unit
        chin = pose.landmarks_px[CHIN, :2] - pose.landmarks_px[NOSE_BASE, :2]
        dropped = max(float(chin @ axis) / pose.scale_px - self._chin, 0.0)
        meeting = end + axis * np.float32(dropped * pose.scale_px - _OVERBITE * float(unit))
        # A lip drawn down bares no more than lower teeth.
        above = float((pose.landmarks_px[LIPS_MIDDLE[1], :2] - meeting) @ axis)
        meeting = meeting + axis * np.float32(max(above - _LOWER_BARED * float(unit), 0.0))
        return end.astype(np.float32), meeting.astype(np.float32)

    def _lay(
        self, patch: UInt8Image, picture: UInt8Image, at: Float32, row: float, pose: Pose, box: Box
    ) -> None:
        """Lay ``picture`` over ``patch``, its unit ``row`` at ``at``, turned as the head is."""
        import cv2

        unit = np.float32(self._width * pose.scale_px / _UNITS / self._grain)
        right, down = pose.rotation[:, 0] * unit, -pose.rotation[:, 1] * unit
        columns = np.array([[right[0], down[0]], [-right[1], -down[1]]], np.float64)
        home = np.array([_SPAN / 2, row]) * self._grain
        shift = at - np.array(box[:2], np.float32) - 0.5 - columns @ home
        matrix = np.hstack([columns, shift[:, None]])
        size = (box[2] - box[0], box[3] - box[1])
        drawn = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)
        # Where the picture ends its colours end too; alpha says so.
        whole = (0, 0, *size)
        colours = np.asarray(drawn[..., :3], np.uint8)
        blend_into(patch, whole, colours, np.asarray(drawn[..., 3], np.uint8))


def _lit(shares: Float32, light: MouthLight) -> Float32:
    return np.asarray(np.clip(shares * light.teeth, 0, 255), np.float32)


def _grid(tall: int) -> tuple[Float32, Float32]:
    """Return rows and columns, the latter in half mouth widths from the middle, float32."""
    y, x = np.mgrid[0:tall, 0:_SPAN].astype(np.float32)
    return y + np.float32(0.5), (x + np.float32(0.5) - _SPAN / 2) / np.float32(_UNITS / 2)


def _draw_tongue() -> Float32:
    """Draw the tongue below its tip, float32 (h, w, 4): shares of light and opacity."""
    y, u = _grid(_TONGUE_TALL)
    rise = np.clip((y - 2 - 40 * u * u) / 42, 0, 1) * np.clip(1.25 - np.abs(u) * 1.35, 0, 1)
    groove = 1 - 0.14 * np.exp(-((u / 0.07) ** 2)) * np.clip(y / 40, 0, 1)
    shine = 1 + 0.12 * np.exp(-(((np.abs(u) - 0.22) / 0.13) ** 2) - ((y - 62) / 18) ** 2)
    out = np.empty((*y.shape, 4), np.float32)
    out[..., :3] = _TONGUE * ((0.62 + 0.3 * np.clip(y / 85, 0, 1)) * groove * shine)[..., None]
    # Warped beyond its lower end it would end in a line.
    out[..., 3] = rise * np.clip((_TONGUE_TALL - y) / 20, 0, 1)
    return out


def _draw_teeth(tall: int, gum: int, length: int, width: float) -> Float32:
    """Draw a row of teeth hanging from gums, float32 (h, w, 4): shares of light and opacity."""
    y, u = _grid(tall)
    side = np.abs(u) / np.float32(width)
    which = np.clip(np.searchsorted(_ENDS, side) - 1, 0, len(_LONG) - 1)
    uneven = _UNEVEN[np.where(u < 0, len(_LONG) - 1 - which, len(_LONG) + which)]
    low, high = _ENDS[which], _ENDS[which + 1]
    across = np.clip((side - low) / (high - low) * 2 - 1, -1, 1)
    # The arch: teeth to the sides lie farther back, are seen higher up, and in the dark.
    arch = 5 * side**2
    top = gum + 4 - arch + 7 * across**2 - 4 * (which == 1)
    end = gum + length * (_LONG[which] + uneven) - 0.3 * arch - 3.2 * np.abs(across) ** 3
    down = np.clip((y - top) / np.maximum(end - top, 1), 0, 1)[..., None]
    colour = 1 + (_NECK - 1) * (1 - down) ** 2 + (_EDGE - 1) * down**6
    colour = colour * (1 - 0.09 * across**2 + uneven * 1.5)[..., None]
    apart = (1 - np.abs(across)) * (high - low) / 2
    gap = np.exp(-((apart / 0.014) ** 2))[..., None]
    colour = colour * (1 + (_GAP - 1) * gap)
    pink = np.clip((top - y) / 2.5 + 0.5, 0, 1)[..., None]
    gums = _GUM * (0.94 + 0.10 * np.clip(1 - np.abs(across), 0, 1))[..., None]
    colour = colour * (1 - pink) + gums * pink
    behind = np.clip((side - 0.45) / 0.75, 0, 1)
    colour = colour * (1 - _SIDES_LIGHT * behind * behind * (3 - 2 * behind))[..., None]
    out = np.empty((*y.shape, 4), np.float32)
    out[..., :3] = colour
    out[..., 3] = np.clip((end - y) / 2 + 0.5, 0, 1) * np.clip((_ENDS[-1] - side) / 0.12, 0, 1)
    return out
