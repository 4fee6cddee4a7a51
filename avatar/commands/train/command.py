"""``avatar train``: prepare, train, export, and keep beside the stored avatar."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from pydantic import BaseModel

from avatar.clock import MonotonicClock
from avatar.commands.avatars import PHOTO_SUFFIXES
from avatar.commands.face_numbers import first_fault, write_whole
from avatar.commands.run import ended_by_signals
from avatar.commands.store import AvatarStore, Sha256, StoredAvatar, default_store, file_sha256
from avatar.commands.terminal import say
from avatar.commands.train.card import (
    Recording,
    Rights,
    Size,
    Taught,
    neural_folder,
    pairs_folder,
    training_folder,
)
from avatar.commands.train.devices import Devices, find_devices
from avatar.commands.train.finish import finish
from avatar.commands.train.prepare import (
    Source,
    Split,
    Take,
    clip_takes,
    photo_takes,
    split,
    take_source,
    write_pairs,
)
from avatar.commands.train.request import TrainRequest
from avatar.commands.train.session import Budget, Session, disk_told
from avatar.commands.train.teacher import Teaching
from avatar.commands.train.watch import Watched, watch, watch_photos
from avatar.core.options import check_bounds
from avatar.errors import AvatarError, MissingDependencyError, UsageError
from avatar.frames import UInt8Image
from avatar.track.face_model import find_face_model
from engines.patches import patches_of

if TYPE_CHECKING:
    from engines.training.group import Group
    from engines.training.loop import Trainer

GIVEN = "given.json"
INTERRUPTED = 130


class Given(BaseModel):
    """What a training was begun with; a resumption goes on with the same."""

    schema_version: int = 1
    size: Size
    rights: Rights
    share: float
    seed: int
    base_sha256: Sha256 | None = None
    recordings: list[Recording]
    teaching: Teaching | None = None
    taught: Taught | None = None


def train(request: TrainRequest, *, store: AvatarStore | None = None) -> int:
    """Train a generator; return the exit status.

    Raises ``UsageError``, ``EngineError``, ``MissingDependencyError`` and the errors of sources.
    """
    rights = _checked(request)
    ready_libraries()
    find_devices(request.device, request.devices)
    store = store or default_store()
    begun = _ready(request, rights, store)
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
    request: TrainRequest, given: Given, folder: Path, pairs: Path, again: str
) -> tuple[Trainer, Session] | None:
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
        say(f"paused; go on: {again}")
    return trained


def _in_one(
    devices: Devices, request: TrainRequest, given: Given, folder: Path, pairs: Path, again: str
) -> tuple[Trainer, Session] | None:
    trainer, session = begin(request, given, folder, pairs, devices)
    stop = threading.Event()
    with ended_by_signals(stop.set):
        paused = train_within(session, request, stop, again)
    return None if paused else (trainer, session)


def _in_several(
    devices: Devices, request: TrainRequest, given: Given, folder: Path, pairs: Path, again: str
) -> tuple[Trainer, Session] | None:
    """Train in processes of their own; what they kept is read again at the end."""
    from avatar.commands.train.several import train_on

    if train_on(devices, request, given, folder, pairs, again):
        return None
    return begin(replace(request, resume=True), given, folder, pairs)


def begin(
    request: TrainRequest,
    given: Given,
    folder: Path,
    pairs: Path,
    devices: Devices | None = None,
    group: Group | None = None,
) -> tuple[Trainer, Session]:
    """Return the trainer of prepared pairs and its session; with a resumption as they were left."""
    trainer, facts = _trainer(request, given, folder, pairs, devices, group)
    tell = say if trainer.group.rank == 0 else _tell_nobody
    session = Session(
        trainer, folder, MonotonicClock(), tell, spent_s=float(facts.get("spent_s", 0.0))
    )
    session.untrained_error = float(facts.get("untrained_error", 0.0)) or trainer.untrained_error()
    return trainer, session


def _tell_nobody(_line: str) -> None:
    """Stand in for ``say`` where another process says the same."""


def train_within(
    session: Session, request: TrainRequest, stop: threading.Event, again: str
) -> bool:
    """Train until the budget is spent or ``stop`` is set; return whether it was the latter.

    ``again``: the command that goes on. Raises ``UsageError`` when the training diverged or the
    disk is full, ``EngineError`` when a card fails.
    """
    from engines.training.devices import card_told
    from engines.training.loop import DivergedError

    try:
        with card_told():
            session.run(Budget(request.minutes * 60, request.steps), stop)
    except DivergedError as error:
        raise UsageError(
            f"{error}. What was kept last is whole: `{again}` goes on from there, and with "
            "--minutes 0 finishes with it"
        ) from error
    return stop.is_set()


def _ready(
    request: TrainRequest, rights: Rights, store: AvatarStore
) -> tuple[StoredAvatar, Given] | None:
    """Return the avatar, whose pairs are prepared; None when the user paused that."""
    from avatar.commands.train import distil

    if request.teacher is not None:
        return distil.begin(request, rights, store)
    if not request.resume:
        return _begun(request, rights, store)
    stored, given = _resumed(request, rights, store)
    return distil.go_on(stored, given, request) if given.teaching is not None else (stored, given)


def _checked(request: TrainRequest) -> Rights:
    """Check what can be checked at once. Raises ``UsageError``."""
    rights = checked_rights(request.rights)
    check_bounds(request)
    if request.minutes < 0 or (request.minutes == 0 and not request.resume):
        raise UsageError(f"--minutes: expected more than 0, found {request.minutes:g}")
    if request.resume and request.inputs:
        raise UsageError(
            f"--resume goes on with what {request.name} was begun with: leave out "
            f"{request.inputs[0]}, or leave out --resume to begin anew"
        )
    if request.resume and request.teacher is not None:
        raise UsageError(
            f"--resume goes on with the teacher that {request.name} was begun with: leave out "
            "--teacher"
        )
    if not request.resume and not request.inputs and request.teacher is None:
        raise UsageError("avatar train needs a clip of the person, or --resume")
    return rights


def checked_rights(rights: str | None) -> Rights:
    """Return the statement of rights. Raises ``UsageError`` where there is none."""
    if rights not in get_args(Rights):
        raise UsageError(
            "avatar train needs --rights self (the clip shows you) or --rights licensed (whoever "
            "it shows has agreed to a generator that can put words into their mouth); found "
            f"{rights or 'neither'}"
        )
    return "self" if rights == "self" else "licensed"


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
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _begun(request: TrainRequest, rights: Rights, store: AvatarStore) -> tuple[StoredAvatar, Given]:
    """Prepare the pairs and store the avatar."""
    inputs = [path.expanduser() for path in request.inputs]
    name = store.check_free(request.name, replace=request.force)
    base_sha256 = base_hash(request.base) if request.base is not None else None
    face_model = find_face_model(request.face_model)
    if all(path.suffix.lower() in PHOTO_SUFFIXES for path in inputs):
        if request.base is None:
            raise UsageError(
                "a few photographs are too little to begin with: give --base FILE, weights learnt "
                "from other people (avatar train --as-base), or a clip of the person"
            )
        takes = photo_takes(watch_photos(inputs, face_model))
        recordings: list[Recording] = []
    else:
        takes, recordings = _clip_takes(inputs, request.share, face_model)
    given = Given(
        size=request.size, rights=rights, share=request.share, seed=request.seed,
        base_sha256=base_sha256, recordings=recordings,
    )  # fmt: skip
    stored = _stored(store, name, takes[0].source, request.force)
    shutil.rmtree(neural_folder(stored.folder), ignore_errors=True)
    prepare(training_folder(stored.folder), pairs_folder(stored.folder), takes, given)
    return stored, given


def _clip_takes(
    paths: list[Path], share: float, face_model: Path
) -> tuple[list[Take], list[Recording]]:
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


def looked_through(path: Path, face_model: Path) -> Watched:
    """Watch a clip and say what was found."""
    say(f"looking through {path} …")
    watched = watch(path, face_model)
    say(watched.summary())
    return watched


def prepare(folder: Path, pairs: Path, takes: list[Take], given: Given) -> None:
    """Write pairs and what the training was begun with; ``folder`` is made anew."""
    with disk_told(folder, "begin again, with --force"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        learnt = sum(len(take.train) * len(take.shadings) for take in takes)
        held_out = sum(len(take.held_out) * len(take.shadings) for take in takes)
        say(
            f"drawing {learnt} pairs to learn from and {held_out} held out; their pictures stay in "
            f"{folder}"
        )
        write_pairs(pairs, given.size, patches_of(given.size), takes)
        write_whole(folder / GIVEN, given)


def _check_split(chosen: Split, share: float) -> None:
    if len(chosen.train) < 40:
        raise UsageError(
            f"expected at least 40 usable frames in the first {share:.0%} of the clip, found "
            f"{len(chosen.train)}. Record for longer, or give a larger --share."
        )


def _stored(store: AvatarStore, name: str, source: Source, force: bool) -> StoredAvatar:
    """Store the source frame as the avatar's photograph."""
    import cv2

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "photo.png"
        picture: UInt8Image = np.ascontiguousarray(source.photo[..., ::-1])
        done, data = cv2.imencode(".png", picture)
        assert done
        path.write_bytes(data.tobytes())
        return store.add(name, path, source.face, replace=force)


def recording_of(watched: Watched) -> Recording:
    """Return what a card says of a clip."""
    return Recording(
        sha256=file_sha256(watched.path),
        seconds=round(watched.seconds, 2),
        frames=len(watched.frames),
        usable=len(watched.usable),
        lost=watched.lost,
        blurred=watched.blurred,
        covered=watched.covered,
    )


def base_hash(path: Path) -> str:
    """Return the hash of the weights to begin with. Raises ``UsageError``."""
    try:
        return file_sha256(path.expanduser())
    except OSError as error:
        raise UsageError(f"--base: {path} cannot be read: {error.strerror}") from error


def _resumed(
    request: TrainRequest, rights: Rights, store: AvatarStore
) -> tuple[StoredAvatar, Given]:
    stored = store.load(request.name)
    missing = (
        f"there is no training of {stored.name} to resume: none was begun, or its folder is gone. "
        f"Begin one: avatar train --name NAME CLIP --rights {rights}"
    )
    return stored, read_given(training_folder(stored.folder), missing)


def read_given(folder: Path, missing: str) -> Given:
    """Return what a training was begun with; raises ``UsageError``, ``missing`` if it never was."""
    path = folder / GIVEN
    try:
        return Given.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise UsageError(missing) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is broken: {first_fault(error)}. Train anew, with --force instead of --resume"
        ) from error


def _trainer(
    request: TrainRequest,
    given: Given,
    folder: Path,
    pairs: Path,
    devices: Devices | None,
    group: Group | None,
) -> tuple[Trainer, dict[str, Any]]:
    """Return the trainer and what its checkpoint was saved with; empty where there is none."""
    from engines.training import checkpoint
    from engines.training.loop import CHECKPOINT, Plan, Trainer
    from engines.training.pairs import Pairs

    resumed = request.resume and (folder / CHECKPOINT).exists()
    base = None
    if request.base is not None and not resumed:
        base = checkpoint.read(request.base.expanduser())[0]
    trainer = Trainer(
        Pairs(pairs, patches_of(given.size)),
        Plan(seed=given.seed),
        devices.device if devices is not None else "cpu",
        base,
        group=group,
    )
    if not resumed:
        return trainer, {}
    try:
        return trainer, trainer.resume(folder)
    except AvatarError as error:
        raise UsageError(str(error)) from error
