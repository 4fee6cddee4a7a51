"""Skin that a photograph shows edge-on or not at all: what a head that turns towards us uncovers.

The far cheek of a face photographed from the side is a line in the photograph, and that line is as
much hair and background as skin. Stretched to a cheek it would be a dark patch. Such skin takes
its colours from the nearest skin that the photograph truly shows, the more of it the farther it
has turned towards the viewer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.face.head import FLIP, HeadShape
from avatar.core.face.topology import (
    BROW_RINGS,
    EYE_RINGS,
    FACE_OVAL,
    SURFACE_COUNT,
    surface_triangles,
)
from avatar.core.frames import Float32

# Cosine between the skin's normal and the line of sight: below this the photograph does not show
# skin well enough to be stretched. On a cheek as round as a cylinder, 3 % of its radius.
_SHOWN = 0.25
# A face has a far side where its edge faces away from the viewer by this cosine: from the front,
# both cheeks are seen to their ends.
_AWAY = -0.2
# After it has turned towards the viewer by this much of that cosine, none of its own is left.
_TURNED = 0.2


class FarSide:
    """Where the face's surface takes its colours from, for each way the head is turned.

    ``surface_px``: float32 (468, 3), the face's surface in the photograph, pixels. ``head``: the
    photograph's head.
    """

    def __init__(self, surface_px: Float32, head: HeadShape) -> None:
        normals = _normals(surface_px) @ head.rotation
        self._rest = normals @ head.rotation[2]
        hidden = self._rest < _SHOWN
        # Eyes keep their own colours: half an eye cannot be taken from skin.
        hidden[np.concatenate(EYE_RINGS)] = False
        # A nostril's edge is no far side: what is hidden begins at the face's own edge.
        hidden = _joined_to_oval(hidden, self._rest < _AWAY)
        self.which = np.flatnonzero(hidden)
        """Which of the surface's vertices may take other colours than their own, int64 (K,)."""
        self._own = surface_px[self.which, :2].astype(np.float32)
        self.normals = normals[self.which]
        """Their outward normals, float32 (K, 3), head frame."""
        self._rest = self._rest[self.which]
        shown = self._shown(surface_px, hidden) if len(self.which) else self._own
        self._pull = (shown - self._own).astype(np.float32)

    def source_px(self, rotation: Float32) -> Float32:
        """Return where the colours of the vertices ``which`` come from, float32 (K, 2), pixels.

        ``rotation``: float32 (3, 3), head frame to camera. At the photograph's own, and where a
        head turns away, these are the vertices themselves.
        """
        nearer = self.normals @ rotation[2] - self._rest
        share = smooth_step(nearer / np.float32(_TURNED))
        return np.asarray(self._own + self._pull * share[:, None], np.float32)

    def _shown(self, surface_px: Float32, hidden: NDArray[np.bool_]) -> Float32:
        """Return what is shown nearest to hidden vertices, float32 (K, 2): a harmonic extension.

        Where nothing of a face is shown, its vertices' own places.
        """
        stiff = _stiffness(surface_px)
        # Brows and lashes end where they end: beside them there is plain skin.
        known = ~hidden
        known[np.concatenate([*EYE_RINGS, *BROW_RINGS])] = False
        if not known.any():
            return self._own
        free = ~known
        pulled = stiff[np.ix_(free, known)] @ surface_px[known, :2].astype(np.float64)
        solved = np.empty((SURFACE_COUNT, 2))
        solved[free] = np.linalg.solve(-stiff[np.ix_(free, free)], pulled)
        return solved[self.which].astype(np.float32)


def _normals(surface_px: Float32) -> Float32:
    """Return the outward normals of the surface's vertices, float32 (468, 3), camera frame.

    The camera frame has z towards the viewer.
    """
    points = surface_px * FLIP
    triangles = surface_triangles()
    a, b, c = (points[triangles[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    out = np.zeros_like(points)
    for k in range(3):
        np.add.at(out, triangles[:, k], across)
    length = np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
    return np.asarray(out / length, np.float32)


def _joined_to_oval(chosen: NDArray[np.bool_], start: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of ``chosen`` hang together with ``start`` on the oval, all bool (468,)."""
    triangles = surface_triangles()
    found = np.zeros_like(chosen)
    found[FACE_OVAL] = (chosen & start)[FACE_OVAL]
    while True:
        grown = found.copy()
        grown[triangles[found[triangles].any(axis=1)]] = True
        grown &= chosen
        if (grown == found).all():
            return found
        found = grown


def _stiffness(surface_px: Float32) -> NDArray[np.float64]:
    """Return springs between joined vertices, the stiffer the nearer, float64 (468, 468).

    The diagonal holds minus each row's sum.
    """
    triangles = surface_triangles()
    stiff = np.zeros((SURFACE_COUNT, SURFACE_COUNT))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        first, second = triangles[:, i], triangles[:, j]
        apart = np.sum((surface_px[first] - surface_px[second]).astype(np.float64) ** 2, axis=1)
        stiff[first, second] = stiff[second, first] = 1 / np.maximum(apart, 1e-3)
    stiff[np.diag_indices(SURFACE_COUNT)] = -stiff.sum(axis=1)
    return stiff
