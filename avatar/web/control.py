"""What the page may ask for: the one thing that the web server knows of the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

Event = dict[str, Any] | bytes
"""What a page hears: a dict as JSON with its ``Message``s, or bytes as they are."""


class Control(Protocol):
    """The studio behind the page. Every method may be called from any thread and may block."""

    def snapshot(self) -> dict[str, Any]:
        """Return all that the page shows: of JSON's kinds, words as ``Message`` or plain."""
        ...

    def figures(self) -> dict[str, Any]:
        """Return how fast and how late the pictures are at present, ready for JSON."""
        ...

    def act(self, action: str, values: dict[str, Any]) -> None:
        """Do what a button stands for. Raises ``AvatarError`` in the user's words."""
        ...

    def add_avatar(self, photo: Path, name: str) -> str:
        """Store an uploaded photograph; return the avatar's name. Raises ``AvatarError``."""
        ...

    def faces_of(self, avatar: str) -> int:
        """Return how many faces an avatar's photograph has. Raises ``AvatarError``."""
        ...

    def thumbnail(self, avatar: str, face: int | None = None) -> bytes:
        """Return a small JPEG of an avatar's face, or of face number ``face`` in its photograph.

        Raises ``AvatarError``.
        """
        ...

    def recording(self, name: str) -> Path:
        """Return where a finished recording lies. Raises ``AvatarError``."""
        ...

    def listen(
        self, hear: Callable[[Event], None], *, pictures: Callable[[], bool]
    ) -> Callable[[], None]:
        """Call ``hear`` from now on; return how to end it.

        It is called in any thread and must not wait. ``pictures``: asked whether this page was
        told to show the driver's own picture.
        """
        ...
