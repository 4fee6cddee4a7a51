"""What a training was begun with, kept beside it so that a resumption goes on with the same."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from avatar.commands.face_numbers import first_fault
from avatar.commands.store import Sha256
from avatar.commands.train.card import Recording, Rights, Size, Taught
from avatar.commands.train.teacher import Teaching
from avatar.errors import UsageError

GIVEN = "given.json"


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
