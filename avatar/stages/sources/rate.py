"""Saying it when a camera is slow: between its pictures the avatar's movement is only guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from avatar.core.frames import CameraFrame
from avatar.core.messages import Message
from avatar.core.stages import FrameSource
from avatar.core.wrapped import Wrapped

# Cameras begin slowly, with exposure and buffers: the first second says nothing.
_SETTLES_NS, _MEASURED_NS = 1_000_000_000, 4_000_000_000
# Movement of fewer pictures a second is seen to be in steps.
SMOOTH_FPS = 20.0
_ENOUGH = 0.7


class RateWatch(Wrapped[FrameSource]):
    """Wraps a source and says once when it gives far fewer pictures a second than ``fps``.

    ``is_film``: of a film nothing can be done about it.
    """

    def __init__(
        self, source: FrameSource, fps: float, say: Callable[[str], None], *, is_film: bool = False
    ) -> None:
        super().__init__(source)
        self._least = min(fps * _ENOUGH, SMOOTH_FPS)
        self._say = say
        self._is_film = is_film
        self._begin()

    @property
    def name(self) -> str:
        """Return the inner source's name."""
        return self._inner.name

    def __enter__(self) -> Self:
        """Enter the inner source; it is measured again."""
        super().__enter__()
        self._begin()
        return self

    def read(self) -> CameraFrame | None:
        """Return the next frame as it is."""
        frame = self._inner.read()
        if frame is not None and not self._done:
            self._count(frame)
        return frame

    def _begin(self) -> None:
        self._first_ns: int | None = None
        self._from_ns: int | None = None
        self._from_index = 0
        self._done = False

    def _count(self, frame: CameraFrame) -> None:
        at_ns = frame.timestamp_ns
        if self._first_ns is None:
            self._first_ns = at_ns
        if at_ns - self._first_ns < _SETTLES_NS:
            return
        if self._from_ns is None:
            self._from_ns, self._from_index = at_ns, frame.index
            return
        if at_ns - self._from_ns < _MEASURED_NS:
            return
        self._done = True
        fps = (frame.index - self._from_index) * 1e9 / (at_ns - self._from_ns)
        if fps < self._least:
            self._say(self._slow(f"{fps:.0f}"))

    def _slow(self, fps: str) -> Message:
        if self._is_film:
            return Message(
                "said.slowFilm",
                "{name} has {fps} pictures a second: the avatar sees you no more often than that",
                name=self.name, fps=fps,
            )  # fmt: skip
        return Message(
            "said.slowCamera",
            "{name} gives {fps} pictures a second: the avatar sees you no more often than that. "
            "Cameras slow down in the dark, and at a large camera size: more light or a smaller "
            "size helps",
            name=self.name, fps=fps,
        )  # fmt: skip
