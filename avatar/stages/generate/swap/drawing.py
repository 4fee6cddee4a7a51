"""Drawing a photograph's face onto a person in a picture, in the picture's light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import (
    BROW_RINGS,
    CROWN,
    EYE_RINGS,
    FACE_OVAL,
    INNER_LIPS,
    SURFACE_COUNT,
)
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.overlay import Box, box_around, polygon_mask
from avatar.stages.generate.swap.layout import FaceSheet, drawn
from avatar.stages.generate.swap.light import folds, low
from avatar.stages.generate.swap.occlusion import passing
from avatar.stages.generate.swap.person import SIDE, FilmFace, seen_share
from avatar.stages.generate.swap.photograph import NewFace, at

# From the face's edge inwards, on the sheet, the new face comes in.
_EDGE = 0.08
# Over so much of the forehead, from above, it comes in.
_FOREHEAD = 0.6
# How softly eyes and mouth end, in face widths.
_SOFT = 0.008
_LASHES = 0.1
_GRAIN_MOST = 9.0


class Swap:
    """One photograph's face on one person of a shot.

    ``keep``: what stays the film's own, of ``eyes`` and ``mouth``.
    """

    def __init__(
        self, layout: FaceSheet, new: NewFace, film: FilmFace, keep: frozenset[str]
    ) -> None:
        self._layout, self._new, self._film, self._keep = layout, new, film, keep
        self._texture = new.softened(film.width_px, film.blur_px)
        self._edge = _edge(layout)
        self._zones = layout.zones(SIDE)

    def draw(self, image: UInt8Image, landmarks_px: Float32, share: float = 1.0) -> UInt8Image:
        """Return ``image``, uint8 (H, W, 3), with the new face on the one at ``landmarks_px``.

        ``landmarks_px``: float32 (478, 3). ``share``: how much of it is shown, 0 to 1.
        """
        box = box_around(landmarks_px[:SURFACE_COUNT], 4, image)
        if box is None or share <= 0:
            return image
        left, top, right, bottom = box
        part = image[top:bottom, left:right]
        light, shown = self._on_sheet(image, landmarks_px)
        places, there = drawn(
            self._layout, landmarks_px, (left, top), (right - left, bottom - top), self._edge
        )
        across, down = places[..., 0], places[..., 1]
        skin = at(self._texture, across, down) * at(light, across, down)
        skin += _grain(part) * (1 - at(self._zones.features, across, down))[..., None]
        alpha = places[..., 2] * at(self._new.own, across, down) * at(shown, across, down)
        alpha *= _inner(there, _EDGE * self._film.width_px / 3) * np.float32(share)
        alpha *= self._open(landmarks_px, box)
        mixed = part + (skin - part) * alpha[..., None]
        out = image.copy()
        out[top:bottom, left:right] = np.clip(np.rint(mixed), 0, 255)
        return out

    def _on_sheet(self, image: UInt8Image, landmarks_px: Float32) -> tuple[Float32, Float32]:
        """Return the light, with its folds, and where the face is free, on the sheet."""
        film, zones = self._film, self._zones
        sheet = self._layout.unwrap(image, landmarks_px, SIDE)
        seen = seen_share(self._layout, landmarks_px)
        free = 1 - np.maximum(passing(sheet, film.calm, zones, seen), film.before)
        light = low(sheet, film.light_weight * seen * free)
        fold = folds(sheet, light, film.calm, film.light)
        fold = 1 + (fold - 1) * (1 - zones.movable) * (1 - zones.features) * seen * free
        return light * fold[..., None], free

    def _open(self, landmarks_px: Float32, box: Box) -> Float32:
        """Return 1 on skin, 0 in eyes and mouth that stay the film's, float32 (h, w)."""
        soft = max(0.6, _SOFT * self._film.width_px)
        rings = [*EYE_RINGS] if "eyes" in self._keep else []
        rings += [INNER_LIPS] if "mouth" in self._keep else []
        left, top, right, bottom = box
        skin = np.ones((bottom - top, right - left), np.float32)
        for ring in rings:
            edge = landmarks_px[ring, :2]
            if len(ring) == len(EYE_RINGS[0]):  # lashes belong to the lids
                edge = edge + (edge.mean(axis=0) - edge) * np.float32(_LASHES)
            inside = polygon_mask(edge, box, soft)
            skin *= 1 - inside.astype(np.float32) / 255
        return skin


def _edge(layout: FaceSheet) -> Float32:
    """Return how far each landmark lies inside the face, float32 (468,), 0 at its edge to 1."""
    import cv2

    ring = layout.points[FACE_OVAL].reshape(-1, 1, 2)
    inside = np.array(
        [cv2.pointPolygonTest(ring, (float(x), float(y)), True) for x, y in layout.points]
    )
    # A forehead says little of a person, and hair ends there: it comes in slowly.
    top = float(layout.points[CROWN, 1])
    brows = float(layout.points[np.concatenate(BROW_RINGS), 1].min())
    down = (layout.points[:, 1] - top) / (brows - top)
    return np.asarray(np.clip(np.minimum(inside / _EDGE, down / _FOREHEAD), 0, 1), np.float32)


def _inner(there: NDArray[np.bool_], soft_px: float) -> Float32:
    """Return 1 inside of what was drawn, falling softly to 0 at its edge, float32 (h, w)."""
    import cv2

    away = cv2.distanceTransform(there.astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.clip(away / max(soft_px, 1.0), 0, 1), np.float32)


def _grain(part: UInt8Image) -> Float32:
    """Return the finest structure of a picture, float32 (h, w, 3), levels: grain, compression."""
    import cv2

    fine = part.astype(np.float32) - cv2.GaussianBlur(part, (0, 0), 1.0)
    level = 1.4826 * float(np.median(np.abs(fine)))
    most = np.float32(min(3 * max(level, 0.3), _GRAIN_MOST))
    return np.asarray(np.clip(fine, -most, most), np.float32)
