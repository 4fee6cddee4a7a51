"""The engines: one object each, and the table of them. A new one is a file here and a line."""

from __future__ import annotations

from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import PUBLISHED, Options
from avatar.sessions.engines.engine import Engine, OpenEngine, Say
from avatar.sessions.engines.portrait import PortraitEngine
from avatar.sessions.engines.published import PublishedEngine
from avatar.sessions.engines.trained import TrainedEngine

__all__ = ["ENGINES", "Engine", "OpenEngine", "find_engine", "open_engine"]

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (PortraitEngine(), TrainedEngine(), *map(PublishedEngine, PUBLISHED))
}
"""Every engine by the name that ``--engine`` takes."""


def find_engine(name: str) -> Engine:
    """Return the engine called ``name``; raises ``UsageError`` that lists the known ones."""
    if name not in ENGINES:
        raise UsageError(f"--engine: expected one of {', '.join(ENGINES)}, found {name!r}")
    return ENGINES[name]


def open_engine(options: Options, say: Say, home: Home, machine: Machine) -> OpenEngine:
    """Return the engine that ``options`` name, with these options; see ``Engine.open``."""
    return find_engine(options.engine).open(options, say, home, machine)
