"""``avatar train``: prepare, train, export, and keep beside the stored avatar."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.errors import MissingDependencyError, UsageError
from avatar.core.files import expanded, is_picture, kind_of
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals, set_environment
from avatar.core.options import check_bounds
from avatar.core.pictures import png
from avatar.core.terminal import say
from avatar.learn.generator import distil
from avatar.learn.generator.capture import record
from avatar.learn.generator.devices import Devices, find_devices
from avatar.learn.generator.finish import finish
from avatar.learn.generator.inputs import base_hash, looked_through, prepare, recording_of
from avatar.learn.generator.prepare import (
    ReferencePhoto,
    Split,
    Take,
    clip_takes,
    photo_takes,
    split,
    take_source,
)
from avatar.learn.generator.record import TrainingRecord, read_given
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.session import TrainingSession
from avatar.learn.generator.several import train_on
from avatar.learn.generator.shown import advice, check_enough, shown_in
from avatar.learn.generator.watch import WatchedClip, watch_photos
from avatar.learn.generator.within import begin, train_within
from avatar.library.avatars import AvatarStore, StoredAvatar
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import (
    Rights,
    TrainingClip,
    checked_rights,
    neural_folder,
    pairs_folder,
    training_folder,
)
from avatar.stages.sources import local_film

if TYPE_CHECKING:
    from engines.training.loop import Trainer

INTERRUPTED = 130


def train(request: TrainRequest, home: Home) -> int:
    """Train a generator; return the exit status.

    Raises ``UsageError``, ``EngineError``, ``MissingDependencyError`` and the errors of sources.
    """
    rights = _checked(request)
    ready_libraries()
    find_devices(request.device, request.devices)
    begun = _ready(request, rights, home)
    if begun is None:
        return INTERRUPTED
    stored, given = begun
    again = f'avatar train --name "{stored.name}" {request.going_on(rights)}'
    folder = training_folder(stored.folder)
    trained = run_session(request, given, folder, pairs_folder(stored.folder), again)
    if trained is None:
        return INTERRUPTED
    finish(stored, given, *trained, str(find_devices(request.device, request.devices)), say)
    return 0


def run_session(
    request: TrainRequest, given: TrainingRecord, folder: Path, pairs: Path, again: str
) -> tuple[Trainer, TrainingSession] | None:
    """Train until the time is over; None when the user paused it.

    ``pairs``: the prepared ones. ``again``: the command that goes on.
    Raises ``UsageError`` when the training diverged or the disk is full.
    """
    devices = find_devices(request.device, request.devices)
    say(f"training {given.size} on {devices}; Ctrl-C pauses")
    trained = (_in_several if devices.count > 1 else _in_one)(
        devices, request, given, folder, pairs, again
    )
    if trained is None:
        say(f"paused; to continue: {again}")
    return trained


def _in_one(
    devices: Devices,
    request: TrainRequest,
    given: TrainingRecord,
    folder: Path,
    pairs: Path,
    again: str,
) -> tuple[Trainer, TrainingSession] | None:
    trainer, session = begin(request, given, folder, pairs, devices)
    stop = threading.Event()
    with ended_by_signals(stop.set):
        paused = train_within(session, request, stop, again)
    return None if paused else (trainer, session)


def _in_several(
    devices: Devices,
    request: TrainRequest,
    given: TrainingRecord,
    folder: Path,
    pairs: Path,
    again: str,
) -> tuple[Trainer, TrainingSession] | None:
    """Train in processes of their own; what they kept is read again at the end."""
    if train_on(devices, request, given, folder, pairs, again):
        return None
    return begin(replace(request, resume=True), given, folder, pairs)


def _ready(
    request: TrainRequest, rights: Rights, home: Home
) -> tuple[StoredAvatar, TrainingRecord] | None:
    """Return the avatar, whose pairs are prepared; None when the user paused that."""
    if request.teacher is not None:
        return distil.begin(request, rights, home)
    if not request.resume:
        return _begun(request, rights, home)
    stored, given = _resumed(request, rights, AvatarStore(home.avatars))
    if given.teaching is None:
        return stored, given
    return distil.go_on(stored, given, request, home)


def _checked(request: TrainRequest) -> Rights:
    """Check what can be checked at once. Raises ``UsageError``."""
    rights = checked_rights(request.rights)
    check_bounds(request)
    if request.minutes < 0 or (request.minutes == 0 and not request.resume):
        raise UsageError(f"--minutes: expected more than 0, found {request.minutes:g}")
    if request.steps is not None and request.steps < 1:
        raise UsageError(f"--steps: expected more than 0, found {request.steps}")
    if request.resume and request.inputs:
        raise UsageError(
            f"--resume continues what {request.name} was begun with: leave out "
            f"{request.inputs[0]}, or leave out --resume to start over"
        )
    if request.resume and request.teacher is not None:
        raise UsageError(
            f"--resume goes on with the teacher that {request.name} was begun with: leave out "
            "--teacher"
        )
    if request.record:
        _check_record(request)
    elif not request.resume and not request.inputs and request.teacher is None:
        raise UsageError("avatar train needs a clip of the person, --record, or --resume")
    # A teacher's inputs are told apart by what they are, before they are opened.
    inputs = request.inputs if request.teacher is None else ()
    for path in (*inputs, *([request.base] if request.base is not None else [])):
        if kind_of(expanded(path)) != "file":
            raise UsageError(f"expected a file, found none at {path}. Check the path")
    return rights


def _check_record(request: TrainRequest) -> None:
    if request.inputs:
        raise UsageError(
            f"--record films the person: leave out {request.inputs[0]}, or leave out --record to "
            "train from it"
        )
    for flag, given in (("--resume", request.resume), ("--teacher", request.teacher)):
        if given:
            raise UsageError(f"--record begins a training of its own: leave out {flag}")


def ready_libraries() -> None:
    """Check what training needs. Raises ``MissingDependencyError``."""
    from importlib.util import find_spec

    missing = [n for n in ("torch", "safetensors", "onnx", "onnxscript") if find_spec(n) is None]
    if missing:
        raise MissingDependencyError(
            f"avatar train needs {', '.join(missing)}, not installed here. Install what training "
            "needs with `pip install 'webcam-avatar[train]'`; using the result needs none of it"
        )
    # PyTorch's threads else wait for each other by running in circles, which on a machine with
    # other work makes a training many times as long. Read when PyTorch is loaded.
    set_environment("OMP_WAIT_POLICY", "PASSIVE")


def _begun(
    request: TrainRequest, rights: Rights, home: Home
) -> tuple[StoredAvatar, TrainingRecord] | None:
    """Prepare the pairs and store the avatar; None when the user paused the recording."""
    inputs, store = [expanded(path) for path in request.inputs], AvatarStore(home.avatars)
    name = store.check_free(request.name, replace=request.force)
    base_sha256 = base_hash(request.base) if request.base is not None else None
    face_model = find_face_model(request.face_model, home)
    recording = None
    film = local_film(request.camera) if request.record else None
    if film is not None:
        inputs = [film]
    elif request.record:
        recording = record(request, name, home)
        if recording is None:
            return None
        inputs = [recording.film]
    shown = recording.seen if recording is not None else frozenset()
    if all(map(is_picture, inputs)):
        if request.base is None:
            raise UsageError(
                "a few photographs are not enough to start from: give --base FILE, weights trained "
                "on other people (avatar train --as-base), or a clip of the person"
            )
        takes = photo_takes(watch_photos(inputs, face_model))
        recordings: list[TrainingClip] = []
    else:
        takes, recordings = _clip_takes(inputs, request, face_model, shown)
    given = TrainingRecord(
        size=request.size, rights=rights, share=request.share, seed=request.seed,
        base_sha256=base_sha256, recordings=recordings,
    )  # fmt: skip
    stored = _stored(store, name, takes[0].source, request.force)
    shutil.rmtree(neural_folder(stored.folder), ignore_errors=True)
    try:
        prepare(training_folder(stored.folder), pairs_folder(stored.folder), takes, given)
    except KeyboardInterrupt:
        # Half of the pairs cannot be gone on with; what was recorded is as it was.
        say("interrupted before the training began. The same command with --force begins again")
        return None
    if recording is not None:
        recording.note_used()
    return stored, given


def _clip_takes(
    paths: list[Path], request: TrainRequest, face_model: Path, shown: frozenset[str]
) -> tuple[list[Take], list[TrainingClip]]:
    """Return what is drawn of the first clip's best frame: the moments of all clips.

    ``shown``: what the clips are known to show already. Raises ``UsageError`` for a recording that
    shows too little.
    """
    seen = [(watched, split(watched, request.share)) for watched in _looked_at(paths, face_model)]
    _say_missing(seen, paths, request, shown)
    takes: list[Take] = []
    for watched, chosen in seen:
        _check_split(chosen, request.share)
        source = takes[0].source if takes else take_source(watched, chosen.train, face_model)
        takes += clip_takes(source, watched, chosen, face_model)
    return takes, [recording_of(watched) for watched, _ in seen]


def _looked_at(paths: list[Path], face_model: Path) -> Iterator[WatchedClip]:
    for path in paths:
        yield looked_through(path, face_model)


def _say_missing(
    seen: list[tuple[WatchedClip, Split]], paths: list[Path], request: TrainRequest,
    known: frozenset[str],
) -> None:  # fmt: skip
    """Say what no clip shows of the part that is learned from."""
    shown = set(known)
    for watched, chosen in seen:
        rest = set(chosen.rest)
        shown |= shown_in(watched.frames[i].track for i in watched.usable if i not in rest)
    if request.record and not request.anyway:
        check_enough(shown, str(paths[0]), request.name)
    line = advice(shown)
    if line is not None:
        say(line)


def _check_split(chosen: Split, share: float) -> None:
    if len(chosen.train) < 40:
        raise UsageError(
            f"expected at least 40 usable frames in the first {share:.0%} of the clip, found "
            f"{len(chosen.train)}. Record for longer, or give a larger --share."
        )


def _stored(store: AvatarStore, name: str, source: ReferencePhoto, force: bool) -> StoredAvatar:
    """Store the source frame as the avatar's photograph."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "photo.png"
        path.write_bytes(png(source.photo))
        return store.add(name, path, source.face, replace=force)


def _resumed(
    request: TrainRequest, rights: Rights, store: AvatarStore
) -> tuple[StoredAvatar, TrainingRecord]:
    missing = (
        f"there is no training of {request.name} to resume: none was begun, or its folder is "
        f'gone. Begin one: avatar train --name "{request.name}" CLIP --rights {rights}'
    )
    if store.find(request.name) is None:
        raise UsageError(missing)
    stored = store.load(request.name)
    return stored, read_given(training_folder(stored.folder), missing)
