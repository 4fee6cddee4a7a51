"""The figures themselves: pure functions of pictures, points and scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import CHIN, FACE_OVAL
from avatar.core.frames import BLENDSHAPE_INDEX, Face, Float32, UInt8Image

HEAD_RATIO = 1.6
"""What belongs to the head and its hair: the face oval, enlarged so much about its centre."""
# Equal pictures have no noise at all; they count as this, better than 8 bits can show.
PSNR_LIMIT_DB = 99.0
_CORNERS = 30
_JAW = [BLENDSHAPE_INDEX["jawOpen"]]
_BLINK = [BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]]


def l1(a: UInt8Image, b: UInt8Image) -> float:
    """Return the mean absolute difference of two pictures, black to white being 1."""
    return float(np.mean(np.abs(a.astype(np.int16) - b))) / 255.0


def keypoint_distance(a: Float32, b: Float32) -> float:
    """Return the mean absolute difference over all coordinates of two sets of points, (N, 2)."""
    return float(np.mean(np.abs(a - b)))


def descriptor_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the Euclidean distance of two face descriptors."""
    return float(np.linalg.norm(a - b))


def jaw_open(face: Face) -> float:
    """Return how far the mouth is open, 0 to 1."""
    return float(face.blendshapes[_JAW].mean())


def eye_blink(face: Face) -> float:
    """Return how far the eyes are shut, 0 to 1, the mean of both."""
    return float(face.blendshapes[_BLINK].mean())


def correlation(a: list[float], b: list[float]) -> float | None:
    """Return Pearson's correlation; None where either never changes or too little is known."""
    if len(a) < 3 or min(np.std(a), np.std(b)) < 1e-6:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def psnr_db(mean_squared: float) -> float:
    """Return the peak signal-to-noise ratio of a mean squared difference of 8-bit values."""
    if mean_squared <= 0:
        return PSNR_LIMIT_DB
    return min(PSNR_LIMIT_DB, 10 * math.log10(255.0**2 / mean_squared))


def oval_mask(face: Face) -> UInt8Image:
    """Return 255 inside the face oval, uint8 (H, W)."""
    import cv2

    width, height = face.image_size_px
    hull = cv2.convexHull(np.ascontiguousarray(face.landmarks_px[FACE_OVAL, :2]))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, hull.round().astype(np.int32), (255,))
    return mask


def head_mask(face: Face) -> UInt8Image:
    """Return 255 where a head may be, with hair and hat, uint8 (H, W).

    The face oval, ``HEAD_RATIO`` times as large; the same where the back of the head is, which
    in a turned head is beside the face: an oval's height times 0.8, a head's width, farther back;
    what lies between both; and all that is straight above, where hair, hats and knots are.
    """
    import cv2

    width, height = face.image_size_px
    oval = face.landmarks_px[FACE_OVAL, :2]
    centre = (oval.min(axis=0) + oval.max(axis=0)) / 2
    front = (oval - centre) * np.float32(HEAD_RATIO) + centre
    # The pose's third column is where the face looks, y up.
    look = face.pose[:2, 2] * np.array([1, -1], np.float32)
    back = front - look * np.float32(0.8 * np.linalg.norm(oval[0] - oval[len(oval) // 2]))
    head = np.concatenate([front, back])
    above = head * np.array([1, 0], np.float32) - np.array([0, 1], np.float32)
    hull = cv2.convexHull(np.concatenate([head, above]).astype(np.float32))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, hull.round().astype(np.int32), (255,))
    return mask


def background(*faces: Face) -> NDArray[np.bool_]:
    """Return where there is background in all pictures of ``faces``, bool (H, W).

    Background lies outside each head (``head_mask``) and above each chin: below it there are
    shoulders, which may move.
    """
    width, height = faces[0].image_size_px
    kept = np.ones((height, width), bool)
    for face in faces:
        kept &= head_mask(face) == 0
        kept[max(0, int(face.landmarks_px[CHIN, 1])) :] = False
    return kept


def jitter_px(frames: list[UInt8Image], face: Face) -> float:
    """Return how restless a face is that ought to stand still, RMS in pixels.

    ``frames``: pictures of it, one after the other. ``face``: where it is in the first. Up to 30
    corners inside the face oval are found in the first picture (Shi and Tomasi 1994) and looked
    for in each other one (Lucas and Kanade 1981, pyramidal), which asks no face detector and so
    adds no noise of one. The figure is the root mean square of the distance of every corner from
    its own mean position.
    """
    import cv2

    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    apart_px = max(4, grey[0].shape[1] / 50)
    found: Any = cv2.goodFeaturesToTrack(grey[0], _CORNERS, 0.01, apart_px, mask=oval_mask(face))
    if found is None:  # no corner in a face without features
        return float("nan")
    corners = np.asarray(found, np.float32)
    tracks, kept = [corners], np.ones(len(corners), bool)
    for later in grey[1:]:
        moved, status, _ = cv2.calcOpticalFlowPyrLK(grey[0], later, corners, corners.copy())
        tracks.append(np.asarray(moved, np.float32))
        kept &= np.asarray(status).ravel() == 1
    paths = np.stack(tracks)[:, kept, 0]
    return float(np.sqrt(np.mean(np.sum((paths - paths.mean(axis=0)) ** 2, axis=-1))))
