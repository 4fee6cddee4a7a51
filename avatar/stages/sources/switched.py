"""A source that can be exchanged for another while it is read."""

from __future__ import annotations

import threading
from typing import Any, Self

from avatar.core.frames import CameraFrame
from avatar.core.stages import FrameSource
from avatar.stages.sources.pacing import FrameCounter, not_open


class SwitchedSource:
    """Reads the source it was given last; indices and timestamps rise over a change."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._next: FrameSource | None = None
        self._counter = FrameCounter()
        self._changing = threading.Lock()
        self._open = False

    @property
    def name(self) -> str:
        """Return the present source's name."""
        return self._source.name

    def change(self, source: FrameSource) -> None:
        """Enter ``source`` and read it from now on; from any thread.

        The one before is left by the thread that reads. Raises what entering raises, and then
        the one before stays.
        """
        with self._changing:
            if not self._open:
                self._source = source
                return
            source.__enter__()
            if self._next is not None:  # nobody has read since the last change
                self._next.__exit__(None, None, None)
            self._next = source

    def __enter__(self) -> Self:
        """Enter the present source; its errors propagate."""
        with self._changing:
            self._source.__enter__()
            self._open = True
        return self

    def __exit__(self, *raised: Any) -> None:
        with self._changing:
            if not self._open:
                return
            self._open = False
            if self._next is not None:
                self._next.__exit__(*raised)
                self._next = None
            self._source.__exit__(*raised)

    def read(self) -> CameraFrame | None:
        """Return the next frame of the present source; see ``FrameSource.read``."""
        if not self._open:
            raise not_open(self.name)
        if self._next is not None:
            self._take_next()
        frame = self._source.read()
        return None if frame is None else self._counter.frame(frame.image, frame.timestamp_ns)

    def _take_next(self) -> None:
        with self._changing:
            source, self._next = self._next, None
            if source is not None:
                before, self._source = self._source, source
                before.__exit__(None, None, None)
