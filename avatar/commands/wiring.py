"""Names to parts: which engine a word on the command line stands for."""

from __future__ import annotations

from collections.abc import Callable

from avatar.commands.avatars import AvatarPhoto
from avatar.config import LiveConfig
from avatar.errors import UsageError
from avatar.frames import Face, UInt8Image
from avatar.generate.deck import ViewedGenerator
from avatar.generate.framing import Framing
from avatar.generate.group import GroupGenerator
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


def make_generator(
    name: str,
    avatar: AvatarPhoto,
    framing: Framing,
    size_px: tuple[int, int] | None,
    settings: PortraitSettings,
) -> ViewedGenerator:
    """Return the generator called ``name`` for all that is to move in ``avatar``.

    Raises ``UsageError`` for an unknown engine, and for one that cannot animate several faces.
    """
    make = engine(name)
    if not avatar.others:
        return make(avatar.photo, avatar.face, framing, size_px, settings)
    if name != "portrait":
        raise UsageError(
            f"--engine {name} animates one face; found --face all with {1 + len(avatar.others)} "
            "faces. Choose one, --face N, or take --engine portrait."
        )
    faces = [avatar.face, *avatar.others]
    return GroupGenerator(avatar.photo, faces, framing, size_px, settings)
