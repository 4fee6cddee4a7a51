"""A sink that keeps what it is given: for tests and for programs that want the frames."""

from __future__ import annotations

from collections import deque
from typing import Self

from avatar.core.frames import LabelledFrame
from avatar.stages.sinks.checks import checked_image


class MemorySink:
    """Keeps every frame, or the newest ``limit``; they stay after the sink is left."""

    def __init__(self, size_px: tuple[int, int], limit: int | None = None) -> None:
        self._size_px = size_px
        self._frames: deque[LabelledFrame] = deque(maxlen=limit)
        self._entered = False

    @property
    def name(self) -> str:
        """Return ``memory``."""
        return "memory"

    @property
    def frames(self) -> list[LabelledFrame]:
        """Return the kept frames, oldest first."""
        return list(self._frames)

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False

    def write(self, frame: LabelledFrame) -> None:
        """Keep ``frame``."""
        checked_image(frame, self._size_px, sink=self.name, entered=self._entered)
        self._frames.append(frame)
