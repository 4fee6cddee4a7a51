"""Hides what ``AVATAR_WITHOUT`` names, parted by commas: neither imported, nor found, nor listed.

Python imports a module of this name at each start; ``tests/conftest.py`` imports it itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

HIDDEN = frozenset(filter(None, os.environ.get("AVATAR_WITHOUT", "").split(",")))


class _Finder(PathFinder):
    """Finds modules where they are, but none of those that are hidden."""

    @classmethod
    def find_spec(
        cls,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return what tells how to import ``fullname``; None where it is not there."""
        if fullname.partition(".")[0] in HIDDEN:
            return None
        return super().find_spec(fullname, path, target)


def _hide() -> None:
    if not HIDDEN:
        return
    sys.meta_path[:] = [_Finder if one is PathFinder else one for one in sys.meta_path]
    found: Any = importlib.metadata.Distribution.from_name

    def from_name(name: str) -> importlib.metadata.Distribution:
        if name in HIDDEN:
            raise importlib.metadata.PackageNotFoundError(name)
        distribution: importlib.metadata.Distribution = found(name)
        return distribution

    importlib.metadata.Distribution.from_name = from_name  # type: ignore[method-assign, assignment]


_hide()
