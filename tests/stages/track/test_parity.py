"""Our own tracker's answers are MediaPipe's: the portrait here, real clips where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avatar.core.face.bounds import surface_bounds
from avatar.core.frames import UInt8Image
from avatar.measure.bench import CAMERA_FPS, load_frames
from avatar.measure.speed import camera_picture
from avatar.measure.tracker import compare
from avatar.stages.track import choice
from avatar.stages.track.own import OwnTracker

landmarker = pytest.importorskip("mediapipe", reason="the reference") and pytest.importorskip(
    "avatar.stages.track.landmarker"
)

LANDMARKS_PX, BLENDSHAPES, POSE_DEG = 0.3, 0.01, 0.3


def check(face_model: Path, frames: list[UInt8Image]) -> None:
    with landmarker.FaceLandmarker(face_model) as theirs, OwnTracker(face_model) as ours:
        found = compare(theirs, ours, frames)
    assert len(found.landmarks_px) == len(frames) and found.apart == 0
    assert np.mean(found.landmarks_px) <= LANDMARKS_PX
    assert np.mean(found.blendshapes) <= BLENDSHAPES
    assert np.mean(found.pose_deg) <= POSE_DEG


def test_the_portrait_shaken_before_a_camera(face_model: Path) -> None:
    picture = camera_picture()
    frames = [np.roll(picture, (2 * k % 7, 3 * k % 11), axis=(0, 1)) for k in range(20)]
    check(face_model, frames)


def test_a_face_that_the_pictures_edge_cuts(face_model: Path) -> None:
    """What lies outside of the picture is filled as MediaPipe fills it."""
    picture = np.ascontiguousarray(camera_picture()[130:, 200:520])
    check(face_model, [np.roll(picture, k % 3, axis=1) for k in range(12)])


def test_a_photographs_face(face_model: Path, portrait: UInt8Image) -> None:
    (theirs,) = landmarker.detect_faces(portrait, face_model)
    (ours,) = choice.detect_faces(portrait, face_model, wanted="own")
    low, high = surface_bounds(theirs)
    apart = np.linalg.norm((theirs.landmarks_px - ours.landmarks_px)[:, :2], axis=1).mean()
    # MediaPipe steadies the first picture of a photograph, too, which holds it back a little.
    assert apart / float((high - low).max()) < 0.005
    assert np.abs(theirs.blendshapes - ours.blendshapes).mean() <= BLENDSHAPES


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["d0", "d3", "d9", "d10", "d11", "d14", "d18", "d19"])
def test_a_real_clip(clip: str, shared_media: Path, face_model: Path) -> None:
    path = shared_media / "clips" / f"{clip}.mp4"
    if not path.is_file():
        pytest.skip(f"no clip {path}")
    check(face_model, list(load_frames(str(path), CAMERA_FPS)[:90]))
