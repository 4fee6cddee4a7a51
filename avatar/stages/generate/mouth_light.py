"""The light on a mouth, told apart from what it falls on.

What a picture shows is reflectance times light. Skin differs from person to person, so two skins'
ratio is not two lights' ratio; teeth and the whites of eyes differ little. So a picture's light is
described by how teeth would look in it: from its own skin and whites, as real mouths are. What
varies over the mouth is a plane in the logarithm of each channel, as low frequencies are in
intrinsic decompositions (Land and McCann 1971; Barrow and Tenenbaum 1978).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from avatar.core.curves import clamped
from avatar.core.face.topology import (
    EYE_RINGS,
    INNER_LIPS,
    IRISES,
    LIPS_MIDDLE,
    MOUTH_CORNERS,
    OUTER_LIPS,
)
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.median import median_of
from avatar.stages.generate.overlay import box_around, polygon_mask

# Skin beside the mouth, lit as the mouth is: the cheek on either side, upper lip, chin.
_RIGHT, _LEFT = np.array([50, 205, 206, 203]), np.array([280, 425, 426, 423])
_ABOVE, _BELOW = np.array([164, 167, 393]), np.array([18, 200, 199])
_SKIN = np.concatenate([_RIGHT, _LEFT, [164], _BELOW])

# In real mouths the bright teeth of an open smile reflect this much of what skin reflects in red,
# where blood and melanin hardly absorb; in lightness (L*) they lie within these factors of the
# skin, and over the whites, which lids and lashes shade, by that one. Whites that a brow shades
# say little, whites as light as skin more, whites lighter than it (of a dark face) much.
_OVER_RED, _OVER_SKIN, _OVER_WHITES = 1.05, (1.04, 1.13), 1.12
_BRIGHTER_SHARE, _DARKER_SHARE = 0.7, (0.17, 0.5)
_SHADED, _LIT = 0.66, 0.92
_LIGHTEST, _DARKEST = 92.0, 8.0
# Their a*, b* from the skin's, which melanin and blood tint, and from the whites': enamel over
# dentine is yellower than these.
_SKIN_HUE = np.array([0.5, 0.68], np.float32)
_WHITES_HUE = np.array([0.85, 1.0], np.float32)
_DENTINE, _COLOURFUL = 3.0, 15.0
# Cheeks turn to the side, teeth to the front: that share of the planes holds for them, and no
# steeper than that across a mouth. A chin is often bearded or shaded by its own shape.
_ACROSS, _ALONG = 0.55, 0.25
_STEEPEST = 0.45
# Rows and columns from the middle of 3 × 3 pixels.
_AROUND = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])


@dataclass(frozen=True, eq=False)
class MouthLight:
    """One picture's light on its mouth.

    ``skin``, ``teeth``: float32 (3,), RGB, 0 to 255, gamma-coded as the picture: the skin around
    the mouth and what real teeth would be there. ``redness``: how much redder lips are than these
    teeth, the logarithm of red over green: in a pale picture flesh is pale. ``slope``:
    float32 (2, 3): by how much the logarithm of each channel changes over one mouth's width, along
    the corners (from the person's right to the left) and down.
    """

    skin: Float32
    teeth: Float32
    redness: float
    slope: Float32


def mouth_light(image: UInt8Image, landmarks_px: Float32) -> MouthLight:
    """Return the light of ``image``, uint8 (H, W, 3) RGB; landmarks float32 (478, 3) on it."""
    return light_beside(image, landmarks_px, whites_colour(image, landmarks_px))


def light_beside(image: UInt8Image, landmarks_px: Float32, whites: Float32 | None) -> MouthLight:
    """Return ``mouth_light`` where ``whites``, as of ``whites_colour``, are known already."""
    skin = skin_colour(image, landmarks_px)
    teeth = teeth_colour(skin, whites)
    redness = _redness(lips_colour(image, landmarks_px)) - _redness(teeth)
    return MouthLight(skin, teeth, redness, _slope(image, landmarks_px))


def skin_colour(image: UInt8Image, landmarks_px: Float32) -> Float32:
    """Return the colour of the skin around the mouth, float32 (3,), 0 to 255, RGB.

    The median over twelve places, so that a shadow or a beard on some does not count.
    """
    return median_of(_means(image, landmarks_px[_SKIN]))


def lips_colour(image: UInt8Image, landmarks_px: Float32) -> Float32:
    """Return the lips' colour, float32 (3,), 0 to 255, RGB: the median along their middle."""
    middle = (landmarks_px[INNER_LIPS] + landmarks_px[OUTER_LIPS]) * np.float32(0.5)
    return median_of(_means(image, middle))


def whites_colour(image: UInt8Image, landmarks_px: Float32) -> Float32 | None:
    """Return the colour of the whites of the eyes, float32 (3,); None where too few are seen."""
    found = [
        colour
        for ring, iris in zip(EYE_RINGS, IRISES, strict=True)
        if (colour := _white(image, landmarks_px[ring, :2], landmarks_px[iris, :2])) is not None
    ]
    return np.asarray(np.mean(found, axis=0), np.float32) if found else None


def teeth_colour(skin: Float32, whites: Float32 | None) -> Float32:
    """Return what real teeth would be beside such skin and whites, float32 (3,), RGB."""
    of_skin = to_lab(skin[None])[0]
    colourful = min(float(np.hypot(*of_skin[1:])) / _COLOURFUL, 1.0)
    hue = of_skin[1:] * _SKIN_HUE
    of_whites = None if whites is None else to_lab(whites[None])[0]
    if of_whites is not None:
        yellow = np.array([0, _DENTINE * colourful], np.float32)
        hue = (hue + of_whites[1:] * _WHITES_HUE + yellow) / 2
    light = _light_by_skin(skin, of_skin, hue)
    if of_whites is not None:
        more = _OVER_WHITES * float(of_whites[0]) - light
        lit = float(of_whites[0]) / max(float(of_skin[0]), 1.0)
        darker = float(np.interp(lit, (_SHADED, _LIT), _DARKER_SHARE))
        light += more * (_BRIGHTER_SHARE if more > 0 else darker)
    light = clamped(light, _DARKEST, _LIGHTEST)
    colour: Float32 = to_rgb(np.array([[light, *hue]], np.float32))[0]
    return colour


def _light_by_skin(skin: Float32, of_skin: Float32, hue: Float32) -> float:
    """Return the L* of teeth of ``hue``, (a*, b*), that are as red as they are beside ``skin``."""
    as_light = to_rgb(np.array([[of_skin[0], *hue]], np.float32))
    as_red = as_light * (_OVER_RED * skin[0] / max(float(as_light[0, 0]), 1.0))
    low, high = (share * float(of_skin[0]) for share in _OVER_SKIN)
    return clamped(float(to_lab(np.minimum(as_red, 255))[0, 0]), low, high)


def to_lab(colours: Float32) -> Float32:
    """Return RGB, float32 (N, 3), 0 to 255, as CIE L*a*b*, float32 (N, 3)."""
    import cv2

    shares = np.ascontiguousarray(colours[None], np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(shares, cv2.COLOR_RGB2LAB)[0], np.float32)


def to_rgb(lab: Float32) -> Float32:
    """Return CIE L*a*b*, float32 (N, 3), as RGB, float32 (N, 3), 0 to 255."""
    import cv2

    rgb = cv2.cvtColor(np.ascontiguousarray(lab[None], np.float32), cv2.COLOR_LAB2RGB)[0]
    return np.asarray(np.clip(rgb, 0, 1) * 255, np.float32)


def mouth_axis(landmarks_px: Float32) -> tuple[Float32, Float32, float]:
    """Return the mouth's middle and direction, float32 (2,) each, and its width, pixels."""
    right, left = landmarks_px[list(MOUTH_CORNERS), :2]
    width = max(math.dist(left, right), 1.0)
    return (right + left) / 2, ((left - right) / width).astype(np.float32), width


def _redness(colour: Float32) -> float:
    safe = np.maximum(colour, 6)
    return float(np.log(safe[0] / safe[1]))


def mouth_opening(landmarks_px: Float32) -> float:
    """Return how far the lips' inner edges stand apart at their middle, in mouth widths."""
    upper, lower = landmarks_px[list(LIPS_MIDDLE), :2]
    return math.dist(lower, upper) / mouth_axis(landmarks_px)[2]


def _slope(image: UInt8Image, landmarks_px: Float32) -> Float32:
    _, across, width = mouth_axis(landmarks_px)
    down = np.array([-across[1], across[0]], np.float32)
    ends = [(_RIGHT, _LEFT, across, _ACROSS), (_ABOVE, _BELOW, down, _ALONG)]
    rows = []
    for first, last, axis, share in ends:
        before, after = (median_of(_means(image, landmarks_px[k])) for k in (first, last))
        apart = landmarks_px[last, :2].mean(axis=0) - landmarks_px[first, :2].mean(axis=0)
        distance = max(float(apart @ axis) / width, 0.4)
        change = np.log(np.maximum(after, 8) / np.maximum(before, 8)) / distance
        rows.append(np.clip(share * change, -_STEEPEST, _STEEPEST))
    rows[1][:] = rows[1].mean()
    return np.array(rows, np.float32)


def _means(image: UInt8Image, landmarks_px: Float32) -> Float32:
    """Return the colour around each landmark, float32 (N, 3): the mean of 3 × 3 pixels."""
    height, width = image.shape[:2]
    points = landmarks_px[:, :2].astype(int)
    x, y = np.clip(points[:, 0], 1, width - 2), np.clip(points[:, 1], 1, height - 2)
    around = image[y + _AROUND[:, :1], x + _AROUND[:, 1:]]
    # In whole numbers: nine of eight bits.
    return np.asarray(around.sum(axis=0, dtype=np.int32) / 9, np.float32)


def _white(image: UInt8Image, ring_px: Float32, iris_px: Float32) -> Float32 | None:
    """Return one eye's white, float32 (3,): the lighter part of what lies beside its iris."""
    middle = ring_px.mean(axis=0)
    ring_px = middle + (ring_px - middle) * np.float32(0.85)
    box = box_around(ring_px, 1, image)
    if box is None:
        return None
    rows, columns = np.mgrid[box[1] : box[3], box[0] : box[2]]
    from_iris = np.hypot(columns + 0.5 - iris_px[0, 0], rows + 0.5 - iris_px[0, 1])
    radius = float(np.linalg.norm(iris_px[1:] - iris_px[0], axis=1).mean())
    beside = (polygon_mask(ring_px, box) > 128) & (from_iris > 1.25 * radius)
    pixels = image[box[1] : box[3], box[0] : box[2]][beside].astype(np.float32)
    if len(pixels) < 8:
        return None
    light = pixels.mean(axis=1)
    return np.asarray(pixels[light >= np.percentile(light, 60)].mean(axis=0), np.float32)
