"""Where a HEIF or AVIF file keeps what is not a picture: EXIF, XMP and the like.

ISO/IEC 14496-12, sections 8.11.3 (``iloc``) and 8.11.6 (``iinf``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PRIVATE = (b"Exif", b"mime", b"uri ")
_MOST_ITEMS = 10_000
Extents = list[tuple[bytes, int, int]]
"""Kind, beginning and end."""


def private_extents(data: bytes) -> Extents:
    """Return where in the file all items lie that say something of the picture.

    ``uuid`` and ``udta`` boxes at the file's top count, too. Raises ``ValueError``,
    ``struct.error`` and ``IndexError`` for a file that is not of this kind.
    """
    found: Extents = []
    for kind, begin, end in _boxes(data, 0, len(data)):
        if kind in (b"uuid", b"udta"):
            found.append((kind, begin, end))
        if kind == b"meta":
            found += _of_meta(data, begin + 4, end)
    return [(kind, begin, min(end, len(data))) for kind, begin, end in found if begin < end]


def _of_meta(data: bytes, begin: int, end: int) -> Extents:
    inner = {kind: (first, last) for kind, first, last in _boxes(data, begin, end)}
    if b"iinf" not in inner or b"iloc" not in inner:
        return []
    kinds = dict(_kinds(data, *inner[b"iinf"]))
    private = {number: kind for number, kind in kinds.items() if kind in _PRIVATE}
    places = _places(data, inner[b"iloc"][0], inner.get(b"idat", (0, 0))[0])
    return [(private[number], *extent) for number, extent in places if number in private]


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield each box's type, and where its content begins and ends."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        size = size or end - at
        if size < header:
            raise ValueError("a box smaller than its head")
        yield kind, at + header, min(at + size, end)
        at += size


def _kinds(data: bytes, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield each item's number and type."""
    count_bytes = 2 if data[begin] == 0 else 4
    for kind, first, _ in _boxes(data, begin + 4 + count_bytes, end):
        version = data[first]
        if kind == b"infe" and version in (2, 3):
            (number,) = struct.unpack_from(">H" if version == 2 else ">I", data, first + 4)
            at = first + 4 + (4 if version == 2 else 6)
            yield number, data[at : at + 4]


def _places(data: bytes, at: int, idat: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield each item's number with each of its extents in the file."""
    version = data[at]
    sizes = struct.unpack_from(">H", data, at + 4)[0]
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version in (1, 2) else 0
    reader = _Reader(data, at + 6)
    for _ in range(min(reader.number(2 if version < 2 else 4), _MOST_ITEMS)):
        item = reader.number(2 if version < 2 else 4)
        method = reader.number(2) & 15 if version in (1, 2) else 0
        reader.number(2)  # in which file it lies
        base = reader.number(base_bytes) + (idat if method == 1 else 0)
        for _ in range(min(reader.number(2), _MOST_ITEMS)):
            reader.number(index_bytes)
            begin = base + reader.number(offset_bytes)
            yield item, (begin, begin + reader.number(length_bytes))


class _Reader:
    """Reads big-endian numbers one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def number(self, size: int) -> int:
        """Return the next number, of ``size`` bytes."""
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise ValueError("cut short")
        self._at += size
        return int.from_bytes(part, "big")
