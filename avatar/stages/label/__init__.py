"""Marking pictures as generated: the only place that makes a ``LabelledFrame``.

- ``create_labeller``: the labeller that the options ask for.
- ``VisibleLabel``: a plate with a text in a corner of every frame.
- ``without_label``: no visible label, at the user's request and on the record.
- ``write_still``: a labelled picture as a file that says so, too.
- ``aigc_metadata``, ``file_metadata``, ``swap_metadata``: what a file says of itself beside its
  pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avatar.core.choices import Corner
from avatar.core.stages import Labeller
from avatar.stages.label.disclosure import AcknowledgedNoLabel, without_label
from avatar.stages.label.metadata import aigc_metadata, file_metadata, swap_metadata
from avatar.stages.label.stills import check_still_size, write_still, xmp_packet
from avatar.stages.label.visible import CORNERS, DEFAULT_TEXT, VisibleLabel

__all__ = [
    "create_labeller",
    "VisibleLabel",
    "Corner",
    "CORNERS",
    "DEFAULT_TEXT",
    "AcknowledgedNoLabel",
    "without_label",
    "aigc_metadata",
    "file_metadata",
    "swap_metadata",
    "check_still_size",
    "write_still",
    "xmp_packet",
]


def create_labeller(
    *,
    size_px: tuple[int, int],
    text: str = DEFAULT_TEXT,
    corner: Corner = "top-right",
    visible: bool = True,
    acknowledged: bool = False,
    avatar: str = "",
    outputs: Sequence[str] = (),
    log_path: Path | None = None,
) -> Labeller:
    """Return the labeller that the options ask for, ready for frames of ``size_px``.

    ``visible=False`` leaves frames unmarked; it needs ``acknowledged`` and writes ``avatar`` and
    ``outputs`` to the log at ``log_path``, which it needs too (``Home.disclosure_log``). Raises
    ``UsageError`` when the label cannot be drawn, or when the duty to disclose was not
    acknowledged, and ``TypeError`` for no label without a log.
    """
    if not visible:
        if log_path is None:
            raise TypeError("create_labeller: visible=False needs log_path, where that is recorded")
        return without_label(acknowledged, log_path, avatar=avatar, outputs=outputs)
    label = VisibleLabel(text, corner)
    label.prepare(size_px)
    return label
