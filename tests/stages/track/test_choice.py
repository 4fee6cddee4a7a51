"""``--tracker`` and ``--person``: what is asked for runs, auto says what it took."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import avatar
from avatar.core.errors import MissingDependencyError, UsageError
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.library.found_faces import FaceCache
from avatar.sessions.avatars import open_avatar
from avatar.sessions.upright import upright, with_margin
from avatar.stages.track import choice
from avatar.stages.track.choice import choose_tracker, create_tracker, detect_faces
from avatar.stages.track.own import OwnTracker
from avatar.stages.track.turned import quarters
from tests import ROOT

# A process in which MediaPipe is not installed follows and finds the built-in portrait.
WITHOUT_MEDIAPIPE = """
import sys
sys.modules["mediapipe"] = None
from pathlib import Path
import avatar
from avatar.measure.speed import camera_picture
from avatar.stages.track.choice import choose_tracker
with avatar.Driver("builtin", size_px=(128, 128)) as driver:
    assert driver.step(camera_picture(), 33_000_000) is not None
print(choose_tracker().line)
assert not [name for name in sys.modules if name.startswith("mediapipe.")]
"""


@pytest.fixture
def old_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2.dnn, "ENGINE_NEW")


def test_auto_takes_our_own_and_says_so() -> None:
    found = choose_tracker("auto")
    assert found.name == "own"
    assert found.line.startswith("tracker own: ")
    assert choose_tracker("own").line == "tracker own: asked for"


def test_what_is_asked_for_is_what_runs(face_model: Path) -> None:
    pytest.importorskip("mediapipe", reason="what is asked for")
    from avatar.stages.track.landmarker import FaceLandmarker

    assert isinstance(create_tracker(face_model, "mediapipe"), FaceLandmarker)
    assert isinstance(create_tracker(face_model, "own"), OwnTracker)
    assert isinstance(create_tracker(face_model), OwnTracker)


def test_an_opencv_that_cannot_run_it(old_opencv: None) -> None:
    with pytest.raises(MissingDependencyError, match="needs OpenCV 5"):
        choose_tracker("own")
    pytest.importorskip("mediapipe", reason="what is taken instead")
    assert "mediapipe" in choose_tracker("auto").line and "OpenCV 5" in choose_tracker("auto").line


def test_a_mediapipe_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match="pip install mediapipe"):
        choose_tracker("mediapipe")
    assert choose_tracker("auto").name == "own"


def test_nothing_of_mediapipe_is_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEDIAPIPE],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tracker own")


@pytest.mark.parametrize("person", ["", "0", "-1", "middle", "1.5"])
def test_impossible_persons_are_errors(person: str) -> None:
    with pytest.raises(UsageError, match="--person: expected largest, left, right"):
        Options(person=person)


def test_mediapipe_cannot_choose_a_person(face_model: Path) -> None:
    with pytest.raises(UsageError, match="--tracker own"):
        Options(tracker="mediapipe", person="left")
    pytest.importorskip("mediapipe", reason="what cannot choose")
    with pytest.raises(UsageError, match="--tracker own"):
        create_tracker(face_model, "mediapipe", "left")


def test_faces_that_another_tracker_found_are_not_used(tmp_path: Path, portrait_face: Face) -> None:
    size = portrait_face.image_size_px
    FaceCache(tmp_path, "mediapipe").faces("x", size, lambda: [portrait_face], print)
    said: list[str] = []
    assert FaceCache(tmp_path, "own").faces("x", size, list, said.append) == []
    assert "tracker mediapipe" in said[0]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_lying_photograph_is_turned_and_that_is_said(
    turns: int, portrait: UInt8Image, face_model: Path, home: Home
) -> None:
    said: list[str] = []
    lying = np.ascontiguousarray(np.rot90(portrait, -turns))
    photo = open_avatar(lying, face_model, home, said.append)
    assert (photo.photo == portrait).all()
    assert quarters(photo.face.landmarks_px) == 0
    assert photo.face.image_size_px == (portrait.shape[1], portrait.shape[0])
    assert any("turned" in str(line) for line in said)
    (upright_face,) = detect_faces(portrait, face_model)
    apart = np.abs(photo.face.landmarks_px - upright_face.landmarks_px)[:, :2]
    assert apart.mean() < 0.01 * max(portrait.shape)


def test_an_upright_photograph_is_left_as_it_is(
    portrait: UInt8Image, face_model: Path, home: Home
) -> None:
    photo = open_avatar(portrait, face_model, home, print)
    assert photo.photo is portrait
    assert upright(photo, print).face is photo.face


def test_a_cut_face_gets_a_margin_and_keeps_its_pixels(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    low, high = (
        int(v) for v in (portrait_face.landmarks_px[:468, 1].min() + 20, portrait.shape[0])
    )
    cut = portrait[low:high]
    moved = portrait_face.landmarks_px - np.float32([0, low, 0])
    face = Face(moved, portrait_face.blendshapes, portrait_face.pose, (cut.shape[1], cut.shape[0]))
    wide, (found,) = with_margin(cut, [face])
    margin = (wide.shape[0] - cut.shape[0]) // 2
    assert margin > 20
    assert (wide[margin : margin + cut.shape[0], margin : margin + cut.shape[1]] == cut).all()
    assert found.landmarks_px[:468, :2].min() >= 0
    assert found.image_size_px == (wide.shape[1], wide.shape[0])


def test_the_driver_takes_both_options(portrait: UInt8Image) -> None:
    with avatar.Driver(portrait, size_px=(64, 64), tracker="own", person="left") as driver:
        assert driver.step(portrait, 33_000_000) is not None
    with pytest.raises(UsageError, match="trackers"):
        avatar.Driver(portrait, trackers="own")
