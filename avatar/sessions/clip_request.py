"""The options of ``avatar clip``, declared once; see ``avatar.core.options``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from avatar.core.choices import Corner
from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.option import Option
from avatar.core.options import Options, check_bounds, lent

CLIP = "clip"
Shape = Literal["9:16", "1:1", "16:9"]
SIZES_PX: dict[Shape, tuple[int, int]] = {
    "9:16": (720, 1280),
    "1:1": (720, 720),
    "16:9": (1280, 720),
}
"""(width, height) of a clip, by its shape."""
MOST_PHOTOS = 9
LONGEST_S = 600.0
"""As long as music is read at a time."""
_HERE: Any = {"on": (CLIP,)}


@dataclass(frozen=True)
class ClipRequest:
    """What the user asked of ``avatar clip``; raises ``UsageError`` for what cannot be."""

    # fmt: off
    photos: Annotated[tuple[Path, ...], Option("Photographs.", **_HERE)] = ()
    out: Annotated[Path, Option(
        "Film to write, or a loop for chats: .gif, .webp.", metavar="FILE.mp4", **_HERE,
    )] = Path("clip.mp4")
    template: Annotated[str, Option(
        "What the faces do: a name of `avatar templates list`, or a file.",
        metavar="NAME|FILE", **_HERE,
    )] = "hey"
    music: Annotated[str, Option(
        "Song to move to: a file, or one of the program's own tunes.", metavar="FILE|hop|stroll",
        **_HERE,
    )] = "hop"
    bpm: Annotated[float | None, Option(
        "The song's tempo, where it is not found.", bounds=(30, 300, 1), unit="beats a minute",
        **_HERE,
    )] = None
    offset: Annotated[float | None, Option(
        "When the first beat is, with --bpm.", bounds=(-60, 600, 0.01), unit="seconds", **_HERE,
    )] = None
    start: Annotated[float, Option(
        "Where in the song the clip begins.", bounds=(0, 36000, 0.1), unit="seconds", flag="--from",
        **_HERE,
    )] = 0.0
    end: Annotated[float | None, Option(
        "Where in the song it ends; without it some ten seconds later, at the end of a turn.",
        bounds=(0, 36000, 0.1), unit="seconds", flag="--to", **_HERE,
    )] = None
    grid: Annotated[str | None, Option(
        "Columns and rows of the photographs (default: as square as can be).", metavar="COLSxROWS",
        **_HERE,
    )] = None
    in_place: Annotated[bool, Option(
        "Move all faces of one photograph, where they are.", flag="--in-place", **_HERE,
    )] = False
    phase: Annotated[Literal["together", "canon", "alternate"], Option(
        "together; canon: each face begins two beats after the one before; alternate: they take "
        "turns.", **_HERE,
    )] = "together"
    shape: Annotated[Shape, Option("The picture's shape.", **_HERE)] = "9:16"
    seed: Annotated[int, Option(
        "Another number makes the faces blink and breathe differently.",
        bounds=(0, 1_000_000, 1), **_HERE,
    )] = 0
    label_text: Annotated[str, lent("label_text", CLIP)] = Options.label_text
    label_corner: Annotated[Corner, lent("label_corner", CLIP)] = Options.label_corner
    face_model: Annotated[Path | None, lent("face_model", CLIP)] = None
    force: Annotated[bool, Option("Replace a film of that name.", flag="--force", **_HERE)] = False
    # fmt: on

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.photos:
            raise UsageError("expected a photograph: avatar clip me.jpg --out clip.mp4")
        if len(self.photos) > MOST_PHOTOS:
            raise UsageError(
                f"expected at most {MOST_PHOTOS} photographs, found {len(self.photos)}. "
                "Leave some out"
            )
        if self.in_place and len(self.photos) > 1:
            raise UsageError("--in-place moves the faces of one photograph: name one alone")
        if self.in_place and self.grid is not None:
            raise UsageError("--in-place keeps faces where they are: leave out --grid")
        if self.offset is not None and self.bpm is None:
            raise UsageError("--offset says when the first beat of --bpm is: give both")
        if self.end is not None and self.end <= self.start:
            raise UsageError(
                f"--to: expected a later moment than --from {self.start:g}, found {self.end:g}"
            )
        if self.end is not None and self.end - self.start > LONGEST_S:
            raise UsageError(
                f"--to: expected at most {LONGEST_S:g} seconds after --from, found "
                f"{self.end - self.start:g}"
            )

    @property
    def columns_rows(self) -> tuple[int, int]:
        """Return the grid for all photographs. Raises ``UsageError``."""
        count = len(self.photos)
        if self.grid is None:
            return _squarest(count, SIZES_PX[self.shape])
        columns, _, rows = self.grid.lower().replace("×", "x").partition("x")
        if not (columns.isdecimal() and rows.isdecimal() and int(columns) * int(rows) >= 1):
            raise UsageError(f"--grid: expected columns and rows such as 3x3, found {self.grid!r}")
        across, down = int(columns), int(rows)
        if across > count or across * down < count or across * (down - 1) >= count:
            raise UsageError(
                f"--grid {self.grid}: expected room for {counted(count, 'photograph')}, and no "
                "empty row or column"
            )
        return across, down


def _squarest(count: int, size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the columns and rows that give each of ``count`` photographs the most of a square."""
    width, height = size_px
    grids = [(columns, -(-count // columns)) for columns in range(1, count + 1)]
    return max(grids, key=lambda grid: (min(width / grid[0], height / grid[1]), grid[0]))
