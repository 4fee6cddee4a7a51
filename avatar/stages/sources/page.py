"""A web page as the camera: its pictures come from outside, the newest one wins."""

from __future__ import annotations

import threading
from typing import Self

from avatar.core.clock import Clock
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.stages.sources.pacing import READ_LIMIT_NS, FrameCounter, not_open


class PageInbox:
    """Where the pictures of a page's camera arrive; outlives the sources that read it.

    Safe from any thread. Only the newest picture is kept.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._newest: tuple[UInt8Image, int] | None = None
        self.is_fed: bool | None = None
        """Whether a page is connected that sends its camera; None until the first one was."""

    def put(self, image: UInt8Image) -> None:
        """Leave a picture that has just arrived, uint8 (H, W, 3) RGB."""
        with self._changed:
            self._newest = image, self._clock.now_ns()
            self._changed.notify()

    def take(self, timeout_s: float) -> tuple[UInt8Image, int] | None:
        """Return the newest picture and when it came, waiting for one; None when none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, timeout_s)
            newest, self._newest = self._newest, None
            return newest

    def clear(self) -> None:
        """Forget a picture that nobody took."""
        with self._changed:
            self._newest = None


class PageSource:
    """Reads an inbox. A page that sends nothing is no error: the avatar idles until it does.

    Timestamps are those of arrival: what the page's own camera and the way here took before that
    is not known.
    """

    def __init__(self, inbox: PageInbox) -> None:
        self._inbox = inbox
        self._counter = FrameCounter()
        self._open = False

    @property
    def name(self) -> str:
        """Return what the user is told is being watched."""
        return "the page's camera"

    def __enter__(self) -> Self:
        self._inbox.clear()
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False

    def read(self) -> CameraFrame | None:
        """Return the newest picture; see ``FrameSource.read``."""
        if not self._open:
            raise not_open(self.name)
        newest = self._inbox.take(READ_LIMIT_NS / 1e9)
        return None if newest is None else self._counter.frame(*newest)
