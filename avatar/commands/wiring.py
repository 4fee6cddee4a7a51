"""Names to parts: which engine a word on the command line stands for."""

from __future__ import annotations

from collections.abc import Callable

from avatar.config import LiveConfig
from avatar.errors import UsageError
from avatar.frames import Face, UInt8Image
from avatar.generate.framing import Framing
from avatar.generate.portrait import PortraitGenerator, PortraitSettings

MakeGenerator = Callable[
    [UInt8Image, Face, Framing, "tuple[int, int] | None", PortraitSettings], PortraitGenerator
]

ENGINES: dict[str, MakeGenerator] = {"portrait": PortraitGenerator}


def portrait_settings(config: LiveConfig) -> PortraitSettings:
    """Return what ``config`` says of the portrait engine."""
    return PortraitSettings(config.mouth, config.shading)


def engine(name: str) -> MakeGenerator:
    """Return what makes the generator called ``name``; raises ``UsageError`` for another name."""
    if name not in ENGINES:
        raise UsageError(f"--engine: expected one of {', '.join(ENGINES)}, found {name!r}")
    return ENGINES[name]
