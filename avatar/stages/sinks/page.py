"""Pictures for web pages: H.264 that is encoded once, however many pages watch.

What carries it to a page (WebRTC) is not this file's business: it hands encoded pictures to
whoever subscribed to the ``Audience``. A picture with transparency is sent twice as high: the
colours above, their opacity as grey below, since H.264 knows no alpha.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np

from avatar.core.errors import SinkError
from avatar.core.frames import LabelledFrame, UInt8Image, UInt8Mask
from avatar.stages.sinks.checks import checked_image, expect_even
from avatar.stages.sinks.conversion import I420Converter

DEFAULT_PORT = 8765
"""Where pages are served."""

KEYFRAME_SECONDS = 2.0
CLOCK_RATE_HZ = 90_000
"""RTP's clock for video (RFC 6184, 5.1)."""

_MATRIX_BT601, _RANGE_LIMITED = 5, 1
# Brightness of black and white in limited range, and of a picture without colour.
_BLACK, _WHITE, _GREY = 16, 235, 128


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One picture as H.264 (Annex B). ``timestamp_ns``: of the camera frame it was made from."""

    data: bytes
    timestamp_ns: int
    is_keyframe: bool


class Audience:
    """Who wants encoded pictures; outlives the sinks that feed it. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[EncodedPicture], None], ...] = ()
        self._wants_keyframe = False

    def subscribe(self, listener: Callable[[EncodedPicture], None]) -> Callable[[], None]:
        """Call ``listener`` from now on with each picture, a keyframe first; return how to end it.

        It is called in the sink's thread and must not wait.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)
            self._wants_keyframe = True

        def end() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return end

    def request_keyframe(self) -> None:
        """Have the next picture encoded as one that needs none before it."""
        self._wants_keyframe = True

    def take_keyframe_wish(self) -> bool:
        """Return whether a keyframe is wanted, and forget it."""
        with self._lock:
            wish, self._wants_keyframe = self._wants_keyframe, False
            return wish

    @property
    def is_empty(self) -> bool:
        """Return whether nobody watches."""
        return not self._listeners

    def send(self, picture: EncodedPicture) -> None:
        """Hand ``picture`` to everybody."""
        for listener in self._listeners:
            listener(picture)


class PageSink:
    """Encodes frames for ``audience``; while nobody watches it does nothing.

    x264's fastest preset without delay: no picture waits for another, no B-frames. ``port``: where
    the page is to be served by whoever made the sink.
    """

    def __init__(
        self,
        size_px: tuple[int, int],
        fps: float,
        audience: Audience,
        port: int = DEFAULT_PORT,
    ) -> None:
        self._size_px, self._fps = size_px, fps
        self._audience, self.port = audience, port
        self._entered = False
        self._encoder: _Encoder | None = None

    @property
    def name(self) -> str:
        """Return ``page``, with the port where it is not the usual one."""
        return "page" if self.port == DEFAULT_PORT else f"page:{self.port}"

    @property
    def audience(self) -> Audience:
        """Return who watches."""
        return self._audience

    def __enter__(self) -> Self:
        expect_even(self._size_px, "The page")
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        self._encoder = None

    def write(self, frame: LabelledFrame) -> None:
        """Encode ``frame`` and hand it on."""
        image = checked_image(frame, self._size_px, sink=self.name, entered=self._entered)
        if self._audience.is_empty:
            self._encoder = None  # the next who comes begins with a keyframe
            return
        has_alpha = frame.alpha is not None
        if self._encoder is None or self._encoder.has_alpha != has_alpha:
            self._encoder = _Encoder(self._size_px, self._fps, has_alpha)
        wish = self._audience.take_keyframe_wish()
        picture = self._encoder.encode(image, frame.alpha, frame.timestamp_ns, wish)
        if picture is not None:
            self._audience.send(picture)


class _Encoder:
    """An H.264 stream of one size."""

    def __init__(self, size_px: tuple[int, int], fps: float, has_alpha: bool) -> None:
        import av

        self.has_alpha = has_alpha
        self._av: Any = av
        self._colours = I420Converter(size_px)
        width, height = size_px
        full_height = 2 * height if has_alpha else height
        self._planes = np.full((full_height * 3 // 2, width), _GREY, np.uint8)
        self._levels = np.rint(np.linspace(_BLACK, _WHITE, 256)).astype(np.uint8)
        codec: Any = av.CodecContext.create("libx264", "w")
        codec.width, codec.height = width, full_height
        codec.pix_fmt = "yuv420p"
        codec.framerate = Fraction(fps).limit_denominator(1001)
        codec.time_base = Fraction(1, CLOCK_RATE_HZ)
        codec.gop_size = max(1, round(KEYFRAME_SECONDS * fps))
        codec.color_range, codec.colorspace = _RANGE_LIMITED, _MATRIX_BT601
        codec.thread_count = 1
        codec.profile = "Baseline"
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "21",
            "maxrate": "8M",
            "bufsize": "4M",
            "forced-idr": "1",
        }
        self._codec = codec
        self._last_pts = -1

    def encode(
        self, image: UInt8Image, alpha: UInt8Mask | None, timestamp_ns: int, keyframe: bool
    ) -> EncodedPicture | None:
        """Return the encoded picture. Raises ``SinkError`` when the encoder refuses."""
        frame = self._av.VideoFrame.from_ndarray(self._stacked(image, alpha), format="yuv420p")
        frame.pts = max(timestamp_ns * CLOCK_RATE_HZ // 1_000_000_000, self._last_pts + 1)
        self._last_pts = frame.pts
        frame.time_base = Fraction(1, CLOCK_RATE_HZ)
        frame.colorspace, frame.color_range = _MATRIX_BT601, _RANGE_LIMITED
        kinds = self._av.video.frame.PictureType
        frame.pict_type = kinds.I if keyframe else kinds.NONE
        try:
            packets = self._codec.encode(frame)
        except self._av.error.FFmpegError as error:
            raise SinkError(f"page: H.264 cannot be encoded: {error}") from error
        if not packets:
            return None
        data = b"".join(bytes(packet) for packet in packets)
        return EncodedPicture(data, timestamp_ns, any(p.is_keyframe for p in packets))

    def _stacked(self, image: UInt8Image, alpha: UInt8Mask | None) -> UInt8Image:
        """Return I420 planes of the picture, with its opacity below it where it has one."""
        colours = self._colours.convert(image)
        if alpha is None:
            return colours
        height, width = image.shape[:2]
        planes = self._planes
        planes[:height] = colours[:height]
        np.take(self._levels, alpha, out=planes[height : 2 * height])
        # Each colour plane is a quarter of the picture, row after row; below it stays grey.
        quarter = height * width // 4
        chroma = planes[2 * height :].reshape(-1)
        chroma[:quarter] = colours[height:].reshape(-1)[:quarter]
        chroma[2 * quarter : 3 * quarter] = colours[height:].reshape(-1)[quarter:]
        return planes
