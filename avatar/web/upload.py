"""What a page may send as a photograph: checked by its first bytes before it is decoded."""

from __future__ import annotations

import warnings
from pathlib import Path

from avatar.core.errors import PhotoError
from avatar.core.messages import Message

MAX_UPLOAD_BYTES = 25_000_000
MAX_UPLOAD_PIXELS = 60_000_000
"""As many as today's cameras make; decoded as RGB that is 180 MB, for a moment."""

UPLOAD_KINDS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heic",
}
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")


def check_upload(photo: Path) -> None:
    """Raise ``PhotoError`` unless ``photo`` is a picture of a kind and size that may be decoded.

    Only the header is read. Pillow is let see few formats alone: its others are not for
    strangers' files.
    """
    from PIL import Image

    from avatar.stages.generate.picture_file import known_formats

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(photo, formats=known_formats(_FORMATS)) as opened:
                width, height = opened.size
    except Image.DecompressionBombError as error:
        raise PhotoError(f"the picture is far too large: {error}") from error
    except Exception as error:  # decoders raise anything for damaged files
        raise PhotoError(
            Message(
                "error.notPhoto",
                "expected a JPEG, PNG, WebP, AVIF or HEIC photograph, found something else",
            )
        ) from error
    if width * height > MAX_UPLOAD_PIXELS:
        raise PhotoError(
            Message(
                "error.photoTooLarge",
                "expected at most {most} megapixels, found {width}×{height}: make it smaller first",
                most=MAX_UPLOAD_PIXELS // 1_000_000, width=width, height=height,
            )
        )  # fmt: skip
