"""Installed networks: their checkpoint files as published, and a record of what they are.

::

    ROOT/FAMILY/model.json            what ``ModelRecord`` says
    ROOT/FAMILY/warping_module.pth    a checkpoint, byte for byte
    ROOT/builds/FAMILY/               what was exported and compiled of it; may be deleted

ROOT is ``Home.models``, and ``root`` in what follows. A checkpoint is checked before it gets its
place, and counts from the moment that ``model.json`` names it; that file is replaced in one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from avatar import __version__
from avatar.core.errors import EngineError, UsageError
from avatar.core.files import (
    move,
    remove_folder,
    write_record,
)
from avatar.core.files import (
    read_record as record_in,
)
from avatar.core.files import (
    staging as staging_in,
)
from avatar.core.home import MODELS_VARIABLE
from avatar.core.messages import Message
from avatar.library.models.catalog import Entry, find
from engines.locking import locked

RECORD = "model.json"
SCHEMA_VERSION: Literal[1] = 1


class FileRecord(BaseModel):
    """One checkpoint: ``networks`` by their names in ``engines.networks``; ``origin`` in words."""

    name: Annotated[str, Field(pattern=r"^[\w][\w. +-]*$", max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(gt=0)]
    networks: Annotated[list[str], Field(min_length=1)]
    origin: str
    added: AwareDatetime


class ModelRecord(BaseModel):
    """What ``model.json`` says."""

    schema_version: Literal[1]
    family: str
    variant: str
    licence: str
    licence_accepted: AwareDatetime
    program_version: str
    files: list[FileRecord]

    @property
    def networks(self) -> set[str]:
        """The names of all networks that are there."""
        return {name for file in self.files for name in file.networks}


@dataclass(frozen=True)
class Checked:
    """A checkpoint outside the store that was found good: ``path`` will be moved into it."""

    path: Path
    name: str
    sha256: str
    networks: tuple[str, ...]
    origin: str


def model_folder(root: Path, family: str, variant: str = "") -> Path:
    """Return the folder of an installed, complete set: ``installed_states`` says what is in it.

    ``variant``: "" for people, "animals". Raises ``UsageError`` for an unknown name,
    ``EngineError`` with the command to give when the set is absent, incomplete or broken.
    """
    entry = find(family, variant)
    folder = entry_folder(root, entry)
    record = read_record(folder)
    if record is None:
        raise EngineError(
            Message(
                "error.networksAbsent",
                "the networks of {title} are not installed (looked in {folder}). {remedy}",
                title=entry.title, folder=str(folder), remedy=remedy(entry),
            )
        )  # fmt: skip
    if missing := missing_networks(entry, record):
        raise EngineError(
            f"the networks of {entry.title} in {folder} are incomplete: {', '.join(missing)} "
            f"missing. {remedy(entry)}"
        )
    return folder


def build_folder(model: Path) -> Path:
    """Return the folder for what is exported and compiled of the set in ``model``; need not exist.

    What lies in it may be deleted at any time, and is when the set is removed.
    """
    return model.parent / "builds" / model.name


def installed_states(folder: Path) -> dict[str, Path]:
    """Return the checkpoint file of each network in ``folder``, as ``model_folder`` gave it.

    One file may hold several networks. ``engines.networks.checkpoint`` reads them.
    Raises ``EngineError`` when a file is gone or has another size than when it was installed;
    hashes are ``avatar models verify``'s business.
    """
    record = read_record(folder)
    if record is None:
        raise EngineError(f"expected an installed model in {folder}, found no {RECORD} in it")
    states: dict[str, Path] = {}
    for file in record.files:
        path = folder / file.name
        found = path.stat().st_size if path.is_file() else None
        if found != file.size_bytes:
            entry = find(record.family, record.variant)
            state = "is gone" if found is None else f"has {found} bytes"
            raise EngineError(
                f"{path} {state}, expected {file.size_bytes} bytes as when it was installed. "
                f"{remedy(entry)}"
            )
        states.update(dict.fromkeys(file.networks, path))
    return states


def remedy(entry: Entry) -> str:
    """Return the sentence that says how to get the files of ``entry``."""
    variant = f" --variant {entry.variant}" if entry.variant else ""
    taken = f"avatar models import FILE{variant}"
    if not entry.files:
        return f"If you have its file: {taken}. Where to get it: avatar models pull {entry.family}"
    return f"Fetch them: avatar models pull {entry.arguments}. Or, if you have them: {taken}"


def entry_folder(root: Path, entry: Entry) -> Path:
    """Return where ``entry`` is or would be installed."""
    return root / entry.slug


def missing_networks(entry: Entry, record: ModelRecord) -> list[str]:
    """Return the networks of a complete set that ``record`` lacks."""
    return [name for name in entry.networks if name not in record.networks]


def read_record(folder: Path) -> ModelRecord | None:
    """Return what ``model.json`` in ``folder`` says; None: there is none.

    Raises ``EngineError`` when it is broken or was written by a newer program.
    """
    remedy = "Remove the model (avatar models remove MODEL) and install it again"
    return record_in(folder / RECORD, ModelRecord, EngineError, remedy)


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give an empty folder on the store's disk, in which files are gathered and checked.

    Raises ``UsageError`` when the disk refuses.
    """
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        made = ExitStack()
        folder = made.enter_context(staging_in(root))
    with made:
        yield folder


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Turn what the disk says into a message for the user."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"models cannot be stored in {root}: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}. Check the folder's permissions "
            f"and the disk's space, or set {MODELS_VARIABLE} to another folder"
        ) from error


def add(
    root: Path, entry: Entry, files: Sequence[Checked], *, accepted: datetime | None = None
) -> ModelRecord:
    """Move checked files into the folder of ``entry`` and return its new record.

    They take the place of files that hold the same networks. ``accepted``: when the licence was
    accepted, where it was now. Raises ``UsageError`` when the disk refuses.
    """
    folder = entry_folder(root, entry)
    now = datetime.now(UTC).replace(microsecond=0)
    with disk_errors(root), _changing(root):
        old = read_record(folder)
        folder.mkdir(parents=True, exist_ok=True)
        taken = {file.name: file.sha256 for file in (old.files if old else [])}
        new = [_placed(folder, file, taken, now) for file in files]
        names = {file.name for file in new}
        covered = {name for file in new for name in file.networks}
        kept = [
            file
            for file in (old.files if old else [])
            if file.name not in names and not covered >= set(file.networks)
        ]
        record = ModelRecord(
            schema_version=SCHEMA_VERSION,
            family=entry.family,
            variant=entry.variant,
            licence=entry.licence.name,
            licence_accepted=accepted or (old.licence_accepted if old else now),
            program_version=__version__,
            # Later files win where one network is in two.
            files=[*kept, *new],
        )
        write_record(folder / RECORD, record)
        for file in old.files if old else []:
            if file.name not in {wanted.name for wanted in record.files}:
                (folder / file.name).unlink(missing_ok=True)
    return record


@contextmanager
def _changing(root: Path) -> Iterator[None]:
    """Keep other processes from changing the store in the meantime."""
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / ".lock"):
        yield


def _placed(folder: Path, file: Checked, taken: dict[str, str], now: datetime) -> FileRecord:
    """Move one file to its place, beside another that the record still names (``taken``)."""
    name = file.name
    if taken.get(name, file.sha256) != file.sha256:
        stem, dot, suffixes = name.partition(".")
        name = f"{stem}-{file.sha256[:8]}{dot}{suffixes}"
    taken[name] = file.sha256
    size = file.path.stat().st_size
    move(file.path, folder / name)
    return FileRecord(
        name=name,
        sha256=file.sha256,
        size_bytes=size,
        networks=list(file.networks),
        origin=file.origin,
        added=now,
    )


def remove(root: Path, entry: Entry) -> None:
    """Delete what is installed of ``entry`` and what was built of it. Raises ``UsageError``."""
    installed = entry_folder(root, entry)
    with disk_errors(root), _changing(root):
        for folder in (installed, build_folder(installed)):
            if folder.exists():
                remove_folder(folder)
