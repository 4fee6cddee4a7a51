"""Photographs without what they say beside the picture: place, time, camera, owner, thumbnails.

The picture itself stays as it is, bit for bit, where its format is one of those that people have:
its parts are copied but for those that are not the picture. Of everything else the pixels are kept
as PNG. Either way it is then read, and has to be the same picture.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from avatar.core.errors import PhotoError
from avatar.core.exif import exif_of
from avatar.stages.generate.heif_items import private_extents
from avatar.stages.generate.photo import MAX_SIDE_PX, load_own_matte, load_photo
from avatar.stages.generate.picture_file import orientation_of, read_picture

# ITU-T T.81, table B.1.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_SOI, _EOI, _SOS, _APP0, _APP1, _APP15, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEF, 0xFE
# PNG 3, section 11: what the colours need. All critical chunks begin with a capital.
_PNG_KEPT = frozenset(
    (b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"cICP", b"pHYs")
)
_WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF"))
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04  # flags of VP8X


@contextmanager
def private_copy(photo: Path) -> Iterator[Path]:
    """Give a copy of a photograph that says nothing but its picture, until it ends.

    Raises ``PhotoError`` as ``load_photo`` does, and ``OSError``.
    """
    with TemporaryDirectory(prefix="webcam-avatar-") as folder:
        copy = Path(folder) / photo.name
        with suppress(_UnfitError, PhotoError, struct.error, IndexError):
            copy.write_bytes(bare(photo.read_bytes(), orientation_of(photo)))
            if _is_same(copy, photo):
                yield copy
                return
        copy = copy.with_suffix(".png")
        _draw_again(photo, copy)
        yield copy


class _UnfitError(ValueError):
    """A format that is not taken apart here, or a file that does not keep to it."""


def bare(data: bytes, orientation: int) -> bytes:
    """Return a picture's file without what is not the picture, but its orientation.

    Raises ``ValueError`` for a format that is not JPEG, PNG, WebP or of HEIF's family.
    """
    kinds: list[tuple[bytes, Callable[[bytes, int], bytes]]] = [
        (rb"\xff\xd8\xff", _bare_jpeg), (rb"\x89PNG\r\n\x1a\n", _bare_png),
        (rb"RIFF....WEBP", _bare_webp), (rb"....ftyp", _bare_heif),
    ]  # fmt: skip
    for begins, strip in kinds:
        if re.match(begins, data, re.DOTALL):
            return strip(data, orientation)
    raise _UnfitError("of another format")


def _is_same(copy: Path, photo: Path) -> bool:
    if not np.array_equal(load_photo(copy), load_photo(photo)):
        return False
    mattes = load_own_matte(copy), load_own_matte(photo)
    if mattes[0] is None or mattes[1] is None:
        return mattes[0] is mattes[1]
    return bool(np.array_equal(mattes[0], mattes[1]))


def _draw_again(photo: Path, copy: Path) -> None:
    """Write a picture's pixels as they are read, and nothing else."""
    from PIL import Image

    picture = read_picture(photo, MAX_SIDE_PX)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        made = picture.convert("RGBA")
    else:
        made = Image.fromarray(load_photo(photo))
    clean = Image.fromarray(np.asarray(made))
    clean.save(copy, "PNG")


def _bare_jpeg(data: bytes, orientation: int) -> bytes:
    """Keep JFIF, colours and the picture: no EXIF, XMP, comments, and nothing after the end."""
    made = [data[:2]]
    at, held = 2, orientation != 1
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            return b"".join([*made, data[at:]])
        kind, end = found[1][0], found.end()
        if kind == _EOI:
            return b"".join([*made, data[at:end]])
        length = int.from_bytes(data[end : end + 2], "big")
        if length < 2:
            raise _UnfitError("a segment of no length")
        if kind == _SOS or not (_APP0 <= kind <= _APP15 or kind == _COM):
            # EXIF has to come before all but JFIF.
            made += [_exif_segment(orientation)] if held else []
            held = False
        if _is_kept(kind, data[end + 2 : end + length]):
            made.append(data[at : end + length])
        elif at < found.start():
            made.append(data[at : found.start()])  # a scan's data, before what is left out
        at = end + length


def _is_kept(kind: int, content: bytes) -> bool:
    if kind == _COM:
        return False
    if not _APP0 <= kind <= _APP15:
        return True
    return content.startswith((b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"))


def _exif_segment(orientation: int) -> bytes:
    content = b"Exif\0\0" + exif_of(orientation)
    return struct.pack(">BBH", 0xFF, _APP1, 2 + len(content)) + content


def _bare_png(data: bytes, orientation: int) -> bytes:
    made, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        whole = data[at : at + 12 + length]
        if kind == b"IDAT" and orientation != 1:
            made.append(_png_chunk(b"eXIf", exif_of(orientation)))
            orientation = 1
        if kind[:1].isupper() or kind in _PNG_KEPT:
            made.append(whole)
        at += len(whole)
        if kind == b"IEND":
            break
    return b"".join(made)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def _bare_webp(data: bytes, orientation: int) -> bytes:
    """Keep the picture's chunks (RFC 9649, section 2.7), with flags that say what is left."""
    made, at = [], 12
    is_extended = False
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        whole = bytearray(data[at : at + 8 + length + length % 2])
        if kind == b"VP8X":
            is_extended = True
            whole[8] &= ~(_WEBP_EXIF | _WEBP_XMP) & 0xFF
            whole[8] |= _WEBP_EXIF if orientation != 1 else 0
        if kind in _WEBP_KEPT:
            made.append(bytes(whole))
        at += 8 + length + length % 2
    if orientation != 1:
        if not is_extended:
            raise _UnfitError("an orientation without a place for it")
        exif = exif_of(orientation)
        made.append(struct.pack("<4sI", b"EXIF", len(exif)) + exif + b"\0" * (len(exif) % 2))
    inner = b"WEBP" + b"".join(made)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def _bare_heif(data: bytes, orientation: int) -> bytes:
    """Blank the items that are no pictures, where they lie; a turn stands elsewhere in HEIF.

    EXIF has to go on being some (ISO/IEC 23008-12, annex A): what says that the picture is upright.
    """
    del orientation
    exif = bytes(4) + exif_of(1)
    made = bytearray(data)
    for kind, begin, end in private_extents(data):
        made[begin:end] = bytes(end - begin)
        if kind == b"Exif" and end - begin >= len(exif):
            made[begin : begin + len(exif)] = exif
    return bytes(made)
