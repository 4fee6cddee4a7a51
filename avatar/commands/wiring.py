"""Names to parts: which engine a word on the command line stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avatar.commands.avatars import AvatarPhoto, FaceChoice, open_avatar
from avatar.commands.terminal import say as tell
from avatar.core.options import PUBLISHED, TRAINED, Options, declared, default_of, flag_of
from avatar.errors import UsageError
from avatar.frames import Face, UInt8Image
from avatar.generate.album import AlbumGenerator
from avatar.generate.background import parse_background
from avatar.generate.deck import ViewedGenerator
from avatar.generate.framing import Framing
from avatar.generate.group import GroupGenerator
from avatar.generate.matte_cache import MatteCache
from avatar.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.motion.retarget import Smoothing

MakeGenerator = Callable[
    [UInt8Image, Face, Framing, "tuple[int, int] | None", PortraitSettings], PortraitGenerator
]

ENGINES: dict[str, MakeGenerator] = {"portrait": PortraitGenerator}


def portrait_settings(config: Options) -> PortraitSettings:
    """Return what ``config`` says of the portrait engine."""
    background = parse_background(config.background)
    return PortraitSettings(config.mouth, config.shading, default_mattes(), background)


def default_mattes() -> MatteCache:
    """Return where this user's outlines are kept."""
    from platformdirs import user_cache_path

    return MatteCache(user_cache_path("webcam-avatar") / "mattes", tell)


def engine(name: str) -> MakeGenerator:
    """Return what makes the generator called ``name``; raises ``UsageError`` for another name."""
    if name not in ENGINES:
        known = ", ".join((*ENGINES, TRAINED, *PUBLISHED))
        raise UsageError(f"--engine: expected one of {known}, found {name!r}")
    return ENGINES[name]


@dataclass(frozen=True)
class OpenEngine:
    """An engine that was chosen: what opens photographs for it, and makes their generators.

    ``make`` takes a photograph, its framing and the output's size. ``cpu_frame_s``: what a frame
    takes where that is too long for a live picture.
    """

    make: Callable[[AvatarPhoto, Framing, tuple[int, int] | None], ViewedGenerator]
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
            return open_avatar(avatar, face_model, say, number=number)
        from avatar.commands.neural import open_cropped

        return open_cropped(avatar, self.crop, say)


def open_engine(
    name: str,
    settings: PortraitSettings,
    options: Options,
    smoothing: Smoothing,
    say: Callable[[str], None],
) -> OpenEngine:
    """Return the engine called ``name``; networks are opened when a generator is entered.

    Raises ``UsageError`` for another name and for options of another engine, ``EngineError``
    for networks that are not installed.
    """
    if name == TRAINED:
        from avatar.commands.trained import TrainedEngine

        _check_unused(name, options, ("backend", "precision"))
        return OpenEngine(TrainedEngine(options, settings, say).generator)
    if name not in PUBLISHED:
        engine(name)
        _check_unused(name, options)
        return OpenEngine(
            lambda avatar, framing, size_px: make_generator(
                name, avatar, framing, size_px, settings
            )
        )
    if not settings.background.own:
        raise UsageError(
            f"--background is for --engine portrait, which cuts the person out of the photograph; "
            f"{name} animates a square of the whole picture. Leave it out, or take --engine "
            "portrait"
        )
    from avatar.commands.neural import NeuralEngine

    neural = NeuralEngine(name, options, smoothing, say)
    return OpenEngine(neural.generator, options.crop, neural.cpu_frame_s)


def _check_unused(name: str, options: Options, heeded: tuple[str, ...] = ()) -> None:
    """Raise ``UsageError`` when an option was given that the engine would not heed."""
    for option in (n for n, o in declared().items() if o.panel == "networks" and n not in heeded):
        if getattr(options, option) != default_of(option):
            raise UsageError(
                f"{flag_of(option)} is for --engine {' or '.join(PUBLISHED)}; "
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
