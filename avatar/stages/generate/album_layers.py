"""Bringing further photographs of a person onto the first one's canvas.

The head of each is cut out and put where the first photograph's head is, at its size and upright
as it is, in its light. Body and background stay the first one's: so all of them share what does
not belong to the head, and changing between them changes nothing but the head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.face.head import HeadShape, decompose
from avatar.core.face.topology import EYE_RINGS, FACE_OVAL, OUTER_LIPS, SURFACE_COUNT
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.framing import Canvas
from avatar.stages.generate.laying import lay_over
from avatar.stages.generate.matte import FaceFrame, Layers, face_frame, lay_out
from avatar.stages.generate.person_cut import PersonCut

# Below the chin the new head fades into the first one's neck, in half face heights.
_CHIN_MARGIN, _NECK_FADE, _BODY_FADE = 0.06, 0.5, 0.12
# Far beside the head there are shoulders, which are the body's.
_BESIDE_FROM, _BESIDE_TO = 1.5, 1.9
_GAIN_LIMITS = (0.4, 2.5)
_ABOVE = 1.0  # head units


@dataclass(frozen=True, eq=False)
class LayeredPhoto:
    """One photograph on the shared canvas: what it shows at rest, and its layers."""

    canvas: Canvas
    layers: Layers

    def inner(self) -> LayeredPhoto:
        """Return the photograph on the output's own canvas, without the margin around it."""
        margin = self.canvas.margin_px
        return LayeredPhoto(self.canvas.inner(), self.layers.inner(margin))


def further_source(
    first: LayeredPhoto,
    photo: UInt8Image,
    face: Face,
    cut: PersonCut,
    *,
    apart: bool = False,
) -> LayeredPhoto:
    """Return another photograph of the same person with its head in the first one's place.

    ``photo``: uint8 (H, W, 3) RGB; ``face``: in its pixels. ``cut``: the person in it. ``apart``:
    people are to stand before another background.
    """
    main = decompose(first.canvas.face)
    size_px = first.canvas.image.shape[1], first.canvas.image.shape[0]
    matrix, placed = _aligned(face, first.canvas.face, main, size_px)
    # A head that reaches beyond the canvas goes on above it, as far as it could ever come down.
    above = round(_ABOVE * main.scale_px)
    matrix[1, 2] += above
    taller = size_px[0], size_px[1] + above
    landmarks = placed.landmarks_px + np.array([0, above, 0], np.float32)
    image = _warped(photo, matrix, taller)
    gain = _skin(first.canvas.image, first.canvas.face.landmarks_px) / _skin(image, landmarks)
    # What the photograph does not reach is taken away below.
    lit = _in_light(image, gain)
    in_light = replace(cut, plate=_in_light(cut.plate, gain))
    frame = face_frame(landmarks, decompose(placed))
    layers = lay_out(in_light, lit, matrix, frame, apart=apart)
    crown = layers.crown_px + above
    inside = _covered(photo, matrix, taller)
    inside = np.concatenate([np.repeat(inside[:1], layers.crown_px, axis=0), inside])
    inside *= _within(size_px[0])
    head = layers.person * inside[..., None]
    person = _on_body(head, inside, crown, first, placed)
    shown = np.empty_like(first.canvas.image)
    lay_over(shown, first.layers.plate, np.ascontiguousarray(person[crown:]))
    canvas = replace(first.canvas, image=shown, face=placed)
    return LayeredPhoto(canvas, Layers(person, first.layers.plate, crown))


def _aligned(
    face: Face, onto: Face, main: HeadShape, size_px: tuple[int, int]
) -> tuple[Float32, Face]:
    """Return the similarity, float32 (2, 3), that lays ``face`` onto the main head, and its result.

    Rigid landmarks meet in their centre and size, and the faces are upright alike; the turn to
    the side and up stays the photograph's own.
    """
    head = decompose(face)
    own, wanted = face_frame(face.landmarks_px, head), face_frame(onto.landmarks_px, main)
    cross = float(own.up[0] * wanted.up[1] - own.up[1] * wanted.up[0])
    angle = float(np.arctan2(cross, float(own.up @ wanted.up)))
    scale = main.scale_px / head.scale_px
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    landmarks = (face.landmarks_px - head.centre_px) @ turn.T * np.float32(scale) + main.centre_px
    pose = face.pose.copy()
    # Pixels run downwards, the camera's axes upwards: there the turn is the other way round.
    pose[:3, :3] = turn.T @ head.rotation
    linear = turn[:2, :2] * np.float32(scale)
    shift = main.centre_px[:2] - linear @ head.centre_px[:2]
    matrix = np.hstack([linear, shift[:, None]]).astype(np.float32)
    return matrix, Face(landmarks.astype(np.float32), face.blendshapes, pose, size_px)


def _warped(photo: UInt8Image, matrix: Float32, size_px: tuple[int, int]) -> UInt8Image:
    """Return the photograph drawn through ``matrix``, its edge repeated beyond it."""
    import cv2

    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    small, ratio = photo, 1.0
    if scale < 0.5:
        # Shrunk first: warpAffine samples single pixels and would alias.
        ratio = max(scale * 1.5, 1 / max(photo.shape[:2]))
        shrunk = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        small = np.asarray(shrunk, np.uint8)
        ratio = small.shape[1] / photo.shape[1]
    inner = matrix.astype(np.float64)
    inner[:, :2] /= ratio
    # Pixel centres are at halves on both sides.
    inner[:, 2] += inner[:, :2] @ [0.5, 0.5] - 0.5
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    drawn = cv2.warpAffine(small, inner, size_px, flags=method, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(drawn, np.uint8)


def _covered(photo: UInt8Image, matrix: Float32, size_px: tuple[int, int]) -> Float32:
    """Return where on the canvas the photograph has something to show, float32 (H, W)."""
    import cv2

    full = np.full(photo.shape[:2], 1, np.float32)
    drawn = cv2.warpAffine(full, matrix.astype(np.float64), size_px, flags=cv2.INTER_LINEAR)
    size = 2 * max(1, round(0.006 * max(size_px))) + 1
    # Softened inwards: at the photograph's edge nothing is left of it.
    inner = cv2.erode(drawn, np.ones((size, size), np.uint8), borderValue=1)
    return np.asarray(cv2.blur(inner, (size, size)), np.float32)


def _within(width: int) -> Float32:
    """Return 1, falling to 0 at the canvas's sides, float32 (W,).

    A head that stands out of the canvas would else be drawn out in streaks when it moves inwards.
    """
    x = np.arange(width, dtype=np.float32)
    return np.asarray(np.clip(np.minimum(x, width - 1 - x) / (0.015 * width), 0, 1), np.float32)


def _in_light(image: UInt8Image, gain: Float32) -> UInt8Image:
    """Return ``image`` in the first photograph's light.

    Each channel is scaled by the ratio of the skin's medians, ``gain`` (von Kries 1902): what is
    black in one light is black in the other.
    """
    scaled = image * np.clip(gain, *_GAIN_LIMITS).astype(np.float32)
    return np.asarray(np.clip(scaled + 0.5, 0, 255), np.uint8)


def _skin(image: UInt8Image, landmarks_px: Float32) -> Float32:
    """Return the skin's median colour, float32 (3,), at the landmarks beside eyes and lips."""
    import cv2

    places = np.setdiff1d(np.arange(SURFACE_COUNT), np.concatenate([*EYE_RINGS, OUTER_LIPS]))
    smooth = cv2.blur(image, (3, 3))
    x, y = landmarks_px[places, :2].astype(int).T
    seen = (x >= 0) & (y >= 0) & (x < image.shape[1]) & (y < image.shape[0])
    if not seen.any():
        return np.full(3, 128, np.float32)
    return np.asarray(np.maximum(np.median(smooth[y[seen], x[seen]], axis=0), 4), np.float32)


def _on_body(
    head: Float32, inside: Float32, crown_px: int, first: LayeredPhoto, placed: Face
) -> NDArray[np.uint8]:
    """Return the person layer, uint8 (crown + H, W, 4), of the new head on the first one's body.

    ``head``: float32 (crown + H, W, 4), 0 to 255, premultiplied. ``inside``: float32
    (crown + H, W), where the new photograph has something to show.
    """
    landmarks = first.canvas.face.landmarks_px
    frame = face_frame(landmarks, decompose(first.canvas.face))
    ovals = np.concatenate([landmarks[FACE_OVAL, :2], placed.landmarks_px[FACE_OVAL, :2]])
    chin = float(frame.coordinates(ovals)[:, 1].min()) - _CHIN_MARGIN
    uv = _coordinates(frame, crown_px, inside.shape)
    beside = smooth_step((np.abs(uv[..., 0]) - _BESIDE_FROM) / (_BESIDE_TO - _BESIDE_FROM))
    beside *= smooth_step((-0.5 - uv[..., 1]) / 0.5)
    of_head = smooth_step((uv[..., 1] - chin + _NECK_FADE) / _NECK_FADE) * (1 - beside)
    of_body = np.maximum(smooth_step((chin + _BODY_FADE - uv[..., 1]) / _BODY_FADE), beside)
    # Where the new photograph ends above the neck, the first one's own goes on.
    ended = np.clip(3 * (1 - inside), 0, 1)
    of_body = np.maximum(of_body, smooth_step((-0.6 - uv[..., 1]) / 0.2) * ended)
    head = head * of_head[..., None]
    body = np.zeros_like(head)
    body[crown_px:] = first.layers.shown * of_body[crown_px:, :, None]
    whole = head + body * (1 - head[..., 3:] / 255)
    return np.asarray(np.clip(whole + 0.5, 0, 255), np.uint8)


def _coordinates(frame: FaceFrame, crown_px: int, shape: tuple[int, ...]) -> Float32:
    height, width = shape
    y, x = np.mgrid[-crown_px : height - crown_px, 0:width].astype(np.float32) + np.float32(0.5)
    return frame.coordinates(np.stack([x, y], axis=-1))
