"""From camera frames to calibration samples, and what is wrong with a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avatar.core.face.bounds import bounds_of
from avatar.core.face.head import decompose, decompose_like, eye_opening, lips_gap
from avatar.core.face.regions import signal_groups
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import CameraFrame, Face, FaceTrack, UInt8Image
from avatar.core.observe import Recorder
from avatar.stages.motion.usable_face import plausible
from calibrate import Problem, Recording, Sample, Session, State

# A face of fewer pixels across, or darker on the average (of 255), gives no good samples.
_LEAST_FACE_PX = 75.0
_LEAST_LIGHT = 32.0
# Sharpness against the best of the session, below which a moving face counts as blurred.
_LEAST_SHARP_SHARE = 0.22
_FORGETS = 0.995


@dataclass(frozen=True)
class PictureQuality:
    """What a picture of a face is like: mean luma of 255, mean gradient, pixels across."""

    light: float
    sharpness: float
    face_px: float


def look_at(image: UInt8Image, face: Face) -> PictureQuality | None:
    """Return what the face in ``image`` looks like; None where it lies outside."""
    height, width = image.shape[:2]
    corners = bounds_of(face.landmarks_px)
    (left, top), (right, bottom) = np.clip(corners, 0, (width, height)).astype(int)
    if right - left < 4 or bottom - top < 4:
        return None
    crop = image[top:bottom, left:right, 1].astype(np.float32)
    sharpness = float(np.abs(np.diff(crop, axis=1)).mean() + np.abs(np.diff(crop, axis=0)).mean())
    return PictureQuality(float(crop.mean()), sharpness, float(right - left))


class Watcher:
    """Feeds a session with what the tracker sees; ``see`` is called from one thread.

    ``least_face_px``: how many pixels across a face must be. ``alone``: whether nobody else is in
    a picture. ``usable`` says whether the last frame was.
    """

    def __init__(
        self,
        session: Session,
        *,
        least_face_px: float = _LEAST_FACE_PX,
        alone: Callable[[CameraFrame], bool] = lambda frame: True,
    ) -> None:
        self._session = session
        self._least_face_px, self._alone = least_face_px, alone
        self.usable = False
        self._reference: np.ndarray | None = None
        self._sharpest = 0.0
        self._size_px = (640, 480)
        self.tracks: list[FaceTrack] = []
        self.state: State = session.state(0)

    def see(self, track: FaceTrack) -> State:
        """Take one tracked frame in and return what to show."""
        sample, problem = None, Problem.NO_FACE
        face = track.face
        if face is not None and plausible(face):
            self._size_px = face.image_size_px
            found = self._problem(track, face)
            self.usable = found is None
            sample = self._sample(track, face)
            self.tracks.append(FaceTrack(track.timestamp_ns, track.index, face))
            self.state = self._session.see(sample, found, track.timestamp_ns)
            return self.state
        self.usable = False
        self.state = self._session.see(sample, problem, track.timestamp_ns)
        return self.state

    def _problem(self, track: FaceTrack, face: Face) -> Problem | None:
        if track.camera is None:
            return None
        look = look_at(track.camera.image, face)
        if look is None:
            return Problem.NO_FACE
        # Sharpness falls with the face's size and light; the best is forgotten slowly.
        self._sharpest = max(self._sharpest * _FORGETS, look.sharpness)
        if look.light < _LEAST_LIGHT:
            return Problem.DARK
        if look.face_px < self._least_face_px:
            return Problem.FAR
        if look.sharpness < _LEAST_SHARP_SHARE * self._sharpest:
            return Problem.BLURRED
        if not self._alone(track.camera):
            return Problem.NOT_ALONE
        return None

    def _sample(self, track: FaceTrack, face: Face) -> Sample:
        """Take the face apart with one shape as the reference of all, as retargeting does."""
        if self._reference is None:
            self._reference = decompose(face).shape
        head = decompose_like(face, self._reference)
        return Sample(
            track.timestamp_ns,
            head.shape,
            head.rotation,
            vector_from_rotation(head.rotation),
            head.centre_px[:2],
            head.scale_px,
            face.blendshapes,
            eye_opening(head.shape),
            lips_gap(head.shape),
        )

    def recording(self, recorder: Recorder | None = None) -> Recording:
        """Return all samples as arrays; ``recorder`` knows how long tracking took."""
        samples, steps = self._session.samples
        shape = samples[0].shape if samples else np.zeros((478, 3), np.float32)
        return Recording(samples, steps, signal_groups(shape), self._size_px, _delay_ms(recorder))


def _delay_ms(recorder: Recorder | None) -> float | None:
    if recorder is None:
        return None
    ends = {span.index: span.end_ns for span in recorder.spans("track")}
    late = [
        (ends[span.index] - span.start_ns) / 1e6
        for span in recorder.spans("capture")
        if span.index in ends
    ]
    return float(np.median(late)) if late else None
