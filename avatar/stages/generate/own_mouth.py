"""The teeth that a photograph shows of its own, once its mouth opens wider than it was taken.

Upper teeth belong to the skull. A mesh that stretches what lies between the lips makes them longer
as the jaw drops; here they keep their length and hang from the upper lip, and below them is the
mouth's dark.
"""

from __future__ import annotations

import numpy as np

from avatar.core.face.topology import INNER_LIPS
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.driver_mouth import bent, cut
from avatar.stages.generate.overlay import Box, polygon_mask

# Lips so many times as far apart as in the photograph still show its teeth as they are; beyond
# that they hang, which comes in over this span.
_STRETCHED, _SPAN = 1.15, 0.1
# How softly what hangs ends below, in mouth widths.
_EDGE = 0.025
# What is taken along of the lips, in mouth widths, for soft edges to lie on.
_BEYOND = np.float32(0.06)


class OwnMouth:
    """One photograph's own teeth.

    ``canvas``: uint8 (H, W, 3) RGB; ``landmarks_px``: float32 (478, 3) on it.
    """

    def __init__(self, canvas: UInt8Image, landmarks_px: Float32) -> None:
        self._picture, self._inside = cut(canvas, _with_lip(landmarks_px[INNER_LIPS, :2]), 1.0)

    @staticmethod
    def share(wider: float) -> float:
        """Return how much hanging teeth are seen, 0 to 1, by ``wider``, the gap over the own."""
        return float(np.clip((wider - _STRETCHED) / _SPAN, 0, 1))

    def lay_on(self, inmost: UInt8Image, lips_px: Float32, box: Box, wider: float) -> UInt8Image:
        """Return ``inmost``, the box's pixels with the mouth's dark, with the teeth before it.

        ``lips_px``: float32 (20, 3), the avatar's. ``wider``: as in ``share``.
        """
        ring = hung(lips_px, min(_STRETCHED / max(wider, 1e-3), 1.0))
        ours = _with_lip(ring[:, :2] - np.array(box[:2], np.float32))
        teeth = bent(self._picture, self._inside, ours, inmost.shape[:2])
        return laid(inmost, teeth, ring, box)


def hung(lips_px: Float32, share: float) -> Float32:
    """Return a ring of ``INNER_LIPS``, float32 (20, 3), only ``share`` as high, from above."""
    upper, lower = lips_px[1:10], lips_px[19:10:-1]
    ring = lips_px.copy()
    ring[19:10:-1] = upper + (lower - upper) * np.float32(share)
    return ring


def laid(inmost: UInt8Image, teeth: UInt8Image, ring_px: Float32, box: Box) -> UInt8Image:
    """Return ``inmost`` with ``teeth``, both uint8 (h, w, 3), within a ring, softly ending inside.

    What lies at the ring's very edge is lip, lit from above: it would be a bright line.
    """
    import cv2

    across = ring_px[10, :2] - ring_px[0, :2]
    up = _EDGE * np.array([across[1], -across[0]], np.float32)
    # Above and beside, the picture's own mask ends it at the lips.
    inner = polygon_mask(ring_px[:, :2] + up, box, max(0.6, float(np.linalg.norm(up)) / 2))
    share = cv2.merge([inner.astype(np.float32) / 255] * 3)
    mixed = inmost + (teeth.astype(np.float32) - inmost) * share
    return np.asarray(np.rint(mixed), np.uint8)


def _with_lip(ring_px: Float32) -> Float32:
    """Return a ring, float32 (20, 2), with a strip of the lips around it."""
    across = (ring_px[10] - ring_px[0]) * _BEYOND
    up = np.array([across[1], -across[0]], np.float32)
    out = ring_px.astype(np.float32)
    out[1:10] += up
    out[11:] -= up / 2
    out[0] -= across
    out[10] += across
    return out
