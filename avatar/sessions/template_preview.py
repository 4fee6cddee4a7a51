"""What a template looks like: a sheet of pictures and a short film, made once and kept."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar import __version__
from avatar.core.files import read_small
from avatar.core.frames import GeneratedFrame, Motion, Presence, UInt8Image
from avatar.core.home import Home
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import open_one
from avatar.sessions.cast import Grid
from avatar.sessions.choreographies import ChoreographyStore
from avatar.sessions.clip_song import FPS
from avatar.sessions.engines.portrait import default_mattes
from avatar.sessions.still import save_still
from avatar.stages.generate.photo import BUILTIN
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.label import VisibleLabel, file_metadata
from avatar.stages.motion.choreography import Choreography, load_choreography
from avatar.stages.motion.on_the_beat import BeatGrid, Performer
from avatar.stages.sinks.mp4 import Mp4Writer

CELL_PX = (240, 240)
_BPM, _MOST_BEATS = 112.0, 16.0
_COLUMNS, _ROWS = 4, 2
# A template of several voices is shown by so many faces, and one that is sung in canon too.
_MOST_FACES = 2


@dataclass(frozen=True)
class TemplatePreview:
    """Where a preview lies. ``sheet``: PNG, eight moments. ``film``: MP4, one turn, silent."""

    sheet: Path
    film: Path

    @property
    def is_made(self) -> bool:
        """Return whether both are there."""
        return self.sheet.is_file() and self.film.is_file()


def preview_of(name: str, home: Home) -> TemplatePreview:
    """Return where the preview of a template lies, made or not. Raises ``UsageError``."""
    path = ChoreographyStore(home).path(name)
    # Another version may draw the same file differently.
    said = hashlib.sha256(__version__.encode() + read_small(path)).hexdigest()[:24]
    folder = home.cache / "templates"
    return TemplatePreview(folder / f"{said}.png", folder / f"{said}.mp4")


def make_preview(name: str, home: Home, face_model: Path | None = None) -> TemplatePreview:
    """Return the preview of a template, and make it where it is not there yet.

    The built-in portrait shows it. Raises ``UsageError`` and ``SinkError``.
    """
    preview = preview_of(name, home)
    if preview.is_made:
        return preview
    choreography = load_choreography(ChoreographyStore(home).path(name))
    preview.sheet.parent.mkdir(parents=True, exist_ok=True)
    beats = min(choreography.beats, _MOST_BEATS)
    frames = round(beats * 60 / _BPM * FPS)
    with ExitStack() as stages:
        cast = stages.enter_context(_cast(choreography, home, face_model))
        performer = Performer(
            choreography, BeatGrid.steady(_BPM), cast.shapes, period_s=frames / FPS
        )
        _write_film(preview.film, cast, performer, frames)
        _write_sheet(preview.sheet, cast, performer, frames)
    return preview


def _cast(choreography: Choreography, home: Home, face_model: Path | None) -> Grid:
    model = find_face_model(face_model, home)
    person = open_one(BUILTIN, model, home, lambda line: None)
    several = len(choreography.voices) > 1 or choreography.canon
    faces = _MOST_FACES if several else 1
    cell_px = CELL_PX[0] // faces, CELL_PX[1]
    settings = PortraitSettings(mouth="teeth", mattes=default_mattes(home))
    generators = [
        PortraitGenerator(person.photo, person.face, "portrait", cell_px, settings, person.matte)
        for _ in range(faces)
    ]
    return Grid(generators, faces, cell_px)


def _write_film(path: Path, cast: Grid, performer: Performer, frames: int) -> None:
    label = VisibleLabel(grid=cast.grid)
    metadata = file_metadata(f"webcam-avatar {__version__}", path.stem)
    writer = Mp4Writer(
        path, cast.size_px, FPS, metadata, preset="veryfast", low_latency=False, overwrite=True
    )
    with writer:
        for k in range(frames):
            frame = cast.draw(performer.motions(k / FPS, k))
            writer.write_rgb(label.label(frame).image)


def _write_sheet(path: Path, cast: Grid, performer: Performer, frames: int) -> None:
    """Write as many moments as the sheet has room for, at even distances."""
    count = _COLUMNS * _ROWS
    pictures = [_drawn(cast, performer.motions(k * frames / count / FPS, k)) for k in range(count)]
    rows = [
        np.concatenate(pictures[row * _COLUMNS : (row + 1) * _COLUMNS], axis=1)
        for row in range(_ROWS)
    ]
    image = np.ascontiguousarray(np.concatenate(rows))
    columns, lines = cast.grid
    label = VisibleLabel(grid=(columns * _COLUMNS, lines * _ROWS))
    save_still(label.label(GeneratedFrame(image, 0, 0, Presence.TRACKED)), path)


def _drawn(cast: Grid, motions: list[Motion]) -> UInt8Image:
    return cast.draw(motions).image
