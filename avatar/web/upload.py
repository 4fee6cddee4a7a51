"""What a page may send as a photograph."""

from __future__ import annotations

MAX_UPLOAD_BYTES = 25_000_000

UPLOAD_KINDS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heic",
}
"""By what browsers call them. What a file is, is told by its content: see ``picture_file``."""

MAX_SONG_BYTES = 100_000_000
"""The most of a song that is taken: an hour and a half of MP3."""
