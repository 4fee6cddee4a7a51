"""What generators of one photograph have in common: the output's size, and how it is cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from avatar.core.choices import Framing
from avatar.core.frames import UInt8Image
from avatar.stages.generate.framing import View, default_size


class Viewed(ABC):
    """Keeps the size and the cut; it lays out when it is entered and when the cut changes.

    ``photo``: uint8 (H, W, 3) RGB. ``framing``: ``portrait`` cuts head and shoulders, ``photo``
    keeps the whole picture. ``size_px``: the output's (width, height); None takes the photo's own
    or 512×512.
    """

    def __init__(
        self, photo: UInt8Image, framing: Framing, size_px: tuple[int, int] | None
    ) -> None:
        self._framing = framing
        self._size_px = size_px or default_size(photo, framing)
        self._view = View()

    def __enter__(self) -> Self:
        self._lay_out()
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027  memory alone is nothing to release
        """Hold nothing but memory."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Return (width, height) of every picture."""
        return self._size_px

    @property
    def view(self) -> View:
        """Return how the picture is cut at present."""
        return self._view

    def set_view(self, view: View) -> None:
        """Cut the picture anew, from the generating thread.

        People are not cut out again: it takes about a tenth of a second, for a group or an album
        some tenths.
        """
        self._view = view
        self._lay_out()

    @abstractmethod
    def _lay_out(self) -> None:
        """Make all that depends on the cut."""
