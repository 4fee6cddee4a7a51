"""What the driver's mouth is multiplied by, to lie in the photograph's light instead of his own.

His light is first guessed as the photograph's is, from skin and whites of the eyes; then, as his
mouth opens, his own teeth tell it better, half blue and half yellow as they may be. All changes
slowly while his mouth is open, so that nothing flickers, and at once where it was shut.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.curves import clamped
from avatar.core.face.topology import EYES, INNER_LIPS
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.mouth_light import (
    MouthLight,
    light_beside,
    mouth_axis,
    mouth_opening,
    teeth_colour,
    to_lab,
    to_rgb,
    whites_colour,
)
from avatar.stages.generate.overlay import box_around, polygon_mask

_GAIN_LIMITS = (0.25, 3.5)
_STEEPEST = 0.6
_EVERY = 4
# The newest look's share: at light, at teeth lighter than those known, at darker ones, which may
# lie in the lips' shadow.
_NEW_LIGHT, _NEW_LIGHTER, _NEW_DARKER = 0.15, 0.3, 0.06
# How much teeth once seen are believed against the guess.
_SEEN_SHARE = 0.75
# Lips this far apart, in mouth widths, show teeth if there are any; as shut as that, none.
_APART, _SHUT = 0.10, 0.03
# Teeth are within these of the guess: L* as a factor, a* and b* above it. A tongue is redder.
_LIGHTNESS, _REDDER, _YELLOWER = (0.62, 1.4), 5.0, 14.0
_LEAST_SHARE, _LEAST_PIXELS = 0.06, 12
# An eye open wider than this share of its width shows its white.
_EYE_OPEN = 0.2
# A driver whose skin has the photograph's colour within this (logarithm) is taken for the one
# photographed, whose teeth are right as they are.
_SAME = 0.06
# How far tongue and gums follow the redness of the photograph's lips, which may be painted.
_FLESH_POWER, _FLESH_LIMITS = 0.5, (0.8, 1.2)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class DriverLight:
    """Knows one driver's light ever better. ``photo``: the light of the avatar's photograph."""

    def __init__(self, photo: MouthLight) -> None:
        self._photo = photo
        self._calls = 0
        self._shut = True
        self._light: MouthLight | None = None
        self._whites: Float32 | None = None
        self._teeth: Float32 | None = None
        self._slope: Float32 | None = None
        self._seen = 0

    @property
    def teeth(self) -> Float32:
        """Return what the driver's teeth look like in his light, float32 (3,), RGB."""
        assert self._light is not None
        return self._light.teeth

    def change(self, image: UInt8Image, face: Face) -> tuple[Float32, Float32]:
        """Return the matrix, float32 (3, 3), that takes his colours at the mouth's middle into the
        photograph's light, and by how much that changes over the mouth, a slope of ``MouthLight``.

        ``image``: uint8 (H, W, 3) RGB, the driver; his ``face``.
        """
        gap = mouth_opening(face.landmarks_px)
        if self._light is None or self._calls % _EVERY == 0 or (self._shut and gap > _SHUT):
            self._look(image, face.landmarks_px, gap)
            self._now = self._change()
        self._calls += 1
        self._shut = gap <= _SHUT
        return self._now

    def _look(self, image: UInt8Image, landmarks_px: Float32, gap: float) -> None:
        share = 1.0 if self._light is None else 0.6 if self._shut else _NEW_LIGHT
        now = self._guess(image, landmarks_px)
        old = self._light or now
        self._light = MouthLight(
            _mixed(old.skin, now.skin, share),
            _mixed(old.teeth, now.teeth, share),
            old.redness + (now.redness - old.redness) * share,
            _mixed(old.slope, now.slope, share),
        )
        if gap > _APART:
            self._look_at_teeth(image, landmarks_px)

    def _guess(self, image: UInt8Image, landmarks_px: Float32) -> MouthLight:
        """Return the light by skin and whites; whites are remembered while the eyes are shut."""
        whites = whites_colour(image, landmarks_px)
        light = light_beside(image, landmarks_px, whites)
        if whites is not None and _eyes_open(landmarks_px):
            old = whites if self._whites is None else self._whites
            self._whites = _mixed(old, whites, _NEW_LIGHT)
        return replace(light, teeth=teeth_colour(light.skin, self._whites))

    def _look_at_teeth(self, image: UInt8Image, landmarks_px: Float32) -> None:
        """Take in the colour of the teeth between the lips, and how it changes across them."""
        assert self._light is not None
        found = _tooth_pixels(image, landmarks_px, to_lab(self._light.teeth[None])[0])
        if found is None:
            return
        lab, colours, places = found
        colour = np.array([np.percentile(lab[:, 0], 75), *np.median(lab[:, 1:], axis=0)])
        slope = _hue_slope(colours, places)
        self._seen += 1
        if self._teeth is None:
            self._teeth = colour.astype(np.float32)
        else:
            lighter = colour[0] > self._teeth[0]
            self._teeth = _mixed(self._teeth, colour, _NEW_LIGHTER if lighter else _NEW_DARKER)
        if slope is not None:
            old = slope if self._slope is None else self._slope
            self._slope = _mixed(old, slope, _NEW_LIGHT)

    def _change(self) -> tuple[Float32, Float32]:
        assert self._light is not None
        light, photo = self._light, self._photo
        theirs, slope = light.teeth, light.slope.copy()
        if self._teeth is not None:
            seen = to_rgb(self._teeth[None])[0]
            theirs = _mixed(theirs, seen, _SEEN_SHARE * self.another)
        if self._slope is not None:
            # What teeth say of the hue; how light they are from side to side is the arch's too.
            share = min(self._seen / 3, 1.0) * 0.85
            slope[0] += share * (self._slope - (slope[0] - slope[0].mean()))
        gain = np.clip(photo.teeth / np.maximum(theirs, 8), *_GAIN_LIMITS).astype(np.float32)
        change = np.clip(photo.slope - slope, -_STEEPEST, _STEEPEST)
        return self._with_flesh(gain), change.astype(np.float32)

    def _with_flesh(self, gain: Float32) -> Float32:
        """Return ``gain``, float32 (3,), as a matrix that makes flesh as red as the photograph's.

        What has the teeth's hue keeps it; what differs from it differs by a factor.
        """
        assert self._light is not None
        ratio = max(self._photo.redness, 0.02) / max(self._light.redness, 0.02)
        factor = clamped(ratio**_FLESH_POWER, *_FLESH_LIMITS)
        factor = 1 + (factor - 1) * self.another
        hue = self._photo.teeth / max(float(self._photo.teeth @ _LUMA), 1.0)
        flesh = factor * np.eye(3) + (1 - factor) * np.outer(hue, _LUMA)
        return (flesh * gain[None, :]).astype(np.float32)

    @property
    def another(self) -> float:
        """Return 0 where the driver's skin is the photograph's, 1 where it clearly is not."""
        assert self._light is not None
        ratio = np.log(np.maximum(self._photo.skin, 8) / np.maximum(self._light.skin, 8))
        return clamped(float(np.abs(ratio).max()) / _SAME - 1, 0, 1)


def _eyes_open(landmarks_px: Float32) -> bool:
    def opening(eye: tuple[int, int, int, int, int]) -> float:
        outer, inner, upper, lower, _ = (landmarks_px[k, :2] for k in eye)
        return float(np.linalg.norm(upper - lower) / max(float(np.linalg.norm(outer - inner)), 1))

    return min(opening(eye) for eye in EYES) > _EYE_OPEN


def _tooth_pixels(
    image: UInt8Image, landmarks_px: Float32, guess: Float32
) -> tuple[Float32, Float32, Float32] | None:
    """Return L*a*b* (N, 3), RGB (N, 3) and the place across the mouth (N,) of what may be teeth.

    ``guess``: float32 (3,), L*a*b*. None where too few pixels are like it.
    """
    middle, across, width = mouth_axis(landmarks_px)
    lips = landmarks_px[INNER_LIPS, :2]
    lips = lips.mean(axis=0) + (lips - lips.mean(axis=0)) * np.float32(0.85)
    box = box_around(lips, 1, image)
    if box is None:
        return None
    rows, columns = np.nonzero(polygon_mask(lips, box) > 128)
    colours = image[rows + box[1], columns + box[0]].astype(np.float32)
    if not len(colours):
        return None
    lab = to_lab(colours)
    low, high = guess[0] * np.array(_LIGHTNESS)
    like = (lab[:, 0] > low) & (lab[:, 0] < high) & (lab[:, 1] < guess[1] + _REDDER)
    like &= lab[:, 2] < guess[2] + _YELLOWER
    if like.sum() < max(_LEAST_PIXELS, _LEAST_SHARE * len(like)):
        return None
    at = np.stack([columns, rows], axis=1) + np.array(box[:2]) + 0.5 - middle
    return lab[like], colours[like], (at[like] @ across / width).astype(np.float32)


def _hue_slope(colours: Float32, places: Float32) -> Float32 | None:
    """Return by how much teeth's hue changes over a mouth's width, float32 (3,), sum 0.

    As in ``MouthLight.slope``; None where they are seen on too short a piece.
    """
    spread = float(places.std())
    if spread < 0.08:
        return None
    logs = np.log(np.maximum(colours, 8))
    logs = logs - logs.mean(axis=1, keepdims=True)
    away = places - places.mean()
    slope = (away[:, None] * logs).mean(axis=0) / spread**2
    return np.asarray(np.clip(slope, -_STEEPEST, _STEEPEST), np.float32)


def _mixed(old: Float32, new: Float32, share: float) -> Float32:
    return np.asarray(old + (new - old) * share, np.float32)
