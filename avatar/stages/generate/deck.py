"""Several avatars of which one is shown: changed, zoomed and moved while running."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol, Self

from avatar.core.frames import GeneratedFrame, Motion
from avatar.core.stages import Generator
from avatar.stages.generate.framing import View


class ViewedGenerator(Generator, Protocol):
    """A generator whose picture can be cut anew while it runs."""

    @property
    def view(self) -> View:
        """Return how the picture is cut at present."""
        ...

    def set_view(self, view: View) -> None:
        """Cut the picture anew; called from the thread that draws."""
        ...


class Deck:
    """A generator that shows one of several, all of one output size.

    What is asked for from other threads is done before the next picture, in the thread that
    draws.
    """

    def __init__(self, names: Sequence[str], generators: Sequence[ViewedGenerator]) -> None:
        self._names, self._generators = names, generators
        self._open = ExitStack()
        self._asked = threading.Lock()
        self._drawing = threading.Lock()
        self._current = 0
        self._view: View | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for generator in self._generators:
                opening.enter_context(generator)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def size_px(self) -> tuple[int, int]:
        """Return (width, height) of every picture."""
        return self._generators[0].size_px

    @property
    def index(self) -> int:
        """Return which avatar is shown, from 0."""
        return self._current

    @property
    def name(self) -> str:
        """Return the name of the avatar that is shown."""
        return self._names[self._current]

    def select(self, index: int) -> None:
        """Show avatar ``index``; one that does not exist changes nothing."""
        if 0 <= index < len(self._generators):
            self._current = index

    def step(self, by: int) -> None:
        """Show the next (1) or the previous (−1) avatar, round and round."""
        self._current = (self._current + by) % len(self._generators)

    def show_only(self, name: str, generator: ViewedGenerator) -> None:
        """Enter ``generator``, of the same output size, and show it in place of all others.

        From any thread while the deck is entered. Meanwhile the others are shown, and they stay
        when entering it raises.
        """
        if generator.size_px != self.size_px:
            raise ValueError(f"expected pictures of {self.size_px}, found {generator.size_px}")
        with ExitStack() as opening:
            opening.enter_context(generator)
            kept = opening.pop_all()
        with self._drawing, self._asked:
            self._names, self._generators, self._current = [name], [generator], 0
            self._view = None
            before, self._open = self._open, kept
        before.close()

    def zoom(self, factor: float) -> None:
        """Show the present avatar closer (above 1) or farther."""
        with self._asked:
            self._view = (self._view or self._generators[self._current].view).zoomed(factor)

    def pan(self, x: float, y: float) -> None:
        """Move the present avatar by shares of the output."""
        with self._asked:
            self._view = (self._view or self._generators[self._current].view).panned(x, y)

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the chosen avatar."""
        with self._drawing:
            generator = self._generators[self._current]
            with self._asked:
                view, self._view = self._view, None
            if view is not None:
                generator.set_view(view)
            return generator.generate(motion)
