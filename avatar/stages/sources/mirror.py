"""The driver's picture as in a mirror, so that the avatar moves to the side one leans to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.frames import CameraFrame
from avatar.core.stages import FrameSource
from avatar.core.wrapped import Wrapped


class MirroredSource(Wrapped[FrameSource]):
    """Wraps a source and flips its pictures left to right while ``mirrored`` is set."""

    def __init__(self, source: FrameSource, mirrored: bool) -> None:
        super().__init__(source)
        self.mirrored = mirrored

    @property
    def name(self) -> str:
        """Return the inner source's name."""
        return self._inner.name

    def read(self) -> CameraFrame | None:
        """Return the next frame, flipped when mirrored."""
        frame = self._inner.read()
        if frame is None or not self.mirrored:
            return frame
        return replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]))
