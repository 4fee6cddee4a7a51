"""What a teacher draws: where its faces lie, that none is drawn twice, that it can be learnt."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.clock import ManualClock, MonotonicClock
from avatar.core.errors import UsageError
from avatar.core.frames import Face, FaceTrack, GeneratedFrame, Motion, Presence, UInt8Image
from avatar.core.stages import Generator
from avatar.learn.generator.lessons import (
    ProgressReporter,
    TeacherRenderer,
    as_recording,
    crop_head,
    motions,
    picture_path,
    plan,
    reference_of,
)
from avatar.learn.generator.prepare import ReferencePhoto, Take, write_pairs
from avatar.learn.generator.teacher import DrivingClip
from avatar.learn.generator.watch import Seen, WatchedClip, face_height
from avatar.sessions.avatars import AvatarPhoto
from avatar.stages.track.choice import detect_faces
from engines.patches import SIZES, Patch
from engines.training.pairs import Batch, Pairs
from tests.engines.training.conftest import one_thread as one_thread
from tests.learn.generator.teachers import PaintingTeacher

# Far more than the patches may be off.
SHIFT_PX = (14, -9)
MOUTH, EYE = SIZES["regions"]
TINY = Patch("mouth", 1, 48, 2, MOUTH.maps, MOUTH.emphasis, (8, 12, 16), 48, 32)


@pytest.fixture(scope="module")
def source(portrait: UInt8Image, portrait_face: Face) -> ReferencePhoto:
    return crop_head(portrait, portrait_face)


@pytest.fixture(scope="module")
def lesson(driver: WatchedClip) -> DrivingClip:
    return plan(driver, "0" * 64, 1.0, 20)


@pytest.fixture(scope="module")
def reference(driver: WatchedClip, lesson: DrivingClip, face_model: Path) -> FaceTrack:
    return reference_of(driver, lesson, face_model)


def renderer(
    artist: AbstractContextManager[Generator],
    face_model: Path,
    stop: threading.Event | None = None,
) -> TeacherRenderer:
    def see(image: UInt8Image) -> Face | None:
        found = detect_faces(image, face_model)
        return found[0] if found else None

    return TeacherRenderer(
        artist,
        see,
        ProgressReporter(1, MonotonicClock(), lambda _line: None),
        stop or threading.Event(),
    )


def painter(teacher: PaintingTeacher, source: ReferencePhoto) -> AbstractContextManager[Generator]:
    return teacher.artist(AvatarPhoto("sitter", source.photo, source.face))


@pytest.fixture(scope="module")
def drawn(
    driver: WatchedClip,
    lesson: DrivingClip,
    source: ReferencePhoto,
    reference: FaceTrack,
    face_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[Seen], Path]:
    """A teacher's pictures of a head that it puts elsewhere than the driver's motion says."""
    folder = tmp_path_factory.mktemp("pictures")
    made = renderer(painter(PaintingTeacher(SHIFT_PX), source), face_model)
    found = made.draw(driver, lesson.moments, reference, folder)
    assert found is not None and len(found) == len(lesson.moments)
    return found, folder


def take(source: ReferencePhoto, lesson: DrivingClip, drawn: tuple[list[Seen], Path]) -> Take:
    recording = as_recording(*drawn)
    at = {recording.frames[k].index: k for k in recording.usable}
    return Take(source, recording, [at[i] for i in lesson.train], [at[i] for i in lesson.held_out])


@pytest.fixture(scope="module")
def pairs(
    source: ReferencePhoto,
    lesson: DrivingClip,
    drawn: tuple[list[Seen], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Pairs:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, "regions", SIZES["regions"], [take(source, lesson, drawn)])
    return Pairs(folder, SIZES["regions"])


def everything(pairs: Pairs, patch: Patch) -> Batch:
    return pairs.batch(patch, np.arange(len(pairs.train) + len(pairs.held_out)))


def test_every_moment_is_usable(lesson: DrivingClip, pairs: Pairs) -> None:
    assert len(lesson.train) == 20 and len(lesson.held_out) == 10
    assert len(pairs.train) == 40 and len(pairs.held_out) == 20


@pytest.mark.parametrize("patch", [MOUTH, EYE], ids=["mouth", "eye"])
def test_the_truth_lies_where_the_teacher_put_the_face(pairs: Pairs, patch: Patch) -> None:
    batch = everything(pairs, patch)
    window = cv2.createHanningWindow((patch.side_px, patch.side_px), cv2.CV_32F)
    apart = [
        cv2.phaseCorrelate(_grey(warped), _grey(true), window)[0]
        for warped, true in zip(batch.picture, batch.truth, strict=True)
    ]
    # The shift would be some 13 to 30 pixels of a patch.
    assert np.median(np.linalg.norm(apart, axis=1)) < 1.2


def _grey(image: UInt8Image) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def test_the_maps_of_the_lips_cover_what_the_teacher_painted(pairs: Pairs) -> None:
    batch = everything(pairs, MOUTH)
    lips = batch.maps[..., MOUTH.maps.index("lips")] > 127
    apart = batch.truth.astype(int) - batch.picture
    # Red comes in, green and blue go; seen on the maps' cells.
    painted = (apart[..., 0] - apart[..., 1])[:, ::2, ::2]
    assert painted[lips].mean() > 40
    around = cv2.dilate(lips.astype(np.uint8).transpose(1, 2, 0), np.ones((9, 9))) > 0
    assert abs(painted[~around.transpose(2, 0, 1)].mean()) < 5


def test_a_tiny_network_learns_what_the_teacher_does(
    source: ReferencePhoto, lesson: DrivingClip, drawn: tuple[list[Seen], Path], tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="training is done with PyTorch")
    from engines.training.loop import Plan, Trainer

    write_pairs(tmp_path, "tiny", [TINY], [take(source, lesson, drawn)])
    trainer = Trainer(Pairs(tmp_path, [TINY]), Plan(learning_rate=2e-3, averaging=0.9), "cpu")
    before = trainer.held_out_error()
    for _ in range(80):
        trainer.step()
    assert trainer.held_out_error() < 0.8 * before
    # The lips of moments that were not learnt from have the teacher's colour.
    batch, made = trainer.look(TINY, trainer.pairs.held_out)
    lips = (batch.maps[..., TINY.maps.index("lips")] > 200).repeat(2, axis=1).repeat(2, axis=2)
    colours = [x[lips].mean(axis=0) for x in (batch.picture, made, batch.truth)]
    apart_before, apart_after = (np.linalg.norm(x - colours[2]) for x in colours[:2])
    assert apart_after < 0.6 * apart_before


def test_what_was_drawn_is_not_drawn_again(
    driver: WatchedClip,
    lesson: DrivingClip,
    source: ReferencePhoto,
    reference: FaceTrack,
    face_model: Path,
    drawn: tuple[list[Seen], Path],
    tmp_path: Path,
) -> None:
    moments = lesson.moments[:6]

    def crash(drawn: int) -> None:
        if drawn == 3:
            raise KeyboardInterrupt

    failing = PaintingTeacher(SHIFT_PX, before=crash)
    with pytest.raises(KeyboardInterrupt):
        renderer(painter(failing, source), face_model).draw(driver, moments, reference, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    # One of them was cut short by the disk: it is drawn anew.
    cut = picture_path(tmp_path, moments[1])
    cut.write_bytes(cut.read_bytes()[:40])
    teacher = PaintingTeacher(SHIFT_PX)
    found = renderer(painter(teacher, source), face_model).draw(
        driver, moments, reference, tmp_path
    )
    assert found is not None and teacher.drawn == 4
    for i in moments:  # as if nothing had happened
        whole = picture_path(drawn[1], i).read_bytes()
        assert picture_path(tmp_path, i).read_bytes() == whole
    resting = PaintingTeacher(SHIFT_PX)
    assert renderer(painter(resting, source), face_model).draw(driver, moments, reference, tmp_path)
    assert (resting.drawn, resting.entered) == (0, 0)


def test_a_pause_comes_after_the_picture_that_is_drawn(
    driver: WatchedClip,
    lesson: DrivingClip,
    source: ReferencePhoto,
    reference: FaceTrack,
    face_model: Path,
    tmp_path: Path,
) -> None:
    stop = threading.Event()
    teacher = PaintingTeacher(before=lambda drawn: stop.set() if drawn == 1 else None)
    made = renderer(painter(teacher, source), face_model, stop)
    assert made.draw(driver, lesson.moments, reference, tmp_path) is None
    assert len(list(tmp_path.iterdir())) == 2


class GreyArtist:
    """Draws what no face is in."""

    size_px = (64, 64)
    drawn = 0

    def __enter__(self) -> GreyArtist:
        return self

    def __exit__(self, *_: object) -> None:
        """Hold nothing."""

    def generate(self, motion: Motion) -> GeneratedFrame:
        self.drawn += 1
        return GeneratedFrame(
            np.full((64, 64, 3), 90, np.uint8), motion.timestamp_ns, 0, Presence.TRACKED
        )


def test_a_teacher_that_draws_no_faces_is_stopped_early(
    driver: WatchedClip, lesson: DrivingClip, reference: FaceTrack, face_model: Path, tmp_path: Path
) -> None:
    artist = GreyArtist()
    with pytest.raises(UsageError, match="found none in its first 8 pictures"):
        renderer(artist, face_model).draw(driver, lesson.moments, reference, tmp_path)
    assert artist.drawn == 8


def test_moments_do_not_depend_on_which_others_are_wanted(
    driver: WatchedClip, lesson: DrivingClip, reference: FaceTrack
) -> None:
    last = lesson.moments[-1]
    alone = dict(motions(driver, [last], reference))[last]
    among = dict(motions(driver, lesson.moments, reference))[last]
    assert not alone.absolute and alone.track is not None and alone.track.camera is not None
    assert np.array_equal(alone.expression, among.expression)
    assert np.array_equal(alone.eye_closure, among.eye_closure)
    # Its smile, if it has one, is taken out of it; the picture is the same.
    assert alone.reference is not None and alone.reference.camera is reference.camera


@pytest.mark.parametrize("enlarged", [1, 3])
def test_a_photograph_is_cut_to_what_a_teacher_moves(
    portrait: UInt8Image, portrait_face: Face, face_model: Path, enlarged: int
) -> None:
    large = cv2.resize(portrait, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    wide = cv2.copyMakeBorder(large, 0, 0, 901, 700, cv2.BORDER_REPLICATE)
    points = portrait_face.landmarks_px * np.float32(enlarged)
    points[:, 0] += 901
    face = replace(portrait_face, landmarks_px=points, image_size_px=wide.shape[1::-1])
    sitter = crop_head(wide, face)
    height, width = sitter.photo.shape[:2]
    assert height % 2 == 0 and width % 2 == 0 and max(height, width) < 830
    assert face_height(sitter.face) < 257
    found = detect_faces(sitter.photo, face_model)[0]
    off = np.linalg.norm(found.landmarks_px[:, :2] - sitter.face.landmarks_px[:, :2], axis=1)
    assert np.median(off) < 1.5


def test_the_pace_is_told_with_what_is_left() -> None:
    clock = ManualClock(0)
    said: list[str] = []
    progress = ProgressReporter(40, clock, said.append, every_s=20)
    clock.advance_ns(60_000_000_000)  # networks were built
    progress.begin()
    for _ in range(10):
        clock.advance_ns(5_000_000_000)
        progress()
    assert said == [
        "drawn 4 of 40, 5.0 s each, 3.0 min left",
        "drawn 8 of 40, 5.0 s each, 2.7 min left",
    ]
