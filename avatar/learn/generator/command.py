"""``avatar train``: prepare, train, export, and keep beside the stored avatar."""

from __future__ import annotations

import shutil
import tempfile
import threading
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
from avatar.learn.generator.watch import watch_photos
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
    if not request.resume and not request.inputs and request.teacher is None:
        raise UsageError("avatar train needs a clip of the person, or --resume")
    for path in (*request.inputs, *([request.base] if request.base is not None else [])):
        if kind_of(expanded(path)) != "file":
            raise UsageError(f"expected a file, found none at {path}. Check the path")
    return rights


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
) -> tuple[StoredAvatar, TrainingRecord]:
    """Prepare the pairs and store the avatar."""
    inputs, store = [expanded(path) for path in request.inputs], AvatarStore(home.avatars)
    name = store.check_free(request.name, replace=request.force)
    base_sha256 = base_hash(request.base) if request.base is not None else None
    face_model = find_face_model(request.face_model, home)
    if all(map(is_picture, inputs)):
        if request.base is None:
            raise UsageError(
                "a few photographs are not enough to start from: give --base FILE, weights trained "
                "on other people (avatar train --as-base), or a clip of the person"
            )
        takes = photo_takes(watch_photos(inputs, face_model))
        recordings: list[TrainingClip] = []
    else:
        takes, recordings = _clip_takes(inputs, request.share, face_model)
    given = TrainingRecord(
        size=request.size, rights=rights, share=request.share, seed=request.seed,
        base_sha256=base_sha256, recordings=recordings,
    )  # fmt: skip
    stored = _stored(store, name, takes[0].source, request.force)
    shutil.rmtree(neural_folder(stored.folder), ignore_errors=True)
    prepare(training_folder(stored.folder), pairs_folder(stored.folder), takes, given)
    return stored, given


def _clip_takes(
    paths: list[Path], share: float, face_model: Path
) -> tuple[list[Take], list[TrainingClip]]:
    """Return what is drawn of the first clip's best frame: the moments of all clips."""
    takes: list[Take] = []
    recordings = []
    for path in paths:
        watched = looked_through(path, face_model)
        chosen = split(watched, share)
        _check_split(chosen, share)
        source = takes[0].source if takes else take_source(watched, chosen.train, face_model)
        takes += clip_takes(source, watched, chosen, face_model)
        recordings.append(recording_of(watched))
    return takes, recordings


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
    stored = store.load(request.name)
    missing = (
        f"there is no training of {stored.name} to resume: none was begun, or its folder is gone. "
        f"Begin one: avatar train --name NAME CLIP --rights {rights}"
    )
    return stored, read_given(training_folder(stored.folder), missing)
