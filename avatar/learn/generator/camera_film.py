"""A film of what a camera shows, to train from: private, at the frames' own times, nearly lossless.

It is no generated picture and has no label. Its fragments (``avatar.stages.sinks.mp4``) make it a
film that plays however its writing ended.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avatar.core.errors import SourceError, UsageError
from avatar.core.files import PRIVATE, whole_file
from avatar.core.frames import CameraFrame
from avatar.stages.sinks.conversion import I420Converter
from avatar.stages.sinks.mp4 import MP4, ffmpeg_failures, ffmpeg_reason, tag_colours

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

# Of x264: differences that are hardly to be seen, at some megabytes a second of 1280×720.
_QUALITY = {"preset": "ultrafast", "crf": "12", "tune": "zerolatency"}
_TIMES = Fraction(1, 90_000)
_AHEAD = 8
# Between two films that become one, seconds.
_BETWEEN_S = Fraction(1)


class CameraFilm:
    """Writes frames into one new film, in a thread of its own: the camera does not wait for it.

    ``path``: of the new film. ``size_px``: (width, height) of the frames; an odd last row or
    column is left out. The constructor raises ``UsageError`` when the file cannot be made.
    """

    def __init__(self, path: Path, size_px: tuple[int, int]) -> None:
        self._path = path
        self._size_px = (size_px[0] & ~1, size_px[1] & ~1)
        self._frames: queue.Queue[CameraFrame | None] = queue.Queue(_AHEAD)
        self._error: Exception | None = None
        self._first_ns: int | None = None
        self._last_ticks = -1
        self._container, self._video = self._open()
        self._converter = I420Converter(self._size_px)
        self._thread = threading.Thread(target=self._run, name="camera-film")
        self._thread.start()

    def write(self, frame: CameraFrame) -> None:
        """Hand a frame over; one that the encoder has no time for is left out.

        Raises ``UsageError`` when the disk failed, and for a frame of another size.
        """
        if self._error is not None:
            raise self._error
        height, width = frame.image.shape[:2]
        if (width & ~1, height & ~1) != self._size_px:
            expected = "x".join(map(str, self._size_px))
            raise UsageError(
                f"expected pictures of {expected} from the camera, found {width}x{height}: its "
                "size changed. What was recorded before is kept; the same command goes on with it "
                "once the camera is as it was"
            )
        if not self._frames.full():
            self._frames.put(frame)

    def close(self) -> None:
        """Write what is pending. Raises ``UsageError`` when the disk failed; the film plays."""
        if self._thread.is_alive():
            self._frames.put(None)
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _open(self) -> tuple[OutputContainer, VideoStream]:
        import av
        from av.video.stream import VideoStream

        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE))
            container = av.open(
                f"file:{self._path}", "w", format=MP4.container, container_options=dict(MP4.muxer)
            )
            video = container.add_stream(MP4.encoder, rate=30, options=_QUALITY)
            assert isinstance(video, VideoStream)
            video.width, video.height = self._size_px
            video.pix_fmt = MP4.pixels
            video.time_base = video.codec_context.time_base = _TIMES
            tag_colours(video.codec_context)
            container.start_encoding()
        except ffmpeg_failures() as error:
            raise self._failed(error) from error
        return container, video

    def _run(self) -> None:
        """Encode until told to end; after an error, only empty the queue."""
        while (frame := self._frames.get()) is not None:
            self._guarded(frame)
        self._guarded(None)

    def _guarded(self, frame: CameraFrame | None) -> None:
        try:
            if frame is None:
                self._finish()
            elif self._error is None:
                self._encode(frame)
        except ffmpeg_failures() as error:
            self._error = self._error or self._failed(error)
        except Exception as error:  # raised where frames are handed over
            self._error = self._error or error

    def _encode(self, frame: CameraFrame) -> None:
        import av

        if self._first_ns is None:
            self._first_ns = frame.timestamp_ns
        width, height = self._size_px
        planes = self._converter.convert(np.ascontiguousarray(frame.image[:height, :width]))
        picture = av.VideoFrame.from_ndarray(planes, format=MP4.pixels)
        ticks = round((frame.timestamp_ns - self._first_ns) * _TIMES.denominator / 1_000_000_000)
        self._last_ticks = max(ticks, self._last_ticks + 1)
        picture.pts, picture.time_base = self._last_ticks, _TIMES
        tag_colours(picture)
        self._container.mux(self._video.encode(picture))

    def _finish(self) -> None:
        try:
            self._container.mux(self._video.encode(None))
        finally:
            self._container.close()

    def _failed(self, error: Exception) -> UsageError:
        return UsageError(
            f"the recording {self._path} cannot be written: {ffmpeg_reason(error)}. Free some "
            "space or check the folder's permissions; what was recorded before is kept, and the "
            "same command goes on with it"
        )


def film_size(path: Path) -> tuple[int, int] | None:
    """Return the (width, height) of a film; None where not one frame can be read."""
    from avatar.stages.sources.video import film_frames

    try:
        for frame in film_frames(path):
            height, width = frame.image.shape[:2]
            return width, height
    except SourceError:
        pass
    return None


def join_films(parts: Sequence[Path], film: Path) -> None:
    """Write ``film`` out of ``parts``, which a ``CameraFilm`` each wrote, without encoding again.

    They follow each other with a second between. ``film`` is whole or not there. Raises
    ``UsageError`` when the disk fails.
    """
    import av

    try:
        with (
            whole_file(film) as joined,
            av.open(f"file:{joined}", "w", format=MP4.container) as out,
        ):
            stream = None
            at = Fraction(0)
            for part in parts:
                with av.open(f"file:{part}", metadata_errors="replace") as container:
                    video = container.streams.video[0]
                    stream = stream or out.add_stream_from_template(video)
                    at = _copy(container, video, out, stream, at) + _BETWEEN_S
    except ffmpeg_failures() as error:
        raise UsageError(
            f"{film} cannot be written: {ffmpeg_reason(error)}. Free some space; what was recorded "
            f"is kept in {film.parent}, and the same command goes on with it"
        ) from error


def _copy(
    container: InputContainer,
    video: VideoStream,
    out: OutputContainer,
    stream: VideoStream,
    at: Fraction,
) -> Fraction:
    """Copy the packets of ``video``, the first at ``at`` seconds; return the last one's time."""
    import av

    last = at
    try:
        for packet in container.demux(video):
            if packet.dts is None or packet.pts is None:
                continue
            shift = round(at / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            last = packet.pts * packet.time_base
            packet.stream = stream
            out.mux(packet)
    except av.InvalidDataError:
        pass  # a part that was cut off: what came before it counts
    return last
