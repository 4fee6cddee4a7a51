"""The head's pose: MediaPipe's canonical face, laid onto landmarks as a camera sees them.

``face_landmarker.task`` carries the canonical face in centimetres and the weights of the landmarks
that move with the skull. The pose is the similarity that lays it onto the landmarks, by weighted
orthogonal Procrustes analysis (Akca 2003, "Generalized Procrustes analysis and its applications in
photogrammetry", section 2.4, doi:10.3929/ethz-a-004656648; reflections as Gower and Dijksterhuis
2004, "Procrustes Problems", section 4.6). Landmarks have no depth of their own, only differences:
the scale of a first fit gives a distance, the scale of a second one mends it, and the third is the
pose. The camera is MediaPipe's default, 63° from top to bottom
(``face_geometry_from_landmarks_graph.cc``, ``geometry_pipeline.cc``; Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import radians, tan

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import FaceModelError
from avatar.core.face.topology import SURFACE_COUNT
from avatar.core.frames import Float32

Float64 = NDArray[np.float64]
_HALF_HEIGHT = tan(radians(63 / 2))
"""Half of the height that the camera sees at a distance of one centimetre."""
_NUMBERS_A_VERTEX = 5


@dataclass(frozen=True, eq=False)
class CanonicalFace:
    """The face without a person.

    ``points``: float64 (3, 468), centimetres, x right, y up, z to the viewer. ``weights``: float64
    (468,): how much each landmark counts for the pose.
    """

    points: Float64
    weights: Float64

    @classmethod
    def parse(cls, data: bytes) -> CanonicalFace:
        """Return the one in ``geometry_pipeline_metadata_landmarks.binarypb``.

        ``GeometryPipelineMetadata``: field 1 is the mesh, whose field 3 are x, y, z, u, v of each
        vertex; field 2, repeated, has a landmark and its weight. Raises ``FaceModelError``.
        """
        weights = np.zeros(SURFACE_COUNT)
        vertices = b""
        for number, value in _fields(data):
            if number == 1:
                vertices = b"".join(part for field, part in _fields(value) if field == 3)
            elif number == 2:
                pair = dict(_fields(value))
                weights[int.from_bytes(pair[1], "little")] = np.frombuffer(pair[2], "<f4")[0]
        found = np.frombuffer(vertices, "<f4")
        if found.size != SURFACE_COUNT * _NUMBERS_A_VERTEX or not weights.any():
            raise FaceModelError(
                f"expected a canonical face of {SURFACE_COUNT} points in the face model, found "
                f"{found.size / _NUMBERS_A_VERTEX:g}"
            )
        points = found.reshape(SURFACE_COUNT, _NUMBERS_A_VERTEX)[:, :3]
        return cls(points.T.astype(np.float64), weights)

    def pose(self, landmarks_px: Float32, size_px: tuple[int, int]) -> Float32:
        """Return the canonical-face-to-camera matrix, float32 (4, 4), centimetres.

        ``landmarks_px``: float32 (478, 3). ``size_px``: (width, height) of their picture.
        """
        width, height = size_px
        # At one centimetre from the camera a pixel is so large; y goes up, z away.
        pixel = 2 * _HALF_HEIGHT / height
        seen = landmarks_px[:SURFACE_COUNT].T.astype(np.float64) * pixel
        seen[0] -= _HALF_HEIGHT * width / height
        seen[1] = _HALF_HEIGHT - seen[1]
        depth = seen[2] - seen[2].mean() + 1
        flat = np.stack([seen[0], seen[1], -seen[2]])
        scale = self._scale(flat)
        scale *= self._scale(_away(seen, depth / scale))
        turn, move = self._fit(_away(seen, depth / scale))
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, :3], matrix[:3, 3] = turn, move
        return matrix

    def _scale(self, points: Float64) -> float:
        return float(np.linalg.norm(self._fit(points)[0][:, 0]))

    def _fit(self, points: Float64) -> tuple[Float64, Float64]:
        """Return (scaled rotation, translation) that lays the canonical face onto ``points``."""
        share = self.weights / self.weights.sum()
        middle, target = self.points @ share, points @ share
        centred = self.points - middle[:, None]
        products = (points * share) @ centred.T
        left, _, right = np.linalg.svd(products)
        if np.linalg.det(left) * np.linalg.det(right) < 0:
            left[:, 2] *= -1
        rotation = left @ right
        scale = (rotation * products).sum() / (centred**2 @ share).sum()
        turn = scale * rotation
        return turn, target - turn @ middle


def _away(seen: Float64, depth: Float64) -> Float64:
    """Return points, seen at one centimetre, at their own depths; z to the viewer."""
    return np.stack([seen[0] * depth, seen[1] * depth, -depth])


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of a protocol buffer's fields, the numbers little-endian.

    https://protobuf.dev/programming-guides/encoding
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value.to_bytes(8, "little")
            continue
        if key & 7 == 2:
            length, at = _varint(data, at)
        else:
            length = {5: 4, 1: 8}[key & 7]
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
