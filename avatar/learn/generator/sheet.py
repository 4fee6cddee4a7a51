"""The contact sheet of a training: what is drawn, what the network makes of it, what is true."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avatar.core.files import write_whole
from avatar.core.frames import GeneratedFrame, Presence, UInt8Image
from avatar.core.pictures import png
from avatar.stages.label import create_labeller

if TYPE_CHECKING:
    from engines.patches import Patch
    from engines.training.loop import Trainer

SHEET = "sheet.png"
_ROWS, _LEARNT_ROWS = 6, 2
_ROW_PX = 176


def write_sheet(trainer: Trainer, folder: Path) -> None:
    """Write ``sheet.png``: for each patch held-out moments, and below them two learnt ones.

    In a row: the portrait engine's picture, the network's, the camera's. Labelled as generated.
    Raises ``OSError``.
    """
    columns = [_column(trainer, patch) for patch in trainer.pairs.patches]
    height = max(column.shape[0] for column in columns)
    sheet = np.hstack([_padded(column, height) for column in columns])
    size_px = (sheet.shape[1], sheet.shape[0])
    frame = GeneratedFrame(np.ascontiguousarray(sheet), 0, 0, Presence.TRACKED)
    labelled = create_labeller(size_px=size_px).label(frame)
    write_whole(folder / SHEET, png(labelled.image), flush=True)


def _column(trainer: Trainer, patch: Patch) -> UInt8Image:
    rows = []
    for pairs, count in ((trainer.pairs.held_out, _ROWS), (trainer.pairs.train, _LEARNT_ROWS)):
        at = np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int)
        batch, made = trainer.look(patch, pairs[at])
        # Of patches that a picture has several of, the first is shown.
        for k in range(0, len(made), patch.count):
            shown = (batch.picture[k], made[k], batch.truth[k])
            rows.append(np.hstack([_sized(picture) for picture in shown]))
    return np.vstack(rows)


def _sized(picture: UInt8Image) -> UInt8Image:
    import cv2

    method = cv2.INTER_AREA if picture.shape[0] > _ROW_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (_ROW_PX, _ROW_PX), interpolation=method), np.uint8)


def _padded(column: UInt8Image, height: int) -> UInt8Image:
    return np.pad(column, ((0, height - column.shape[0]), (0, 8), (0, 0)))
