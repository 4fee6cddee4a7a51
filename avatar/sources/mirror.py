"""The driver's picture as in a mirror, so that the avatar moves to the side one leans to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np

from avatar.frames import CameraFrame
from avatar.stages import FrameSource


class MirroredSource:
    """Wraps a source and flips its pictures left to right while ``mirrored`` is set."""

    def __init__(self, source: FrameSource, mirrored: bool) -> None:
        self._source = source
        self.mirrored = mirrored

    @property
    def name(self) -> str:
        """Return the inner source's name."""
        return self._source.name

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._source.__exit__(*raised)

    def read(self) -> CameraFrame | None:
        """Return the next frame, flipped when mirrored."""
        frame = self._source.read()
        if frame is None or not self.mirrored:
            return frame
        return replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]))
