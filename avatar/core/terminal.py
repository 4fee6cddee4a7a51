"""Notices for the user on standard error, so that output can be piped."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Print one line for the user."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  this is the place that prints
