"""Where a network's patches lie: squares fixed to the skull, so that teeth and lids stand still.

A patch is a square in a plane of the head frame, parallel to the face, through an anchor of the
avatar's own face at rest. A pose carries it into the picture as a parallelogram: turned and
foreshortened as the face is. Convention: pixel coordinates as in ``avatar/core/frames.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import EngineError
from avatar.core.face.head import compose, mouth_width
from avatar.core.face.topology import EYE_RINGS, FACE_OVAL, OUTER_LIPS
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.deform import Pose
from avatar.stages.generate.overlay import Box
from engines.patches import Patch

# Half a patch's side, and how far its middle lies above its anchor, in widths of what it is about.
_MOUTH_HALF, _MOUTH_UP = 1.0, -0.25
_EYE_HALF, _EYE_UP = 1.0, 0.25
_HEAD_HALF, _HEAD_UP = 0.75, 0.06


@dataclass(frozen=True, eq=False)
class PatchPlace:
    """A patch of one avatar: ``anchor`` float32 (3,) and ``half`` in the head frame's units.

    ``side``: 0 the person's left eye, 1 the right, None for what there is once. ``mirrored``: seen
    as in a mirror, so that one network knows one kind of eye.
    """

    patch: Patch
    anchor: Float32
    half: float
    side: int | None = None
    mirrored: bool = False

    def matrix(self, pose: Pose) -> NDArray[np.float64]:
        """Return what carries the patch's pixels onto the canvas, float64 (2, 3)."""
        unit = 2 * self.half / self.patch.side_px * pose.scale_px
        across = -unit if self.mirrored else unit
        right, down = pose.rotation[:2, 0] * across, -pose.rotation[:2, 1] * unit
        columns = np.array([[right[0], down[0]], [-right[1], -down[1]]], np.float64)
        at = compose(self.anchor[None], pose.rotation, pose.centre_px, pose.scale_px)[0, :2]
        shift = at - columns @ np.full(2, self.patch.side_px / 2)
        return np.hstack([columns, shift[:, None]])


def places_of(patch: Patch, shape: Float32) -> list[PatchPlace]:
    """Return the places of a patch on a face, as many as its ``count``.

    ``shape``: float32 (478, 3), the avatar's at rest in the head frame. Raises ``EngineError`` for
    a patch that faces do not have.
    """
    if patch.name == "mouth":
        width = mouth_width(shape)
        anchor = _raised(shape[OUTER_LIPS].mean(axis=0), _MOUTH_UP * width)
        return [PatchPlace(patch, anchor, _MOUTH_HALF * width)]
    if patch.name == "eye":
        return [_eye(patch, shape, side) for side in (0, 1)]
    if patch.name == "head":
        oval = shape[FACE_OVAL]
        height = float(np.ptp(oval[:, 1]))
        middle = (oval.min(axis=0) + oval.max(axis=0)) / 2
        anchor = _raised(middle.astype(np.float32), _HEAD_UP * height)
        return [PatchPlace(patch, anchor, _HEAD_HALF * height)]
    raise EngineError(f"expected a patch called mouth, eye or head, found {patch.name!r}")


def _eye(patch: Patch, shape: Float32, side: int) -> PatchPlace:
    corners = shape[EYE_RINGS[side][[0, 8]]]
    width = float(np.linalg.norm(corners[0] - corners[1]))
    anchor = _raised(corners.mean(axis=0), _EYE_UP * width)
    return PatchPlace(patch, anchor, _EYE_HALF * width, side, mirrored=side == 0)


def _raised(point: Float32, by: float) -> Float32:
    return np.asarray(point + np.array([0, by, 0], np.float32), np.float32)


def all_places(patches: Sequence[Patch], shape: Float32) -> dict[str, list[PatchPlace]]:
    """Return the places of every patch by its name; see ``places_of``."""
    return {patch.name: places_of(patch, shape) for patch in patches}


def usable_place(matrix: NDArray[np.float64]) -> bool:
    """Return whether a matrix of ``PatchPlace`` has an inverse; seen from the edge it has none."""
    return bool(np.isfinite(matrix).all()) and abs(float(np.linalg.det(matrix[:, :2]))) > 1e-3


def cut(image: UInt8Image, matrix: NDArray[np.float64], side_px: int) -> UInt8Image:
    """Return the patch's picture, uint8 (side, side, 3)."""
    import cv2

    box = _bounds(matrix, side_px, image) if _enlarged(matrix) else None
    if box is not None:  # pixels left out between two that are taken would flicker
        image = _halved(image, box)
        matrix = matrix.copy()
        matrix[:, 2] -= box[:2]
        matrix /= 2
    # Turning four channels takes half the time of three.
    drawn = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        _centred(matrix),
        (side_px, side_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB), np.uint8)


def _halved(image: UInt8Image, box: Box) -> UInt8Image:
    """Return the box of a picture, each two by two pixels made one."""
    import cv2

    x0, y0, x1, y1 = box
    size = (max(1, (x1 - x0) // 2), max(1, (y1 - y0) // 2))
    part = image[y0 : y0 + 2 * size[1], x0 : x0 + 2 * size[0]]
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def add_back(image: UInt8Image, change: Float32, matrix: NDArray[np.float64]) -> None:
    """Add the patch's ``change``, float32 (side, side, 3), to ``image``, in place.

    A change is added rather than a picture laid over: what stays keeps the picture's sharpness.
    """
    box = _bounds(matrix, change.shape[0], image)
    if box is None:
        return
    x0, y0, x1, y1 = box
    here = matrix.copy()
    here[:, 2] -= (x0, y0)
    _add(image[y0:y1, x0:x1], change, here)


def _add(part: UInt8Image, change: Float32, matrix: NDArray[np.float64]) -> None:
    import cv2

    height, width = part.shape[:2]
    enlarged = _enlarged(matrix)
    # Turning costs by the pixel: where there are many it is done at half the size.
    size = (-(-width // 2), -(-height // 2)) if enlarged else (width, height)
    drawn = cv2.cvtColor(
        cv2.warpAffine(
            cv2.cvtColor(change, cv2.COLOR_RGB2RGBA),
            _centred(matrix / 2 if enlarged else matrix),
            size,
            flags=cv2.INTER_LINEAR,
        ),
        cv2.COLOR_RGBA2RGB,
    )
    if enlarged:
        twice = (2 * size[0], 2 * size[1])
        drawn = cv2.resize(drawn, twice, interpolation=cv2.INTER_LINEAR)[:height, :width]
    cv2.add(part, drawn, dst=part, dtype=cv2.CV_8U)


def _enlarged(matrix: NDArray[np.float64]) -> bool:
    """Return whether a pixel of the patch is at least two wide in the picture."""
    return abs(float(np.linalg.det(matrix[:, :2]))) >= 4


def _bounds(matrix: NDArray[np.float64], side_px: int, image: UInt8Image) -> Box | None:
    corners = np.array([[0, 0], [side_px, 0], [0, side_px], [side_px, side_px]], np.float64)
    on_canvas = corners @ matrix[:, :2].T + matrix[:, 2]
    height, width = image.shape[:2]
    low = np.clip(np.floor(on_canvas.min(axis=0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(on_canvas.max(axis=0)), 0, (width, height)).astype(int)
    if (high - low).min() < 1:
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _centred(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix for OpenCV, which counts from the centres of pixels."""
    out = matrix.copy()
    out[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return out
