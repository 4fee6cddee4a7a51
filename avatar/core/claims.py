"""Who is writing a file now: two writers of one file would destroy each other's work."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avatar.core.errors import UsageError

_claimed: set[str] = set()
_lock = threading.Lock()


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Be the only writer of ``path`` inside, by whatever spelling it is named.

    A claim ends with its process, however that ends. On Linux it holds against other processes,
    too. Raises ``UsageError`` where somebody else has it, ``OSError`` without the folder.
    """
    key = _key(path)
    with _lock:
        if key in _claimed:
            raise _taken(path)
        _claimed.add(key)
    try:
        with _known_to_all(key, path):
            yield
    finally:
        with _lock:
            _claimed.discard(key)


def is_claimed(path: Path) -> bool:
    """Return whether somebody is writing ``path`` now. Raises ``OSError`` without the folder."""
    key = _key(path)
    with _lock:
        if key in _claimed:
            return True
    if not sys.platform.startswith("linux"):
        return False
    # Asked without claiming, which could keep a writer out that comes at this moment.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(_name(key))
        except OSError:
            return False
        return True


def _key(path: Path) -> str:
    """Return the same for all spellings of a file, whether it is there or not."""
    real = Path(os.path.realpath(path))
    folder = real.parent.stat()
    return f"{folder.st_dev}:{folder.st_ino}:{real.name}"


def _name(key: str) -> str:
    return f"\0webcam-avatar-{hashlib.sha256(os.fsencode(key)).hexdigest()[:40]}"


@contextmanager
def _known_to_all(key: str, path: Path) -> Iterator[None]:
    """Hold a socket's name that only Linux has: no file, and gone with its process (unix(7))."""
    if not sys.platform.startswith("linux"):
        yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
        try:
            held.bind(_name(key))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _taken(path) from None
            # Where such names are forbidden, those of this process are still told apart.
        yield


def _taken(path: Path) -> UsageError:
    return UsageError(
        f"{path} is being written by another output or another program. Name another file, or "
        "end that one first."
    )
