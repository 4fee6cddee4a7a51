"""MediaPipe Face Landmarker: 478 3-D landmarks, 52 blendshapes and the head pose of a face."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from avatar.core.errors import TrackerError
from avatar.core.face.bounds import face_px
from avatar.core.frames import (
    BLENDSHAPE_NAMES,
    LANDMARK_COUNT,
    CameraFrame,
    Face,
    FaceTrack,
    UInt8Image,
)
from avatar.core.libraries import missing_library_error
from avatar.core.machine import native_stderr_silenced

MAX_PHOTO_FACES = 8
# A face just found is cut out by the detector, a followed one by its own landmarks, which moves
# them by some pixels. Looking so often at the first picture ends that before it is used.
_SETTLING = 3


def _create(face_model: Path, *, video: bool, faces: int) -> Any:
    """Return a MediaPipe FaceLandmarker; its start-up chatter on stderr is kept from the user."""
    try:
        with native_stderr_silenced():
            from mediapipe.tasks.python import BaseOptions, vision

            mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
            options = vision.FaceLandmarkerOptions(
                # A buffer, not a path: the native loader fails on non-ASCII paths on Windows.
                base_options=BaseOptions(model_asset_buffer=face_model.read_bytes()),
                running_mode=mode,
                num_faces=faces,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
            return vision.FaceLandmarker.create_from_options(options)
    except (ImportError, OSError) as error:
        raise missing_library_error(error) from error
    except (RuntimeError, ValueError) as error:
        raise TrackerError(
            f"MediaPipe could not start its face landmarker from {face_model}: {error}. "
            "Run `avatar doctor` to check the model and the libraries."
        ) from error


def _faces(result: Any, width: int, height: int) -> list[Face]:
    """Convert MediaPipe's result; it lists normalised coordinates, z in units of the width."""
    found = []
    size = np.array([width, height, width], np.float32)
    for landmarks, categories, pose in zip(
        result.face_landmarks,
        result.face_blendshapes,
        result.facial_transformation_matrixes,
        strict=True,
    ):
        points = np.fromiter(
            (value for mark in landmarks for value in (mark.x, mark.y, mark.z)),
            np.float32,
            count=LANDMARK_COUNT * 3,
        ).reshape(LANDMARK_COUNT, 3)
        scores = {category.category_name: category.score for category in categories}
        blendshapes = np.array([scores[name] for name in BLENDSHAPE_NAMES], np.float32)
        found.append(
            Face(points * size, blendshapes, np.asarray(pose, np.float32), (width, height))
        )
    return found


class FaceLandmarker:
    """Tracks one face through a video.

    ``face_model``: path of ``face_landmarker.task``, see ``avatar.library.face_model``.
    Raises ``TrackerError`` or ``MissingDependencyError`` when entered.
    """

    def __init__(self, face_model: Path) -> None:
        self._face_model = face_model
        self._open = ExitStack()
        self._landmarker: Any = None
        self._image_class: Any = None
        self._last_ms = -1
        self._following = False

    def __enter__(self) -> Self:
        self._landmarker = _create(self._face_model, video=True, faces=1)
        self._open.callback(self._landmarker.close)
        import mediapipe

        self._image_class = mediapipe.Image
        self._last_ms = -1
        self._following = False
        return self

    def __exit__(self, *_: object) -> None:
        self._landmarker = None
        self._open.close()

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return the driver's face in ``frame``; ``face`` is None when nobody is there."""
        if self._landmarker is None:
            raise TrackerError("the tracker is closed: use it inside a `with` block")
        height, width = frame.image.shape[:2]
        image = self._image_class(image_format=_srgb(), data=np.ascontiguousarray(frame.image))
        # MediaPipe counts whole milliseconds and refuses two equal ones.
        for _ in range(1 if self._following else _SETTLING):
            self._last_ms = max(self._last_ms + 1, frame.timestamp_ns // 1_000_000)
            result = self._landmarker.detect_for_video(image, self._last_ms)
        faces = _faces(result, width, height)
        self._following = bool(faces)
        return FaceTrack(frame.timestamp_ns, frame.index, faces[0] if faces else None, frame)


def _srgb() -> Any:
    from mediapipe import ImageFormat

    return ImageFormat.SRGB


def detect_faces(image: UInt8Image, face_model: Path, *, settle: bool = True) -> list[Face]:
    """Return the faces of a still picture, the largest first.

    ``image``: uint8 (H, W, 3) RGB. Landmarks are in its pixels. ``settle`` looks at a single face
    as at one that is followed, so that its landmarks agree with a driver's; it takes 0.1 s more.
    """
    height, width = image.shape[:2]
    landmarker = _create(face_model, video=False, faces=MAX_PHOTO_FACES)
    try:
        import mediapipe

        picture = mediapipe.Image(image_format=_srgb(), data=np.ascontiguousarray(image))
        faces = _faces(landmarker.detect(picture), width, height)
    finally:
        landmarker.close()
    if settle and len(faces) == 1:
        with FaceLandmarker(face_model) as follower:
            settled = follower.track(CameraFrame(np.ascontiguousarray(image), 0, 0)).face
        return faces if settled is None else [settled]
    return sorted(faces, key=face_px, reverse=True)
