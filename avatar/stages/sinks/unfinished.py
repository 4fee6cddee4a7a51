"""Films while they are written: beside their goal, in pieces that play; in its place when whole.

``talk.mp4`` is ``talk.part.mp4`` until it is finished. That file appears with the first piece that
plays and grows by whole pieces, so that a killed process, or a full disk, leaves a film or nothing.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

from avatar.core.claims import claimed, is_claimed
from avatar.core.errors import SinkUnavailableError, UsageError
from avatar.core.files import PUBLIC
from avatar.core.outputs import nameless_file, put_in_place
from avatar.stages.sinks.remux import remuxed

_PART = re.compile(r"(?P<stem>.+)\.part(-\d+)?")
_MAX_NAME_BYTES = 255
# Less than this free, and a recording would end at once.
_PROBE_BYTES = 16_384


def is_unfinished(path: Path) -> bool:
    """Return whether a film is being written, or was when its writer was killed, by its name."""
    return _PART.fullmatch(path.stem) is not None


class UnfinishedFilm:
    """Takes what FFmpeg writes of a new film; ``goal`` is touched only when the film is done.

    ``write`` is for FFmpeg. ``overwrite``: the goal may be there, and stays until the new film is
    whole. Opening raises ``UsageError`` for a goal that may not be written or that somebody else
    is writing, ``SinkUnavailableError`` for a place where there can be no file, and ``OSError``
    for what the disk says.
    """

    def __init__(self, goal: Path, *, overwrite: bool) -> None:
        self._named = goal
        # A link's file is replaced, not the link.
        self.goal = Path(os.path.realpath(goal))
        self._overwrite = overwrite
        self._held = ExitStack()
        self._gathered = bytearray()
        self._head_bytes = 0
        self._whole_bytes = 0
        self._file: int | None = None
        self.part: Path | None = None

    def open(self) -> list[Path]:
        """Be the only one to write the film; return what killed writers left beside it."""
        with ExitStack() as opening:
            check_goal(self._named, self._overwrite)
            left = left_parts(self.goal)
            opening.enter_context(claimed(self.goal))
            _try_folder(self.goal)
            self._held = opening.pop_all()
        return left

    def write(self, data: bytes) -> int:
        """Gather what FFmpeg writes; nothing fails here."""
        self._gathered += data
        return len(data)

    def begin(self) -> None:
        """Say that the head is written, which without pictures is no film yet."""
        self._head_bytes = len(self._gathered)

    def keep(self) -> None:
        """Put what was gathered on the disk, a whole number of pieces. Raises ``OSError``.

        After an error the file is as it was before; what had only begun is gone.
        """
        if not self._gathered or (self._file is None and len(self._gathered) <= self._head_bytes):
            return
        try:
            if self._file is None:
                self.part, self._file = _new_part(self.goal)
            left = memoryview(bytes(self._gathered))
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            self._cut_back()
            raise
        self._whole_bytes += len(self._gathered)
        self._gathered.clear()

    @property
    def kept_at(self) -> Path | None:
        """Return where a film that is cut off now will lie; None where nothing of it is kept."""
        if self.part is None:
            return None
        return self._as_named(self.part) if self.goal.exists() else self._named

    def finish(
        self, *, whole: bool, seekable: Mapping[str, str] | None, tags: Mapping[str, str]
    ) -> Path:
        """Put the film in its place, seekable if there is room; return where it lies.

        Not ``whole``: an older film stays, and the new one lies beside it. ``seekable``: the
        muxer's options for a finished film, None where the disk leaves no room for one. ``tags``:
        its metadata. Raises ``OSError``, and then the film lies at ``part``.
        """
        self._close_file()
        assert self.part is not None, "nothing was kept"
        if not whole and self.goal.exists():
            return self._as_named(self.part)
        made = self._seekable(seekable, tags) if seekable is not None else None
        try:
            place = put_in_place(made or self.part, self.goal, overwrite=self._overwrite and whole)
        except OSError:
            _delete(made)
            raise
        if made is not None:
            _delete(self.part)
        self.part = None
        return self._named if place == self.goal else self._as_named(place)

    def _as_named(self, path: Path) -> Path:
        """Return a path beside the goal in the words in which that was given."""
        beside = self._named.with_name(path.name)
        return beside if os.path.realpath(beside) == str(path) else path

    def release(self, *, keep: bool = True) -> None:
        """Let others write the film; without ``keep`` nothing of it stays."""
        self._close_file()
        if not keep:
            _delete(self.part)
            self.part = None
        self._held.close()

    def _seekable(self, options: Mapping[str, str], tags: Mapping[str, str]) -> Path | None:
        """Return a copy that players can seek in; None where it cannot be made."""
        assert self.part is not None
        try:
            with nameless_file(self.goal, mode=_mode(self.goal)) as (file, name_it):
                if not remuxed(self.part, file, options, tags):
                    return None
                return name_it()
        except OSError:
            return None

    def _cut_back(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file, self._whole_bytes)
        if not self._whole_bytes:
            self._close_file()
            _delete(self.part)
            self.part = None

    def _close_file(self) -> None:
        self._gathered.clear()
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):
                os.close(file)


def _delete(path: Path | None) -> None:
    if path is not None:
        with suppress(OSError):
            path.unlink()


def check_goal(goal: Path, overwrite: bool) -> None:
    """Raise unless a film can be made at ``goal``: see ``UnfinishedFilm``."""
    if not goal.parent.is_dir():
        raise SinkUnavailableError(
            f"The video {goal} cannot be made: the folder {goal.parent} does not exist. "
            "Make it first, or name another."
        )
    try:
        mode = goal.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise SinkUnavailableError(
            f"The video {goal} cannot be made: that is a folder. Name a file in it."
        )
    if not stat.S_ISREG(mode):
        raise SinkUnavailableError(
            f"The video {goal} cannot be made: expected a file, found a pipe or a device. "
            "Name a file."
        )
    if not overwrite:
        raise UsageError(
            f"{goal} exists already and is not overwritten. Name another file, "
            "or give --force to replace it."
        )


def left_parts(goal: Path) -> list[Path]:
    """Return unfinished films in the folder of ``goal`` that nobody is writing."""
    left = []
    with suppress(OSError):
        for path in sorted(goal.parent.glob(f"*.part*{goal.suffix}")):
            found = _PART.fullmatch(path.stem)
            if found and not is_claimed(path.with_name(found["stem"] + path.suffix)):
                left.append(path)
    return left


def _try_folder(goal: Path) -> None:
    """Raise ``OSError`` where no film could be written: at the start, not with the first piece."""
    with tempfile.TemporaryFile(dir=goal.parent) as probe:
        probe.write(b"\0" * _PROBE_BYTES)
        probe.flush()


def _new_part(goal: Path) -> tuple[Path, int]:
    for path in _part_names(goal):
        with suppress(FileExistsError):
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode(goal))
    raise AssertionError("names never end")


def _part_names(goal: Path) -> Iterator[Path]:
    for number in count(1):
        end = f".part{f'-{number}' if number > 1 else ''}{goal.suffix}"
        stem = os.fsencode(goal.stem)[: _MAX_NAME_BYTES - len(os.fsencode(end))]
        yield goal.with_name(stem.decode(errors="ignore") + end)


def _mode(goal: Path) -> int:
    """Return the mode of the file to be replaced, or that of a new one."""
    try:
        return stat.S_IMODE(goal.stat().st_mode)
    except OSError:
        return PUBLIC
