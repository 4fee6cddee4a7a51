"""Encoders of pictures for web pages: H.264, and VP8 for browsers that came without it.

A picture with transparency is encoded twice as high: the colours above, their opacity as grey
below, since neither codec knows alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from avatar.core.errors import SinkError
from avatar.core.frames import UInt8Image, UInt8Mask
from avatar.stages.sinks.conversion import I420Converter

PageCodec = Literal["H264", "VP8"]
"""As WebRTC names them (RFC 6184, RFC 7741). Every browser has one (RFC 7742, 5)."""

KEYFRAME_SECONDS = 2.0
CLOCK_RATE_HZ = 90_000
"""RTP's clock for video (RFC 6184, 5.1; RFC 7741, 4.1)."""

_MATRIX_BT601, _RANGE_LIMITED = 5, 1
# Brightness of black and white in limited range, and of a picture without colour.
_BLACK, _WHITE, _GREY = 16, 235, 128


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One picture as H.264 (Annex B) or VP8. ``timestamp_ns``: of the camera frame behind it."""

    data: bytes
    timestamp_ns: int
    is_keyframe: bool


class StackedPlanes:
    """Pictures as I420 planes, with their opacity below them where they have one."""

    def __init__(self, size_px: tuple[int, int], has_alpha: bool) -> None:
        self.has_alpha = has_alpha
        width, height = size_px
        self.size_px = (width, 2 * height if has_alpha else height)
        self._colours = I420Converter(size_px)
        self._planes = np.full((self.size_px[1] * 3 // 2, width), _GREY, np.uint8)
        self._levels = np.rint(np.linspace(_BLACK, _WHITE, 256)).astype(np.uint8)

    def of(self, image: UInt8Image, alpha: UInt8Mask | None) -> UInt8Image:
        """Return the planes of a picture, valid until the next one; uint8 (H·3/2, W)."""
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


class PageEncoder:
    """A stream of one codec and one size. No picture waits for another; no B-frames."""

    def __init__(self, codec: PageCodec, size_px: tuple[int, int], fps: float) -> None:
        import av

        self._av: Any = av
        self._name = codec
        self._codec = _h264() if codec == "H264" else _vp8()
        self._codec.width, self._codec.height = size_px
        self._codec.pix_fmt = "yuv420p"
        self._codec.framerate = Fraction(fps).limit_denominator(1001)
        self._codec.time_base = Fraction(1, CLOCK_RATE_HZ)
        self._codec.gop_size = max(1, round(KEYFRAME_SECONDS * fps))
        self._codec.color_range, self._codec.colorspace = _RANGE_LIMITED, _MATRIX_BT601
        self._codec.thread_count = 1
        self._last_pts = -1

    def encode(
        self, planes: UInt8Image, timestamp_ns: int, keyframe: bool
    ) -> EncodedPicture | None:
        """Return the encoded picture. Raises ``SinkError`` when the encoder refuses."""
        frame = self._av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = max(timestamp_ns * CLOCK_RATE_HZ // 1_000_000_000, self._last_pts + 1)
        self._last_pts = frame.pts
        frame.time_base = Fraction(1, CLOCK_RATE_HZ)
        frame.colorspace, frame.color_range = _MATRIX_BT601, _RANGE_LIMITED
        kinds = self._av.video.frame.PictureType
        frame.pict_type = kinds.I if keyframe else kinds.NONE
        try:
            packets = self._codec.encode(frame)
        except self._av.error.FFmpegError as error:
            raise SinkError(f"page: {self._name} cannot be encoded: {error}") from error
        if not packets:
            return None
        data = b"".join(bytes(packet) for packet in packets)
        return EncodedPicture(data, timestamp_ns, any(p.is_keyframe for p in packets))


def _h264() -> Any:
    """Return x264's fastest preset without delay."""
    import av

    codec: Any = av.CodecContext.create("libx264", "w")
    codec.profile = "Baseline"
    codec.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "crf": "21",
        "maxrate": "8M",
        "bufsize": "4M",
        "forced-idr": "1",
    }
    return codec


def _vp8() -> Any:
    """Return libvpx for calls: constant quality as good as the other's, up to the same rate.

    1.5 times the other's processor time at 1280×720.
    """
    import av

    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.bit_rate = 8_000_000
    codec.qmin, codec.qmax = 2, 56
    codec.options = {
        "crf": "10",
        "deadline": "realtime",
        "cpu-used": "-12",
        "lag-in-frames": "0",
        # A picture that is lost does not spoil how the next ones are read.
        "error-resilient": "1",
    }
    return codec
