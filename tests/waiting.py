"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(happened: Callable[[], bool], what: str, patience_s: float = 30.0) -> None:
    """Wait for something to happen; fail with ``what`` when it does not."""
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end, f"{what}: did not happen within {patience_s:g} s"
        time.sleep(0.01)
