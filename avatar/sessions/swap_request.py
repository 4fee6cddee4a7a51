"""The options of ``avatar swap``, declared once; see ``avatar.core.options``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from avatar.core.choices import Corner
from avatar.core.errors import UsageError
from avatar.core.option import Option
from avatar.core.options import Options, check_bounds, lent

SWAP = "swap"
Right = Literal["self", "granted", "public-domain"]
RIGHTS: tuple[Right, ...] = get_args(Right)
_HERE: Any = {"on": (SWAP,)}
_PARTS = ("eyes", "mouth", "glasses")


@dataclass(frozen=True)
class SwapRequest:
    """What the user asked of ``avatar swap``; raises ``UsageError`` for what cannot be."""

    # fmt: off
    face: Annotated[str | None, Option(
        "Photograph, or stored avatar, whose face is put on.", metavar="PHOTO|NAME", **_HERE,
    )] = None
    film: Annotated[Path | None, Option("Film to put it into.", metavar="FILM", **_HERE)] = None
    out: Annotated[Path | None, Option(
        "Film to write.", metavar="FILE.mp4", **_HERE,
    )] = None
    list: Annotated[bool, Option(
        "Write a sheet of who is in the film, FILM.people.png or --out, and stop.",
        flag="--list", **_HERE,
    )] = False
    person: Annotated[str, Option(
        "Who gets the face: numbers as on the sheet of --list, 1 the one seen most, such as 1 or "
        "1,3; all: everybody.", metavar="N|all", **_HERE,
    )] = "1"
    who: Annotated[tuple[str, ...], Option(
        "Another face for a person, in place of --face and --person: me.jpg=1. Repeat the option "
        "for several.", metavar="FACE=PERSON", **_HERE,
    )] = ()
    rights: Annotated[tuple[str, ...], Option(
        "By what right you use the face and the film: self, granted or public-domain, for both or "
        "one by one as face=self and film=granted. Written into the film and beside it.",
        metavar="[face=|film=]RIGHT", **_HERE,
    )] = ()
    strength: Annotated[float, Option(
        "How much of the new face is shown.", bounds=(0, 1, 0.05), **_HERE,
    )] = 1.0
    keep: Annotated[str, Option(
        "What stays the film's own: of eyes, mouth (its inside) and glasses, with commas between; "
        "none: nothing.", metavar="PARTS", **_HERE,
    )] = "eyes,mouth,glasses"
    when_lost: Annotated[Literal["film", "hold", "blur"], Option(
        "Where the person is there and the face cannot be put on: film shows the film's own face, "
        "hold the last whole picture, blur a blurred one.", **_HERE,
    )] = "film"
    seconds: Annotated[float | None, Option(
        "Only the first seconds of the film.", metavar="SECONDS", **_HERE,
    )] = None
    label_text: Annotated[str, lent("label_text", SWAP)] = Options.label_text
    label_corner: Annotated[Corner, lent("label_corner", SWAP)] = Options.label_corner
    face_model: Annotated[Path | None, lent("face_model", SWAP)] = None
    force: Annotated[bool, Option("Replace a film of that name.", flag="--force", **_HERE)] = False
    # fmt: on

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.film is None:
            raise UsageError(
                "expected a film: avatar swap --face me.jpg --film film.mp4 --out new.mp4 --rights "
                "self"
            )
        if self.seconds is not None and self.seconds <= 0:
            raise UsageError(f"--seconds: expected more than 0, found {self.seconds:g}")
        _ = self.kept
        if self.list:
            return
        if self.out is None:
            raise UsageError("--out: expected the film to write, such as --out new.mp4")
        if (self.face is None) == (not self.who):
            raise UsageError(
                "expected one face with --face me.jpg, or one for each person with --who "
                "me.jpg=1; --list shows the persons"
            )
        _ = self.right_of_face, self.right_of_film, self.persons, self.faces

    @property
    def kept(self) -> frozenset[str]:
        """Return what stays the film's own. Raises ``UsageError``."""
        parts = [part.strip() for part in self.keep.split(",") if part.strip()]
        for part in parts:
            if part not in (*_PARTS, "none"):
                raise UsageError(f"--keep: expected of {', '.join(_PARTS)} or none, found {part!r}")
        return frozenset(parts) - {"none"}

    @property
    def right_of_face(self) -> str:
        """Return by what right the face is used. Raises ``UsageError``."""
        return self._right("face")

    @property
    def right_of_film(self) -> str:
        """Return by what right the film is used. Raises ``UsageError``."""
        return self._right("film")

    def _right(self, what: str) -> str:
        found = ""
        for given in self.rights:
            of, _, right = given.rpartition("=")
            if of not in ("", "face", "film") or right not in RIGHTS:
                raise UsageError(
                    f"--rights: expected {', '.join(RIGHTS)}, or face=… and film=…, found {given!r}"
                )
            if of == what or (not of and not found):
                found = right
        if not found:
            raise UsageError(
                f"--rights: expected by what right you use the {what}: self (it is yours), granted "
                f"(who it belongs to agreed) or public-domain, such as --rights {what}=granted. "
                "Without one of them, do not make this film"
            )
        return found

    @property
    def persons(self) -> tuple[int, ...] | None:
        """Return the numbers of those who get the face, None for everybody. Raises UsageError."""
        if self.person == "all":
            return None
        return _numbers(self.person, "--person")

    @property
    def faces(self) -> dict[int, str]:
        """Return the face of each person that has one of its own. Raises ``UsageError``."""
        found: dict[int, str] = {}
        for given in self.who:
            face, _, person = given.rpartition("=")
            if not face:
                raise UsageError(f"--who: expected FACE=PERSON such as me.jpg=1, found {given!r}")
            for number in _numbers(person, "--who"):
                if number in found:
                    raise UsageError(f"--who: person {number} has two faces: give one")
                found[number] = face
        return found


def _numbers(text: str, flag: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise UsageError(f"{flag}: expected numbers of persons such as 1 or 1,3, found {text!r}")
    return tuple(int(part) for part in parts)
