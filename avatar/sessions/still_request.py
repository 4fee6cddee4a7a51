"""The options of ``avatar still``, declared once; see ``avatar.core.options``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from avatar.core.choices import Corner
from avatar.core.errors import UsageError
from avatar.core.files import STILL_SUFFIXES
from avatar.core.option import Option
from avatar.core.options import Options, check_bounds, lent

STILL = "still"
_HERE: Any = {"on": (STILL,)}


def _share(text: str) -> Option:
    return Option(text, bounds=(0, 1, 0.05), on=(STILL,))


def _way(text: str, most: float) -> Option:
    return Option(text, bounds=(-most, most, 0.05), on=(STILL,))


def _angle(text: str, most: float) -> Option:
    return Option(text, bounds=(-most, most, 1), unit="degrees", on=(STILL,))


@dataclass(frozen=True)
class StillRequest:
    """What the user asked of ``avatar still``; raises ``UsageError`` for what cannot be.

    Left and right are the picture's own where the face looks or turns, the person's where they do
    something with one side.
    """

    # fmt: off
    photo: Annotated[Path, Option("Photograph, or name of a stored avatar.", **_HERE)] = Path()
    out: Annotated[Path, Option(
        "Picture to write: .png, .jpg or .webp.", metavar="FILE", **_HERE,
    )] = Path("still.png")
    face: Annotated[str, Option(
        "Which face of it: 1 is the largest.", metavar="N", **_HERE,
    )] = "1"
    turn: Annotated[float, _angle("Turn the head to the picture's right.", 35)] = 0.0
    nod: Annotated[float, _angle("Bow the head.", 25)] = 0.0
    tilt: Annotated[float, _angle("Tilt the head to the picture's left.", 40)] = 0.0
    across: Annotated[float, _way("Move the head to the picture's right.", 1.0)] = 0.0
    down: Annotated[float, _way("Move the head down.", 1.0)] = 0.0
    zoom: Annotated[float, Option("Enlarge the head.", bounds=(0.8, 1.25, 0.01), **_HERE)] = 1.0
    look: Annotated[float, _way("Look to the picture's right.", 1.0)] = 0.0
    look_down: Annotated[float, _way("Look down.", 1.0)] = 0.0
    lids: Annotated[float, _way("Shut the eyes; below 0 they are wide.", 1.0)] = 0.0
    wink_left: Annotated[float, _share("Shut the person's left eye.")] = 0.0
    wink_right: Annotated[float, _share("Shut the person's right eye.")] = 0.0
    brows: Annotated[float, _way("Raise the brows; below 0 they come down.", 1.0)] = 0.0
    brows_inner: Annotated[float, _share("Raise the brows' inner ends, as in worry.")] = 0.0
    smile: Annotated[float, _share("Smile.")] = 0.0
    smile_left: Annotated[float, _share("Smile with the person's left side.")] = 0.0
    smile_right: Annotated[float, _share("Smile with the person's right side.")] = 0.0
    frown: Annotated[float, _share("Draw the mouth's corners down.")] = 0.0
    jaw: Annotated[float, _share("Open the mouth.")] = 0.0
    pout: Annotated[float, _share("Pout.")] = 0.0
    press: Annotated[float, _share("Press the lips together.")] = 0.0
    puff: Annotated[float, _share("Puff the cheeks.")] = 0.0
    like: Annotated[Path | None, Option(
        "Begin with the expression and pose of another face.", metavar="OTHER.jpg", **_HERE,
    )] = None
    frames: Annotated[int, Option(
        "Write so many pictures side by side, from the photograph to the expression.",
        bounds=(1, 12, 1), **_HERE,
    )] = 1
    label_text: Annotated[str, lent("label_text", STILL)] = Options.label_text
    label_corner: Annotated[Corner, lent("label_corner", STILL)] = Options.label_corner
    face_model: Annotated[Path | None, lent("face_model", STILL)] = None
    force: Annotated[bool, Option(
        "Replace a picture of that name.", flag="--force", **_HERE,
    )] = False
    # fmt: on

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.photo == Path():
            raise UsageError("expected a photograph: avatar still me.jpg --smile 0.6")
        if self.out.suffix.lower() not in STILL_SUFFIXES:
            raise UsageError(
                f"--out: expected a name that ends in {', '.join(STILL_SUFFIXES)}, found {self.out}"
            )
