"""Keeping a native library's chatter off the user's terminal while it starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 nowhere while the body runs.

    TensorFlow Lite and absl write start-up notes there before their own log levels apply.
    Errors are raised as exceptions, so nothing that matters is lost.
    """
    if "AVATAR_NATIVE_LOG" in os.environ:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
