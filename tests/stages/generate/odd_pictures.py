"""Pictures as people really have them: damaged EXIF data, odd profiles, too many pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import ImageCms

from avatar.core.frames import UInt8Image


def scene(width: int = 60, height: int = 40) -> UInt8Image:
    """Return a picture whose corners differ: dark red at the top left, bright blue below right."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[: height // 2, : width // 2] = (150, 30, 30)
    image[height // 2 :, width // 2 :] = (40, 60, 220)
    return image


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")


def exif(*entries: bytes, data: bytes = b"", head: bytes = b"II*\0") -> bytes:
    body = head + struct.pack("<IH", 8, len(entries)) + b"".join(entries)
    return b"Exif\0\0" + body + struct.pack("<I", 0) + data


UPRIGHT = entry(0x112, 3, 1, struct.pack("<H", 6))
AT = struct.pack("<I", 8 + 2 + 24 + 4)
DAMAGED = {
    "nothing": exif(UPRIGHT),
    "unit as a fraction": exif(UPRIGHT, entry(0x128, 5, 1, AT), data=struct.pack("<II", 2, 1)),
    "maker as a fraction": exif(entry(0x10F, 5, 1, AT), UPRIGHT, data=struct.pack("<II", 72, 1)),
    "resolution as text": exif(UPRIGHT, entry(0x11A, 2, 3, b"72")),
    "an entry that points nowhere": exif(UPRIGHT, entry(0x11A, 5, 1, b"\xff\xff\xff\x7f")),
    "more entries than there are": exif(UPRIGHT).replace(b"\0\0\x01\0", b"\0\0\xff\xff", 1),
    "an unknown kind": exif(entry(0x11A, 99, 1, b"?"), UPRIGHT),
    "an orientation as a long number": exif(entry(0x112, 4, 1, struct.pack("<I", 6))),
}  # fmt: skip


def exchanged_profile() -> bytes:
    """Return an sRGB profile whose red and blue primaries are exchanged."""
    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for k in range(struct.unpack(">I", raw[128:132])[0]):
        at = 132 + 12 * k
        name = bytes(raw[at : at + 4])
        raw[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(raw)


def bomb(path: Path, width: int, height: int) -> Path:
    """Write a PNG that says it is huge and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))  # fmt: skip

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )  # fmt: skip
    return path
