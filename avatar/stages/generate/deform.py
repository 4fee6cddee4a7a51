"""Where the avatar's landmarks go: the driver's motion on the avatar's own proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from avatar.core.curves import clamped
from avatar.core.face.head import HeadShape, compose, decompose, eye_opening
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.face.topology import (
    BROW_RINGS,
    CHIN,
    EYE_CORNERS,
    EYE_RINGS,
    EYES,
    INNER_LIPS,
    LIPS_MIDDLE,
    MOUTH_CORNERS,
    NOSE_BASE,
    SIDES,
    SURFACE_COUNT,
)
from avatar.core.frames import Float32, Motion, still
from avatar.stages.generate.framing import Canvas, driver_to_canvas
from avatar.stages.generate.lip_edges import LipEdges
from avatar.stages.generate.mouth_fit import MouthFit
from avatar.stages.generate.transfer import Transfer

# Beyond these a single photograph shows what it never saw; radians about x, y, z.
_TURN_LIMIT = np.radians(np.array([25.0, 35.0, 40.0], np.float32))
_LEAST_TURN = np.radians(np.array([6.0, 6.0, 40.0], np.float32))
# Up to here a photograph counts as taken from the front.
_FRONTAL = math.radians(12)
_SHIFT_LIMIT = 0.9
# Turns and shifts together count fully up to the first, and never more than the second, where 1 is
# one of them at its own limit.
_ALONE, _AT_MOST = 0.8, 1.1
_SCALE_LIMITS = (0.75, 1.35)
_LOWER_FACE = (NOSE_BASE, CHIN)
_BROWS = np.concatenate(BROW_RINGS)
_EYE_CORNERS = tuple((outer, inner) for outer, inner, *_ in EYES)
# Lids meet nearer to the lower lid; its share of the way.
_LOWER_LID_SHARE = 0.15
# Lids open wider than in the photograph by this share at the most: what they would bare, white all
# around the iris, no photograph shows.
_WIDEST_LID = -0.15
# No face moves by so many head units, nor looks by so many eye widths.
_LARGEST = 1e3
# Temples and the bridge of the nose are bone: what moves there is the tracker's error on a turned
# head. Brows lie on muscle up to their very ends. How strongly skin, brows and bone hold the place
# that a landmark's own movement asks for.
_TEMPLES, _BRIDGE = 0.1, 0.15
_SKIN_HOLDS, _BROW_HOLDS, _BONE_HOLDS = 4.0, 100.0, 400.0


@dataclass(frozen=True, eq=False)
class Pose:
    """The avatar's head as drawn: where everything attached to it goes.

    ``landmarks_px``: float32 (478, 3), canvas pixels. ``rotation``: float32 (3, 3), head frame to
    camera; ``centre_px``: float32 (3,); ``scale_px``: pixels of a head unit.
    ``eye_closure``: float32 (2,), (left, right), 1 is shut. ``lip_shares``: how much of what lies
    between the driver's inner lip landmarks is lip (``InnerEdge.find``), None where unknown.
    """

    landmarks_px: Float32
    rotation: Float32
    centre_px: Float32
    scale_px: float
    eye_closure: Float32
    lip_shares: Float32 | None = None


class FaceDeformer:
    """Poses one avatar's landmarks.

    ``canvas``: the avatar's picture with its face in canvas pixels.
    """

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._face = canvas.face
        self.head: HeadShape = decompose(canvas.face)
        shape = self.head.shape
        self._expressive = _expressiveness(shape)
        firm = 1 - self._expressive[:SURFACE_COUNT, 0]
        hold = _SKIN_HOLDS + (_BONE_HOLDS - _SKIN_HOLDS) * firm**2
        hold[_BROWS] = _BROW_HOLDS
        self._transfer = Transfer(shape, hold)
        self._mouth_weight = _nearness(shape, shape[list(MOUTH_CORNERS)].mean(axis=0), 0.8)
        self._eye_weights = [
            _nearness(shape, shape[list(corners)].mean(axis=0), 0.45) for corners in _EYE_CORNERS
        ]
        self._mouth_fit = MouthFit(canvas.face, shape)
        self._lip_edges = LipEdges()
        self._turn_limit = _turn_limit(self.head.rotation)
        self._driver_map: tuple[float, Float32] | None = None
        self._neutral: Float32 | None = None

    def pose(self, motion: Motion) -> Pose:
        """Return the posed avatar for a motion that is ``usable``."""
        return self._absolute(motion) if motion.absolute else self._relative(motion)

    def rest(self) -> Pose:
        """Return the photograph's own pose."""
        head = self.head
        return Pose(
            self._face.landmarks_px,
            head.rotation,
            head.centre_px,
            head.scale_px,
            np.zeros(2, np.float32),
        )

    def _relative(self, motion: Motion) -> Pose:
        head = self.head
        shape = head.shape + self._mouth_fit(self._fitted_expression(motion), motion)
        shape = _with_lips_apart(self._with_lids(shape, motion.eye_closure))
        turn = _soft_limit(vector_from_rotation(motion.rotation), self._turn_limit)
        shift = _soft_limit(motion.translation, np.full(2, _SHIFT_LIMIT, np.float32))
        kept = _together(np.concatenate([turn / self._turn_limit, shift / _SHIFT_LIMIT]))
        turn, shift = turn * kept, shift * kept
        rotation = (rotation_from_vector(turn) @ head.rotation).astype(np.float32)
        centre = head.centre_px.copy()
        centre[:2] += shift * np.float32(head.scale_px)
        scale = head.scale_px * clamped(motion.scale, *_SCALE_LIMITS)
        landmarks = compose(shape, rotation, centre, scale)
        return Pose(
            landmarks, rotation, centre, scale, motion.eye_closure, self._lip_edges.shares(motion)
        )

    def _absolute(self, motion: Motion) -> Pose:
        """Reproduce the driver's own landmarks, carried from the camera's picture to the canvas."""
        if motion.scale <= 0 or (motion.track is None and self._driver_map is None):
            return self.rest()
        if self._driver_map is None:
            assert motion.track is not None and motion.track.face is not None
            self._driver_map = driver_to_canvas(
                self._canvas,
                motion.track.face.image_size_px,
                motion.translation,
                motion.scale,
                self.head.centre_px[:2],
                self.head.scale_px,
            )
        zoom, offset = self._driver_map
        centre = np.zeros(3, np.float32)
        centre[:2] = motion.translation * np.float32(zoom) + offset
        centre[2] = self.head.centre_px[2]
        scale = motion.scale * zoom
        shape = _with_shut_lids(motion.expression, motion)
        landmarks = compose(shape, motion.rotation, centre, scale)
        return Pose(landmarks, motion.rotation, centre, scale, motion.eye_closure)

    def _fitted_expression(self, motion: Motion) -> Float32:
        """Scale the driver's displacements region by region to the avatar's proportions."""
        expression = motion.expression
        if not motion.neutral.any():
            return expression
        if motion.neutral is not self._neutral:
            self._neutral, self._gain = motion.neutral, self._gain_for(motion.neutral)
        asked = (expression * self._gain).astype(np.float32)
        return self._transfer(expression, motion.neutral, asked)

    def _gain_for(self, neutral: Float32) -> Float32:
        """Return by how much displacements from a driver's ``neutral`` are scaled, (478, 3)."""
        gain = self._expressive.copy()
        # A mouth's corners go by its width, a jaw by the length of the face below the nose too.
        sideways = self._ratio(neutral, MOUTH_CORNERS)
        down = (sideways + self._ratio(neutral, _LOWER_FACE)) / 2
        stretch = np.array([sideways, down, sideways], np.float32)
        gain = gain * (1 + self._mouth_weight * (stretch - 1))
        for weight, corners in zip(self._eye_weights, _EYE_CORNERS, strict=True):
            gain *= 1 + weight * (self._ratio(neutral, corners) - 1)
        return gain

    def _ratio(self, neutral: Float32, ends: tuple[int, int]) -> np.float32:
        """Return the avatar's distance between two landmarks over the driver's, within limits."""
        own = np.linalg.norm(self.head.shape[ends[0]] - self.head.shape[ends[1]])
        driver = np.linalg.norm(neutral[ends[0]] - neutral[ends[1]])
        return np.float32(np.clip(own / max(float(driver), 1e-3), 0.5, 1.6))

    def _with_lids(self, shape: Float32, closure: Float32) -> Float32:
        """Put each lid's edge where the closure says, between wide open and shut."""
        out = shape.copy()
        for ring, shut in zip(EYE_RINGS, closure, strict=True):
            upper, lower = ring[1:8], ring[15:8:-1]
            rest_upper, rest_lower = self.head.shape[upper], self.head.shape[lower]
            # Corners carry what moves the whole eye, such as a raised cheek.
            carried = (shape - self.head.shape)[ring[[0, 8]]].mean(axis=0) * np.float32(0.5)
            gap = rest_lower - rest_upper
            closing = max(float(shut), _WIDEST_LID) * (1 - _LOWER_LID_SHARE)
            out[upper] = rest_upper + gap * np.float32(closing) + carried
            raised = max(float(shut), 0.0) * _LOWER_LID_SHARE
            out[lower] = rest_lower - gap * np.float32(raised) + carried
        return out


def _with_shut_lids(shape: Float32, motion: Motion) -> Float32:
    """Close the driver's own lids as far as the closure says.

    MediaPipe's landmarks of a shut eye still stand apart; the photograph's of an open one do not
    stand wider, so a gap would stay.
    """
    out = shape.copy()
    rest = eye_opening(motion.neutral) if motion.neutral.any() else eye_opening(shape)
    now = np.maximum(eye_opening(shape), 1e-3)
    open_share = np.clip((1 - motion.eye_closure) * rest / now, 0, 1)
    for ring, share in zip(EYE_RINGS, open_share, strict=True):
        upper, lower = ring[1:8], ring[15:8:-1]
        out[upper] = shape[lower] + (shape[upper] - shape[lower]) * np.float32(share)
    return out


def _with_lips_apart(shape: Float32) -> Float32:
    """Let lips meet where a motion would push them through each other.

    A driver whose lips are parted at the reference and then close moves closed lips of a
    photograph beyond each other.
    """
    upper, lower = INNER_LIPS[1:10], INNER_LIPS[19:10:-1]
    crossed = np.maximum(shape[lower, 1] - shape[upper, 1], 0) / 2
    if not crossed.any():
        return shape
    out = shape.copy()
    out[upper, 1] += crossed
    out[lower, 1] -= crossed
    return out


def _expressiveness(shape: Float32) -> Float32:
    """Return how much of an expression each landmark takes, float32 (478, 1), 0 to 1."""
    x, y = shape[:, 0], shape[:, 1]
    nose, brow_y = shape[1, 1], shape[168, 1]
    eyes_y = shape[list(EYE_CORNERS), 1].mean()
    half = float(np.abs(shape[list(SIDES), 0]).mean())
    above_cheeks = np.clip((y - (eyes_y - 0.5)) / 0.6, 0, 1)
    temple = np.clip((np.abs(x) / half - 0.6) / 0.35, 0, 1) * above_cheeks
    temple[_BROWS] = 0
    along = np.clip((y - nose + 0.2) / 0.3, 0, 1) * np.clip((brow_y + 0.15 - y) / 0.2, 0, 1)
    bridge = np.exp(-((x / 0.25) ** 2)) * along
    firm = 1 - (1 - _TEMPLES) * temple - (1 - _BRIDGE) * bridge
    return np.asarray(np.clip(firm, _TEMPLES, 1), np.float32)[:, None]


def _nearness(shape: Float32, centre: Float32, reach: float) -> Float32:
    """Return a Gaussian weight, float32 (478, 1), of each landmark's distance from ``centre``."""
    squared = np.sum((shape - centre)[:, :2] ** 2, axis=1, keepdims=True)
    return np.asarray(np.exp(-squared / (2 * reach * reach)), np.float32)


def _turn_limit(rotation: Float32) -> Float32:
    """Return how far a head photographed at ``rotation`` may turn, radians about x, y, z.

    A face seen from the side hides its far cheek: turned to the front it would show what the
    photograph never saw, turned further it has little left. So the limits shrink with the turn
    that the photograph already has.
    """
    turned = np.abs(vector_from_rotation(rotation))
    spared = np.maximum(turned - _FRONTAL, 0) * np.array([1.0, 1.0, 0.0], np.float32)
    return np.maximum(_TURN_LIMIT - 1.3 * spared, _LEAST_TURN).astype(np.float32)


def _soft_limit(value: Float32, limit: Float32) -> Float32:
    """Return ``value`` unchanged while small, bending smoothly towards ±``limit``."""
    knee = limit * np.float32(0.6)
    beyond = np.maximum(np.abs(value) - knee, 0)
    room = limit - knee
    bent = knee + room * np.tanh(beyond / room)
    return np.where(np.abs(value) <= knee, value, np.sign(value) * bent).astype(np.float32)


def _together(shares: Float32) -> np.float32:
    """Return what is kept of a movement, whose parts are given as shares of their own limits.

    A neck has no room for all at once: tilted as far as it goes, a head that turns and sinks as
    well would push its chin through the shoulder, and the neck between them to nothing.
    """
    size = float(np.linalg.norm(shares))
    if size <= _ALONE:
        return np.float32(1)
    room = _AT_MOST - _ALONE
    return np.float32((_ALONE + room * np.tanh((size - _ALONE) / room)) / size)


def usable(motion: Motion) -> bool:
    """Return whether all numbers of ``motion`` are finite."""
    parts = (
        motion.expression,
        motion.rotation,
        motion.translation,
        motion.eye_closure,
        motion.gaze,
    )
    return bool(np.isfinite(motion.scale)) and all(bool(np.isfinite(p).all()) for p in parts)


def usable_or_still(motion: Motion) -> Motion:
    """Return ``motion`` where it is ``usable``, else one that leaves the photograph as it is."""
    if not usable(motion):
        return still(motion.timestamp_ns, motion.index, motion.presence)
    parts = motion.expression, motion.gaze, motion.eye_closure
    largest = max(float(np.abs(part).max()) for part in parts)
    return motion if largest <= _LARGEST else _bounded(motion)


def _bounded(motion: Motion) -> Motion:
    """Return ``motion`` without numbers whose squares are too large for float32."""
    return replace(
        motion,
        expression=np.clip(motion.expression, -_LARGEST, _LARGEST),
        gaze=np.clip(motion.gaze, -_LARGEST, _LARGEST),
        eye_closure=np.clip(motion.eye_closure, -_LARGEST, _LARGEST),
    )


def lips_gap_px(landmarks_px: Float32) -> float:
    """Return the distance of the lips' inner edges at their middle, pixels."""
    upper, lower = landmarks_px[list(LIPS_MIDDLE), :2]
    return math.dist(lower, upper)
