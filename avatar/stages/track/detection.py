"""The short-range face detector: its anchors, what its numbers mean, and which boxes are one face.

BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) looks at 128×128 pixels and answers for each
of 896 anchors with a box, six points (the person's right eye, left eye, nose, mouth, right and
left ear) and a score. The numbers here are those of MediaPipe's face detector graph
(``mediapipe/tasks/cc/vision/face_detector/face_detector_graph.cc``, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32

DETECTOR_PX = 128
"""Side of the picture that the detector looks at."""
LEAST_SCORE = 0.5
SAME_FACE_OVERLAP = 0.5
"""Boxes that overlap more than this, intersection over union, are one face."""
_SAME_OVERLAP, _WITHIN = 0.4, 0.5
# Anchors stand in the middle of each cell of a grid: cells of 8 pixels, two in each, then cells of
# 16 pixels, six in each (three layers of two).
_GRIDS = ((8, 2), (16, 6))


@dataclass(frozen=True, eq=False)
class Detection:
    """A face as the detector sees it.

    ``box``: float32 (4,), left, top, right, bottom. ``points``: float32 (6, 2), see the module.
    Both in pixels of the picture, or in shares of the detector's as ``decode`` returns them.
    ``score``: 0 to 1.
    """

    box: Float32
    points: Float32
    score: float

    @property
    def size(self) -> float:
        """Return the longer side of the box."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    def placed(self, scale: float, offset: Float32) -> Detection:
        """Return the same face in other coordinates: times ``scale``, plus ``offset`` (2,)."""
        box = self.box * np.float32(scale) + np.tile(offset, 2)
        return Detection(box, self.points * np.float32(scale) + offset, self.score)


@lru_cache(maxsize=1)
def anchors() -> Float32:
    """Return where the anchors stand, float32 (896, 2), x and y in shares of the picture."""
    rows = []
    for stride, each in _GRIDS:
        count = DETECTOR_PX // stride
        middle = (np.arange(count, dtype=np.float32) + 0.5) / count
        y, x = np.meshgrid(middle, middle, indexing="ij")
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(rows)


def decode(
    regressors: Float32, logits: Float32, least_score: float = LEAST_SCORE
) -> list[Detection]:
    """Return the detector's answers that are sure enough, in shares of its picture.

    ``regressors``: float32 (896, 16): the box's centre and size, then six points, all in pixels of
    128 and relative to the anchor. ``logits``: float32 (896,).
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    sure = np.flatnonzero(scores >= least_score)
    raw = regressors[sure].reshape(-1, 8, 2) / np.float32(DETECTOR_PX)
    raw[:, 0] += anchors()[sure]
    raw[:, 2:] += anchors()[sure][:, None]
    low, high = raw[:, 0] - raw[:, 1] / 2, raw[:, 0] + raw[:, 1] / 2
    boxes = np.concatenate([low, high], axis=1)
    return [
        Detection(box, points, float(score))
        for box, points, score in zip(boxes, raw[:, 2:], scores[sure], strict=True)
    ]


def overlaps(box: Float32, boxes: Float32) -> Float32:
    """Return the intersection over union of ``box``, (4,), with each of ``boxes``, (N, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    both = areas + float(np.prod(box[2:] - box[:2])) - shared
    return np.asarray(shared / np.maximum(both, np.finfo(np.float32).tiny), np.float32)


def same_place(box: Float32, boxes: Float32) -> NDArray[np.bool_]:
    """Return with which of ``boxes``, (N, 4), ``box`` cannot be a second face.

    They overlap much, or most of the smaller lies in the larger: eyes and glasses look like faces.
    """
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    smaller = np.minimum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.prod(box[2:] - box[:2]))
    found = (overlaps(box, boxes) > _SAME_OVERLAP) | (shared > _WITHIN * smaller)
    return np.asarray(found, np.bool_)


def merged(found: Sequence[Detection], overlap: float = SAME_FACE_OVERLAP) -> list[Detection]:
    """Return one detection for each face, the surest first.

    What overlaps the surest box becomes its mean, weighted by score, as in BlazeFace's section
    3.4; its score stays that of the surest.
    """
    rest = sorted(found, key=lambda detection: detection.score, reverse=True)
    faces = []
    while rest:
        near = overlaps(rest[0].box, np.stack([other.box for other in rest])) > overlap
        near[0] = True
        faces.append(_mean([other for other, same in zip(rest, near, strict=True) if same]))
        rest = [other for other, same in zip(rest, near, strict=True) if not same]
    return faces


def _mean(same: Sequence[Detection]) -> Detection:
    weights = np.array([detection.score for detection in same], np.float32)
    box = np.average([detection.box for detection in same], axis=0, weights=weights)
    points = np.average([detection.points for detection in same], axis=0, weights=weights)
    return Detection(box.astype(np.float32), points.astype(np.float32), same[0].score)
