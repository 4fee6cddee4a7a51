"""``--engine neural``: the portrait engine corrected by a generator that was trained for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.choices import Framing
from avatar.core.errors import EngineError, UsageError
from avatar.core.home import Home
from avatar.core.machine import Machine, file_hash
from avatar.core.messages import Message
from avatar.core.options import PORTRAIT, TRAINED, Options
from avatar.library.generators.card import REFERENCES, neural_folder
from avatar.library.generators.exported import (
    Exported,
    choose_generator_target,
    find_exported,
    open_exported,
)
from avatar.library.models.builds import Target
from avatar.sessions.avatars import AvatarPhoto
from avatar.sessions.engines.engine import Engine, OpenEngine, Say
from avatar.sessions.engines.portrait import portrait_settings
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.generate.trained.generator import TrainedGenerator
from avatar.stages.generate.trained.references import References
from engines.nvidia import has_driver

if TYPE_CHECKING:
    from engines.runner import Runner


class TrainedEngine(Engine):
    """Draws stored avatars that ``avatar train`` was given a clip of."""

    name = TRAINED
    help = "draws an avatar that `avatar train` made"
    extra = "openvino"

    def check(self, options: Options) -> None:
        """See ``Engine``; the network was trained on the avatar's own teeth alone."""
        super().check(options)
        if options.mouth == "driver":
            raise UsageError(
                Message(
                    "error.trainedTeeth",
                    "--engine {engine} draws the avatar's own teeth; found --mouth driver. Leave "
                    "it out, or take --engine {other}",
                    engine=TRAINED, other=PORTRAIT,
                )
            )  # fmt: skip

    def check_avatar(self, avatar: AvatarPhoto) -> None:
        """See ``Engine``; only a stored avatar can have a trained generator."""
        if avatar.folder is None:
            raise UsageError(
                Message(
                    "error.notTrained",
                    "--engine {engine} takes the name of an avatar that was trained, found {name}. "
                    "Train one from a clip of the person: avatar train --name NAME CLIP --rights "
                    "self",
                    engine=TRAINED, name=avatar.name,
                )
            )  # fmt: skip
        super().check_avatar(avatar)

    def _open(self, options: Options, say: Say, home: Home, machine: Machine) -> OpenEngine:
        target = choose_generator_target(options.backend, options.precision, options.device)
        choice = target.choice
        # Made for a processor: it is no surprise to run on one, but beside a card.
        say(str(choice) if has_driver() else choice.line)
        settings = replace(portrait_settings(options, home), mouth="empty")
        return OpenTrained(self, target, settings, say, home, machine)


class OpenTrained(OpenEngine):
    """Trained generators on the backend and in the precision of ``target``."""

    def __init__(
        self,
        engine: TrainedEngine,
        target: Target,
        settings: PortraitSettings,
        say: Say,
        home: Home,
        machine: Machine,
    ) -> None:
        super().__init__(engine, home)
        self._machine = machine
        self._target, self._settings, self._say = target, settings, say
        self.runs_on = target.choice.backend, target.precision

    def _make(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> TrainedGenerator:
        assert avatar.folder is not None, "checked before"
        made = find_exported(avatar.folder, avatar.name, avatar.photo_sha256, self._target)
        settings = self._settings.of(avatar.photo_sha256)
        portrait = PortraitGenerator(avatar.photo, avatar.face, framing, size_px, settings)
        return TrainedGenerator(
            portrait,
            made.patches,
            partial(_references, neural_folder(avatar.folder) / REFERENCES, made),
            partial(self._opened, made),
        )

    def _opened(self, made: Exported) -> AbstractContextManager[Runner]:
        target = self._target
        if target.on_processor:
            # Small, and one thread wide: sessions that shared one would wait for each other.
            return open_exported(made, target, self._say)
        return self._machine.networks.use(
            (file_hash(made.path), target.choice.backend, target.precision),
            partial(open_exported, made, target, self._say),
        )


def _references(path: Path, made: Exported) -> References:
    try:
        return References.load(path, made.patches)
    except EngineError as error:
        raise EngineError(f"{error}. {made.again}") from error
