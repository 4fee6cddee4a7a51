"""The published motion-transfer networks, by name.

A name is a family and the part of it, as its checkpoint is called. A folder here is a family:
its ``FAMILY`` says what it holds, ``published.py`` has its networks as they were published and
``deployed.py`` in the form that is fast on a runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from avatar.core.errors import EngineError, MissingDependencyError
from engines.networks.family import NetworkFamily

if TYPE_CHECKING:
    from torch import nn


def _found() -> dict[str, NetworkFamily]:
    names = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    return {name: import_module(f"{__name__}.{name}").FAMILY for name in names}


FAMILIES: Mapping[str, NetworkFamily] = _found()
"""Every family by name."""

NAMES: tuple[str, ...] = tuple(name for family in FAMILIES.values() for name in family.sections)
"""Every network that :func:`create` knows."""


def create(name: str) -> nn.Module:
    """The network ``name``, in eval mode, with untrained weights.

    Its ``state_dict()`` has the names and shapes of the published checkpoint. What goes in
    and comes out is written in the class, in its family's ``published.py``.

    Raises ``EngineError`` for an unknown name, ``MissingDependencyError`` without PyTorch.
    """
    if name not in NAMES:
        raise EngineError(f"no network is called {name!r}; known are: {', '.join(NAMES)}")
    family, part = name.split("/", 1)
    try:
        module = import_module(f"{__name__}.{family}.published")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError(
            f"the network {name} is defined in PyTorch, which is not installed: pip install torch"
        ) from error
    network: nn.Module = module.PARTS[part]()
    return network.eval()
