"""A tracker on our own runtime: MediaPipe's networks without MediaPipe."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import cv2
import numpy as np

from avatar.core.errors import TrackerError
from avatar.core.frames import CameraFrame, Face, FaceTrack, Float32, UInt8Image
from avatar.stages.track.detection import DETECTOR_PX, Detection, decode, merged
from avatar.stages.track.networks import OWN_BACKENDS, FaceNetworks
from avatar.stages.track.region import Region, around_detection, around_landmarks
from avatar.stages.track.steadying import Steadying

LEAST_PRESENCE = 0.5
# A face just found is cut out by the detector, a followed one by its own landmarks, which moves
# them by some pixels. Looking so often at the first picture ends that before it is used.
SETTLING = 3


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
        face = face_of(self._networks, steady, frame.image)
        return FaceTrack(frame.timestamp_ns, frame.index, face, frame)

    def _followed(self, image: UInt8Image) -> Float32 | None:
        """Return the landmarks of the face that is followed, else of one that is found."""
        if self._region is not None:
            return look(self._networks, image, self._region)
        found = detect(self._networks, image)
        if not found:
            return None
        return settled(self._networks, image, around_detection(found[0]))


def detect(networks: FaceNetworks, image: UInt8Image) -> list[Detection]:
    """Return the faces that the detector finds in the whole of ``image``, the surest first."""
    height, width = image.shape[:2]
    side = max(width, height)
    offset = np.array([(width - side) / 2, (height - side) / 2], np.float32)
    found = decode(*networks.detect(_letterboxed(image, side, offset)))
    return [face.placed(side, offset) for face in merged(found)]


def _letterboxed(image: UInt8Image, side: int, offset: Float32) -> UInt8Image:
    """Return the square of ``side`` pixels that begins at ``offset`` as the detector's picture."""
    scale = DETECTOR_PX / side
    matrix = np.array([[scale, 0, -offset[0] * scale], [0, scale, -offset[1] * scale]])
    return cv2.warpAffine(  # type: ignore[return-value]
        image, matrix, (DETECTOR_PX, DETECTOR_PX), flags=cv2.INTER_LINEAR
    )


def look(networks: FaceNetworks, image: UInt8Image, region: Region) -> Float32 | None:
    """Return the landmarks, float32 (478, 3), of the face in ``region``; None where none is."""
    points, presence = networks.landmarks(region.cut(image))
    return region.back(points) if presence >= LEAST_PRESENCE else None


def settled(networks: FaceNetworks, image: UInt8Image, region: Region) -> Float32 | None:
    """Return the landmarks of a face just found, as they are of one that is followed."""
    landmarks = look(networks, image, region)
    for _ in range(SETTLING - 1):
        if landmarks is None:
            return None
        landmarks = look(networks, image, around_landmarks(landmarks))
    return landmarks


def face_of(networks: FaceNetworks, landmarks_px: Float32, image: UInt8Image) -> Face:
    """Return the face that has these landmarks in ``image``."""
    height, width = image.shape[:2]
    pose = networks.canonical.pose(landmarks_px, (width, height))
    return Face(landmarks_px, networks.blendshapes(landmarks_px), pose, (width, height))
