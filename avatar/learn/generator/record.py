"""What a training was begun with, kept beside it so that a resumption goes on with the same."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from avatar.core.errors import UsageError
from avatar.core.files import read_record
from avatar.learn.generator.teacher import Teaching
from avatar.library.avatars import Sha256
from avatar.library.generators.card import Rights, Size, TrainingClip, TrainingSource

GIVEN = "given.json"


class TrainingRecord(BaseModel):
    """What a training was begun with; a resumption goes on with the same."""

    schema_version: Literal[1] = 1
    size: Size
    rights: Rights
    share: float
    seed: int
    base_sha256: Sha256 | None = None
    recordings: list[TrainingClip]
    teaching: Teaching | None = None
    taught: TrainingSource | None = None


def read_given(folder: Path, missing: str) -> TrainingRecord:
    """Return what a training was begun with; raises ``UsageError``, ``missing`` if it never was."""
    remedy = "Train again, with --force instead of --resume"
    given = read_record(folder / GIVEN, TrainingRecord, UsageError, remedy)
    if given is None:
        raise UsageError(missing)
    return given
