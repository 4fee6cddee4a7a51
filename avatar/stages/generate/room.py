"""How far a head may move before it shows what its photograph does not have.

Where an edge of the photograph cuts hair, neck or shoulders, these are continued, plausibly but
not truly. So the nearer such a cut is to the face, the less the head moves away from it: softly,
and only in that direction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.face.head import HeadShape, compose, shape_of
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.frames import Float32
from avatar.stages.generate.deform import Pose
from avatar.stages.generate.face_frame import FaceFrame
from avatar.stages.generate.matte import Layers
from avatar.stages.generate.mesh import head_share

# So much of what was continued may come into the picture, half faces; up to this share of it a
# motion is untouched.
_SHOWN, _KNEE = 0.3, 0.5
# Points looked at along each edge, and how deep behind the face they are taken to be, head units.
_POINTS, _DEPTH = 24, 0.6


class Room:
    """What one photograph allows a head.

    ``head``, ``frame``: the photograph's face in the output's pixels. ``layers``: of the output.
    """

    def __init__(self, head: HeadShape, frame: FaceFrame, layers: Layers) -> None:
        self._head = head
        places, self._inward, self._hidden = _cuts(layers)
        self._weight = head_share(frame.coordinates(places))
        depth = np.full((len(places), 1), head.centre_px[2] + _DEPTH * head.scale_px)
        self._places = np.concatenate([places, depth], axis=1).astype(np.float32)
        self._shape = shape_of(self._places, head.rotation, head.centre_px, head.scale_px)
        self._limit = np.float32(_SHOWN * float(frame.half_px[1])) + self._hidden
        self._free = not (self._weight > 0).any()

    def kept(self, pose: Pose) -> Pose:
        """Return ``pose``, or one between it and the photograph's own that keeps within the room.

        ``pose``: in the output's pixels, its numbers finite.
        """
        if self._free:
            return pose
        head = self._head
        shift = (pose.centre_px - head.centre_px)[:2]
        turned = compose(self._shape, pose.rotation, head.centre_px, pose.scale_px)
        turning = np.sum((turned - self._places)[:, :2] * self._weight * self._inward, axis=1)
        shifting = np.sum(shift * self._weight * self._inward, axis=1)
        share = _share(turning + shifting, self._limit)
        if share.min() >= 1:
            return pose
        whole = np.maximum(turning + shifting, 1e-6)
        turn_share = float((1 - (1 - share) * np.clip(turning / whole, 0, 1)).min())
        # A shift away from one edge is none away from another.
        away = np.where(shift * self._inward > 0, share[:, None], np.float32(1)).min(axis=0)
        return self._between(pose, turn_share, (shift * away).astype(np.float32))

    def _between(self, pose: Pose, share: float, shift: Float32) -> Pose:
        head = self._head
        shape = shape_of(pose.landmarks_px, pose.rotation, pose.centre_px, pose.scale_px)
        turn = vector_from_rotation(pose.rotation @ head.rotation.T) * np.float32(share)
        rotation = (rotation_from_vector(turn) @ head.rotation).astype(np.float32)
        scale = head.scale_px + (pose.scale_px - head.scale_px) * share
        centre = head.centre_px.copy()
        centre[:2] += shift
        landmarks = compose(shape, rotation, centre, scale)
        return replace(
            pose, landmarks_px=landmarks, rotation=rotation, centre_px=centre, scale_px=scale
        )


def _share(wanted: Float32, limit: Float32) -> Float32:
    """Return by what ``wanted`` is multiplied so that it bends smoothly towards ``limit``."""
    knee = limit * np.float32(_KNEE)
    room = np.maximum(limit - knee, 1e-3)
    bent = knee + room * np.tanh((wanted - knee) / room)
    return np.where(wanted > knee, bent / np.maximum(wanted, 1e-6), 1).astype(np.float32)


def _cuts(layers: Layers) -> tuple[Float32, Float32, Float32]:
    """Return where edges of the photograph cut the person.

    float32 (N, 2), places in the output's pixels; float32 (N, 2), which way is inwards there;
    float32 (N,), how far outside the output the edge is, pixels. An edge that is in the picture at
    rest has nothing left to hide.
    """
    alpha = layers.person[..., 3]
    height, width = alpha.shape
    left, top, right, bottom = layers.photo_rect or (0, 0, width, height)
    across, down = np.linspace(left, right - 1, _POINTS), np.linspace(top, bottom - 1, _POINTS)
    out_h, out_w = layers.plate.shape[:2]
    x0, y0 = layers.side_px, layers.crown_px
    edges = [
        (left, 0, x0 - left, np.full(_POINTS, left), down, (1, 0)),
        (width, right, right - x0 - out_w, np.full(_POINTS, right - 1), down, (-1, 0)),
        (top, 0, y0 - top, across, np.full(_POINTS, top), (0, 1)),
        (height, bottom, bottom - y0 - out_h, across, np.full(_POINTS, bottom - 1), (0, -1)),
    ]
    found = []
    for outer, inner, hidden, x, y, inward in edges:
        if outer <= inner or hidden < 0:
            continue
        held = alpha[np.round(y).astype(int), np.round(x).astype(int)] > 127
        for px, py in zip(x[held] - x0, y[held] - y0, strict=True):
            found.append((px, py, *inward, hidden))
    table = np.array(found, np.float32).reshape(-1, 5)
    return table[:, :2], table[:, 2:4], table[:, 4]
