"""The protocols of the stages. Adding an implementation: one file, one registry line, one test row.

Every stage is a context manager: ``__enter__`` acquires devices and returns the stage,
``__exit__`` releases them, once or more often. Constructors only store what they are given.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from avatar.core.frames import (
    CameraFrame,
    FaceTrack,
    Float32,
    GeneratedFrame,
    LabelledFrame,
    Motion,
)


class Stage(Protocol):
    """Something that holds resources between ``__enter__`` and ``__exit__``."""

    def __enter__(self) -> Self:
        """Acquire; raise an ``AvatarError`` that says what is missing."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release everything; never raises, and a second call does nothing."""
        ...


class FrameSource(Stage, Protocol):
    """Pictures of the driver, the newest first."""

    @property
    def name(self) -> str:
        """The name that the user is shown for what is watched."""
        ...

    def read(self) -> CameraFrame | None:
        """Return the next frame, or None when none came within about a quarter of a second.

        Called from one thread only. Indices and timestamps rise strictly.
        Raises ``SourceEndedError`` at the end of a finite source and ``SourceLostError`` when a
        device went away; after the latter the caller may leave and enter the source again.
        """
        ...


class Tracker(Stage, Protocol):
    """Finds the driver's face."""

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return what is seen in ``frame``; timestamps must rise strictly between calls."""
        ...


@runtime_checkable
class ChoosingTracker(Tracker, Protocol):
    """A tracker that can be told whom to follow where it sees several people."""

    def follow(self, person: str) -> None:
        """Follow another person from the next frame on; from any thread.

        ``person``: ``largest``, ``left``, ``right``, a number by size, or ``next``: the next one
        to the right in the picture, after the last one the first. Who is not there is not
        followed, and whoever is followed stays.
        """
        ...


class Retargeter(Protocol):
    """Turns what was seen into how the avatar moves; owns smoothing, references and idling."""

    def retarget(self, track: FaceTrack | None, now_ns: int) -> Motion:
        """Return the motion for ``now_ns``; ``track`` is None when no camera frame came."""
        ...

    def take_reference(self) -> None:
        """Take the next tracked face as the reference of relative motion."""
        ...


class Generator(Stage, Protocol):
    """Draws the avatar."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Return (width, height) of every picture it makes."""
        ...

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the avatar moving as ``motion`` says; the picture belongs to the caller.

        He may draw into it and keep it. Its memory may be used again once nothing refers to it.
        Any finite or non-finite motion gives a picture: what cannot be used is ignored.
        """
        ...


class Labeller(Protocol):
    """Marks pictures as generated."""

    def label(self, frame: GeneratedFrame) -> LabelledFrame:
        """Return the marked frame; it may have drawn into ``frame.image``."""
        ...


class FrameSink(Stage, Protocol):
    """Where marked pictures go."""

    @property
    def name(self) -> str:
        """The name that the user is shown for where frames go."""
        ...

    def write(self, frame: LabelledFrame) -> None:
        """Deliver one frame; called from one thread only.

        Raises ``SinkLostError`` when the receiver went away; the caller may leave and enter
        the sink again.
        """
        ...


@runtime_checkable
class InteractiveSink(FrameSink, Protocol):
    """A sink with a window: entered, written to and left in the program's main thread."""

    def poll(self) -> None:
        """Answer the window's keys and redraws; called often, frames or not."""
        ...


@runtime_checkable
class RemoteSink(FrameSink, Protocol):
    """A sink whose receiver is elsewhere: it may be long in coming, and refuse late."""

    settle_s: float
    """How long frames must have been taken until the receiver counts as there."""

    def interrupt(self) -> None:
        """End a wait inside ``__enter__`` or ``write``; safe from any thread."""
        ...


class SoundTrack(Protocol):
    """Sound by the time of its capture, for recordings and streams; one reader each."""

    def read(self, start_ns: int, count: int, now_ns: int) -> Float32 | None:
        """Return the ``count`` samples to be heard with pictures from ``start_ns`` on.

        float32 (count,), mono, 48 kHz, range [−1, 1]; the caller owns them. Calls follow each
        other without gaps. None: not known yet, ask again. ``now_ns`` is the newest picture's
        time: what is still unknown a while after its own time is silence.
        """
        ...
