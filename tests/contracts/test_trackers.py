"""What every tracker of cameras' pictures promises, run over each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import AvatarError, FaceModelError, TrackerError
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.core.stages import Tracker
from avatar.measure.speed import camera_picture
from avatar.stages.track.own import OwnTracker

FRAME_NS = 33_333_333


def own(backend: str) -> Callable[[Path], Tracker]:
    def made(face_model: Path) -> Tracker:
        if backend != "opencv":
            pytest.importorskip(backend, reason="the backend under test")
        return OwnTracker(face_model, backend=backend)

    return made


def mediapipe(face_model: Path) -> Tracker:
    pytest.importorskip("mediapipe", reason="the tracker under test")
    from avatar.stages.track.landmarker import FaceLandmarker

    return FaceLandmarker(face_model)


TRACKERS = {
    "mediapipe": mediapipe,
    "own": own("opencv"),
    "own, openvino": own("openvino"),
    "own, onnxruntime": own("onnxruntime"),
}


@pytest.fixture(params=TRACKERS)
def make(request: pytest.FixtureRequest) -> Callable[[Path], Tracker]:
    return TRACKERS[request.param]


@pytest.fixture(scope="module")
def picture() -> UInt8Image:
    return camera_picture()


def test_a_face_is_followed_and_a_lost_one_is_nobody(
    make: Callable[[Path], Tracker], face_model: Path, picture: UInt8Image
) -> None:
    empty = np.full_like(picture, 90)
    with make(face_model) as tracker:
        shown = [picture, picture, empty, empty, picture]
        tracks = [
            tracker.track(CameraFrame(image, (k + 1) * FRAME_NS, k))
            for k, image in enumerate(shown)
        ]
    assert [track.face is not None for track in tracks] == [True, True, False, False, True]
    for k, track in enumerate(tracks):
        assert (track.timestamp_ns, track.index) == ((k + 1) * FRAME_NS, k)
        assert track.camera is not None and track.camera.image is shown[k]
    face = tracks[0].face
    assert face is not None
    assert face.image_size_px == (640, 480)
    assert face.blendshapes.min() >= 0 and face.blendshapes.max() <= 1
    assert np.isfinite(face.landmarks_px).all()
    assert 200 < face.landmarks_px[1, 0] < 440, "the nose"
    assert face.pose[2, 3] < 0, "before the camera"


def test_the_first_face_is_settled(
    make: Callable[[Path], Tracker], face_model: Path, picture: UInt8Image
) -> None:
    with make(face_model) as tracker:
        faces = [tracker.track(CameraFrame(picture, (k + 1) * FRAME_NS, k)).face for k in range(4)]
    first, last = faces[0], faces[-1]
    assert first is not None and last is not None
    assert np.abs(first.landmarks_px - last.landmarks_px)[:, :2].mean() < 0.5


def test_small_pictures_and_other_sizes_do_no_harm(
    make: Callable[[Path], Tracker], face_model: Path, picture: UInt8Image
) -> None:
    half = np.ascontiguousarray(picture[::2, ::2])
    tiny = np.zeros((2, 3, 3), np.uint8)
    with make(face_model) as tracker:
        sizes = [picture, half, tiny, picture]
        faces = [
            tracker.track(CameraFrame(image, (k + 1) * 10 * FRAME_NS, k)).face
            for k, image in enumerate(sizes)
        ]
    assert [face is not None for face in faces][1:] == [True, False, True]
    assert faces[1] is not None and faces[1].image_size_px == (320, 240)


def test_it_is_used_inside_a_with_block_and_may_be_entered_again(
    make: Callable[[Path], Tracker], face_model: Path, picture: UInt8Image
) -> None:
    tracker = make(face_model)
    with pytest.raises(TrackerError, match="with"):
        tracker.track(CameraFrame(picture, 1, 0))
    for _ in range(2):
        with tracker:
            assert tracker.track(CameraFrame(picture, FRAME_NS, 0)).face is not None
        tracker.__exit__(None, None, None)


def test_a_file_that_is_no_face_model_is_an_error(
    make: Callable[[Path], Tracker], face_model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.task"
    other.write_bytes(b"something else")
    with (
        pytest.raises((FaceModelError, TrackerError, AvatarError), match=r"other\.task"),
        make(other),
    ):
        pass
