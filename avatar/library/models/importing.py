"""Checkpoints that the user has: found in files, folders and archives, and known by their keys.

Nothing outside the staging folder is written and nothing is executed: archives are read member by
member, of each member only the last part of its name counts, and all lengths are bounded by what
is really read. Every file is copied first and its copy is checked, so that what was checked is
what is kept.
"""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import IO

from avatar.core.archives import DAMAGED
from avatar.core.errors import EngineError, UsageError
from avatar.core.files import expanded
from avatar.library.models.catalog import ENTRIES, Entry, find
from avatar.library.models.checking import copy_hashed, networks_in
from avatar.library.models.store import Checked

MAX_FILE_BYTES = 2_000_000_000
MAX_TOTAL_BYTES = 6_000_000_000
MAX_MEMBERS = 10_000
_CHECKPOINTS = (".pth", ".pt", ".pth.tar", ".ckpt", ".safetensors")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """A checkpoint in the staging folder; ``where`` names it to the user.

    ``animals``: the folder or file it comes from is called so.
    """

    path: Path
    where: str
    sha256: str
    networks: tuple[str, ...]
    animals: bool

    @property
    def family(self) -> str:
        """The family its networks belong to."""
        return self.networks[0].split("/", 1)[0]


@dataclass
class _Budget:
    left_bytes: int = MAX_TOTAL_BYTES
    members: int = 0

    def take_member(self, where: str) -> None:
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise UsageError(
                f"{where} has more than {MAX_MEMBERS} entries. Give the checkpoint files themselves"
            )

    def check_bytes(self, where: str) -> None:
        if self.left_bytes <= 0:
            raise UsageError(
                f"more than {MAX_TOTAL_BYTES / 1e9:g} GB were read up to {where}. Give the "
                "checkpoint files themselves"
            )


def gather(paths: Sequence[Path], staging: Path, say: Say) -> list[Found]:
    """Copy the checkpoints in ``paths`` into ``staging`` and recognise them.

    ``paths``: checkpoints, folders, archives. A file given by name must be a known checkpoint; in
    folders and archives what is none is passed over with a line. Raises ``UsageError`` and
    ``EngineError``.
    """
    budget = _Budget()
    found: list[Found] = []
    for path in paths:
        path = expanded(path)
        before = len(found)
        if path.is_dir():
            found += _all(_in_folder(path, budget), staging, budget, say)
        elif not path.exists():
            raise UsageError(f"expected a file, a folder or an archive, found nothing at {path}")
        elif _is_archive(path):
            with _archive_faults(path):
                found += _all(_in_archive(path, budget), staging, budget, say)
        else:
            with path.open("rb") as file:
                found.append(_taken(file, _end(path, 3), staging, budget))
        if len(found) == before:
            raise UsageError(
                f"{path} holds no checkpoint of a known network. Expected files as published: "
                f"{', '.join(_CHECKPOINTS)} of {' or '.join(e.title for e in ENTRIES)}"
            )
    return found


def choose(found: Sequence[Found], variant: str | None) -> dict[str, list[Found]]:
    """Return the files to install, by the slug of their entry.

    ``variant``: "" for people, "animals", None when the user did not say. People's and animals'
    weights have the same names and shapes: where the folders' names speak of animals, the user
    has to say. Raises ``UsageError``.
    """
    families = dict.fromkeys(file.family for file in found)
    if variant and all(_variants(family) == {""} for family in families):
        raise UsageError(f"{', '.join(families)} has no variant {variant!r}: leave --variant out")
    chosen: dict[str, list[Found]] = {}
    for family in families:
        files = [file for file in found if file.family == family]
        entry = find(family)
        if len(_variants(family)) > 1:
            files = _of_variant(files, variant)
            entry = find(family, variant or "")
        chosen[entry.slug] = _unambiguous(entry, files)
    return chosen


def _variants(family: str) -> set[str]:
    return {entry.variant for entry in ENTRIES if entry.family == family}


def _of_variant(files: Sequence[Found], variant: str | None) -> list[Found]:
    animals = [file for file in files if file.animals]
    if variant is None and animals:
        mixed = ", beside people's" if len(animals) < len(files) else ""
        raise UsageError(
            f"by its folder {animals[0].where} holds animals' weights{mixed}; by its contents it "
            "could be either. Say which to take: --variant animals, or --variant people"
        )
    if not variant:
        # Where all are called so, it is the user's own folder that is.
        return [file for file in files if not file.animals] or list(files)
    own = {name for file in animals for name in file.networks}
    # What the animals have not of their own (stitching) is the people's.
    others = (file for file in files if not file.animals)
    chosen = [*animals, *(file for file in others if not own & set(file.networks))]
    _refuse_peoples(chosen, variant)
    return chosen


def _refuse_peoples(files: Sequence[Found], variant: str) -> None:
    """Raise for files that are known to be the people's."""
    family = files[0].family
    shared = {file.sha256 for file in find(family, variant).files}
    known = {file.sha256: file.path for file in find(family).files}
    for file in files:
        if file.sha256 in known and file.sha256 not in shared:
            raise UsageError(
                f"{file.where} is {known[file.sha256]} as published, the people's: leave "
                "--variant animals out, or give the animals' file"
            )


def _unambiguous(entry: Entry, files: Sequence[Found]) -> list[Found]:
    """Return ``files`` without copies; raises where two differ over the same network."""
    kept: dict[str, Found] = {}
    for file in files:
        for name in file.networks:
            other = kept.setdefault(name, file)
            if other.sha256 != file.sha256:
                raise UsageError(
                    f"{other.where} and {file.where} both hold {name}, with other weights: give "
                    f"the files of one set of {entry.title} only"
                )
    return list(dict.fromkeys(kept.values()))


def checked(entry: Entry, file: Found) -> Checked:
    """Return ``file`` as the store takes it."""
    published = {known.sha256 for known in entry.files} - {""}
    origin = f"imported from {Path(file.where).name}"
    if file.sha256 in published:
        origin += ", as published"
    return Checked(file.path, file.path.name, file.sha256, file.networks, origin)


_Item = tuple[str, Callable[[], IO[bytes] | FileIO]]


def _all(items: Iterator[_Item], staging: Path, budget: _Budget, say: Say) -> list[Found]:
    found = []
    for where, opened in items:
        try:
            with opened() as file:
                found.append(_taken(file, where, staging, budget))
        except EngineError as error:
            say(f"passed over: {error}")
    return found


def _taken(source: IO[bytes] | FileIO, where: str, staging: Path, budget: _Budget) -> Found:
    """Copy one file into a folder of its own, and recognise the copy."""
    budget.check_bytes(where)
    folder = Path(tempfile.mkdtemp(dir=staging))
    copy = folder / _plain(PurePosixPath(where.replace("\\", "/")).name)
    try:
        sha256 = copy_hashed(source, copy, min(MAX_FILE_BYTES, budget.left_bytes))
        networks = networks_in(copy)
    except BaseException:
        budget.left_bytes -= copy.stat().st_size if copy.exists() else 0
        copy.unlink(missing_ok=True)
        raise
    budget.left_bytes -= copy.stat().st_size
    return Found(copy, where, sha256, networks, "animal" in where.lower())


def _plain(name: str) -> str:
    """Return a file's name that is safe on every disk."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept.lstrip(".-")[-120:] or "checkpoint"


def _in_folder(folder: Path, budget: _Budget) -> Iterator[_Item]:
    for path in sorted(folder.rglob("*")):
        budget.take_member(str(folder))
        if path.is_file() and path.name.lower().endswith(_CHECKPOINTS):
            where = f"{_end(folder, 2)}/{path.relative_to(folder).as_posix()}"
            yield where, partial(FileIO, path)


def _end(path: Path, count: int) -> str:
    """Return the last parts of a path: as far as published folders go, and not the user's own."""
    return "/".join(path.resolve().parts[-count:])


def _is_archive(path: Path) -> bool:
    """Say whether ``path`` holds files; PyTorch's own files are zip archives, too."""
    name = path.name.lower()
    if name.endswith(".pth.tar") or not name.endswith(_ARCHIVES):
        return False
    return zipfile.is_zipfile(path) if name.endswith(".zip") else tarfile.is_tarfile(path)


def _in_archive(path: Path, budget: _Budget) -> Iterator[_Item]:
    return _in_zip(path, budget) if path.suffix.lower() == ".zip" else _in_tar(path, budget)


def _in_zip(path: Path, budget: _Budget) -> Iterator[_Item]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            budget.take_member(path.name)
            if not member.is_dir() and member.filename.lower().endswith(_CHECKPOINTS):
                yield f"{path.name}/{member.filename}", partial(archive.open, member)


def _in_tar(path: Path, budget: _Budget) -> Iterator[_Item]:
    with tarfile.open(path) as archive:
        for member in archive:
            budget.take_member(path.name)
            # Links and devices are no regular files: they are never followed.
            if member.isreg() and member.name.lower().endswith(_CHECKPOINTS):
                yield f"{path.name}/{member.name}", partial(_member, archive, member)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    assert file is not None, "it is a regular file"
    return file


@contextmanager
def _archive_faults(path: Path) -> Iterator[None]:
    """Turn what damaged and encrypted archives raise, also while a member is read."""
    try:
        yield
    except DAMAGED as error:
        raise UsageError(
            f"{path} cannot be read as an archive ({error}): it is cut off, damaged, encrypted or "
            "of another kind. Fetch it again, or unpack it and give the folder"
        ) from error
