"""The face that is put on: a photograph's skin without the photograph's light."""

from __future__ import annotations

import numpy as np

from avatar.core.curves import smooth_step
from avatar.core.face.topology import SIDES, SURFACE_COUNT
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.raster import sample_planes
from avatar.stages.generate.sharpness import blur_px
from avatar.stages.generate.swap.layout import FaceSheet, Zones
from avatar.stages.generate.swap.light import hair, low, luma

SIDE = 512
"""Cells of the sheet that keeps a photograph's texture."""
# The cosine from which skin is seen well enough, and over which it comes in.
_SEEN, _SPAN = 0.3, 0.25
# Texture lies between these shares of the light on it.
_DARKEST, _BRIGHTEST = 0.02, 1.35
_COLOURFUL = 0.85
# What is coarser than this share of the sheet, and no light yet, is evened by so much.
_COARSE, _EVENED = 0.018, 0.25
_JOINT = 0.03
_DARK_SKIN = np.float32(0.7)


class NewFace:
    """One photograph's face on the sheet.

    ``photo``: uint8 (H, W, 3) RGB; ``face``: found in it.
    """

    def __init__(self, photo: UInt8Image, face: Face, layout: FaceSheet) -> None:
        self.landmarks_px = face.landmarks_px
        self.width_px = face_width(face.landmarks_px)
        self.blur_px = blur_px(photo, face.landmarks_px)
        sheet = _unwrapped(photo, face.landmarks_px, layout)
        zones = layout.zones(SIDE)
        seen = smooth_step((layout.facing(face.landmarks_px, SIDE) - _SEEN) / _SPAN)
        covered = hair(sheet, zones.skin * seen, zones.rim)
        light = low(sheet, zones.skin * seen * (1 - covered))
        texture = _muted(np.clip(sheet / np.maximum(light, 6), _DARKEST, _BRIGHTEST))
        texture = _evened(texture, zones)
        self.texture = _both_sides(texture, seen)
        """Colour over the light on it, float32 (S, S, 3)."""
        # Hair on the forehead and beside the cheeks is no face: the film's own skin stays there.
        self.own = _both_sides(1 - covered[..., None], seen)[..., 0]
        """Where this face is to be shown, float32 (S, S), 0 to 1."""

    def softened(self, width_px: float, film_blur_px: float) -> Float32:
        """Return the texture as sharp as a film's faces of ``width_px``, float32 (S, S, 3)."""
        import cv2

        ours = max(self.blur_px * width_px / self.width_px, 0.5)
        lacking = max(film_blur_px**2 - ours**2, 0.0) ** 0.5
        # What the film cannot show would flicker: the sheet is shown with fewer pixels than it has.
        shrunk = 0.5 * max(SIDE / max(width_px, 1.0) - 1, 0.0) ** 0.5
        blur = float(np.hypot(lacking * SIDE / max(width_px, 1.0), shrunk))
        if blur < 0.3:
            return self.texture
        return np.asarray(cv2.GaussianBlur(self.texture, (0, 0), blur), np.float32)


def face_width(landmarks_px: Float32) -> float:
    """Return how large a face is in its picture, pixels: about ear to ear, however it is turned."""
    surface = landmarks_px[:SURFACE_COUNT]
    return max(float(np.linalg.norm(surface[SIDES[0]] - surface[SIDES[1]])), 1.0)


def _unwrapped(photo: UInt8Image, landmarks_px: Float32, layout: FaceSheet) -> Float32:
    """Return the sheet; of a larger photograph shrunk first, so that nothing is left out."""
    import cv2

    scale = SIDE / face_width(landmarks_px)
    if scale >= 1:
        return layout.unwrap(photo, landmarks_px, SIDE)
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    ratio = np.array([small.shape[1] / photo.shape[1], small.shape[0] / photo.shape[0], scale])
    return layout.unwrap(
        np.asarray(small, np.uint8), (landmarks_px * ratio).astype(np.float32), SIDE
    )


def _both_sides(texture: Float32, seen: Float32) -> Float32:
    """Return the texture, where it was not seen that of the other side.

    What varies slowly changes over slowly: the two sides never have quite the same light.
    """
    import cv2

    share = seen + (1 - seen) * (1 - seen[:, ::-1])
    wide = cv2.GaussianBlur(share, (0, 0), _JOINT * texture.shape[0])
    wide = np.minimum(wide, share)[..., None]
    coarse = cv2.GaussianBlur(texture, (0, 0), _JOINT * texture.shape[0] / 2)
    coarse = coarse.reshape(texture.shape)
    fine = texture - coarse
    slow = coarse * wide + coarse[:, ::-1] * (1 - wide)
    quick = fine * share[..., None] + fine[:, ::-1] * (1 - share[..., None])
    return np.asarray(slow + quick, np.float32)


def _evened(texture: Float32, zones: Zones) -> Float32:
    """Return the texture with less of what is between light and texture: hard light's shadows."""
    import cv2

    coarse = np.maximum(cv2.GaussianBlur(luma(texture), (0, 0), _COARSE * texture.shape[0]), 0.05)
    # No skin is as dark as eye sockets at noon: they would be black in softer light.
    wanted = np.maximum(coarse ** np.float32(1 - _EVENED), _DARK_SKIN)
    share = (wanted / coarse) ** (1 - zones.features)
    return np.asarray(texture * share[..., None], np.float32)


def _muted(texture: Float32) -> Float32:
    """Return the texture with less colour of its own: on redder skin, red lips would glow."""
    grey = luma(texture)[..., None]
    return np.asarray(
        grey * (texture / np.maximum(grey, 0.01)) ** np.float32(_COLOURFUL), np.float32
    )


def at(sheet: Float32, across: Float32, down: Float32) -> Float32:
    """Return a sheet's values at places of it, 0 to 1, float32 (h, w) each."""
    side = np.float32(sheet.shape[0])
    return np.asarray(
        sample_planes(sheet, (across * side - np.float32(0.5), down * side - np.float32(0.5))),
        np.float32,
    )
