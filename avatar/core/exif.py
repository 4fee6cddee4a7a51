"""The one thing of EXIF that is used: how the camera was held (EXIF 2.32, section 4.6.4)."""

from __future__ import annotations

import struct
from contextlib import suppress

TAG = 0x0112


def orientation_in(exif: bytes) -> int | None:
    """Return the orientation that EXIF data says, whatever else of it is damaged.

    By TIFF 6.0, section 2. None where it says none.
    """
    data = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    with suppress(struct.error):
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", data, entry)
            if tag == TAG and kind in (3, 4):  # SHORT as it should be, or LONG
                value = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
                return int(value[0])
    return None


def exif_of(orientation: int) -> bytes:
    """Return EXIF data that says an orientation and nothing else; it begins as TIFF does."""
    header = b"MM\0*" + struct.pack(">I", 8)
    entry = struct.pack(">HHIHH", TAG, 3, 1, orientation, 0)
    return header + struct.pack(">H", 1) + entry + struct.pack(">I", 0)
