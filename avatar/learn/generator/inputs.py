"""From clips and weights that were named to pairs that are learnt from."""

from __future__ import annotations

import shutil
from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.files import expanded, file_sha256, write_record
from avatar.core.terminal import say
from avatar.learn.generator.prepare import Take, write_pairs
from avatar.learn.generator.record import GIVEN, TrainingRecord
from avatar.learn.generator.session import disk_errors_as_usage
from avatar.learn.generator.watch import WatchedClip, watch
from avatar.library.generators.card import TrainingClip
from engines.patches import patches_of


def looked_through(path: Path, face_model: Path) -> WatchedClip:
    """Watch a clip and say what was found."""
    say(f"looking through {path} …")
    watched = watch(path, face_model)
    say(watched.summary())
    return watched


def recording_of(watched: WatchedClip) -> TrainingClip:
    """Return what a card says of a clip."""
    return TrainingClip(
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
        return file_sha256(expanded(path))
    except OSError as error:
        raise UsageError(f"--base: {path} cannot be read: {error.strerror}") from error


def prepare(folder: Path, pairs: Path, takes: list[Take], given: TrainingRecord) -> None:
    """Write pairs and what the training was begun with; ``folder`` is made anew."""
    with disk_errors_as_usage(folder, "begin again, with --force"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        learnt = sum(len(take.train) * len(take.shadings) for take in takes)
        held_out = sum(len(take.held_out) * len(take.shadings) for take in takes)
        say(
            f"drawing {learnt} pairs to learn from and {held_out} held out; their pictures stay in "
            f"{folder}"
        )
        write_pairs(pairs, given.size, patches_of(given.size), takes)
        write_record(folder / GIVEN, given)
