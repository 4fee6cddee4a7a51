"""Video files and addresses through PyAV, shown as a camera would show them.

Two feeds bring decoded frames: a file is decoded by the reader itself; an address on a thread of
its own, since a network may keep a read waiting for seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from avatar.core.clock import Clock, ManualClock
from avatar.core.errors import SourceEndedError, SourceError, SourceLostError
from avatar.core.frames import CameraFrame
from avatar.stages.sources.film_file import DecodedFrame, FilmFile, public_name
from avatar.stages.sources.pacing import READ_LIMIT_NS, FrameCounter, not_open, wait_for
from avatar.stages.sources.pictures import PictureMaker

_CATCH_UP_NS = 1_000_000_000
# A pause in a film is not repeated between its turns.
_LONGEST_GAP_S = 1.0


class VideoSource:
    """A video, paced in real time by its own timestamps and looped without a gap.

    A frame's timestamp is the moment on the clock at which it was due. A consumer that is late
    gets the newest frame that is due; one that is more than a second late (a machine that was
    asleep, or that cannot decode this fast) finds the film waiting for it instead.

    ``size_px``: (width, height) to crop and scale to; None keeps the film's own size. ``fps``
    replays the frames at that rate and ignores the film's timestamps. ``paced=False`` gives every
    frame at once. Addresses without a known duration are live: neither paced nor looped.
    """

    def __init__(
        self,
        url: str,
        size_px: tuple[int, int] | None,
        clock: Clock,
        loop: bool = True,
        paced: bool = True,
        fps: float | None = None,
    ) -> None:
        if fps is not None and not fps > 0:
            raise ValueError(f"VideoSource.fps: expected more than 0, got {fps}")
        self._url = url
        self._size_px = size_px
        self._clock = clock
        self._loop = loop
        self._paced = paced
        self._fps = fps
        self._counter = FrameCounter()
        self._stop = threading.Event()
        self._feed: _Feed | None = None

    @property
    def name(self) -> str:
        """Return the path, or the address without its password."""
        return public_name(self._url)

    def __enter__(self) -> Self:
        """Open the film and decode its first frame.

        Raises ``SourceNotFoundError`` when nothing is there and ``SourceError`` when it is no
        video, is empty, damaged or has no video stream.
        """
        film = FilmFile(self._url)
        try:
            self._next: _Due | None = None
            self._live = film.is_remote and film.duration_s is None
            self._picture = PictureMaker(self._size_px)
            self._timeline = _Timeline(self._fps, film.frame_s)
            if film.is_remote:
                self._feed = _ThreadFeed(film, self._loop and not self._live, self._live)
            else:
                self._feed = _DirectFeed(film, self._loop)
        except BaseException:
            film.close()
            raise
        self._stop.clear()
        self._origin_ns: int | None = None
        return self

    def __exit__(self, *_: object) -> None:
        """Close the film; a thread that waits for the network closes it as soon as it wakes."""
        self._stop.set()
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    def read(self) -> CameraFrame | None:
        """Return the next frame; see ``FrameSource.read``."""
        if self._feed is None:
            raise not_open(self.name)
        if self._live or not self._paced:
            decoded = self._feed.get(wait=True)
            return None if decoded is None else self._deliver(decoded, self._clock.now_ns())
        return self._read_paced(self._feed)

    def _read_paced(self, feed: _Feed) -> CameraFrame | None:
        due = self._peek(feed, wait=True)
        if due is None:
            return None
        now_ns = self._clock.now_ns()
        if self._origin_ns is None or now_ns - self._moment(due) > _CATCH_UP_NS:
            self._origin_ns = now_ns - due.film_ns
        if not wait_for(self._clock, self._moment(due), self._stop):
            return None
        self._next = None
        newest = self._newest(feed, due, self._clock.now_ns())
        return self._deliver(newest.decoded, self._moment(newest))

    def _newest(self, feed: _Feed, due: _Due, now_ns: int) -> _Due:
        """Skip to the last frame whose moment has come, decoding no further than needed."""
        while now_ns - self._moment(due) >= self._timeline.period_ns:
            try:
                following = self._peek(feed, wait=False)
            except SourceError:
                return due  # the frame in hand comes first; the next read raises again
            if following is None or self._moment(following) > now_ns:
                return due
            due, self._next = following, None
        return due

    def _peek(self, feed: _Feed, wait: bool) -> _Due | None:
        if self._next is None:
            decoded = feed.get(wait)
            if decoded is None:
                return None
            self._next = _Due(decoded, self._timeline.place(decoded))
        return self._next

    def _moment(self, due: _Due) -> int:
        return (self._origin_ns or 0) + due.film_ns

    def _deliver(self, decoded: DecodedFrame, timestamp_ns: int) -> CameraFrame:
        return self._counter.frame(self._picture(decoded.frame, decoded.pixel_aspect), timestamp_ns)


def film_frames(path: Path, size_px: tuple[int, int] | None = None) -> Iterator[CameraFrame]:
    """Yield all frames of a film at their own times, as fast as they are read.

    ``size_px``: as ``VideoSource`` has it. Raises the source's errors.
    """
    # A manual clock gives every frame at once.
    with VideoSource(str(path), size_px, ManualClock(1_000_000_000), loop=False) as film:
        while True:
            try:
                frame = film.read()
            except SourceEndedError:
                return
            if frame is not None:
                yield frame


@dataclass(frozen=True, eq=False)
class _Due:
    """A frame and its moment, in nanoseconds since the first frame of the first turn."""

    decoded: DecodedFrame
    film_ns: int


class _Timeline:
    """Lays frames of all turns on one line of time that only rises."""

    def __init__(self, fps: float | None, frame_s: float) -> None:
        self._fps = fps
        self._frame_s = frame_s
        self.period_ns = round(1e9 / fps if fps is not None else frame_s * 1e9)
        self._count = 0
        self._turn = -1
        self._last_s = -frame_s
        self._gap_s = frame_s
        self._shift_s = 0.0

    def place(self, decoded: DecodedFrame) -> int:
        """Return the frame's moment in nanoseconds; a frame without a time follows the last."""
        if self._fps is not None:
            moment_s = self._count / self._fps
        else:
            after_s = self._last_s + self._gap_s
            time_s = decoded.time_s
            if decoded.turn != self._turn:
                self._turn = decoded.turn
                self._shift_s = after_s - (time_s or 0.0)
            moment_s = after_s if time_s is None else self._shift_s + time_s
            moment_s = max(moment_s, self._last_s)
            if decoded.turn == self._turn and moment_s > self._last_s:
                self._gap_s = min(moment_s - self._last_s, _LONGEST_GAP_S)
        self._count += 1
        self._last_s = moment_s
        return round(moment_s * 1e9)


class _Feed(Protocol):
    """Where decoded frames come from."""

    def get(self, wait: bool) -> DecodedFrame | None:
        """Return the next frame; None when none is there yet. Raises at the end or when lost."""
        ...

    def close(self) -> None:
        """Release the film."""
        ...


class _DirectFeed:
    """Decodes in the reader's own thread."""

    def __init__(self, film: FilmFile, loop: bool) -> None:
        self._film = film
        self._frames = film.frames(loop)
        self._end: SourceError | None = None

    def get(self, wait: bool) -> DecodedFrame | None:
        """Return the next frame; an end or a loss is raised again at every later call."""
        if self._end is not None:
            raise self._end
        try:
            decoded = next(self._frames, None)
        except SourceError as error:
            self._end = error
            raise
        if decoded is None:
            self._end = SourceEndedError(f"{public_name(self._film.url)} has ended.")
            raise self._end
        return decoded

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._film.close()


class _ThreadFeed:
    """Decodes on a thread; a live feed keeps the newest frame only, another a few ahead."""

    _AHEAD = 8

    def __init__(self, film: FilmFile, loop: bool, live: bool) -> None:
        self._film = film
        self._live = live
        self._ready = threading.Condition()
        self._frames: deque[DecodedFrame] = deque(maxlen=1 if live else self._AHEAD)
        self._end: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(
            target=self._run, args=(loop,), name="video-feed", daemon=True
        )
        self._thread.start()

    def get(self, wait: bool) -> DecodedFrame | None:
        """Return the next frame, waiting a quarter of a second of real time for it."""
        with self._ready:
            if wait:
                self._ready.wait_for(lambda: self._frames or self._end, READ_LIMIT_NS / 1e9)
            if self._frames:
                self._ready.notify_all()
                return self._frames.popleft()
            if self._end is not None:
                raise self._end
            return None

    def close(self) -> None:
        """Ask the thread to close the film; a network read may keep it for a moment."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        self._thread.join(READ_LIMIT_NS / 1e9)

    def _run(self, loop: bool) -> None:
        end: BaseException
        try:
            for decoded in self._film.frames(loop):
                if not self._put(decoded):
                    break
            end = self._ended()
        except BaseException as error:
            end = error
        finally:
            self._film.close()
        with self._ready:
            self._end = end
            self._ready.notify_all()

    def _ended(self) -> SourceError:
        name = public_name(self._film.url)
        if self._live:
            return SourceLostError(f"{name}: the sender stopped.")
        return SourceEndedError(f"{name} has ended.")

    def _put(self, decoded: DecodedFrame) -> bool:
        """Hand a frame over; return False when the feed was closed."""
        with self._ready:
            if not self._live:
                self._ready.wait_for(lambda: self._closed or len(self._frames) < self._AHEAD)
            if self._closed:
                return False
            self._frames.append(decoded)
            self._ready.notify_all()
            return True
