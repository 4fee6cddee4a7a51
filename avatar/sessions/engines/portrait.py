"""``--engine portrait``: the photograph itself, bent; nothing has to be installed for it."""

from __future__ import annotations

from avatar.core.choices import Framing
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import PORTRAIT, Options
from avatar.core.terminal import say as tell
from avatar.sessions.avatars import AvatarPhoto
from avatar.sessions.engines.engine import Engine, OpenEngine, Say
from avatar.stages.generate.album import AlbumGenerator
from avatar.stages.generate.background import parse_background
from avatar.stages.generate.deck import ViewedGenerator
from avatar.stages.generate.group import GroupGenerator
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings


class PortraitEngine(Engine):
    """Draws any photograph at once, several faces or photographs of a person too."""

    name = PORTRAIT
    help = "needs nothing"
    several = True

    def _open(self, options: Options, say: Say, home: Home, machine: Machine) -> OpenEngine:
        return OpenPortrait(self, portrait_settings(options, home), home)


class OpenPortrait(OpenEngine):
    """The portrait engine with its settings."""

    def __init__(self, engine: PortraitEngine, settings: PortraitSettings, home: Home) -> None:
        super().__init__(engine, home)
        self._settings = settings

    def _make(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> ViewedGenerator:
        photo, face, settings = avatar.photo, avatar.face, self._settings.of(avatar.photo_sha256)
        if avatar.more:
            return AlbumGenerator([(photo, face), *avatar.more], framing, size_px, settings)
        if avatar.others:
            return GroupGenerator(photo, [face, *avatar.others], framing, size_px, settings)
        return PortraitGenerator(photo, face, framing, size_px, settings, avatar.matte)


def portrait_settings(options: Options, home: Home) -> PortraitSettings:
    """Return what ``options`` say of the portrait engine. Raises ``UsageError``, ``PhotoError``."""
    background = parse_background(options.background)
    return PortraitSettings(options.mouth, options.shading, default_mattes(home), background)


def default_mattes(home: Home) -> MatteCache:
    """Return where the user's outlines are kept."""
    return MatteCache(home.mattes, tell)
