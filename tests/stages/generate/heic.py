"""A HEIC picture made here: one picture of HEVC in the boxes of ISO/IEC 23008-12."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from avatar.core.frames import UInt8Image


def make_heic(path: Path, image: UInt8Image) -> Path:
    """Write uint8 (H, W, 3) RGB of even size, coded as intra-only HEVC."""
    height, width = image.shape[:2]
    film = path.with_suffix(".mp4")
    with av.open(str(film), "w") as out:
        options = {"x265-params": "log-level=none:keyint=1:crf=5", "tag": "hvc1"}
        stream = out.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    with av.open(str(film)) as made:
        hvcc = made.streams.video[0].codec_context.extradata
        data = bytes(next(made.demux(video=0)))
    film.unlink()
    path.write_bytes(_heif(width, height, hvcc or b"", data))
    return path


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, version: int, *parts: bytes) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]), *parts)


def _heif(width: int, height: int, hvcc: bytes, data: bytes) -> bytes:
    def meta(offset: int) -> bytes:
        location = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(data))
        properties = _box(
            b"ipco", _box(b"hvcC", hvcc), _full(b"ispe", 0, struct.pack(">II", width, height))
        )
        return _full(
            b"meta", 0,
            _full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            _full(b"pitm", 0, struct.pack(">H", 1)),
            _full(b"iloc", 0, location),
            _full(b"iinf", 0, struct.pack(">H", 1),
                  _full(b"infe", 2, struct.pack(">HH", 1, 0), b"hvc1", b"\0")),
            _box(b"iprp", properties,
                 _full(b"ipma", 0, struct.pack(">IHB", 1, 1, 2), bytes([0x81, 0x02]))),
        )  # fmt: skip

    kind = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    offset = len(kind) + len(meta(0)) + 8
    return kind + meta(offset) + _box(b"mdat", data)
