"""Films as people really have them, each made small; the number of a frame is its brightness."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from avatar.core.frames import UInt8Image
from tests.stages.sources.films import make_film, picture_of


def write_pictures(
    path: Path,
    pictures: Sequence[UInt8Image],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    fps: int = 25,
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    setup: Callable[[Any], None] = lambda stream: None,
    tag: Callable[[Any], None] = lambda frame: None,
) -> Path:
    """Write uint8 (H, W, 3) pictures at ``ticks``/``fps`` seconds, one after the other by default.

    ``setup`` is called with the stream, ``tag`` with each frame.
    """
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=fps, options=options or {})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.time_base = pixels, Fraction(1, fps)
        setup(video)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = ticks[number] if ticks else number, Fraction(1, fps)
            tag(frame)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def joined(path: Path, count: int = 12, fps: int = 25) -> Path:
    """Write a broadcast twice into one file, as `cat a.ts a.ts` does."""
    make_film(path, count=count, fps=fps)
    path.write_bytes(path.read_bytes() * 2)
    return path


def in_one_size_then_another(
    path: Path, first_px: tuple[int, int], then_px: tuple[int, int], count: int = 10
) -> Path:
    """Write JPEGs into Matroska, of which half have another size, as a browser's camera sends."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mjpeg", rate=25)
        video.width, video.height = first_px
        video.pix_fmt, video.time_base = "yuvj420p", Fraction(1, 25)
        out.start_encoding()
        for number in range(count):
            size = first_px if number < count // 2 else then_px
            data = io.BytesIO()
            Image.fromarray(picture_of(number, size)).save(data, "JPEG", quality=95)
            packet = av.Packet(data.getvalue())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), video, True
            out.mux(packet)
    return path


def retimed(source: Path, path: Path, shift_s: Callable[[str, float], float]) -> Path:
    """Copy a film; ``shift_s`` of ("video" or "audio", time) is added to each packet's times."""
    with av.open(str(source)) as film, av.open(str(path), "w") as out:
        targets = {stream.index: out.add_stream_from_template(stream) for stream in film.streams}
        for packet in film.demux():
            if packet.dts is None or packet.pts is None:
                continue
            by = round(shift_s(packet.stream.type, float(packet.pts * packet.time_base))
                       / float(packet.time_base))  # fmt: skip
            packet.pts, packet.dts = packet.pts + by, packet.dts + by
            packet.stream = targets[packet.stream.index]
            out.mux(packet)
    return path


def interlaced(path: Path, count: int = 8) -> Path:
    """Write a bar that moves between the two fields of each picture."""
    pictures = []
    for number in range(count):
        picture = np.full((96, 128, 3), 40, np.uint8)
        for field in (0, 1):
            left = 10 + 6 * (2 * number + field)
            picture[field::2, left : left + 20] = 220
        pictures.append(picture)
    flags = {"flags": "+ildct+ilme", "top": "1"}

    def setup(stream: Any) -> None:
        stream.bit_rate = 4_000_000

    return write_pictures(path, pictures, codec="mpeg2video", options=flags, setup=setup)


def hdr_film(path: Path, transfer: int, signal: float) -> Path:
    """Write flat grey whose BT.2020 signal, 0 to 1, is ``signal``."""

    def setup(stream: Any) -> None:
        tag(stream.codec_context)

    def tag(target: Any) -> None:
        target.color_primaries, target.color_trc, target.colorspace = 9, transfer, 9

    grey = np.full((32, 32, 3), round(signal * 255), np.uint8)
    options = {"x264-params": f"colorprim=9:transfer={transfer}:colormatrix=9"}
    return write_pictures(path, [grey] * 3, setup=setup, tag=tag, options=options)


def cut_off(path: Path, share: float = 0.5) -> Path:
    """Write the first ``share`` of a film of 100 pictures, 25 a second, with its index in front."""
    noise = np.random.default_rng(0).integers(0, 255, (100, 96, 128, 3), dtype=np.uint8)
    codec = "libx264" if path.suffix == ".mp4" else "mpeg4"
    write_pictures(path, list(noise), codec=codec)
    if path.suffix == ".mp4":
        _with_the_index_in_front(path)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    return path


def _with_the_index_in_front(path: Path) -> None:
    front = path.with_name("front.mp4")
    options = {"movflags": "faststart"}
    with av.open(str(path)) as film, av.open(str(front), "w", options=options) as out:
        target = out.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = target
                out.mux(packet)
    front.replace(path)
