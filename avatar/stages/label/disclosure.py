"""Frames without a visible label: only at the user's request, and on the record.

The rules let a provider leave the label out when the user asks for it, agrees to disclose by
other means, and a log of it is kept (at least six months).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Seal

_SEAL = Seal()


class AcknowledgedNoLabel:
    """A labeller that draws nothing; made by ``without_label`` only."""

    def __init__(self, record: object) -> None:
        if not isinstance(record, _Record):
            raise TypeError("AcknowledgedNoLabel: call without_label(), which keeps the record")

    def label(self, frame: GeneratedFrame) -> LabelledFrame:
        """Return the frame as it is, with an empty ``label_text``."""
        return LabelledFrame(
            frame.image, frame.timestamp_ns, frame.index, frame.presence, "", _SEAL, frame.alpha
        )


class _Record:
    """Proof that a line stands in the log."""


def without_label(
    acknowledged: bool, log_path: Path, *, avatar: str = "", outputs: Sequence[str] = ()
) -> AcknowledgedNoLabel:
    """Return a labeller that draws nothing, after one more line stands in ``log_path``.

    The line is JSON: UTC time, program version, ``avatar``, ``outputs``. Raises ``UsageError``
    when the duty was not acknowledged or the line could not be written: nothing runs unlabelled
    off the record.
    """
    if not acknowledged:
        raise UsageError(
            "No visible label was asked for. Expected: your agreement to tell viewers yourself "
            "that the picture is AI-generated, which law demands in many places. Found: "
            "--no-label alone. Either leave --no-label out, or give both "
            "--no-label --acknowledge-disclosure-duty (this is written to a local log)."
        )
    from avatar import __version__

    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "event": "visible label switched off; duty to disclose acknowledged",
        "avatar": avatar,
        "outputs": list(outputs),
    }
    try:
        _append(log_path, json.dumps(entry, ensure_ascii=True) + "\n")
    except OSError as error:
        raise UsageError(
            f"--no-label needs a record of your acknowledgement in {log_path}, but the file "
            f"cannot be written: {error.strerror or error}. Fix that, or leave --no-label out."
        ) from error
    return AcknowledgedNoLabel(_Record())


def _append(path: Path, line: str) -> None:
    """Add ``line`` to the end of a file only its owner can read, and wait until it is on disk."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("it is not a regular file, so nothing would be kept")
        data = line.encode("ascii")
        written = os.write(handle, data)
        if written != len(data):
            raise OSError(f"the disk took {written} of {len(data)} bytes")
        os.fsync(handle)
    finally:
        os.close(handle)
