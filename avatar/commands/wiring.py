"""Names to parts: which engine a word on the command line stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avatar.commands.avatars import AvatarPhoto, FaceChoice, open_avatar
from avatar.commands.terminal import say as tell
from avatar.config import DEFAULTS, NEURAL_ENGINES, TRAINED_ENGINE, LiveConfig, NeuralOptions
from avatar.core.choices import Framing, Smoothing
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.errors import UsageError
from avatar.frames import Face, UInt8Image
from avatar.generate.album import AlbumGenerator
from avatar.generate.background import parse_background
from avatar.generate.deck import ViewedGenerator
from avatar.generate.group import GroupGenerator
from avatar.generate.matte_cache import MatteCache
from avatar.generate.portrait import PortraitGenerator, PortraitSettings

MakeGenerator = Callable[
    [UInt8Image, Face, Framing, "tuple[int, int] | None", PortraitSettings], PortraitGenerator
]

ENGINES: dict[str, MakeGenerator] = {"portrait": PortraitGenerator}


def portrait_settings(config: LiveConfig, home: Home) -> PortraitSettings:
    """Return what ``config`` says of the portrait engine."""
    background = parse_background(config.background)
    return PortraitSettings(config.mouth, config.shading, default_mattes(home), background)


def default_mattes(home: Home) -> MatteCache:
    """Return where the user's outlines are kept."""
    return MatteCache(home.mattes, tell)


def engine(name: str) -> MakeGenerator:
    """Return what makes the generator called ``name``; raises ``UsageError`` for another name."""
    if name not in ENGINES:
        known = ", ".join((*ENGINES, TRAINED_ENGINE, *NEURAL_ENGINES))
        raise UsageError(f"--engine: expected one of {known}, found {name!r}")
    return ENGINES[name]


@dataclass(frozen=True)
class OpenEngine:
    """An engine that was chosen: what opens photographs for it, and makes their generators.

    ``make`` takes a photograph, its framing and the output's size. ``cpu_frame_s``: what a frame
    takes where that is too long for a live picture.
    """

    make: Callable[[AvatarPhoto, Framing, tuple[int, int] | None], ViewedGenerator]
    home: Home
    crop: str | None = None
    cpu_frame_s: float | None = None

    def open_avatar(
        self,
        avatar: str | Path | UInt8Image,
        face_model: Path,
        say: Callable[[str], None],
        number: FaceChoice = 1,
    ) -> AvatarPhoto:
        """Return the photograph with its face, or with the square given by ``--crop``."""
        if self.crop is None:
            return open_avatar(avatar, face_model, self.home, say, number=number)
        from avatar.commands.neural import open_cropped

        return open_cropped(avatar, self.crop, self.home, say)


def open_engine(
    name: str,
    settings: PortraitSettings,
    options: NeuralOptions,
    smoothing: Smoothing,
    say: Callable[[str], None],
    home: Home,
    machine: Machine,
) -> OpenEngine:
    """Return the engine called ``name``; networks are opened when a generator is entered.

    ``machine``: with which sessions they are shared. Raises ``UsageError`` for another name and for
    options of another engine, ``EngineError`` for networks that are not installed.
    """
    if name == TRAINED_ENGINE:
        from avatar.commands.trained import TrainedEngine

        _check_unused(name, options, ("backend", "precision"))
        return OpenEngine(TrainedEngine(options, settings, say, machine).generator, home)
    if name not in NEURAL_ENGINES:
        engine(name)
        _check_unused(name, options)
        return OpenEngine(
            lambda avatar, framing, size_px: make_generator(
                name, avatar, framing, size_px, settings
            ),
            home,
        )
    if not settings.background.own:
        raise UsageError(
            f"--background is for --engine portrait, which cuts the person out of the photograph; "
            f"{name} animates a square of the whole picture. Leave it out, or take --engine "
            "portrait"
        )
    from avatar.commands.neural import NeuralEngine

    neural = NeuralEngine(name, options, smoothing, say, home, machine)
    return OpenEngine(neural.generator, home, options.crop, neural.cpu_frame_s)


def _option(name: str) -> str:
    return "--region" if name == "regions" else f"--{name.replace('_', '-')}"


def _check_unused(name: str, options: NeuralOptions, heeded: tuple[str, ...] = ()) -> None:
    """Raise ``UsageError`` when an option was given that the engine would not heed."""
    for field in dataclasses.fields(NeuralOptions):
        # Strength is the retargeter's, where the engine has none of its own.
        if field.name == "strength" or field.name in heeded:
            continue
        if getattr(options, field.name) != getattr(DEFAULTS, field.name):
            raise UsageError(
                f"{_option(field.name)} is for --engine {' or '.join(NEURAL_ENGINES)}; "
                f"found it with --engine {name}. Leave it out, or choose one of those"
            )


def make_generator(
    name: str,
    avatar: AvatarPhoto,
    framing: Framing,
    size_px: tuple[int, int] | None,
    settings: PortraitSettings,
) -> ViewedGenerator:
    """Return the generator called ``name`` for all that is to move in ``avatar``.

    Raises ``UsageError`` for an unknown engine, and for one that cannot animate all of it.
    """
    make = engine(name)
    if not (avatar.others or avatar.more):
        return make(avatar.photo, avatar.face, framing, size_px, settings)
    check_single(name, avatar)
    if avatar.more:
        photos = [(avatar.photo, avatar.face), *avatar.more]
        return AlbumGenerator(photos, framing, size_px, settings)
    faces = [avatar.face, *avatar.others]
    return GroupGenerator(avatar.photo, faces, framing, size_px, settings)


def check_single(name: str, avatar: AvatarPhoto) -> None:
    """Raise ``UsageError`` when engine ``name`` takes one face of one photograph, not these."""
    if name == "portrait":
        return
    if avatar.others:
        raise UsageError(
            f"--engine {name} animates one face; found --face all with {1 + len(avatar.others)} "
            "faces. Choose one, --face N, or take --engine portrait."
        )
    if avatar.more:
        raise UsageError(
            f"--engine {name} animates one photograph; found {1 + len(avatar.more)} of "
            f"{avatar.name}. Give one of them, or take --engine portrait."
        )
