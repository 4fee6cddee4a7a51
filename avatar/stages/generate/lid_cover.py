"""What shows of an eye when its lids are shut: skin beyond the lids' landmarks, and their edges.

The tracker lays a human eye's outline into the large eyes of drawings: white and iris reach beyond
its lower lid, where the mesh never shuts them. And what the mesh squeezes between shut lids would
still be the white. Both are painted over in the photograph's own layer, before it is bent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import clamped
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.fill import fill_unknown
from avatar.stages.generate.overlay import Box, polygon_mask

# In eye widths: what may belong to the eye, beyond which skin begins; how softly the cover ends.
_AROUND, _SOFT = 0.25, 0.03
# White is at least so many levels bluer than skin, and hardly darker; an iris differs by so many.
_BLUER, _DARKER, _APART = 10.0, 12.0, 30.0
# Less than this share of the eye outside its outline is the lid's moist edge.
_LEAST = 0.05
# How far the lids are shut when the skin begins to cover what lies beyond, and when it is whole;
# the same for what the lids' edges close over.
_BEYOND, _BETWEEN = (0.4, 0.8), (0.75, 0.95)
# How much darker it is where lids meet, and how far from their edges, eye widths.
_SHADOW, _DEEP = np.float32(0.45), 0.06


class LidCover:
    """The cover of one eye.

    ``canvas``: uint8 (H, W, 3). ``box``: the part of it around the eye. ``ring_px``: float32
    (16, 2 or 3), the eye's outline; ``iris_px``: float32 (2,), the iris's centre, and
    ``radius_px``: its radius, all on the canvas.
    """

    def __init__(
        self, canvas: UInt8Image, box: Box, ring_px: Float32, iris_px: Float32, radius_px: float
    ) -> None:
        x0, y0, x1, y1 = box
        self._box = box
        patch = canvas[y0:y1, x0:x1]
        width_px = float(np.linalg.norm(ring_px[0, :2] - ring_px[8, :2]))
        inside = polygon_mask(ring_px, box) > 127
        around = _grown(inside, _AROUND * width_px)
        skin = fill_unknown(patch, (~around).astype(np.float32))
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) + 0.5
        disc = np.hypot(x - iris_px[0], y - iris_px[1]) < 1.1 * radius_px + 1
        beyond = _beyond(patch, skin, inside, around, disc) & _below(ring_px, box)
        if beyond.sum() <= _LEAST * inside.sum():
            beyond[:] = False
        # Between the lids their own edges meet, lashes above, the lower lid below, in their shadow.
        # It is soft towards the edges: squeezed to a line, a hard one would have steps.
        edge = _grown(inside, 2) & ~_grown(inside, 1)
        lids = fill_unknown(patch, edge.astype(np.float32)) if edge.any() else skin
        deep = _soft(inside, max(0.6, _DEEP * width_px))
        between = lids * (1 - _SHADOW * np.clip(2 * deep - 1, 0, 1))
        self._paint = np.where(inside[..., None], between, skin).astype(np.float32)
        soft_px = max(0.6, _SOFT * width_px)
        # Soft only towards the skin: at the lid's own edge the cover is whole.
        whole = _grown(beyond, 2 * soft_px)
        self._beyond = _soft(whole | (inside & _grown(whole, 2)), soft_px) * ~inside[..., None]
        self._inside = inside[..., None].astype(np.float32)

    def paint(self, layer: NDArray[np.uint8], closure: float) -> NDArray[np.uint8] | None:
        """Cover the eye in ``layer``, uint8 (H, W, 4), in place; ``closure``: 1 is shut.

        Returns what was there, for ``restore``; None where nothing changed.
        """
        beyond, between = (
            clamped((closure - begin) / (end - begin), 0, 1) for begin, end in (_BEYOND, _BETWEEN)
        )
        if beyond <= 0:
            return None
        part = self._part(layer)
        kept = part.copy()
        share = self._beyond * np.float32(beyond) + self._inside * np.float32(between)
        # Premultiplied: hardly ever less than whole around an eye.
        paint = self._paint * (part[..., 3:] / np.float32(255))
        part[..., :3] = (part[..., :3] + (paint - part[..., :3]) * share + 0.5).astype(np.uint8)
        return kept

    def restore(self, layer: NDArray[np.uint8], kept: NDArray[np.uint8] | None) -> None:
        """Undo ``paint``."""
        if kept is not None:
            self._part(layer)[:] = kept

    def _part(self, layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = self._box
        return layer[y0:y1, x0:x1]


def _beyond(
    patch: UInt8Image,
    skin: UInt8Image,
    inside: NDArray[np.bool_],
    around: NDArray[np.bool_],
    disc: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return what looks like eye outside its outline and touches it, bool (h, w)."""
    import cv2

    change = patch.astype(np.float32) - skin
    white = (change[..., 2] > _BLUER) & (change.mean(axis=2) > -_DARKER)
    iris = disc & (np.abs(change).max(axis=2) > _APART)
    eye = inside | (around & (white | iris))
    _, parts = cv2.connectedComponents(eye.astype(np.uint8), connectivity=4)
    own = np.unique(parts[inside])
    return np.asarray(np.isin(parts, own[own > 0]) & ~inside)


def _below(ring_px: Float32, box: Box) -> NDArray[np.bool_]:
    """Return what lies below the line between the eye's corners, bool (h, w)."""
    x0, y0, x1, y1 = box
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) + 0.5
    ends = ring_px[[0, 8], :2]
    left, right = ends[np.argsort(ends[:, 0])]
    along = right - left
    across = along[0] * (y - left[1]) - along[1] * (x - left[0])
    # A little above the corners, too: there a drawn eye is as much larger.
    return np.asarray(across > -0.1 * float(along @ along))


def _grown(mask: NDArray[np.bool_], by_px: float) -> NDArray[np.bool_]:
    import cv2

    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(by_px)) > 0)


def _disc(radius_px: float) -> NDArray[np.uint8]:
    import cv2

    size = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _soft(mask: NDArray[np.bool_], by_px: float) -> Float32:
    import cv2

    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), by_px), np.float32)[
        ..., None
    ]
