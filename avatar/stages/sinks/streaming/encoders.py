"""H.264 without delay: which encoder opens here, and how each is told what a stream needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import SinkUnavailableError, UsageError
from avatar.core.frames import UInt8Image
from avatar.stages.sinks.mp4 import ffmpeg_failures, ffmpeg_reason, tag_colours
from avatar.stages.sinks.streaming.settings import KEYFRAME_S

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext

TIME_BASE = Fraction(1, 90_000)
"""The clock of MPEG and of RTP."""

ENCODERS = {
    "nvenc": "h264_nvenc",
    "qsv": "h264_qsv",
    "amf": "h264_amf",
    "videotoolbox": "h264_videotoolbox",
    "x264": "libx264",
}
"""Name to FFmpeg's; in the order in which ``auto`` tries them, software last."""

_NEEDS = {
    "nvenc": "an NVIDIA card with NVENC and its driver",
    "qsv": "Intel graphics and its driver",
    "amf": "an AMD card and its driver",
    "videotoolbox": "macOS",
    "x264": "a PyAV from PyPI, whose wheels bring it",
}
_MOST_THREADS = 4
# What each calls "at once, as steady as asked, and keyframes only when told".
_OPTIONS: dict[str, dict[str, str]] = {
    "x264": {
        # Sub-pixel motion is 4 dB better on an avatar for half a millisecond more.
        "preset": "ultrafast", "x264-params": "subme=1",
        "tune": "zerolatency", "forced-idr": "1", "sc_threshold": "0",
        "threads": str(min(_MOST_THREADS, os.cpu_count() or 1)),
    },
    "nvenc": {
        "preset": "p4", "tune": "ull", "rc": "cbr", "zerolatency": "1", "delay": "0",
        "forced-idr": "1", "no-scenecut": "1",
    },
    "qsv": {
        "preset": "veryfast", "async_depth": "1", "forced_idr": "1", "scenario": "livestreaming",
    },
    "amf": {"usage": "ultralowlatency", "rc": "cbr", "forced_idr": "1"},
    "videotoolbox": {"realtime": "1", "prio_speed": "1"},
}  # fmt: skip
_PIXELS = {"qsv": "nv12"}


@dataclass(frozen=True)
class VideoPlan:
    """How a stream's video is to be. ``size_px``: (width, height), both even.

    ``is_constant_rate``: still pictures are filled up to the bit rate. ``is_baseline``: what every
    browser decodes.
    """

    size_px: tuple[int, int]
    fps: float
    kbps: int
    is_constant_rate: bool = False
    is_baseline: bool = False


def options_of(encoder: str, plan: VideoPlan) -> dict[str, str]:
    """Return FFmpeg's options for ``encoder``, a name of ``ENCODERS``."""
    rate = str(plan.kbps * 1000)
    options = {**_OPTIONS[encoder], "maxrate": rate, "bufsize": rate}
    if encoder == "x264":
        # With the whole rate for one second, a keyframe may be large.
        options["profile"] = "baseline" if plan.is_baseline else "main"
        if plan.is_constant_rate:
            options["nal-hrd"] = "cbr"
    elif plan.is_baseline and encoder in ("nvenc", "qsv"):
        options["profile"] = "baseline"
    return options


def configure(context: VideoCodecContext, encoder: str, plan: VideoPlan) -> None:
    """Set everything but the options on a context that is not open yet."""
    context.width, context.height = plan.size_px
    context.pix_fmt = _PIXELS.get(encoder, "yuv420p")
    context.time_base = TIME_BASE
    context.framerate = Fraction(plan.fps).limit_denominator(1001)
    context.bit_rate = plan.kbps * 1000
    # Keyframes are asked for by time (``H264Encoder``); this is only the end of an encoder's own
    # patience.
    context.gop_size = max(1, round(4 * KEYFRAME_S * plan.fps))
    context.max_b_frames = 0
    tag_colours(context)


def choose_encoder(asked: str, plan: VideoPlan, say: Callable[[str], None]) -> str:
    """Return the name of the encoder to use, after it has really encoded a picture here.

    ``auto`` takes the first that works, hardware before software, and says which. Raises
    ``UsageError`` for a name that is none and ``SinkUnavailableError`` for one that does not open.
    """
    if asked == "auto":
        found = next((name for name in ENCODERS if why_not(name, plan) is None), None)
        if found is None:
            raise SinkUnavailableError(
                "streams need an H.264 encoder, and none of those of PyAV opens here. "
                "Install PyAV from PyPI: its wheels bring x264"
            )
        say(f"encoder: {found}{' (no hardware encoder opens here)' if found == 'x264' else ''}")
        return found
    if asked not in ENCODERS:
        raise UsageError(f"--encoder: expected auto, {', '.join(ENCODERS)}; found {asked!r}")
    trouble = why_not(asked, plan)
    if trouble is not None:
        raise SinkUnavailableError(
            f"--encoder {asked}: it does not open here ({trouble}); it needs {_NEEDS[asked]}. "
            "--encoder auto takes one that opens; `avatar doctor` lists them"
        )
    return asked


def why_not(encoder: str, plan: VideoPlan) -> str | None:
    """Return why ``encoder`` cannot be used here, None when it has just encoded a picture."""
    from av.codec import CodecContext

    try:
        context: Any = CodecContext.create(ENCODERS[encoder], "w")
        configure(context, encoder, plan)
        context.options = options_of(encoder, plan)
        width, height = plan.size_px
        grey = np.full((height * 3 // 2, width), 128, np.uint8)
        H264Encoder(context.encode, plan).encode(grey, 0)
        context.encode(None)
    except ffmpeg_failures() as error:
        return ffmpeg_reason(error)
    except ValueError as error:  # PyAV's own, for a codec or an option that it does not know
        return str(error)
    return None


class H264Encoder:
    """Encodes pictures with their times; every two seconds, and at first, a keyframe.

    ``encode``: what takes a frame and gives packets: that of an ``av`` stream or context.
    """

    def __init__(self, encode: Callable[[Any], list[Packet[Any]]], plan: VideoPlan) -> None:
        self._encode = encode
        self._half_ns = round(0.5e9 / plan.fps)
        self._due_ns: int | None = None

    def encode(self, planes: UInt8Image, time_ns: int) -> list[Packet[Any]]:
        """Return the packets of one picture: I420, uint8 (H·3/2, W), at ``time_ns`` of the stream.

        Times rise strictly.
        """
        import av
        from av.video.frame import PictureType

        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = round(time_ns * TIME_BASE.denominator / 1e9)
        frame.time_base = TIME_BASE
        tag_colours(frame)
        if self._is_due(time_ns):
            frame.pict_type = PictureType.I
        return self._encode(frame)

    def restart(self) -> None:
        """Make the next picture a keyframe."""
        self._due_ns = None

    def _is_due(self, time_ns: int) -> bool:
        """Return whether a keyframe is due: those are at multiples of two seconds, or nearest."""
        every_ns = round(KEYFRAME_S * 1e9)
        if self._due_ns is not None and time_ns < self._due_ns - self._half_ns:
            return False
        self._due_ns = ((time_ns + self._half_ns) // every_ns + 1) * every_ns
        return True
