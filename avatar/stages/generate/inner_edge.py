"""Where a driver's lips truly end inside: landmarks of the inner edge lie on the lips themselves.

From each landmark of one lip a way leads to the one opposite. It is lip as long as it has that
lip's redness and light; what comes then, teeth, dark or gum, is the inside. On a one-sided smile
the landmarks of half a mouth may stand apart though its lips touch: there, all of the way is lip.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import INNER_LIPS, OUTER_LIPS
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.median import median_of
from avatar.stages.generate.raster import sample

_UPPER, _LOWER = slice(1, 10), slice(19, 10, -1)
_STEPS = np.linspace(0, 1, 21, dtype=np.float32)
# Lip has more than this share of the lips' redness over teeth's, and of their light. Redness is
# the logarithm of red over green.
_REDNESS, _LIGHT = 0.6, 0.62
# So far from its landmarks an edge is sought, in mouth widths: where lips hardly differ in redness
# from teeth (the first difference), and where they clearly do (the second).
_REACH, _DIFFERENCE = (0.02, 0.14), (0.12, 0.32)
# A mouth open by the second, in mouth widths, has an inside, even if all of it is a tongue's red;
# one open by the first has one only where something else is seen.
_TONGUE = (0.09, 0.15)
_UNKNOWN = 0.02
_NEW_SHARE = 0.4


class InnerEdge:
    """Finds the inner edge of one driver's lips, frame after frame."""

    def __init__(self) -> None:
        self._shares: Float32 | None = None

    def find(self, image: UInt8Image, landmarks_px: Float32, teeth: Float32) -> Float32:
        """Return how much of each way across the mouth is lip, float32 (2, 9), 0 to 0.5.

        Row 0 from the upper lip, row 1 from the lower, both from the person's right to the left.
        ``image``: uint8 (H, W, 3) RGB. ``teeth``: float32 (3,), the colour of teeth there.
        """
        now = _lip_shares(image, landmarks_px, teeth)
        old = now if self._shares is None else self._shares
        self._shares = (old + (now - old) * np.float32(_NEW_SHARE)).astype(np.float32)
        return self._shares


def narrowed(ring_px: Float32, shares: Float32, corners: float) -> Float32:
    """Return a ring of ``INNER_LIPS``, float32 (20, 2), narrowed by ``shares`` of its height.

    ``shares``: float32 (2, 9), as ``InnerEdge.find`` gives them. ``corners``: how far either
    corner moves to the middle, in widths.
    """
    ring = ring_px[:, :2].astype(np.float32)
    across = ring[_LOWER] - ring[_UPPER]
    out = ring.copy()
    out[_UPPER] = ring[_UPPER] + across * shares[0, :, None]
    out[_LOWER] = ring[_LOWER] - across * shares[1, :, None]
    inwards = (ring[10] - ring[0]) * np.float32(corners)
    out[0], out[10] = ring[0] + inwards, ring[10] - inwards
    return out


def _lip_shares(image: UInt8Image, landmarks_px: Float32, teeth: Float32) -> Float32:
    lips = landmarks_px[INNER_LIPS, :2]
    width = max(float(np.linalg.norm(lips[0] - lips[10])), 1.0)
    ways = lips[_UPPER, None] + (lips[_LOWER] - lips[_UPPER])[:, None] * _STEPS[:, None]
    gaps = np.linalg.norm(lips[_LOWER] - lips[_UPPER], axis=1) / width
    seen = sample(image, (ways - 0.5).astype(np.float32)).astype(np.float32)
    outer = (lips + landmarks_px[OUTER_LIPS, :2]) * np.float32(0.5)
    places = np.array([outer[_UPPER], outer[_LOWER]]) - np.float32(0.5)
    lip = median_of(sample(image, places).astype(np.float32).swapaxes(0, 1))
    redness, light = _redness(seen), seen.mean(axis=-1)
    upper, lower = (_like(redness, light, lip[k], teeth) for k in (0, 1))
    shares = np.array(
        [_first_inside(upper[0], gaps, upper[1]), _first_inside(lower[0][:, ::-1], gaps, lower[1])]
    )
    nothing = (upper[0] | lower[0]).mean(axis=1)
    shut = np.clip((nothing - 0.8) / 0.15, 0, 1) * np.clip(
        (_TONGUE[1] - gaps.max()) / (_TONGUE[1] - _TONGUE[0]), 0, 1
    )
    shares = shares + (0.5 - shares) * shut
    padded = np.concatenate([shares[:, :1], shares, shares[:, -1:]], axis=1)
    smooth = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    # What is left between both edges is never negative.
    excess = np.maximum(smooth.sum(axis=0), 1)
    return np.asarray(smooth / excess, np.float32)


def _like(
    redness: Float32, light: Float32, lip: Float32, teeth: Float32
) -> tuple[NDArray[np.bool_], float]:
    """Return which places may be of a lip of the colour ``lip``, and the reach.

    ``redness``, ``light``: float32 (9, steps), of the places. ``lip``, ``teeth``: float32 (3,).
    """
    of_tooth = float(_redness(teeth))
    difference = float(_redness(lip)) - of_tooth
    like = redness > of_tooth + _REDNESS * max(difference, 0.08)
    like &= light > _LIGHT * float(lip.mean())
    return like, float(np.interp(difference, _DIFFERENCE, _REACH))


def _first_inside(like: NDArray[np.bool_], gaps: Float32, reach: float) -> Float32:
    """Return the share of each way before its first place that is not like the lip."""
    first = np.where(like.all(axis=1), 0, _STEPS[np.argmin(like, axis=1)])
    unknown = like.all(axis=1)
    most = np.minimum(reach / np.maximum(gaps, 1e-3), 0.45)
    found = np.where(unknown, _UNKNOWN / np.maximum(gaps, 1e-3), first)
    return np.minimum(found, most).astype(np.float32)


def _redness(colours: Float32) -> Float32:
    safe = np.maximum(colours, 6)
    return np.asarray(np.log(safe[..., 0] / safe[..., 1]), np.float32)
