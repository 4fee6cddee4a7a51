"""``avatar train --teacher``: what a big network draws of one photograph, for a small one to learn.

The teacher's pictures stay in the stored avatar's private ``training`` folder, and no picture of
them leaves it without a label.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from avatar.core.clock import MonotonicClock
from avatar.core.counting import counted
from avatar.core.errors import PhotoError, UsageError
from avatar.core.files import expanded, file_sha256, is_picture, write_record
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.stages import Generator
from avatar.core.terminal import say
from avatar.learn.generator.inputs import base_hash, looked_through, recording_of
from avatar.learn.generator.lessons import (
    ProgressReporter,
    See,
    TeacherRenderer,
    as_recording,
    crop_head,
    picture_path,
    plan,
    reference_of,
)
from avatar.learn.generator.prepare import ReferencePhoto, Take, write_pairs
from avatar.learn.generator.record import GIVEN, TrainingRecord, read_given
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.session import disk_errors_as_usage
from avatar.learn.generator.teacher import (
    DrivingClip,
    Teacher,
    Teaching,
    open_again,
    open_teacher,
)
from avatar.learn.generator.watch import MIN_FACE_PX, WatchedClip, best_source, face_height
from avatar.library.avatars import AvatarStore, StoredAvatar
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import (
    Rights,
    TeacherCard,
    TrainingSource,
    neural_folder,
    pairs_folder,
    pictures_folder,
    training_folder,
)
from avatar.library.models.catalog import find
from avatar.sessions.avatars import AvatarPhoto, open_avatar
from avatar.sessions.upright import upright
from avatar.stages.generate.photo import load_photo
from avatar.stages.track.choice import detect_faces
from engines.patches import patches_of
from engines.training.pairs import RECORD as PAIRS_RECORD

# Of the pictures that a face is found in.
_MIN_TRAIN, _MIN_HELD_OUT = 40, 4
_COMPARED = 40


def begin(
    request: TrainRequest,
    rights: Rights,
    home: Home,
) -> tuple[StoredAvatar, TrainingRecord] | None:
    """Store the photograph, let a teacher draw it, and prepare the pairs; None when paused.

    Raises ``UsageError``, ``PhotoError``, ``EngineError`` and the errors of sources.
    """
    assert request.teacher is not None, "the command looked"
    photo, clips = _inputs(request.inputs, request.teacher)
    store = AvatarStore(home.avatars)
    name = store.check_free(request.name, replace=request.force)
    base_sha256 = base_hash(request.base) if request.base is not None else None
    teacher = open_teacher(request.teacher, request.networks, home, say)
    _introduce(teacher.card)
    face_model = find_face_model(request.face_model, home)
    avatar = open_avatar(photo, face_model, home, say)
    _check_face(avatar)
    drives = [looked_through(clip, face_model) for clip in clips]
    each = max(1, request.moments // len(drives))
    lessons = [plan(drive, file_sha256(drive.path), request.share, each) for drive in drives]
    _check_planned(lessons)
    stored = store.add(name, photo, avatar.face, replace=request.force)
    given = TrainingRecord(
        size=request.size, rights=rights, share=request.share, seed=request.seed,
        base_sha256=base_sha256,
        recordings=[recording_of(drive) for drive in drives],
        teaching=Teaching(teacher=teacher.card, photo_sha256=stored.sha256, lessons=lessons),
    )  # fmt: skip
    _clear(stored, given)
    return _prepared(stored, given, teacher, drives, face_model)


def go_on(
    stored: StoredAvatar,
    given: TrainingRecord,
    request: TrainRequest,
    home: Home,
) -> tuple[StoredAvatar, TrainingRecord] | None:
    """Draw what is missing, as ``begin`` would have; see there."""
    if given.teaching is None or (pairs_folder(stored.folder) / PAIRS_RECORD).exists():
        return stored, given
    teacher = open_again(given.teaching.teacher, home, say)
    face_model = find_face_model(request.face_model, home)
    drives = [_seen_again(lesson, face_model) for lesson in given.teaching.lessons]
    return _prepared(stored, given, teacher, drives, face_model)


def _inputs(paths: Sequence[Path], teacher: str) -> tuple[Path, list[Path]]:
    """Return the photograph and the clips among what was given, in whatever order."""
    given = [expanded(path) for path in paths]
    photos = [path for path in given if is_picture(path)]
    clips = [path for path in given if path not in photos]
    if len(photos) != 1:
        found = ", ".join(path.name for path in photos) or "none"
        raise UsageError(
            f"--teacher draws one photograph as clips move it: avatar train --teacher {teacher} "
            f"PHOTO CLIP… Expected one photograph, found {found}. To learn from clips themselves, "
            "leave out --teacher"
        )
    if not clips:
        raise UsageError(
            f"--teacher needs clips that say how {photos[0].name} is to move, found none: record "
            "half a minute of yourself or of anybody who agrees, talking, smiling, blinking, "
            "looking around, and name it behind the photograph"
        )
    return photos[0], clips


def _introduce(card: TeacherCard) -> None:
    licence = find(card.engine).licence
    say(f"teacher: {card.title}; its licence ({licence.name}): {licence.terms}. {licence.url}")


def _check_face(avatar: AvatarPhoto) -> None:
    if face_height(avatar.face) < MIN_FACE_PX:
        raise PhotoError(
            f"expected a face at least {MIN_FACE_PX} pixels high in {avatar.name}, found "
            f"{face_height(avatar.face):.0f}. Take a larger photograph"
        )


def _tracked(face_model: Path) -> See:
    def see(image: UInt8Image) -> Face | None:
        found = detect_faces(image, face_model)
        return found[0] if found else None

    return see


def _seen_again(lesson: DrivingClip, face_model: Path) -> WatchedClip:
    try:
        same = file_sha256(lesson.clip) == lesson.sha256
    except OSError:
        same = False
    if not same:
        raise UsageError(
            f"expected the driving clip {lesson.clip} that the training was begun with, found "
            f"{'another one' if lesson.clip.exists() else 'none'}. Put it back, or start over with "
            "--force in place of --resume"
        )
    return looked_through(lesson.clip, face_model)


def _clear(stored: StoredAvatar, given: TrainingRecord) -> None:
    """Begin a training folder; pictures that would be drawn alike again stay."""
    folder = training_folder(stored.folder)
    with disk_errors_as_usage(folder):
        shutil.rmtree(neural_folder(stored.folder), ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        kept = {pictures_folder(stored.folder)} if _same(folder, given) else set()
        for path in set(folder.iterdir()) - kept:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        write_record(folder / GIVEN, given)


def _same(folder: Path, given: TrainingRecord) -> bool:
    try:
        before = read_given(folder, "")
    except UsageError:
        return False
    # Wherever the clips lie now.
    left_out = {"teaching": {"lessons": {"__all__": {"clip"}}}}
    kept = [each.model_dump(include={"teaching"}, exclude=left_out) for each in (before, given)]
    return kept[0] == kept[1]


def _prepared(
    stored: StoredAvatar,
    given: TrainingRecord,
    teacher: Teacher,
    drives: Sequence[WatchedClip],
    face_model: Path,
) -> tuple[StoredAvatar, TrainingRecord] | None:
    """Let the teacher draw what is missing, and write the pairs; None when paused."""
    assert given.teaching is not None
    source = _head(stored)
    lessons = given.teaching.lessons
    folders = [pictures_folder(stored.folder) / str(n) for n in range(len(lessons))]
    progress = _announced(teacher, [*zip(lessons, folders, strict=True)])
    stop = threading.Event()
    takes: list[Take] = []
    folder = training_folder(stored.folder)
    with disk_errors_as_usage(folder), ended_by_signals(stop.set):
        for lesson, drive, pictures in zip(lessons, drives, folders, strict=True):
            renderer = TeacherRenderer(
                _artist(teacher, stored, source), _tracked(face_model), progress, stop
            )
            reference = reference_of(drive, lesson, face_model)
            found = renderer.draw(drive, lesson.moments, reference, pictures)
            if found is None:
                say(
                    f'paused; to continue: avatar train --name "{stored.name}" --resume --rights '
                    f"{given.rights}"
                )
                return None
            takes.append(_take(source, lesson, as_recording(found, pictures)))
    given = given.model_copy(update={"taught": _counted(teacher.card, takes)})
    assert given.taught is not None
    say(_summary(given.taught, pictures_folder(stored.folder)))
    _check_drawn(takes)
    with disk_errors_as_usage(folder):
        shutil.rmtree(pairs_folder(stored.folder), ignore_errors=True)
        write_record(folder / GIVEN, given)
        write_pairs(pairs_folder(stored.folder), given.size, patches_of(given.size), takes)
    return stored, given


def _head(stored: StoredAvatar) -> ReferencePhoto:
    """Return the head in a stored photograph, upright."""
    photo = upright(AvatarPhoto(stored.name, load_photo(stored.photo), stored.face), _silent)
    return crop_head(photo.photo, photo.face)


def _silent(_line: str) -> None:
    """Say nothing."""


def _artist(
    teacher: Teacher, stored: StoredAvatar, source: ReferencePhoto
) -> AbstractContextManager[Generator]:
    return teacher.artist(AvatarPhoto(stored.name, source.photo, source.face))


def _announced(teacher: Teacher, lessons: Sequence[tuple[DrivingClip, Path]]) -> ProgressReporter:
    """Say how much there is to draw."""
    wanted = [(folder, i) for lesson, folder in lessons for i in lesson.moments]
    left = sum(not picture_path(folder, i).exists() for folder, i in wanted)
    line = f"{counted(left, 'picture')} to draw"
    if left < len(wanted):
        line += f", {len(wanted) - left} are there already"
    if left and teacher.frame_s is not None:
        minutes = max(1, round(left * teacher.frame_s / 60))
        line += f", about {teacher.frame_s:g} s each on two cores: {minutes} min"
    say(f"{line}. Ctrl-C pauses; pictures already drawn are kept")
    return ProgressReporter(left, MonotonicClock(), say)


def _take(source: ReferencePhoto, lesson: DrivingClip, recording: WatchedClip) -> Take:
    """Return those moments of a lesson whose pictures can be learnt from."""
    usable = {recording.frames[k].index: k for k in recording.usable}
    train = [usable[i] for i in lesson.train if i in usable]
    return Take(source, recording, train, [usable[i] for i in lesson.held_out if i in usable])


def _counted(card: TeacherCard, takes: Sequence[Take]) -> TrainingSource:
    seen = [take.watched for take in takes]
    return TrainingSource(
        teacher=card,
        drawn=sum(len(watched.frames) for watched in seen),
        usable=sum(len(watched.usable) for watched in seen),
        lost=sum(watched.lost for watched in seen),
        blurred=sum(watched.blurred for watched in seen),
        covered=sum(watched.covered for watched in seen),
    )


def _summary(taught: TrainingSource, folder: Path) -> str:
    return (
        f"{taught.teacher.title}: {counted(taught.drawn, 'picture')}, "
        f"{taught.usable} usable ({taught.lost} "
        f"without a face that can be tracked, {taught.blurred} blurred, {taught.covered} with "
        f"other colours of skin); they stay in {folder}"
    )


def _check_planned(lessons: Sequence[DrivingClip]) -> None:
    _check_enough(lessons, "moments of the clips", "Give a longer clip, or a larger --share")


def _check_drawn(takes: Sequence[Take]) -> None:
    remedy = "Give a longer clip, more --moments, or a photograph that the teacher draws better"
    _check_enough(takes, "usable pictures", remedy)


def _check_enough(parts: Sequence[DrivingClip] | Sequence[Take], what: str, remedy: str) -> None:
    train = sum(len(part.train) for part in parts)
    held_out = sum(len(part.held_out) for part in parts)
    if train < _MIN_TRAIN or held_out < _MIN_HELD_OUT:
        raise UsageError(
            f"expected at least {_MIN_TRAIN} {what} to learn from and {_MIN_HELD_OUT} to hold "
            f"out, found {train} and {held_out}. {remedy}"
        )


def unseen(
    stored: StoredAvatar,
    teacher: Teacher,
    driver: WatchedClip,
    rest: Sequence[int],
    folder: Path,
    face_model: Path,
) -> tuple[ReferencePhoto, WatchedClip, list[int]]:
    """Let the teacher draw moments that were not learnt from, at most 40 of ``rest``.

    ``folder``: where the pictures go. Returns the photograph, the pictures and which are usable.
    Raises as ``begin`` does.
    """
    at = np.linspace(0, len(rest) - 1, min(_COMPARED, len(rest))).round().astype(int)
    moments = sorted({rest[k] for k in at.tolist()})
    lesson = DrivingClip(
        clip=driver.path, sha256="0" * 64, reference=best_source(driver, moments),
        train=[], held_out=moments,
    )  # fmt: skip
    source = _head(stored)
    progress = _announced(teacher, [(lesson, folder)])
    renderer = TeacherRenderer(
        _artist(teacher, stored, source), _tracked(face_model), progress, threading.Event()
    )
    found = renderer.draw(driver, moments, reference_of(driver, lesson, face_model), folder)
    assert found is not None  # nobody pauses it
    recording = as_recording(found, folder)
    return source, recording, recording.usable
