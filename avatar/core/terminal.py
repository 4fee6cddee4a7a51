"""What the user reads in a terminal: notices, and this program's name as they can type it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

COMMANDS = (
    "run", "animate", "bench", "calibrate", "studio", "train", "devices", "doctor", "avatars",
    "profiles", "autostart", "models", "clip", "still", "record", "templates", "swap", "faces",
)  # fmt: skip
"""The commands of ``avatar``: where a text names one, it is a line to type."""
_A_LINE = re.compile(rf"(?<![\w./-])avatar (?=(?:{'|'.join(COMMANDS)})\b)")


# What moves the cursor, changes the terminal's settings or turns the direction of reading.
_COMMANDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return ``text`` without what commands a terminal: files of others say what they like."""
    return _COMMANDING.sub("\N{REPLACEMENT CHARACTER}", text)


def say(line: str) -> None:
    """Print one line for the user on standard error, so that output can be piped."""
    with suppress(OSError):  # nobody reads it, which must not end a session
        print(harmless(as_typed(line)), file=sys.stderr, flush=True)  # noqa: T201  the place that prints


def as_typed(text: str) -> str:
    """Return ``text`` with the lines to type as this user has to type them."""
    name = program()
    return text if name == "avatar" else _A_LINE.sub(lambda _: f"{name} ", text)


def program() -> str:
    """Return what this user types for ``avatar``: a path where the shell would not find it."""
    try:
        folder = str(Path.cwd())
    except OSError:  # it was deleted
        folder = "/"
    return _typed(sys.argv[0], sys.executable, folder)


@cache
def _typed(started: str, python: str, folder: str) -> str:
    path = Path(started)
    if path.name == "__main__.py":
        path = Path(python).with_name("avatar")
        if not path.exists():
            return f"{shlex.quote(_shown(Path(python), folder))} -m avatar"
    if path.stem != "avatar":  # another program that uses this one
        return "avatar"
    found = shutil.which("avatar")
    with suppress(OSError):
        if found is not None and Path(found).samefile(path):
            return "avatar"
    return shlex.quote(_shown(path, folder))


def _shown(path: Path, folder: str) -> str:
    """Return a path as short as it can be typed in ``folder``."""
    whole = Path(folder) / path
    return str(whole.relative_to(folder)) if whole.is_relative_to(folder) else str(whole)


def open_streams() -> None:
    """Open those of the three streams that are closed on nothing.

    Else the next file that is opened gets their number, and libraries complain into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("w" if number else "r")  # noqa: SIM115  stays open
            setattr(sys, name, stream)


def any_letters() -> None:
    """Have letters that a terminal does not know replaced, rather than end the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def flushed(status: int) -> int:
    """Write out what was printed; return the exit status, which is no success if that failed."""
    try:
        sys.stdout.flush()
        return status
    except OSError as error:
        from avatar.core.machine import give_up_stdout

        give_up_stdout()
        if not isinstance(error, BrokenPipeError):  # `avatar … | head` is no trouble
            say(f"avatar: standard output cannot be written: {error.strerror}")
        return status or 1
