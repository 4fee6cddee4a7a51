"""``avatar train``: prepare, train, export, and keep beside the stored avatar."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from pydantic import BaseModel, ValidationError

from avatar.clock import MonotonicClock
from avatar.commands.face_numbers import write_whole
from avatar.commands.run import ended_by_signals
from avatar.commands.store import AvatarStore, Sha256, StoredAvatar, default_store, file_sha256
from avatar.commands.terminal import say
from avatar.commands.train.card import Recording, Rights, Size, pairs_folder, training_folder
from avatar.commands.train.finish import finish
from avatar.commands.train.prepare import Source, Split, split, take_source, write_pairs
from avatar.commands.train.session import Budget, Session, disk_told
from avatar.commands.train.watch import Watched, watch
from avatar.errors import AvatarError, MissingDependencyError, UsageError
from avatar.frames import UInt8Image
from avatar.track.face_model import find_face_model
from engines.patches import patches_of

if TYPE_CHECKING:
    from engines.training.loop import Trainer

GIVEN = "given.json"
INTERRUPTED = 130
_LEAST_S = 5.0


class Given(BaseModel):
    """What a training was begun with; a resumption goes on with the same."""

    schema_version: int = 1
    size: Size
    rights: Rights
    share: float
    seed: int
    base_sha256: Sha256 | None = None
    recordings: list[Recording]


@dataclass(frozen=True)
class Wish:
    """What the user asked for; see the command's help.

    ``share``: the first part of the clip, which is learnt from; the rest is never looked at.
    """

    name: str
    clip: Path | None
    size: Size = "regions"
    minutes: float = 20.0
    steps: int | None = None
    device: str = "auto"
    base: Path | None = None
    resume: bool = False
    rights: str | None = None
    share: float = 1.0
    seed: int = 0
    force: bool = False
    face_model: Path | None = None


def train(wish: Wish, *, store: AvatarStore | None = None) -> int:
    """Train a generator; return the exit status.

    Raises ``UsageError``, ``EngineError``, ``MissingDependencyError`` and the errors of sources.
    """
    rights = _checked(wish)
    _check_libraries()
    # PyTorch's threads else wait for each other by running in circles, which on a machine with
    # other work makes a training many times as long. Read when PyTorch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    store = store or default_store()
    stored, given = (_resumed if wish.resume else _begun)(wish, rights, store)
    folder = training_folder(stored.folder)
    trainer, facts = _trainer(wish, given, stored)
    session = Session(
        trainer, folder, MonotonicClock(), say, spent_s=float(facts.get("spent_s", 0.0))
    )
    session.untrained_error = float(facts.get("untrained_error", 0.0)) or trainer.held_out_error()
    say(f"training {given.size} of {stored.name} on {_device(wish.device)}; Ctrl-C pauses")
    stop = threading.Event()
    with ended_by_signals(stop.set):
        _run(session, Budget(wish.minutes * 60, wish.steps), stop, stored)
    if stop.is_set():
        say(f"paused; go on: {_resume_line(stored)}")
        return INTERRUPTED
    finish(stored, given, trainer, session, _device(wish.device), say)
    return 0


def _run(session: Session, budget: Budget, stop: threading.Event, stored: StoredAvatar) -> None:
    from engines.training.loop import DivergedError

    try:
        session.run(budget, stop)
    except DivergedError as error:
        raise UsageError(
            f"{error}. What was kept last is whole: {_resume_line(stored)} goes on from there, and "
            "with --minutes 0 finishes with it"
        ) from error


def _resume_line(stored: StoredAvatar) -> str:
    return f'avatar train --name "{stored.name}" --resume --rights self'


def _checked(wish: Wish) -> Rights:
    """Check what can be checked at once. Raises ``UsageError``."""
    rights = wish.rights
    if rights not in get_args(Rights):
        raise UsageError(
            "avatar train needs --rights self (the clip shows you) or --rights licensed (whoever "
            "it shows has agreed to a generator that can put words into their mouth); found "
            f"{rights or 'neither'}"
        )
    if not 0.2 <= wish.share <= 1:
        raise UsageError(f"--share: expected 0.2 to 1, found {wish.share:g}")
    if wish.minutes < 0 or (wish.minutes == 0 and not wish.resume):
        raise UsageError(f"--minutes: expected more than 0, found {wish.minutes:g}")
    if wish.resume and wish.clip is not None:
        raise UsageError(
            f"--resume goes on with the clip that {wish.name} was begun with: leave out "
            f"{wish.clip}, or leave out --resume to begin anew"
        )
    if not wish.resume and wish.clip is None:
        raise UsageError("avatar train needs a clip of the person, or --resume")
    return "self" if rights == "self" else "licensed"


def _check_libraries() -> None:
    from importlib.util import find_spec

    missing = [n for n in ("torch", "safetensors", "onnx", "onnxscript") if find_spec(n) is None]
    if missing:
        raise MissingDependencyError(
            f"avatar train needs {', '.join(missing)}, not installed here. Install what training "
            "needs with `pip install 'webcam-avatar[train]'`; using the result needs none of it"
        )


def _begun(wish: Wish, rights: Rights, store: AvatarStore) -> tuple[StoredAvatar, Given]:
    """Prepare the pairs and store the avatar."""
    assert wish.clip is not None
    clip = wish.clip.expanduser()
    name = store.check_free(wish.name, replace=wish.force)
    base_sha256 = _file_hash(wish.base) if wish.base is not None else None
    face_model = find_face_model(wish.face_model)
    say(f"looking through {clip} …")
    watched = watch(clip, face_model)
    say(watched.summary())
    chosen = split(watched, wish.share)
    _check_split(chosen, wish.share)
    source = take_source(watched, chosen.train, face_model)
    recordings = [_recording(watched)]
    given = Given(
        size=wish.size, rights=rights, share=wish.share, seed=wish.seed,
        base_sha256=base_sha256, recordings=recordings,
    )  # fmt: skip
    stored = _stored(store, name, source, wish.force)
    _write(stored, wish.size, source, watched, chosen, given)
    return stored, given


def _write(
    stored: StoredAvatar,
    size: Size,
    source: Source,
    watched: Watched,
    chosen: Split,
    given: Given,
) -> None:
    import shutil

    folder = training_folder(stored.folder)
    with disk_told(folder):
        for old in (folder, stored.folder / "neural"):
            shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(mode=0o700)
        say(
            f"drawing {len(chosen.train)} moments to learn from and {len(chosen.held_out)} held "
            f"out; photograph: frame {source.track.index}. Pictures stay in {folder}"
        )
        write_pairs(pairs_folder(stored.folder), size, patches_of(size), source, watched, chosen)
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


def _recording(watched: Watched) -> Recording:
    return Recording(
        sha256=file_sha256(watched.path),
        seconds=round(watched.seconds, 2),
        frames=len(watched.frames),
        usable=len(watched.usable),
        lost=watched.lost,
        blurred=watched.blurred,
        covered=watched.covered,
    )


def _file_hash(path: Path) -> str:
    try:
        return file_sha256(path.expanduser())
    except OSError as error:
        raise UsageError(f"--base: {path} cannot be read: {error.strerror}") from error


def _resumed(wish: Wish, rights: Rights, store: AvatarStore) -> tuple[StoredAvatar, Given]:
    stored = store.load(wish.name)
    path = training_folder(stored.folder) / GIVEN
    try:
        given = Given.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no training of {stored.name} to resume: none was begun, or its folder "
            f"{path.parent} is gone. Begin one: avatar train --name NAME CLIP --rights {rights}"
        ) from error
    except (OSError, ValueError, ValidationError) as error:
        raise UsageError(
            f"{path} is broken: {error}. Train anew, with --force instead of --resume"
        ) from error
    return stored, given


def _trainer(wish: Wish, given: Given, stored: StoredAvatar) -> tuple[Trainer, dict[str, Any]]:
    """Return the trainer and what its checkpoint was saved with; empty where there is none."""
    from engines.training import checkpoint
    from engines.training.loop import CHECKPOINT, Plan, Trainer
    from engines.training.pairs import Pairs

    folder = training_folder(stored.folder)
    pairs = Pairs(pairs_folder(stored.folder), patches_of(given.size))
    base = None if wish.base is None else checkpoint.read(wish.base.expanduser())[0]
    trainer = Trainer(pairs, Plan(seed=given.seed), _device(wish.device), base)
    if wish.resume and (folder / CHECKPOINT).exists():
        try:
            return trainer, trainer.resume(folder)
        except AvatarError as error:
            raise UsageError(str(error)) from error
    return trainer, {}


def _device(wanted: str) -> str:
    """Return the device to train on. Raises ``UsageError`` for one that is not there."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "--device cuda: PyTorch finds no CUDA card here. Take --device cpu, or install the "
            "CUDA build of PyTorch"
        )
    return wanted
