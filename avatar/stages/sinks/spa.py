"""PipeWire's parameter format, SPA POD: what a video format or a buffer looks like on the wire.

A POD is a 4-byte body size, a 4-byte type, the body, and padding to a multiple of 8 bytes, all in
the machine's byte order. The builders of PipeWire are inline functions of its C headers, which no
shared library has: here are the few that a camera needs. Numbers are those of the headers
``spa/utils/type.h``, ``spa/param/param.h``, ``spa/param/format.h`` and ``spa/param/video/raw.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PARAM_ENUM_FORMAT = 3
PARAM_FORMAT = 4
PARAM_BUFFERS = 5
PARAM_META = 6
I420, YUY2, RGB = 2, 4, 15

_ID, _INT, _RECTANGLE, _FRACTION, _OBJECT, _CHOICE = 3, 4, 10, 11, 15, 19
_CHOICE_RANGE, _CHOICE_FLAGS = 1, 4
_OBJECT_FORMAT, _OBJECT_BUFFERS, _OBJECT_META = 0x40003, 0x40004, 0x40005
_MEDIA_TYPE, _MEDIA_SUBTYPE = 1, 2
_VIDEO_FORMAT, _VIDEO_SIZE, _VIDEO_FRAMERATE = 0x20001, 0x20003, 0x20004
_VIDEO_COLOR_RANGE, _VIDEO_COLOR_MATRIX = 0x2000C, 0x2000D
_RANGE_LIMITED, _MATRIX_BT601 = 2, 4
_TYPE_VIDEO, _SUBTYPE_RAW = 2, 1
_BUFFERS_BUFFERS, _BUFFERS_BLOCKS, _BUFFERS_SIZE, _BUFFERS_STRIDE = 1, 2, 3, 4
_BUFFERS_DATA_TYPE = 6
_META_TYPE, _META_SIZE = 1, 2
_DATA_MEM_PTR, _DATA_MEM_FD = 1, 2

_PAIR = struct.Struct("=II")
_HEADER_SIZE = _PAIR.size
META_HEADER = 1
META_HEADER_SIZE = 32


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """An uncompressed picture format; ``pixels`` is the number of ``enum spa_video_format``.

    ``size_px`` is (width, height), ``fps`` a fraction (numerator, denominator).
    """

    pixels: int
    size_px: tuple[int, int]
    fps: tuple[int, int]


def format_pod(video: VideoFormat) -> bytes:
    """Return ``video`` as one of the formats that a port offers.

    Every value is fixed: browsers leave out formats with a choice of sizes. The colours of all but
    RGB are said to be those of ``conversion.py``: BT.601, limited range.
    """
    values = {
        _MEDIA_TYPE: _id(_TYPE_VIDEO),
        _MEDIA_SUBTYPE: _id(_SUBTYPE_RAW),
        _VIDEO_FORMAT: _id(video.pixels),
        _VIDEO_SIZE: _pod(_RECTANGLE, _PAIR.pack(*video.size_px)),
        _VIDEO_FRAMERATE: _pod(_FRACTION, _PAIR.pack(*video.fps)),
    }
    if video.pixels != RGB:
        values |= {
            _VIDEO_COLOR_RANGE: _id(_RANGE_LIMITED),
            _VIDEO_COLOR_MATRIX: _id(_MATRIX_BT601),
        }
    return _object(_OBJECT_FORMAT, PARAM_ENUM_FORMAT, values)


def parse_format(pod: bytes) -> VideoFormat | None:
    """Return the format that was agreed on, None where ``pod`` is not one of raw video."""
    values = _parse_object(pod, _OBJECT_FORMAT)
    if values.get(_MEDIA_TYPE) != (_TYPE_VIDEO,) or values.get(_MEDIA_SUBTYPE) != (_SUBTYPE_RAW,):
        return None
    pixels, size = values.get(_VIDEO_FORMAT, ()), values.get(_VIDEO_SIZE, ())
    if len(pixels) != 1 or len(size) != 2:
        return None
    fps = values.get(_VIDEO_FRAMERATE, ())
    numerator, denominator = fps if len(fps) == 2 else (0, 1)
    return VideoFormat(pixels[0], (size[0], size[1]), (numerator, denominator))


def buffers_pod(size: int, stride: int) -> bytes:
    """Return the wish for 2 to 8 buffers of one block of ``size`` bytes, in ordinary memory."""
    return _object(
        _OBJECT_BUFFERS,
        PARAM_BUFFERS,
        {
            _BUFFERS_BUFFERS: _choice(_CHOICE_RANGE, (4, 2, 8)),
            _BUFFERS_BLOCKS: _int(1),
            _BUFFERS_SIZE: _int(size),
            _BUFFERS_STRIDE: _int(stride),
            _BUFFERS_DATA_TYPE: _choice(_CHOICE_FLAGS, (1 << _DATA_MEM_PTR | 1 << _DATA_MEM_FD,)),
        },
    )


def header_meta_pod() -> bytes:
    """Return the wish for a header (time, sequence number) on every buffer."""
    return _object(
        _OBJECT_META,
        PARAM_META,
        {_META_TYPE: _id(META_HEADER), _META_SIZE: _int(META_HEADER_SIZE)},
    )


def pod_size(header: bytes) -> int:
    """Return the bytes of a whole POD, by its first 8."""
    return _HEADER_SIZE + int(_PAIR.unpack_from(header)[0])


def _pod(kind: int, body: bytes) -> bytes:
    return _PAIR.pack(len(body), kind) + body + bytes(-len(body) % 8)


def _id(value: int) -> bytes:
    return _pod(_ID, struct.pack("=I", value))


def _int(value: int) -> bytes:
    return _pod(_INT, struct.pack("=i", value))


def _choice(kind: int, values: Sequence[int]) -> bytes:
    """Return a choice of ints: the default first, then what ``kind`` wants."""
    head = struct.pack("=IIII", kind, 0, 4, _INT)
    return _pod(_CHOICE, head + struct.pack(f"={len(values)}i", *values))


def _object(kind: int, param: int, values: Mapping[int, bytes]) -> bytes:
    properties = b"".join(_PAIR.pack(key, 0) + value for key, value in values.items())
    return _pod(_OBJECT, _PAIR.pack(kind, param) + properties)


def _parse_object(pod: bytes, kind: int) -> dict[int, tuple[int, ...]]:
    """Return the numbers of an object of ``kind`` by key; empty for anything else or cut off."""
    if len(pod) < 2 * _HEADER_SIZE:
        return {}
    size, pod_kind = _PAIR.unpack_from(pod)
    if pod_kind != _OBJECT or _PAIR.unpack_from(pod, _HEADER_SIZE)[0] != kind:
        return {}
    end = min(len(pod), _HEADER_SIZE + size)
    values, at = {}, 2 * _HEADER_SIZE
    while at + 2 * _HEADER_SIZE <= end:
        key = _PAIR.unpack_from(pod, at)[0]
        length = _PAIR.unpack_from(pod, at + _HEADER_SIZE)[0]
        after = at + 2 * _HEADER_SIZE + length
        if after > end:
            break
        values[key] = _numbers(pod[at + _HEADER_SIZE : after])
        at = after + -length % 8
    return values


def _numbers(pod: bytes) -> tuple[int, ...]:
    """Return the 32-bit numbers of a value; of a choice only its default."""
    size, kind = _PAIR.unpack_from(pod)
    body = pod[_HEADER_SIZE : _HEADER_SIZE + size]
    if kind == _CHOICE and size >= 16:
        child_size, kind = _PAIR.unpack_from(body, 8)
        body = body[16 : 16 + child_size]
    wanted = {_ID: 4, _INT: 4, _RECTANGLE: 8, _FRACTION: 8}.get(kind)
    if wanted is None or len(body) != wanted:
        return ()
    return struct.unpack(f"={wanted // 4}{'i' if kind == _INT else 'I'}", body)
