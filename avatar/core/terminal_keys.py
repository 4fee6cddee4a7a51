"""Single keys typed in the terminal, without Enter, while a command runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

_POLL_S = 0.2


class TerminalKeys:
    """Listens while entered; ``press`` hears each key as a lower-case character, in a thread.

    Without a terminal, or in the background of one, nothing is listened to, also while it was put
    there later. Ctrl-C interrupts as
    ever. Leaving puts the terminal back as it was.
    """

    def __init__(self, press: Callable[[str], object]) -> None:
        self._press = press
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if not is_typed_to():
            return self
        if sys.platform != "win32":
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        self._thread = threading.Thread(target=self._listen, name="keys", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        # In the background the terminal is another program's by now.
        if sys.platform != "win32" and self._before is not None and is_typed_to():
            import termios

            with suppress(termios.error):  # the terminal was closed meanwhile
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def _listen(self) -> None:
        while not self._stop.is_set():
            if not is_typed_to():  # who reads in the background is stopped by the system
                self._stop.wait(_POLL_S)
                continue
            key = _windows_key(self._stop) if sys.platform == "win32" else _key()
            if key is None:
                return
            if key:
                self._press(key.lower())


def is_typed_to() -> bool:
    """Return whether this program is in front in a terminal, so that keys reach it."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False


def _key() -> str | None:
    """Return a key, empty when none was pressed for a moment, None at the end of all input."""
    import select

    ready, _, _ = select.select([sys.stdin], [], [], _POLL_S)
    if not ready:
        return ""
    try:
        return os.read(sys.stdin.fileno(), 1).decode(errors="ignore") or None
    except OSError:
        return None


def _windows_key(stop: threading.Event) -> str | None:
    import msvcrt

    stop.wait(_POLL_S)
    if not msvcrt.kbhit():  # type: ignore[attr-defined]
        return ""
    return str(msvcrt.getwch())  # type: ignore[attr-defined]
