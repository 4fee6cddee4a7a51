"""Performances: what a retargeter said is played again as it was, and nothing that is hostile."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from avatar.core.arrays import write_arrays
from avatar.core.errors import UsageError
from avatar.core.frames import Face, FaceTrack, Motion, Presence
from avatar.stages.motion.performance import FACE, FACE_SHAPES, seen_of
from avatar.stages.motion.retarget import FaceRetargeter
from avatar.stages.motion.template import Template, TemplateRecorder, load_template
from tests.stages.motion.faces import posed, track

STEP_NS = 33_000_000


@pytest.fixture(scope="module")
def motions(portrait_face: Face) -> list[Motion]:
    """A head that turns, with a second in which nobody is seen."""
    retargeter = FaceRetargeter(smoothing="off")
    made = []
    for k in range(60):
        face = None
        if not 20 <= k < 50:
            turn = (0.0, float(np.radians(10) * np.sin(k / 8)), 0.0)
            face = posed(portrait_face, turn=turn, jawOpen=0.1 + k / 100)
        now = track(face, k)
        made.append(retargeter.retarget(now, now.timestamp_ns))
    return made


def saved(path: Path, motions: list[Motion]) -> Path:
    recorder = TemplateRecorder(FACE, 30, FACE_SHAPES)
    for motion in motions:
        recorder.add(motion.timestamp_ns, seen_of(motion))
    recorder.save(path)
    return path


def load(path: Path) -> Template:
    return load_template(path, {FACE: FACE_SHAPES}, FACE)


def test_what_was_tracked_is_played_as_it_was(tmp_path: Path, motions: list[Motion]) -> None:
    played = list(load(saved(tmp_path / "a.npz", motions)).motions(None, "relative"))
    assert len(played) == len(motions)
    references = {id(motion.neutral) for motion in played if motion.presence is Presence.TRACKED}
    assert len(references) == 1, "one object stands for one reference"
    for was, now in zip(motions, played, strict=True):
        assert now.presence is was.presence or was.presence is not Presence.TRACKED
        if was.presence is not Presence.TRACKED:
            continue
        for name in ("expression", "neutral", "rotation", "translation", "eye_closure", "gaze"):
            assert np.array_equal(getattr(was, name), getattr(now, name)), name
        assert now.scale == pytest.approx(was.scale)
        assert now.track is None and not now.absolute
        assert now.reference is not None and now.reference.face is not None
        assert was.reference is not None and was.reference.face is not None
        assert np.array_equal(now.reference.face.blendshapes, was.reference.face.blendshapes)


def test_nobody_seen_is_no_performance(tmp_path: Path) -> None:
    retargeter = FaceRetargeter()
    idle = [retargeter.retarget(FaceTrack(k * STEP_NS, k, None), k * STEP_NS) for k in range(5)]
    with pytest.raises(UsageError, match="no face was seen"):
        saved(tmp_path / "a.npz", idle)


@pytest.mark.parametrize("what", ["mirror", "shear", "nan", "huge"])
def test_numbers_that_no_face_has_are_refused(
    tmp_path: Path, motions: list[Motion], what: str
) -> None:
    path = saved(tmp_path / "a.npz", motions)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("text").decode()
    with np.load(path) as file:
        arrays = {name: file[name].copy() for name in file.files if name != "text"}
    if what == "mirror":
        arrays["values.rotation"][3] = np.diag([-1, 1, 1])
    elif what == "shear":
        arrays["values.rotation"][3, 0, 1] = 0.8
    else:
        arrays["values.gaze"][3] = np.nan if what == "nan" else 1e9
    write_arrays(tmp_path / "b.npz", arrays, text)
    with pytest.raises(UsageError, match="is not a motion template that can be used"):
        load(tmp_path / "b.npz")
