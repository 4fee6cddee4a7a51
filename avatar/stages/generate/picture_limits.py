"""What decoding a picture will take, told from its header: memory by its pixels, time by its scans.

A file's size says little of either: 2 kB of WebP, or 350 kB of JPEG, can be sixty megapixels.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

from avatar.core.errors import PhotoError
from avatar.core.messages import Message

MAX_PIXELS = 100_000_000
"""More than any camera makes."""
MAX_JPEG_PIXELS = 250_000_000
"""JPEGs are reduced by up to eight while they are decoded: large ones cost little."""
MOST_BYTES = 640_000_000
# Measured with Pillow 12 and pi_heif 1: the most that a process grew by.
_BYTES_PER_PIXEL = {"WEBP": 18.5, "AVIF": 12.0, "HEIF": 12.0, "JPEG2000": 20.0, "TIFF": 8.0}
_USUAL_BYTES = 6.0
# Of JPEGs in several scans the coefficients of all of it are kept, whatever it is reduced to.
_COEFFICIENT_BYTES, _JPEG_BYTES = 2.2, 4.0
# Half a nanosecond each where a scan has next to nothing to say; cameras write ten.
_MOST_PIXEL_SCANS = 2_000_000_000
_MOST_SEGMENTS = 50_000
# ITU-T T.81, table B.1: markers, but those that stand within a scan's data.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA


def check_cost(path: Path, picture: Any) -> None:
    """Raise ``PhotoError`` where decoding an opened ``picture`` would take too much.

    ``picture``: Pillow's, of which nothing but the header was read.
    """
    width, height = picture.size
    if width < 1 or height < 1:
        raise PhotoError(f"expected a photograph, found an empty picture in {path}.")
    most = MAX_JPEG_PIXELS if _is_jpeg(picture) else _most_pixels(picture)
    if width * height > most:
        raise _too_large(path, picture, most)
    if _is_jpeg(picture):
        _check_scans(path, picture)


def _is_jpeg(picture: Any) -> bool:
    return picture.format in ("JPEG", "MPO")


def _most_pixels(picture: Any) -> int:
    each = _BYTES_PER_PIXEL.get(picture.format, _USUAL_BYTES)
    return min(MAX_PIXELS, int(MOST_BYTES / each))


def _check_scans(path: Path, picture: Any) -> None:
    pixels = picture.size[0] * picture.size[1]
    most = max(1, _MOST_PIXEL_SCANS // pixels)
    scans = count_scans(path, most + 1)
    if scans > most:
        raise PhotoError(
            Message(
                "error.photoScans",
                "the picture {file} is stored in more than {most} scans: reading it would take "
                "minutes. Open it in a viewer and save it as PNG or JPEG.",
                file=str(path), most=most,
            )
        )  # fmt: skip
    each = _JPEG_BYTES + _COEFFICIENT_BYTES * len(picture.getbands())
    if scans > 1 and pixels * each > MOST_BYTES:
        raise _too_large(path, picture, int(MOST_BYTES / each))


def count_scans(path: Path, most: int) -> int:
    """Return how many scans a JPEG has; ``most`` stands for as many and more."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        scans = at = 0
        for _ in range(_MOST_SEGMENTS):
            found = _MARKER.search(data, at)
            if found is None or found[1][0] == _EOI or scans >= most:
                return scans
            at = found.end()
            if found[1][0] == _SOI:
                continue
            scans += found[1][0] == _SOS
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
        return most


def _too_large(path: Path, picture: Any, most: int) -> PhotoError:
    width, height = picture.size
    facts = {
        "file": str(path), "width": width, "height": height,
        "found": f"{width * height / 1e6:.0f}", "most": most // 1_000_000,
    }  # fmt: skip
    if _is_jpeg(picture):
        return PhotoError(
            Message(
                "error.photoLarge",
                "the picture {file} has {width}×{height} pixels, {found} megapixels: at most "
                "{most} are read. Reduce it, 4096 pixels on the longer side are enough.",
                **facts,
            )
        )
    return PhotoError(
        Message(
            "error.photoLargeUnlessJpeg",
            "the picture {file} has {width}×{height} pixels, {found} megapixels: at most {most} "
            "are read. Reduce it, 4096 pixels on the longer side are enough, or as JPEG, of which "
            "{jpeg} are read.",
            jpeg=MAX_JPEG_PIXELS // 1_000_000,
            **facts,
        )
    )
