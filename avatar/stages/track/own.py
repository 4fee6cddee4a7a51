"""A tracker on our own runtime: MediaPipe's networks without MediaPipe."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from avatar.core.errors import TrackerError
from avatar.core.frames import CameraFrame, FaceTrack, Float32, UInt8Image
from avatar.stages.track.find import detect, face_of, look, settled
from avatar.stages.track.networks import OWN_BACKENDS, FaceNetworks
from avatar.stages.track.region import Region, around_detection, around_landmarks
from avatar.stages.track.steadying import Steadying


class OwnTracker:
    """Tracks one face through a video with the networks of ``face_landmarker.task``.

    ``face_model``: its path. ``backend``: what runs the networks, see ``OWN_BACKENDS``.
    Entering raises what ``FaceNetworks`` raises.
    """

    def __init__(self, face_model: Path, backend: str = OWN_BACKENDS[0]) -> None:
        self._networks = FaceNetworks(face_model, backend)
        self._entered = False
        self._forget()

    def _forget(self) -> None:
        self._region: Region | None = None
        self._steadying = Steadying()

    def __enter__(self) -> Self:
        self._networks.__enter__()
        self._entered = True
        self._forget()
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        self._networks.__exit__()

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return the driver's face in ``frame``; ``face`` is None when nobody is there."""
        if not self._entered:
            raise TrackerError("the tracker is closed: use it inside a `with` block")
        landmarks = self._followed(frame.image)
        if landmarks is None:
            self._forget()
            return FaceTrack(frame.timestamp_ns, frame.index, None, frame)
        self._region = around_landmarks(landmarks)
        steady = self._steadying.apply(landmarks, frame.timestamp_ns)
        face = face_of(self._networks, steady, (frame.image.shape[1], frame.image.shape[0]))
        return FaceTrack(frame.timestamp_ns, frame.index, face, frame)

    def _followed(self, image: UInt8Image) -> Float32 | None:
        """Return the landmarks of the face that is followed, else of one that is found."""
        if self._region is not None:
            return look(self._networks, image, self._region)
        found = detect(self._networks, image)
        if not found:
            return None
        return settled(self._networks, image, around_detection(found[0]))
