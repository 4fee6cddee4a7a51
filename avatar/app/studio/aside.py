"""Work that is done aside, in a process of low priority, while somebody may be in a call."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avatar.core.errors import AvatarError
from avatar.core.home import Home
from avatar.core.messages import Message

_ENDS_WITHIN_S = 2.0


class AsideError(AvatarError):
    """A task aside failed, for the reason that it says."""


class Aside:
    """One task in a process of its own.

    ``names``: what files are called to the user, by their paths. ``hear``: called with what is told
    meanwhile, in the thread that waits.
    """

    def __init__(
        self,
        task: str,
        home: Home,
        *,
        names: Mapping[str, str] | None = None,
        hear: Callable[[dict[str, Any]], None] = lambda told: None,
        **order: Any,
    ) -> None:
        folders = {
            name: str(path) if isinstance(path, Path) else path
            for name, path in asdict(home).items()
        }
        self._hear, self._stopping = hear, threading.Event()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "avatar.app.studio.aside_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What it says is told to the page; the rest is of libraries.
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        said = {"task": task, "home": folders, "names": dict(names or {}), **order}
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):  # it died at once: waiting says so
            self._child.stdin.write(json.dumps(said) + "\n")
            self._child.stdin.flush()

    def wait(self) -> dict[str, Any]:
        """Return what the task gives. Raises ``AsideError`` where it failed."""
        assert self._child.stdout is not None
        last: dict[str, Any] = {}
        try:
            for line in self._child.stdout:
                last = json.loads(line)
                self._hear(last)
        finally:
            self._end()
        if "done" in last:
            return dict(last["done"])
        if self._stopping.is_set():
            return {"whole": False}
        raise AsideError(_reason(last))

    def stop(self) -> None:
        """Ask it to stop; whoever waits hears that it did. From any thread, at any time."""
        self._stopping.set()
        with contextlib.suppress(OSError, ValueError):
            assert self._child.stdin is not None
            self._child.stdin.close()
        threading.Thread(target=self._insist, name="stop aside", daemon=True).start()

    def _insist(self) -> None:
        try:
            self._child.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()

    def _end(self) -> None:
        child = self._child
        assert child.stdin is not None and child.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            child.stdin.close()
        try:
            child.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


def _reason(said: dict[str, Any]) -> str:
    error = said.get("error")
    if isinstance(error, dict):
        return Message.said_elsewhere(error)
    return error or Message(
        "error.asideDied",
        "it ended at once: there may not be enough memory. Try again with fewer photographs",
    )
