"""The microphones that the page offers."""

from __future__ import annotations

from avatar.core.errors import AvatarError
from avatar.core.machine import native_stderr_silenced
from avatar.stages.sound.devices import list_sound

DEFAULT = "default"


class Microphones:
    """Known once somebody looked for them: asking the system for its sound takes a moment."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def look(self) -> None:
        """Look for them again."""
        try:
            with native_stderr_silenced():  # ALSA reports each device that it misses
                devices = list_sound()
        except AvatarError:
            devices = []
        self._names = {one.spec: one.name for one in devices if one.serves("mic")}

    def names(self, chosen: str | None) -> dict[str, str]:
        """Return what each is called, by what the option says; ``chosen`` is among them."""
        asked = {} if chosen in (None, DEFAULT, *self._names) else {str(chosen): str(chosen)}
        return {DEFAULT: ""} | asked | self._names
