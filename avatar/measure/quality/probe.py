"""A driver whose generator is watched: what each picture costs, and which triangles fold."""

from __future__ import annotations

import time
from typing import Protocol, Self, runtime_checkable

from avatar.core.frames import FaceTrack, GeneratedFrame, Motion, Presence, UInt8Image, still
from avatar.core.stages import Generator
from avatar.sessions.driver import Driver


@runtime_checkable
class CountsFolds(Protocol):
    """A generator with a mesh, which knows how many triangles a motion turns inside out."""

    def folded(self, motion: Motion) -> int:
        """Return the number of triangles that face the viewer at rest and fold in ``motion``."""
        ...


class Probe:
    """A generator that draws as ``inner`` does and keeps count.

    ``times_ms``: the duration of each ``generate``. ``folded``: triangles folded so far, over
    all pictures; None for an engine that does not count them. ``reference``: the driver's frame
    that the newest motion is relative to; None before there is one.
    """

    def __init__(self, inner: Generator) -> None:
        self._inner = inner
        self._folds = inner if isinstance(inner, CountsFolds) else None
        self.times_ms: list[float] = []
        self.folded: int | None = None if self._folds is None else 0
        self.reference: FaceTrack | None = None

    @property
    def size_px(self) -> tuple[int, int]:
        """Return (width, height) of every picture."""
        return self._inner.size_px

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Hold nothing: whoever entered ``inner`` leaves it."""

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the avatar; see ``Generator.generate``."""
        self.reference = motion.reference
        begin = time.perf_counter()
        frame = self._inner.generate(motion)
        self.times_ms.append((time.perf_counter() - begin) * 1e3)
        if self._folds is not None and self.folded is not None:
            self.folded += self._folds.folded(motion)
        return frame


class ProbedDriver(Driver):
    """``avatar.Driver`` with a ``probe`` around its generator, there while it is open."""

    probe: Probe

    def __enter__(self) -> Self:
        super().__enter__()
        assert self._generator is not None
        self.probe = Probe(self._generator)
        self._generator = self.probe
        return self

    def draw(self, rgb: UInt8Image, timestamp_ns: int) -> GeneratedFrame | None:
        """Return what ``step`` does, without the label: a measurement looks at the face alone."""
        return self._draw(rgb, timestamp_ns)

    def at_rest(self) -> UInt8Image:
        """Return the avatar as photographed, in the size and cut of every picture."""
        return self.probe.generate(still(0, 0, Presence.IDLE)).image
