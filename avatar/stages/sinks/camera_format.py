"""The formats that the PipeWire camera offers, and pictures in the one that was agreed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from avatar.core.frames import UInt8Image
from avatar.stages.sinks.conversion import I420Converter, Letterbox, RgbRows, Yuy2Converter
from avatar.stages.sinks.spa import I420, RGB, YUY2, VideoFormat

_NAMES = {I420: "I420", YUY2: "YUY2", RGB: "RGB"}
# What programs ask of cameras, beside the picture's own size.
_USUAL_SIZES_PX = ((1920, 1080), (1280, 720), (960, 540), (640, 480), (640, 360), (320, 240))


class _Converter(Protocol):
    def convert(self, image: UInt8Image) -> UInt8Image: ...


_CONVERTERS: dict[int, Callable[[tuple[int, int]], _Converter]] = {
    I420: I420Converter,
    YUY2: Yuy2Converter,
    RGB: RgbRows,
}


def offered_formats(size_px: tuple[int, int], fps: float) -> list[VideoFormat]:
    """Return what a reader may choose from for pictures of ``size_px``, the best first.

    The picture's own size, then the usual ones that are smaller; each as I420, YUY2 and RGB.
    """
    rate = Fraction(fps).limit_denominator(1001)
    smaller = [size for size in _USUAL_SIZES_PX if size != size_px and _fits(size, size_px)]
    return [
        VideoFormat(pixels, size, (rate.numerator, rate.denominator))
        for size in (size_px, *smaller)
        for pixels in _CONVERTERS
        if pixels != I420 or _i420_is_unambiguous(size)
    ]


def _fits(size_px: tuple[int, int], into_px: tuple[int, int]) -> bool:
    return size_px[0] <= into_px[0] and size_px[1] <= into_px[1]


def _i420_is_unambiguous(size_px: tuple[int, int]) -> bool:
    """Tell whether all readers agree on the length of I420's rows.

    Some round them up to multiples of four, also the halved ones of the colours, and others do not.
    """
    return size_px[0] % 8 == 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Bytes of one picture and of one of its rows (of I420: of its first plane)."""

    size: int
    stride: int


def layout_of(video: VideoFormat) -> Layout:
    """Return how pictures of ``video`` lie in memory, without gaps between rows and planes."""
    width, height = video.size_px
    if video.pixels == I420:
        return Layout(width * height * 3 // 2, width)
    stride = width * 2 if video.pixels == YUY2 else width * 3 + -width * 3 % 4
    return Layout(stride * height, stride)


class FormatConverter:
    """Turns RGB pictures of ``size_px`` into ``video``; each call overwrites the one before."""

    def __init__(self, size_px: tuple[int, int], video: VideoFormat) -> None:
        self.video = video
        self.layout = layout_of(video)
        self._letterbox = Letterbox(size_px, video.size_px)
        self._converter = _CONVERTERS[video.pixels](video.size_px)

    def convert(self, image: UInt8Image) -> UInt8Image:
        """Return ``image``, uint8 (H, W, 3) RGB, as uint8 of ``layout.size`` bytes in all."""
        return self._converter.convert(self._letterbox.fit(image))


def describe(video: VideoFormat) -> str:
    """Return ``video`` for people: ``1280×720 I420``."""
    return f"{video.size_px[0]}×{video.size_px[1]} {_NAMES.get(video.pixels, video.pixels)}"


def is_offered(video: VideoFormat) -> bool:
    """Tell whether pictures of ``video`` can be made."""
    return video.pixels in _CONVERTERS
