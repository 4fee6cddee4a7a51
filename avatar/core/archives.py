"""What reading an archive raises that was cut, damaged or made to harm."""

from __future__ import annotations

import lzma
import struct
import tarfile
import tokenize
import zipfile
import zlib

DAMAGED: tuple[type[Exception], ...] = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, struct.error,
    # Of encrypted members and unknown methods, and NumPy's, which reads a header as Python does.
    NotImplementedError, RuntimeError, SyntaxError, tokenize.TokenError, IndexError, OverflowError,
    KeyError, ValueError, TypeError,
)  # fmt: skip
"""Beside ``OSError``, which says more. A name that is missing is a ``KeyError``."""

UNUSABLE: tuple[type[Exception], ...] = (OSError, *DAMAGED)
