"""What shows of an eye when its lids are shut: plain skin of a lid, with nothing of the eye in it.

A lid that shuts is drawn by stretching the narrow strip between its lashes and its crease. What
that strip holds in the photograph, strands of lashes and the crease's shadow, would be stretched to
streaks; so it becomes skin as the lid comes down, lit as the skin above and below it is. The
tracker lays a human eye's outline into the large eyes of drawings: white and iris reach beyond its
lower lid, where the mesh never shuts them. And what the mesh squeezes between shut lids would still
be the white. All of it is painted over in the photograph's own layer, before it is bent; the line
of lashes is drawn upon the result (``lid_seam``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import clamped, smooth_step
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.fill import fill_unknown
from avatar.stages.generate.lid_line import LidLines
from avatar.stages.generate.lid_seam import BEGINS, WHOLE
from avatar.stages.generate.overlay import Box, polygon_mask

# In eye widths: what may belong to the eye, beyond which skin begins; how softly the cover ends.
_AROUND, _SOFT = 0.25, 0.03
# White is at least so many levels bluer than skin, and hardly darker; an iris differs by so many.
_BLUER, _DARKER, _APART = 10.0, 12.0, 30.0
# Less than this share of the eye outside its outline is the lid's moist edge.
_LEAST = 0.05
# How far the lids are shut when skin begins to cover what lies beyond the outline, and when it is
# whole; the same for the strip that becomes the lid, for the upper lid's lashes and what lies
# between the lids, and for the lower lid's lashes.
_BEYOND, _LID, _RIDING, _LOWER = (0.4, 0.8), (0.15, 0.85), (BEGINS, WHOLE), (0.75, 0.95)
# In eye widths: how far over the upper lid's edge its lashes ride with it, and its strip ends; how
# far below the lower lid's edge its own lashes grow; from how far below the chord of the
# corners on one goes over into the other; over which share of the whole way the cover ends.
_LASHES, _STRIP, _BELOW, _TURN, _FADE = 0.07, 0.40, 0.20, 0.12, 0.6
_LASHES_FADE = 0.04
# Skin is between these shares of the usual light around an eye, within so much: what is darker or
# lighter is a brow, hair, a frame or its glare, and speaks so much less.
_DARK, _LIGHT, _WITHIN, _UNSURE = 0.45, 1.5, 0.2, 0.003
_RELAXED = 60


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
        lines = LidLines(ring_px, LidLines.side_of(ring_px))
        inside = polygon_mask(ring_px, box) > 127
        around = _grown(inside, _AROUND * lines.width_px)
        _, height = lines.places(box)
        far = _distance(inside) / np.float32(lines.width_px)
        # At the corners lashes and the strip begin, a little below them.
        upper = smooth_step(height / np.float32(_TURN) + 1)
        reach = _BELOW + (_STRIP - _BELOW) * upper
        lid = smooth_step((reach - far) / (reach * np.float32(_FADE)))
        known = (lid == 0) & ~(around & (upper < 1))
        self.skin = _as_skin(patch, _skin_odds(patch, known, height > 0))
        """The place of the eye as skin, uint8 (h, w, 3), in ``box``."""
        soft_px = max(0.6, _SOFT * lines.width_px)
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) + 0.5
        disc = np.hypot(x - iris_px[0], y - iris_px[1]) < 1.1 * radius_px + 1
        beyond = _beyond(patch, self.skin, inside, around, disc) & _below(ring_px, box)
        if beyond.sum() <= _LEAST * inside.sum():
            beyond[:] = False
        # Soft only towards the skin: at the lid's own edge the cover is whole.
        whole = _grown(beyond, 2 * soft_px)
        self._beyond = _soft(whole | (inside & _grown(whole, 2)), soft_px) * ~inside
        lashes = smooth_step((far - _LASHES) / np.float32(_LASHES_FADE)) * upper
        self._lid = lid * lashes
        riding = (1 - lashes) * np.where(inside, 1, upper)
        self._riding = (lid * riding).astype(np.float32)
        self._lower = (lid * (1 - lashes - riding)).astype(np.float32)
        self._paint = np.dstack([self.skin, np.full(inside.shape, 255, np.uint8)])

    def paint(self, layer: NDArray[np.uint8], closure: float) -> NDArray[np.uint8] | None:
        """Cover the eye in ``layer``, uint8 (H, W, 4), in place; ``closure``: 1 is shut.

        Returns what was there, for ``restore``; None where nothing changed.
        """
        beyond, lid, riding, lower = (
            np.float32(clamped((closure - begin) / (end - begin), 0, 1))
            for begin, end in (_BEYOND, _LID, _RIDING, _LOWER)
        )
        if lid <= 0:
            return None
        import cv2

        part = self._part(layer)
        kept = part.copy()
        share = self._lid * lid
        if riding > 0:
            share += self._riding * riding
        if lower > 0:
            share += self._lower * lower
        if beyond > 0:
            share = np.maximum(share, self._beyond * beyond)
        part[:] = cv2.blendLinear(kept, self._painted(kept[..., 3]), 1 - share, share)
        return kept

    def restore(self, layer: NDArray[np.uint8], kept: NDArray[np.uint8] | None) -> None:
        """Undo ``paint``."""
        if kept is not None:
            self._part(layer)[:] = kept

    def _painted(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return skin, uint8 (h, w, 4), as opaque as ``alpha``, premultiplied."""
        # Hardly ever less than whole around an eye.
        if alpha.min() == 255:
            return self._paint
        opaque = alpha[..., None].astype(np.float32) / 255
        return np.asarray(self._paint * opaque + np.float32(0.5), np.uint8)

    def _part(self, layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = self._box
        return layer[y0:y1, x0:x1]


def _distance(inside: NDArray[np.bool_]) -> Float32:
    """Return how far each pixel is from ``inside``, float32 (h, w), pixels."""
    import cv2

    outside = cv2.bitwise_not(inside.astype(np.uint8) * np.uint8(255))
    far = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    # Where there is no inside at all OpenCV counts beyond every number.
    return np.asarray(np.minimum(far, max(inside.shape) * 2.0), np.float32)


def _as_skin(patch: UInt8Image, odds: Float32) -> UInt8Image:
    """Return ``patch`` with everything that is no skin stretched over from edge to edge.

    Relaxation (Jacobi) brings what was filled from coarse averages to a membrane: a lid is lit as
    the skin right above it and right below it.
    """
    import cv2

    told = odds[..., None]
    own = patch * told
    skin = fill_unknown(patch, odds).astype(np.float32)
    for _ in range(_RELAXED):
        skin = own + cv2.blur(skin, (5, 5), borderType=cv2.BORDER_REPLICATE) * (1 - told)
    return np.asarray(skin + np.float32(0.5), np.uint8)


def _skin_odds(patch: UInt8Image, known: NDArray[np.bool_], above: NDArray[np.bool_]) -> Float32:
    """Return how much each pixel of ``known`` tells of the skin around an eye, float32 (h, w).

    ``above``: bool (h, w), what lies in the light and the shadow of the brow.
    """
    light = patch.astype(np.float32).mean(axis=2)
    odds = np.zeros(known.shape, np.float32)
    for part in (known & above, known & ~above):
        if part.any():
            share = light[part] / np.float32(max(float(np.percentile(light[part], 60)), 1.0))
            skin = smooth_step((share - _DARK) / _WITHIN) * smooth_step((_LIGHT - share) / _WITHIN)
            odds[part] = np.maximum(skin, _UNSURE)
    return odds


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

    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), by_px), np.float32)
