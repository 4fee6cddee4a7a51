"""Video files and addresses through PyAV, shown as a camera would show them.

Two feeds bring decoded frames: a file is decoded by the reader itself; an address on a thread of
its own, since a network may keep a read waiting for seconds.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

import numpy as np

from avatar.core.clock import Clock, ManualClock
from avatar.core.errors import SourceEndedError, SourceError, SourceLostError, SourceNotFoundError
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.stages.sources.pacing import READ_LIMIT_NS, FrameCounter, not_open, wait_for

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

OPEN_TIMEOUT_S = 5.0
NETWORK_READ_TIMEOUT_S = 2.0
_CATCH_UP_NS = 1_000_000_000
# FFmpeg reads pictures and text as films of one frame; a mistyped path must not pass as a driver.
_NOT_VIDEO = ("image2", "tty", "lrc", "_pipe")


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
        return _public(self._url)

    def __enter__(self) -> Self:
        """Open the film and decode its first frame.

        Raises ``SourceNotFoundError`` when nothing is there and ``SourceError`` when it is no
        video, is empty, damaged or has no video stream.
        """
        film = _Film(self._url)
        try:
            self._next: _Due | None = None
            self._live = film.is_remote and film.duration_s is None
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
            return None if decoded is None else self._deliver(decoded.frame, self._clock.now_ns())
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
        return self._deliver(newest.frame, self._moment(newest))

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
            self._next = _Due(decoded.frame, self._timeline.place(decoded))
        return self._next

    def _moment(self, due: _Due) -> int:
        return (self._origin_ns or 0) + due.film_ns

    def _deliver(self, frame: VideoFrame, timestamp_ns: int) -> CameraFrame:
        return self._counter.frame(_to_rgb(frame, self._size_px), timestamp_ns)


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
class _Decoded:
    """A frame, its time within the film in seconds if it has one, and its turn of the loop."""

    frame: VideoFrame
    time_s: float | None
    turn: int


@dataclass(frozen=True, eq=False)
class _Due:
    """A frame and its moment, in nanoseconds since the first frame of the first turn."""

    frame: VideoFrame
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
        self._shift_s = 0.0

    def place(self, decoded: _Decoded) -> int:
        """Return the frame's moment in nanoseconds; a frame without a time follows the last."""
        if self._fps is not None:
            moment_s = self._count / self._fps
        else:
            after_s = self._last_s + self._frame_s
            time_s = decoded.time_s
            if decoded.turn != self._turn:
                self._turn = decoded.turn
                self._shift_s = after_s - (time_s or 0.0)
            moment_s = after_s if time_s is None else self._shift_s + time_s
            moment_s = max(moment_s, self._last_s)
        self._count += 1
        self._last_s = moment_s
        return round(moment_s * 1e9)


class _Feed(Protocol):
    """Where decoded frames come from."""

    def get(self, wait: bool) -> _Decoded | None:
        """Return the next frame; None when none is there yet. Raises at the end or when lost."""
        ...

    def close(self) -> None:
        """Release the film."""
        ...


class _Film:
    """One opened container and its video stream; every PyAV error becomes a ``SourceError``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_remote = _scheme(url) not in ("", "file")
        self._container, self._stream = _open(url, self.is_remote)
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.frame_s = float(1 / rate) if rate else 1 / 30
        length = self._container.duration
        self.duration_s = length / 1e6 if length is not None and length > 0 else None
        self._pass = self._decode()
        self._first = self._probe()

    def frames(self, loop: bool) -> Iterator[_Decoded]:
        """Yield decoded frames to the end, over and over when ``loop`` is set."""
        for turn in itertools.count():
            yield _Decoded(self._first, self._first.time, turn)
            for frame in self._pass:
                yield _Decoded(frame, frame.time, turn)
            if not loop:
                return
            self._reopen()

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _reopen(self) -> None:
        """Begin again from the file's start: exact where seeking is not."""
        self._container.close()
        try:
            self._container, self._stream = _open(self.url, self.is_remote)
            self._pass = self._decode()
            self._first = self._probe()
        except SourceError as error:
            raise SourceLostError(str(error)) from None

    def _probe(self) -> VideoFrame:
        """Return the first frame: only a decoded frame proves that the file is a video."""
        frame = next(self._pass, None)
        if frame is None:
            self.close()
            raise SourceError(
                f"{_public(self.url)}: expected a video, found one without a single frame that "
                "can be decoded; it is empty, cut off or damaged. Convert or download it again."
            )
        return frame

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield frames of one pass; a damaged packet costs its frames and no more."""
        import av

        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.InvalidDataError:
                    continue
        except av.InvalidDataError:
            return
        except av.ExitError:  # how PyAV reports its own read time-out
            raise SourceLostError(
                f"{_public(self.url)}: expected a frame, found {NETWORK_READ_TIMEOUT_S:g} s of "
                "silence. Check the sender and the network."
            ) from None
        except av.FFmpegError as error:
            raise SourceLostError(
                f"{_public(self.url)}: the connection or file went away ({error.strerror}). "
                "Check the sender or the disk."
            ) from None


class _DirectFeed:
    """Decodes in the reader's own thread."""

    def __init__(self, film: _Film, loop: bool) -> None:
        self._film = film
        self._frames = film.frames(loop)
        self._end: SourceError | None = None

    def get(self, wait: bool) -> _Decoded | None:
        """Return the next frame; an end or a loss is raised again at every later call."""
        if self._end is not None:
            raise self._end
        try:
            decoded = next(self._frames, None)
        except SourceError as error:
            self._end = error
            raise
        if decoded is None:
            self._end = SourceEndedError(f"{_public(self._film.url)} has ended.")
            raise self._end
        return decoded

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._film.close()


class _ThreadFeed:
    """Decodes on a thread; a live feed keeps the newest frame only, another a few ahead."""

    _AHEAD = 8

    def __init__(self, film: _Film, loop: bool, live: bool) -> None:
        self._film = film
        self._live = live
        self._ready = threading.Condition()
        self._frames: deque[_Decoded] = deque(maxlen=1 if live else self._AHEAD)
        self._end: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(
            target=self._run, args=(loop,), name="video-feed", daemon=True
        )
        self._thread.start()

    def get(self, wait: bool) -> _Decoded | None:
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
        name = _public(self._film.url)
        if self._live:
            return SourceLostError(f"{name}: the sender stopped.")
        return SourceEndedError(f"{name} has ended.")

    def _put(self, decoded: _Decoded) -> bool:
        """Hand a frame over; return False when the feed was closed."""
        with self._ready:
            if not self._live:
                self._ready.wait_for(lambda: self._closed or len(self._frames) < self._AHEAD)
            if self._closed:
                return False
            self._frames.append(decoded)
            self._ready.notify_all()
            return True


def _scheme(url: str) -> str:
    """Return the scheme of an address, empty for a path (a drive letter is no scheme)."""
    return urlsplit(url).scheme.lower() if "://" in url else ""


def _public(url: str) -> str:
    """Return ``url`` without user name and password, for messages."""
    if not _scheme(url):
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _open(url: str, remote: bool) -> tuple[InputContainer, VideoStream]:
    """Open ``url`` and choose its video stream; raises ``SourceError`` with what is wrong."""
    import av

    options = {"rtsp_transport": "tcp"} if remote else {}
    timeout = (OPEN_TIMEOUT_S, NETWORK_READ_TIMEOUT_S) if remote else None
    try:
        container = av.open(url, options=options, timeout=timeout)
    except av.ProtocolNotFoundError:
        raise SourceNotFoundError(
            f"{_public(url)}: expected an address that this build of FFmpeg can open, found the "
            f"protocol {_scheme(url)!r}. Use rtsp, rtmp, http, https or udp."
        ) from None
    except av.FFmpegError as error:
        raise _unopened(url, remote, error.strerror or str(error), error) from None
    streams = [s for s in container.streams.video if not _is_cover(s)]
    kind = container.format.name
    if streams and not any(part in kind for part in _NOT_VIDEO):
        streams[0].thread_type = "AUTO" if not remote else "SLICE"
        return container, streams[0]
    container.close()
    found = "no video stream" if not streams else f"a file of type {kind}"
    raise SourceError(
        f"{_public(url)}: expected a video, found {found}. Choose a video file or a camera."
    )


def _is_cover(stream: VideoStream) -> bool:
    """Return whether the stream is the cover picture of a piece of music."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _unopened(url: str, remote: bool, reason: str, error: Exception) -> SourceError:
    name = _public(url)
    if remote:
        return SourceNotFoundError(
            f"{name}: expected a video at this address, found none ({reason}). "
            "Check the address and that the sender is running."
        )
    if isinstance(error, FileNotFoundError):
        return SourceNotFoundError(f"{name}: expected a video file, found no such file.")
    if isinstance(error, PermissionError):
        return SourceError(f"{name}: no permission to read it. Check the file's permissions.")
    return SourceError(
        f"{name}: expected a video, found a file that is not one, is empty or is cut off "
        f"({reason}). Convert or download it again."
    )


def _to_rgb(frame: VideoFrame, size_px: tuple[int, int] | None) -> UInt8Image:
    """Return the picture upright, uint8 (H, W, 3) RGB, cropped and scaled to ``size_px``."""
    turns = round(frame.rotation / 90) % 4
    if size_px is None:
        image = frame.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(image, turns))
    upright = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    scale = max(size_px[0] / upright[0], size_px[1] / upright[1])
    width, height = (max(round(side * scale), least)
                     for side, least in zip(upright, size_px, strict=True))  # fmt: skip
    if turns % 2:
        width, height = height, width
    scaled = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")
    image = np.rot90(scaled, turns)
    top, left = (image.shape[0] - size_px[1]) // 2, (image.shape[1] - size_px[0]) // 2
    return np.ascontiguousarray(image[top : top + size_px[1], left : left + size_px[0]])
