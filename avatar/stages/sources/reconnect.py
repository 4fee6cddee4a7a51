"""A source that comes back: wraps another and enters it again after it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from avatar.core.clock import Clock
from avatar.core.errors import SourceError, SourceLostError
from avatar.core.frames import CameraFrame
from avatar.core.messages import Message, words_of
from avatar.core.stages import FrameSource
from avatar.stages.sources.pacing import FrameCounter, not_open, wait_for

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 5.0


class ReconnectingSource:
    """Reads ``source``; when it is lost, enters it again with doubling pauses.

    Meanwhile ``read()`` returns None within a quarter of a second. Indices and timestamps keep
    rising over reconnects. ``on_event`` hears "lost …" and "back …", once for each outage, on
    the reading thread. The first ``__enter__`` raises what the source raises.
    """

    def __init__(self, source: FrameSource, clock: Clock, on_event: Callable[[str], None]) -> None:
        self._source = source
        self._clock = clock
        self._on_event = on_event
        self._counter = FrameCounter()
        self._stop = threading.Event()
        self._open = False
        self._attempt: _Attempt | None = None
        self._connected = False
        self._lost_ns: int | None = None
        self._retry_ns = 0
        self._pause_s = FIRST_RETRY_S

    @property
    def name(self) -> str:
        """Return the inner source's name."""
        return self._source.name

    def __enter__(self) -> Self:
        """Enter the inner source; its errors propagate."""
        self._source.__enter__()
        self._stop.clear()
        self._open = self._connected = True
        self._lost_ns = None
        self._pause_s = FIRST_RETRY_S
        return self

    def __exit__(self, *raised: Any) -> None:
        """Leave the inner source; an attempt that is under way leaves it when it ends."""
        self._stop.set()
        self._open = False
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.abandon()
        elif self._connected:
            self._source.__exit__(*raised)
        self._connected = False

    def read(self) -> CameraFrame | None:
        """Return the inner source's frame, or None while it is away."""
        if not self._open:
            raise not_open(self.name)
        if not self._connected and not self._reconnect():
            return None
        try:
            frame = self._source.read()
        except SourceLostError as error:
            self._lose(error)
            return None
        if frame is None:
            return None
        self._found()
        return self._counter.frame(frame.image, frame.timestamp_ns)

    def _lose(self, error: SourceLostError) -> None:
        self._source.__exit__(None, None, None)
        self._connected = False
        if self._lost_ns is None:
            self._lost_ns = self._clock.now_ns()
            self._on_event(
                Message(
                    "said.cameraLost", "lost {camera}: {why}", camera=self.name, why=words_of(error)
                )
            )
        self._postpone()

    def _postpone(self) -> None:
        self._retry_ns = self._clock.now_ns() + round(self._pause_s * 1e9)
        self._pause_s = min(self._pause_s * 2, LONGEST_RETRY_S)

    def _found(self) -> None:
        """End an outage: only a frame proves that the source is back."""
        self._pause_s = FIRST_RETRY_S
        if self._lost_ns is not None:
            away_s = (self._clock.now_ns() - self._lost_ns) / 1e9
            self._lost_ns = None
            self._on_event(
                Message(
                    "said.cameraBack",
                    "back {camera} after {seconds} s",
                    camera=self.name, seconds=f"{away_s:.1f}",
                )
            )  # fmt: skip

    def _reconnect(self) -> bool:
        """Wait for the next attempt or continue the present one; return whether it succeeded."""
        if self._attempt is None:
            if not wait_for(self._clock, self._retry_ns, self._stop):
                return False
            self._attempt = _Attempt(self._source)
        if not self._attempt.finished():
            return False
        error, self._attempt = self._attempt.error, None
        if error is None:
            self._connected = True
        elif isinstance(error, SourceError):
            self._postpone()
        else:
            raise error
        return self._connected


class _Attempt:
    """Enters a source on a thread of its own: opening a device or an address may take seconds."""

    def __init__(self, source: FrameSource) -> None:
        self.error: BaseException | None = None
        self._source = source
        self._lock = threading.Lock()
        self._abandoned = False
        self._done = False
        self._thread = threading.Thread(target=self._enter, name="reconnect", daemon=True)
        self._thread.start()

    def finished(self) -> bool:
        """Return whether the attempt ended, waiting a quarter of a second for it."""
        self._thread.join(0.25)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Leave the source, now or as soon as it has been entered."""
        with self._lock:
            self._abandoned = True
            entered = self._done and self.error is None
        if entered:
            self._source.__exit__(None, None, None)

    def _enter(self) -> None:
        try:
            self._source.__enter__()
        except BaseException as error:
            self.error = error
        with self._lock:
            self._done = True
            leave = self._abandoned and self.error is None
        if leave:
            self._source.__exit__(None, None, None)
