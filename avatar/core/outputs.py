"""Files that a user asks for by name: checked before the work, whole or not at all at its end."""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from avatar.core.errors import SinkError, UsageError
from avatar.core.files import PRIVATE, PUBLIC, hidden_beginning, whole_file


def write_output(path: Path, data: bytes | str) -> None:
    """Write what a user wants to have at ``path``: whole or not at all.

    A link's file is replaced, not the link; a device, or a pipe that is open, is written to.
    Raises ``SinkError``.
    """
    try:
        if is_stream_file(path):
            path.write_bytes(data.encode() if isinstance(data, str) else data)
            return
        with whole_output(path) as part:
            part.write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def whole_output(path: Path) -> Iterator[Path]:
    """Give an empty file, as ``whole_file`` does, for what a user wants to have at ``path``.

    Its permissions are those of the file it replaces. Raises ``OSError``.
    """
    real = Path(os.path.realpath(path))
    with whole_file(real, mode=PUBLIC) as part:
        yield part
        with suppress(FileNotFoundError):
            part.chmod(stat.S_IMODE(real.stat().st_mode))


def write_json(path: Path, summary: dict[str, Any]) -> None:
    """Write a summary for other programs. Raises ``SinkError`` when the disk fails."""
    write_output(path, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def check_output(path: Path, option: str, *, force: bool, others: Iterable[Path] = ()) -> None:
    """Raise ``UsageError`` where ``path`` cannot be written: at the start, not after an hour's run.

    ``option``: what the user calls it. ``force``: a file that is there may be replaced, unless it
    is one of ``others``, which the same command reads or writes.
    """
    check_writable(path, option)
    if any(same_file(path, other) for other in others):
        raise UsageError(
            f"{option}: {path} is used by this command for something else. Name another file"
        )
    if path.exists() and not is_stream_file(path) and not force:
        raise UsageError(
            f"{option}: {path} exists already and is not overwritten. Name another file, or give "
            "--force to replace it"
        )


def check_writable(path: Path, option: str) -> None:
    """Raise ``UsageError`` where no file can be made, whether one is there or not."""
    try:
        found = _unwritable(path)
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be written: {error.strerror}") from None
    if found:
        raise UsageError(f"{option}: expected a file that can be made, found {found}: {path}")
    if is_stream_file(path):
        return
    # The file is made anew beside the old one.
    if not os.access(Path(os.path.realpath(path)).parent, os.W_OK):
        raise UsageError(f"{option}: you may not write {path}. Choose a folder of your own.")


def _unwritable(path: Path) -> str:
    """Return what stands where a file is to be made, empty where one can. Raises ``OSError``."""
    with suppress(FileNotFoundError, NotADirectoryError):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "a folder"
        if not stat.S_ISREG(mode) and not is_stream_file(path):
            return "a pipe or a device"
    folder = Path(os.path.realpath(path)).parent
    return "" if folder.is_dir() else f"no folder {folder}"


def is_stream_file(path: Path) -> bool:
    """Return whether ``path`` is what this program already has open, as ``/dev/stdout``.

    A pipe of another name is none: who opens it waits for a reader. Raises ``OSError``.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        mode = path.stat().st_mode
        if stat.S_ISCHR(mode):
            return True
        return stat.S_ISFIFO(mode) and path.parts[:2] in (("/", "dev"), ("/", "proc"))
    return False


def same_file(a: Path, b: Path) -> bool:
    """Return whether two paths are one file, under any spelling, whether it is there or not."""
    try:
        return a.samefile(b)
    except (OSError, ValueError):
        return os.path.realpath(a) == os.path.realpath(b)


@contextmanager
def nameless_file(
    beside: Path, *, mode: int = PRIVATE
) -> Iterator[tuple[IO[bytes], Callable[[], Path]]]:
    """Give an open file in the folder of ``beside``, and what gives it a hidden name at the end.

    Without that call nothing of it stays; on Linux also if the process is killed. Raises
    ``OSError``.
    """
    path = beside.with_name(f"{hidden_beginning(beside)}{secrets.token_hex(8)}.part")
    anonymous = getattr(os, "O_TMPFILE", None)
    named = False

    def name_it() -> Path:
        nonlocal named
        file.flush()
        if anonymous is not None:
            # linkat(2): through the link in /proc an open file gets a name.
            folder = os.open(beside.parent, os.O_RDONLY)
            try:
                os.link(f"/proc/self/fd/{file.fileno()}", path.name, dst_dir_fd=folder)
            finally:
                os.close(folder)
        named = True
        return path

    if anonymous is not None:
        try:
            handle = os.open(beside.parent, anonymous | os.O_RDWR, mode)
        except OSError:  # a file system without
            anonymous = None
    if anonymous is None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file, name_it
    finally:
        if anonymous is None and not named:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def put_in_place(made: Path, goal: Path, *, overwrite: bool) -> Path:
    """Give a finished file its name; return that. Raises ``OSError``.

    Without ``overwrite`` what came to lie at ``goal`` stays, and the first free name beside it is
    taken: ``talk-2.mp4``.
    """
    if overwrite:
        return made.replace(goal)
    for place in _free_names(goal):
        try:
            os.link(made, place)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            if place.exists():
                continue
            return made.rename(place)
        made.unlink()
        return place
    raise AssertionError("names never end")


def _free_names(goal: Path) -> Iterator[Path]:
    yield goal
    for number in count(2):
        yield goal.with_stem(f"{goal.stem}-{number}")
