"""The finished recordings that the page offers: to open, to download, to show in their folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avatar.core.errors import UsageError
from avatar.core.files import films_in
from avatar.core.messages import Message

_SHOWN = 5
Run = Callable[[list[str]], None]


def _run(command: list[str]) -> None:
    """Start a program that goes on by itself. Raises ``OSError``."""
    subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


class Recordings:
    """The newest films in ``folder``; what is still being written has another name there.

    ``is_reached_from_beyond``: pages of other machines ask, whose user sees no window of this one.
    """

    def __init__(
        self, folder: Path, *, is_reached_from_beyond: bool = False, run: Run = _run
    ) -> None:
        self._folder, self._run = folder, run
        self.can_show = not is_reached_from_beyond and _has_file_manager()

    def newest(self) -> list[dict[str, Any]]:
        """Return the name and the bytes of each, the newest first."""
        return [{"name": path.name, "bytes": size} for path, size, _ in self._found()]

    def _found(self) -> list[tuple[Path, int, int]]:
        try:
            paths = films_in(self._folder)
        except OSError:  # there is no folder before the first one
            return []
        found = []
        for path in paths:
            try:
                known = path.stat()
            except OSError:  # moved away just now
                continue
            if path.is_file() and known.st_size:
                found.append((path, known.st_size, known.st_mtime_ns))
        return sorted(found, key=lambda one: one[2], reverse=True)[:_SHOWN]

    def path(self, name: str) -> Path:
        """Return where one of those that are listed lies. Raises ``UsageError``."""
        for path, _, _ in self._found():
            if path.name == name:
                return path
        raise UsageError(
            Message(
                "error.recordingGone",
                "the recording {name} is not in its folder any more",
                name=name,
            )
        )

    def show(self, name: str) -> None:
        """Open the folder of a recording on this machine's screen. Raises ``UsageError``."""
        path = self.path(name)
        if not self.can_show:
            raise UsageError(
                Message(
                    "error.noFileManager", "no window can be opened here: {path}", path=str(path)
                )
            )
        try:
            self._run(_command(path))
        except OSError as error:
            raise UsageError(
                Message(
                    "error.folderNotOpened",
                    "the folder {folder} could not be opened: {why}",
                    folder=str(path.parent), why=error.strerror or str(error),
                )
            ) from error  # fmt: skip


def _has_file_manager() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    has_screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return has_screen and shutil.which("xdg-open") is not None


def _command(path: Path) -> list[str]:
    """Return what shows a file in the system's file manager; on Linux its folder alone."""
    if sys.platform == "win32":
        return ["explorer", f"/select,{path}"]
    if sys.platform == "darwin":
        return ["open", "-R", str(path)]
    return ["xdg-open", str(path.parent)]
