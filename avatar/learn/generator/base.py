"""``avatar train --as-base``: weights to begin with, learnt from clips of several people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import AwareDatetime, BaseModel

from avatar import __version__
from avatar.core.errors import UsageError
from avatar.core.files import expanded, file_sha256, films_in, write_record, write_whole
from avatar.core.home import Home
from avatar.core.outputs import check_output
from avatar.core.terminal import say
from avatar.learn.generator.command import INTERRUPTED, ready_libraries, run_session
from avatar.learn.generator.inputs import looked_through, prepare, recording_of
from avatar.learn.generator.prepare import MAX_HELD_OUT, Take, split, take_source
from avatar.learn.generator.record import TrainingRecord, read_given
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.session import disk_errors_as_usage
from avatar.learn.generator.watch import most_different
from avatar.library.avatars import Sha256
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import Rights, Size, TrainingClip, checked_rights, utc_now

# All people count alike, however long their clips are.
MOMENTS_EACH = 160
_ENDING = ".safetensors"
_PEOPLE_TO_HOLD_ONE_OUT = 3


class BaseCard(BaseModel):
    """What stands beside a base, in ``FILE.json``: errors are those of people it has not seen.

    Where there were too few people to hold one out, those of moments it has not seen.
    """

    schema_version: int = 1
    size: Size
    rights: Rights
    weights_sha256: Sha256
    data_sha256: Sha256
    recordings: list[TrainingClip]
    person_held_out: bool
    steps: int
    seconds: float
    held_out_error: float
    untrained_error: float
    seed: int
    made: AwareDatetime
    program_version: str


def train_base(request: TrainRequest, clips: Path, out: Path | None, home: Home) -> int:
    """Train a base from the clips in the folder ``clips`` into ``out``; return the exit status.

    Raises ``UsageError`` and ``MissingDependencyError``.
    """
    rights = checked_rights(request.rights)
    out = _checked_out(request, out)
    films = [] if request.resume else _clips_in(clips)
    ready_libraries()
    folder = out.with_suffix(".training")
    if request.resume:
        given = read_given(folder, f"there is no training in {folder} to resume")
    else:
        given = _begun(request, rights, films, folder, home)
    again = f'avatar train --as-base "{clips}" --out "{out}" {request.going_on(rights)}'
    trained = run_session(request, given, folder, folder / "pairs", again)
    if trained is None:
        return INTERRUPTED
    trainer, session = trained
    from engines.training.loop import BEST

    with disk_errors_as_usage(out.parent):
        write_whole(out, (folder / BEST).read_bytes(), flush=True)
        card = BaseCard(
            size=given.size,
            rights=given.rights,
            weights_sha256=file_sha256(out),
            data_sha256=trainer.pairs.sha256,
            recordings=given.recordings,
            person_held_out=len(given.recordings) >= _PEOPLE_TO_HOLD_ONE_OUT,
            steps=trainer.step_count,
            seconds=round(session.spent_s, 1),
            held_out_error=trainer.kept_error,
            untrained_error=session.untrained_error,
            seed=given.seed,
            made=utc_now(),
            program_version=__version__,
        )
        write_record(out.with_suffix(".json"), card)
    say(f"{out}: held-out error {card.held_out_error:.4f} of {card.untrained_error:.4f} before")
    say(f'use it: avatar train --base "{out}" --size {given.size} --name NAME CLIP')
    return 0


def _checked_out(request: TrainRequest, out: Path | None) -> Path:
    if out is None or out.suffix != _ENDING:
        raise UsageError(f"--as-base needs --out FILE{_ENDING}, found {out or 'none'}")
    if request.inputs:
        raise UsageError("--as-base learns from the clips in its folder: name no other clips")
    out = expanded(out)
    check_output(out, "--out", force=request.force or request.resume)
    return out


def _clips_in(folder: Path) -> list[Path]:
    """Return the clips in a folder. Raises ``UsageError`` where there are fewer than two."""
    if not folder.is_dir():
        raise UsageError(f"--as-base: expected a folder of clips, found none at {folder}")
    paths = films_in(folder)
    if len(paths) < 2:
        raise UsageError(
            f"--as-base: expected clips of two people or more in {folder}, found {len(paths)}"
        )
    return paths


def _begun(
    request: TrainRequest, rights: Rights, paths: list[Path], folder: Path, home: Home
) -> TrainingRecord:
    face_model = find_face_model(request.face_model, home)
    takes, recordings = [], []
    for index, path in enumerate(paths):
        watched = looked_through(path, face_model)
        source = take_source(watched, watched.usable, face_model)
        chosen = split(watched, 1.0)
        train = most_different(watched, chosen.train, MOMENTS_EACH)
        held_out = chosen.held_out
        if len(paths) >= _PEOPLE_TO_HOLD_ONE_OUT:
            last = index == len(paths) - 1
            spread = np.linspace(0, len(watched.usable) - 1, MAX_HELD_OUT).astype(int)
            held_out = [watched.usable[i] for i in sorted(set(spread.tolist()))] if last else []
            train = [] if last else train
        takes.append(Take(source, watched, train, held_out))
        recordings.append(recording_of(watched))
    given = TrainingRecord(
        size=request.size, rights=rights, share=1.0, seed=request.seed, recordings=recordings
    )
    prepare(folder, folder / "pairs", takes, given)
    return given
