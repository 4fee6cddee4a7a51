"""What the motion benchmark replays: recorded clips, a still photograph, and made-up movement.

All tracks are as the tracker would deliver them, with timestamps of a steady camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avatar.core.face.head import HeadShape, compose, decompose
from avatar.core.face.regions import MOUTH, region_shares
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.face.topology import EYES
from avatar.core.frames import BLENDSHAPE_INDEX, CameraFrame, Face, FaceTrack, Float32, UInt8Image
from avatar.measure.bench import load_frames
from avatar.measure.speed import CAMERA_SIZE_PX, camera_picture
from avatar.stages.motion.smooth import TYPICAL_NOISE
from avatar.stages.sources.timing import film_timing
from avatar.stages.track.choice import create_tracker

CAMERA_FPS = 30.0
_HEAD_UNIT_PX = 60.0


@dataclass(frozen=True, eq=False)
class ReplayedTrack:
    """A replayed track.

    ``still``: the person did not move at all, so that all movement is jitter. ``truth``: the same
    track without noise, where it is known; lag and overshoot are measured against it, otherwise
    against the track itself.
    """

    name: str
    fps: float
    faces: Sequence[FaceTrack]
    still: bool = False
    truth: Sequence[FaceTrack] | None = None


def recorded(camera: str, face_model: Path) -> ReplayedTrack:
    """Return what the tracker sees in up to twenty seconds of a clip, or of ``demo``."""
    frames = load_frames(camera, CAMERA_FPS)
    fps = CAMERA_FPS if camera == "demo" else float(film_timing(Path(camera)).rate)
    return ReplayedTrack(Path(camera).stem, fps, _tracked(frames, fps, face_model))


def still_photograph(face_model: Path, *, dim: bool, frames: int = 120) -> ReplayedTrack:
    """Return what the tracker sees in the built-in portrait with a camera's noise, JPEG and all.

    ``dim``: as in a dark room, less than half the light and twice the noise.
    """
    import cv2

    picture = camera_picture().astype(np.float32)
    noise, light = (8.0, 0.4) if dim else (4.0, 1.0)
    rng = np.random.default_rng(5)
    images: list[UInt8Image] = []
    for _ in range(frames):
        seen = np.clip(picture * light + rng.normal(0, noise, picture.shape), 0, 255)
        _, data = cv2.imencode(".jpg", seen.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80])
        images.append(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8))
    name = "still, dim" if dim else "still"
    return ReplayedTrack(name, CAMERA_FPS, _tracked(images, CAMERA_FPS, face_model), still=True)


def _tracked(images: Sequence[UInt8Image], fps: float, face_model: Path) -> list[FaceTrack]:
    tracks = []
    with create_tracker(face_model) as tracker:
        for index, image in enumerate(images):
            stamp_ns = round(index * 1e9 / fps)
            seen = tracker.track(CameraFrame(np.ascontiguousarray(image), stamp_ns, index))
            tracks.append(replace(seen, camera=None))
    return tracks


@dataclass(frozen=True)
class _Moment:
    """What the made-up person does: radians, head units, and shares of a shut eye or open jaw."""

    turn: tuple[float, float, float]
    shift: tuple[float, float]
    blink: float
    jaw: float


def _eased(t_s: float, start_s: float, length_s: float) -> float:
    """Return 0 before and 1 after a movement of least jerk (Flash and Hogan 1985)."""
    u = min(1.0, max(0.0, (t_s - start_s) / length_s))
    return u**3 * (10 - 15 * u + 6 * u * u)


def _there_and_back(t_s: float, start_s: float, length_s: float, rest_s: float) -> float:
    back_s = start_s + length_s + rest_s
    return _eased(t_s, start_s, length_s) - _eased(t_s, back_s, length_s)


def _pulse(t_s: float, centre_s: float, length_s: float) -> float:
    """Return a smooth bump of height 1 that lasts ``length_s``."""
    u = (t_s - centre_s) / length_s + 0.5
    return float(np.sin(np.pi * u) ** 2) if 0 < u < 1 else 0.0


LENGTH_S = 16.0
_BLINKS_S = (2.03, 4.61, 7.37, 9.12, 12.44, 14.27)
_BLINK_S = 0.22
_SYLLABLE_S = 0.24


def made_up_moment(t_s: float) -> _Moment:
    """Return what the made-up person does: turns and nods of several speeds, blinks, syllables.

    Between syllables the lips are shut for as long as in a plosive.
    """
    yaw = 0.45 * _there_and_back(t_s, 1.5, 0.35, 0.8) - 0.3 * _there_and_back(t_s, 4.0, 0.6, 0.5)
    pitch = 0.2 * _there_and_back(t_s, 6.5, 0.25, 0.3) + 0.15 * _there_and_back(t_s, 8.0, 0.5, 0.4)
    roll = 0.2 * _there_and_back(t_s, 9.8, 0.4, 0.5)
    shift = 0.6 * _there_and_back(t_s, 11.5, 0.5, 0.6)
    blink = max(_pulse(t_s, at, _BLINK_S) for at in _BLINKS_S)
    speaking = 12.5 <= t_s < 15.5
    jaw = abs(np.sin(np.pi * (t_s - 12.5) / _SYLLABLE_S)) if speaking else 0.0
    return _Moment((pitch, yaw, roll), (shift, 0.3 * shift), blink, float(jaw))


def made_up(face: Face, fps: float = CAMERA_FPS) -> ReplayedTrack:
    """Return movement of known truth on a real face's shape, with the tracker's typical noise."""
    head = decompose(face)
    shares = region_shares(head.shape)[:, MOUTH : MOUTH + 1]
    rng = np.random.default_rng(7)
    truth, seen = [], []
    for index in range(round(LENGTH_S * fps)):
        moment = made_up_moment(index / fps)
        stamp_ns = round(index * 1e9 / fps)
        truth.append(FaceTrack(stamp_ns, index, _posed(head, shares, moment, lambda *shape: 0.0)))
        seen.append(FaceTrack(stamp_ns, index, _posed(head, shares, moment, rng.normal)))
    name = "made up" if fps == CAMERA_FPS else f"made up, {fps:.0f} fps"
    return ReplayedTrack(name, fps, seen, truth=truth)


def _posed(
    head: HeadShape,
    mouth: Float32,
    moment: _Moment,
    noise: Callable[[float, float, tuple[int, ...]], object],
) -> Face:
    shape = head.shape + np.asarray(noise(0.0, float(TYPICAL_NOISE[5]), head.shape.shape))
    shape = shape.astype(np.float32)
    for _, _, upper, lower, _ in EYES:
        shape[upper] += 0.85 * moment.blink * (head.shape[lower] - head.shape[upper])
    below = (head.shape[:, 1:2] < head.shape[13, 1]).astype(np.float32) * mouth
    shape[:, 1:2] -= 0.3 * moment.jaw * below
    turn = np.array(moment.turn) + np.asarray(noise(0.0, float(TYPICAL_NOISE[9]), (3,)))
    rotation = rotation_from_vector(turn.astype(np.float32))
    centre = np.array([320.0, 240.0, 0.0], np.float32)
    shift = np.array(moment.shift) + np.asarray(noise(0.0, float(TYPICAL_NOISE[10]), (2,)))
    centre[:2] += shift * _HEAD_UNIT_PX
    landmarks = compose(shape, rotation, centre, _HEAD_UNIT_PX)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = rotation
    scores = np.zeros(len(BLENDSHAPE_INDEX), np.float32)
    for name, value in (("eyeBlinkLeft", moment.blink), ("eyeBlinkRight", moment.blink),
                        ("jawOpen", moment.jaw)):  # fmt: skip
        scores[BLENDSHAPE_INDEX[name]] = 0.75 * value
    return Face(landmarks, scores, pose, CAMERA_SIZE_PX)
