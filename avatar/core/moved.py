"""Former names of modules: they keep working for one version, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module


def moved(old: str, new: str, names: Mapping[str, str] | None = None) -> Callable[[str], object]:
    """Return a module's ``__getattr__`` that takes everything from where it is now.

    ``old``, ``new``: the modules' full names. ``names``: what is called otherwise there. Each
    access warns with ``DeprecationWarning`` that says the new name.
    """

    def found(name: str) -> object:
        now = (names or {}).get(name, name)
        if name.startswith("__"):
            raise AttributeError(name)
        module = import_module(new)
        if not hasattr(module, now):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        warnings.warn(
            f"{old}.{name} is {new}.{now} now; the former name goes with the next version",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(module, now)

    return found
