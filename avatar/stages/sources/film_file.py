"""One film as decoded frames with their times: a file, or an address that sends one."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.core.addresses import shown_address
from avatar.core.errors import SourceError, SourceLostError, SourceNotFoundError
from avatar.core.files import kind_of
from avatar.core.messages import Message
from avatar.stages.sources.containers import (
    can_decode,
    local_address,
    pictures_of,
    stores_no_times,
)
from avatar.stages.sources.parts import PartFinder
from avatar.stages.sources.pictures import Deinterlacer

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

OPEN_TIMEOUT_S = 5.0
NETWORK_READ_TIMEOUT_S = 2.0
# FFmpeg reads pictures and text as films of one frame; a mistyped path must not pass as a driver.
_NOT_VIDEO = ("image2", "tty", "lrc", "_pipe")
_USUAL_FPS, _SLOWEST_FPS = 30, 1


@dataclass(frozen=True, eq=False)
class DecodedFrame:
    """A frame, its time within the film in seconds if it has one, and its turn.

    Another turn begins when the film is played again, and where its times fall back or jump: its
    first frame follows the one before. ``pixel_aspect``: a pixel's width by its height.
    """

    frame: VideoFrame
    time_s: float | None
    turn: int
    pixel_aspect: Fraction | None


class FilmFile:
    """One opened container and its video stream; every PyAV error becomes a ``SourceError``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_remote = _scheme(url) not in ("", "file")
        self._container, self._stream = _open(url, self.is_remote)
        rate = self._stream.average_rate or 0
        rate = rate if rate >= _SLOWEST_FPS else self._stream.guessed_rate or _USUAL_FPS
        self.frame_s = float(1 / max(rate, _SLOWEST_FPS))
        length = self._container.duration
        self.duration_s = length / 1e6 if length is not None and length > 0 else None
        self._turn = 0
        self._begin()

    def frames(self, loop: bool) -> Iterator[DecodedFrame]:
        """Yield decoded frames to the end, over and over when ``loop`` is set."""
        while True:
            yield self._first
            yield from self._pass
            if not loop:
                return
            self._reopen()

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _begin(self) -> None:
        self._parts = PartFinder()
        self._waiting: list[Fraction] = []
        self._pass = self._placed(self._whole(self._decode()))
        self._first = self._probe()

    def _reopen(self) -> None:
        """Begin again from the file's start: exact where seeking is not."""
        self._container.close()
        self._turn += 1
        try:
            self._container, self._stream = _open(self.url, self.is_remote)
            self._begin()
        except SourceError as error:
            raise SourceLostError(str(error)) from None

    def _probe(self) -> DecodedFrame:
        """Return the first frame: only a decoded frame proves that the file is a video."""
        frame = next(self._pass, None)
        if frame is None:
            self.close()
            raise SourceError(
                f"{public_name(self.url)}: expected a video, found one without a single frame that "
                "can be decoded; it is empty, cut off or damaged. Convert or download it again."
            )
        return frame

    def _placed(
        self, frames: Iterator[tuple[VideoFrame, Fraction | None]]
    ) -> Iterator[DecodedFrame]:
        """Yield frames with the turn they belong to."""
        for frame, time_s in frames:
            if time_s is not None and self._parts.begins_part(time_s):
                self._turn += 1
            seconds = None if time_s is None else float(time_s)
            yield DecodedFrame(frame, seconds, self._turn, self._stream.sample_aspect_ratio)

    def _whole(
        self, frames: Iterator[tuple[VideoFrame, Fraction | None]]
    ) -> Iterator[tuple[VideoFrame, Fraction | None]]:
        """Yield frames with both of their fields at one time."""
        fields = Deinterlacer()
        for frame, time_s in frames:
            yield from fields.feed(frame, time_s)
        yield from fields.flush()

    def _decode(self) -> Iterator[tuple[VideoFrame, Fraction | None]]:
        """Yield frames of one pass; a damaged packet costs its frames and no more."""
        import av

        orders_only = stores_no_times(self._container)
        try:
            for packet in self._packets():
                order_s = self._expect(packet) if orders_only else None
                try:
                    frames = packet.decode()
                except (av.FFmpegError, ValueError):
                    if order_s is not None:
                        self._waiting.remove(order_s)
                        heapq.heapify(self._waiting)
                    continue
                for frame in frames:
                    yield frame, self._time(frame, orders_only)
        except av.InvalidDataError:
            return
        except av.ExitError:  # how PyAV reports its own read time-out
            raise SourceLostError(
                f"{public_name(self.url)}: expected a frame, found {NETWORK_READ_TIMEOUT_S:g} s of "
                "silence. Check the sender and the network."
            ) from None
        except av.FFmpegError as error:
            raise SourceLostError(
                f"{public_name(self.url)}: the connection or file went away ({error.strerror}). "
                "Check the sender or the disk."
            ) from None

    def _expect(self, packet: Any) -> Fraction | None:
        """Keep a packet's time for the picture that it, or another one, becomes."""
        if packet.dts is None:
            return None
        order_s: Fraction = packet.dts * Fraction(packet.time_base)
        heapq.heappush(self._waiting, order_s)
        return order_s

    def _packets(self) -> Iterator[Any]:
        """Yield the pictures' packets; those of the sound tell where the film stands still."""
        sounds = [] if self.is_remote else list(self._container.streams.audio)
        for packet in self._container.demux([self._stream, *sounds]):
            if packet.stream is self._stream:
                yield packet
            elif packet.dts is not None:
                self._parts.hear(packet.dts * Fraction(packet.time_base))

    def _time(self, frame: VideoFrame, orders_only: bool) -> Fraction | None:
        if orders_only:
            return heapq.heappop(self._waiting) if self._waiting else None
        if frame.pts is None or not frame.time_base:
            return None
        return frame.pts * Fraction(frame.time_base)


def _scheme(url: str) -> str:
    """Return the scheme of an address, empty for a path (a drive letter is no scheme)."""
    return url.partition("://")[0].lower() if "://" in url else ""


def public_name(url: str) -> str:
    """Return a film's path, or what may be shown of an address."""
    return shown_address(url) if _scheme(url) not in ("", "file") else url


def _open(url: str, remote: bool) -> tuple[InputContainer, VideoStream]:
    """Open ``url`` and choose its video stream; raises ``SourceError`` with what is wrong."""
    import av

    options = {"rtsp_transport": "tcp"} if remote else {}
    timeout = (OPEN_TIMEOUT_S, NETWORK_READ_TIMEOUT_S) if remote else None
    address = url if _scheme(url) else local_address(url)
    if not _scheme(url) and kind_of(Path(url)) == "other":
        raise SourceError(
            f"{url}: expected a video file, found a pipe or a device. Save it as a file first."
        )
    try:
        # Titles of old films are in any encoding.
        container = av.open(address, options=options, timeout=timeout, metadata_errors="replace")
    except av.ProtocolNotFoundError:
        raise SourceNotFoundError(
            f"{public_name(url)}: expected an address that this build of FFmpeg can open, found "
            f"the protocol {_scheme(url)!r}. Use rtsp, rtmp, http, https or udp."
        ) from None
    except (av.FFmpegError, ValueError) as error:
        # The error's own text has the address in it.
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _unopened(url, remote, reason, error) from None
    stream = pictures_of(container)
    kind = container.format.name
    if stream is not None and can_decode(stream) and not any(p in kind for p in _NOT_VIDEO):
        stream.thread_type = "AUTO" if not remote else "SLICE"
        return container, stream
    found = f"a file of type {kind}"
    if stream is None:
        found = "no video stream"
    elif not can_decode(stream):
        found = "pictures of a kind for which there is no decoder here"
    container.close()
    advice = "Convert it to H.264, or choose" if stream is not None else "Choose"
    raise SourceError(
        f"{public_name(url)}: expected a video, found {found}. {advice} another video file or a "
        "camera."
    )


def _unopened(url: str, remote: bool, reason: str, error: Exception) -> SourceError:
    name = public_name(url)
    if remote:
        return SourceNotFoundError(
            Message(
                "error.noVideoThere",
                "{name}: expected a video at this address, found none ({reason}). Check the "
                "address and that the sender is running.",
                name=name, reason=reason,
            )
        )  # fmt: skip
    if isinstance(error, FileNotFoundError):
        return SourceNotFoundError(f"{name}: expected a video file, found no such file.")
    # FFmpeg says so of some damaged files, too.
    if isinstance(error, PermissionError) and not os.access(url, os.R_OK):
        return SourceError(f"{name}: no permission to read it. Check the file's permissions.")
    return SourceError(
        f"{name}: expected a video, found a file that is not one, is empty or is cut off "
        f"({reason}). Convert or download it again."
    )
