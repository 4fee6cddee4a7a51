"""The faces of a clip on one picture: a photograph's in their places, or photographs in a grid.

Each face moves by itself; nobody drives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol, Self

import numpy as np

from avatar.core.face.head import decompose
from avatar.core.frames import Float32, GeneratedFrame, Motion
from avatar.stages.generate.group import GroupGenerator
from avatar.stages.generate.portrait import PortraitGenerator


class Cast(Protocol):
    """Faces in the order in which they take their voices: line by line, from the left."""

    @property
    def shapes(self) -> list[Float32]:
        """Return each face's shape at rest, float32 (478, 3), head frame; entered only."""
        ...

    @property
    def grid(self) -> tuple[int, int]:
        """Return the columns and rows of photographs in the picture."""
        ...

    @property
    def size_px(self) -> tuple[int, int]:
        """Return (width, height) of the pictures."""
        ...

    def draw(self, motions: Sequence[Motion]) -> GeneratedFrame:
        """Draw every face with its motion; the picture is new and belongs to the caller."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class InPlace:
    """All faces of one photograph, where they are."""

    grid = (1, 1)

    def __init__(self, generator: GroupGenerator) -> None:
        self._generator = generator
        self._order: list[int] = []

    def __enter__(self) -> Self:
        self._generator.__enter__()
        faces = self._generator.faces
        self._order = sorted(
            range(len(faces)), key=lambda k: float(faces[k].landmarks_px[:, 0].mean())
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._generator.__exit__(*error)

    @property
    def size_px(self) -> tuple[int, int]:
        """See ``Cast``."""
        return self._generator.size_px

    @property
    def shapes(self) -> list[Float32]:
        """See ``Cast``."""
        return [decompose(self._generator.faces[k]).shape for k in self._order]

    def draw(self, motions: Sequence[Motion]) -> GeneratedFrame:
        """See ``Cast``."""
        by_face = dict(zip(self._order, motions, strict=True))
        return self._generator.generate_each([by_face[k] for k in range(len(by_face))])


class Grid:
    """Photographs in columns and rows, each ``cell_px`` large; one alone is a grid, too."""

    def __init__(
        self, generators: Sequence[PortraitGenerator], columns: int, cell_px: tuple[int, int]
    ) -> None:
        self._generators, self._cell_px = list(generators), cell_px
        self._columns, self._stack = columns, ExitStack()

    @property
    def grid(self) -> tuple[int, int]:
        """See ``Cast``."""
        return self._columns, -(-len(self._generators) // self._columns)

    @property
    def size_px(self) -> tuple[int, int]:
        """See ``Cast``."""
        columns, rows = self.grid
        return columns * self._cell_px[0], rows * self._cell_px[1]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for generator in self._generators:
                stack.enter_context(generator)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def shapes(self) -> list[Float32]:
        """See ``Cast``."""
        return [decompose(generator.canvas.face).shape for generator in self._generators]

    def draw(self, motions: Sequence[Motion]) -> GeneratedFrame:
        """See ``Cast``."""
        frames = [
            generator.generate(motion)
            for generator, motion in zip(self._generators, motions, strict=True)
        ]
        if len(frames) == 1:
            return frames[0]
        (width, height), (full_width, full_height) = self._cell_px, self.size_px
        image = np.zeros((full_height, full_width, 3), np.uint8)
        for k, frame in enumerate(frames):
            row, column = divmod(k, self._columns)
            x, y = column * width, row * height
            image[y : y + height, x : x + width] = frame.image
        return replace(frames[0], image=image)
