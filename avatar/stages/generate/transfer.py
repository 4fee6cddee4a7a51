"""From the driver's face onto another: each patch of skin is stretched as the driver's is.

A displacement that is carried over as it is means different things on different faces: where the
driver's skin beside the mouth gives way, a narrower cheek is pushed through itself. What one face
has in common with another is by how much each of its patches is stretched, turned and squeezed
(deformation transfer, Sumner and Popović 2004). For displacements that are small against the head
this is linear and the same for x, y and z: one matrix for a pair of faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import SURFACE_COUNT, skin_triangles
from avatar.core.frames import Float32

# Head units: triangles thinner than this tell nothing of how they are stretched.
_THIN = 0.012
# A patch is never stretched by more than so many times the driver's, where his is a sliver.
_MOST = 2.5


class Transfer:
    """Lays displacements of any driver's face onto one face.

    ``shape``: float32 (478, 3), the face in the head frame. ``hold``: float32 (468,), how strongly
    each landmark keeps the place that is asked for it, against the stretching around it, which
    counts with one over the squared length of each edge.
    """

    def __init__(self, shape: Float32, hold: Float32) -> None:
        self._triangles = skin_triangles()
        self._edges = self._triangles[:, [[0, 1], [1, 2], [2, 0]]]
        surface = shape[:SURFACE_COUNT].astype(np.float64)
        self._along = surface[self._edges[..., 1]] - surface[self._edges[..., 0]]
        self._weight = 1 / np.maximum((self._along**2).sum(axis=-1), _THIN**2)
        self._hold = hold.astype(np.float64)
        self._inverse = np.linalg.inv(self._stiffness() + np.diag(self._hold))
        self._neutral: Float32 | None = None

    def __call__(self, displacement: Float32, neutral: Float32, asked: Float32) -> Float32:
        """Return the face's displacements, float32 (478, 3), head units.

        ``displacement``: float32 (478, 3), the driver's, from ``neutral``, float32 (478, 3), one
        object for one driver. ``asked``: float32 (478, 3), where each landmark goes if nothing
        around it had a say.
        """
        if neutral is not self._neutral:
            self._neutral = neutral
            self._stretch, self._kept = self._matrices(neutral)
        out = asked.copy()
        out[:SURFACE_COUNT] = (
            self._stretch @ displacement[:SURFACE_COUNT] + self._kept @ asked[:SURFACE_COUNT]
        )
        return out

    def _matrices(self, neutral: Float32) -> tuple[Float32, Float32]:
        stretch = self._inverse @ self._divergence(neutral[:SURFACE_COUNT].astype(np.float64))
        return stretch.astype(np.float32), (self._inverse * self._hold).astype(np.float32)

    def _stiffness(self) -> NDArray[np.float64]:
        """Return the weighted Laplacian of the edges, float64 (468, 468)."""
        first, second = self._edges[..., 0].ravel(), self._edges[..., 1].ravel()
        weight = self._weight.ravel()
        rows = np.concatenate([first, second, first, second])
        columns = np.concatenate([first, second, second, first])
        return _summed(rows, columns, np.concatenate([weight, weight, -weight, -weight]))

    def _divergence(self, surface: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what makes of the driver's displacements the stretching of each edge, summed up.

        float64 (468, 468).
        """
        a, b, c = (surface[self._triangles[:, k]] for k in range(3))
        sides = np.stack([b - a, c - a], axis=-1)
        square = np.einsum("tik,til->tkl", sides, sides) + _THIN**2 * np.eye(2)
        inverse = np.linalg.solve(square, sides.transpose(0, 2, 1))
        # Each edge in shares of the driver's two sides, so of his three corners' displacements.
        share = np.clip(np.einsum("tki,tei->tek", inverse, self._along), -_MOST, _MOST)
        of_corners = np.concatenate([-share.sum(axis=-1, keepdims=True), share], axis=-1)
        value = (self._weight[..., None] * of_corners).ravel()
        columns = np.broadcast_to(self._triangles[:, None, :], of_corners.shape).ravel()
        first, second = (np.repeat(self._edges[..., k].ravel(), 3) for k in (0, 1))
        return _summed(
            np.concatenate([second, first]),
            np.concatenate([columns, columns]),
            np.concatenate([value, -value]),
        )


def _summed(
    rows: NDArray[np.integer], columns: NDArray[np.integer], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    flat = np.bincount(
        rows * SURFACE_COUNT + columns, weights=values, minlength=SURFACE_COUNT * SURFACE_COUNT
    )
    return np.asarray(flat.reshape(SURFACE_COUNT, SURFACE_COUNT), np.float64)
