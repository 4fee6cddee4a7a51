"""A sink that throws everything away, after the work that a virtual camera would cost."""

from __future__ import annotations

from typing import Self

from avatar.core.frames import LabelledFrame
from avatar.stages.sinks.checks import checked_image, expect_even
from avatar.stages.sinks.conversion import I420Converter


class NullSink:
    """For benchmarks: converts to I420 as the virtual camera does (unless told not to)."""

    def __init__(self, size_px: tuple[int, int], convert: bool = True) -> None:
        self._size_px = size_px
        self._convert = convert
        self._converter: I420Converter | None = None
        self._entered = False

    @property
    def name(self) -> str:
        """Return ``none``."""
        return "none"

    def __enter__(self) -> Self:
        if self._convert:
            expect_even(self._size_px, "The output 'none', which converts as a virtual camera,")
            self._converter = I420Converter(self._size_px)
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        self._converter = None

    def write(self, frame: LabelledFrame) -> None:
        """Convert ``frame`` and forget it."""
        image = checked_image(frame, self._size_px, sink=self.name, entered=self._entered)
        if self._converter is not None:
            self._converter.convert(image)
