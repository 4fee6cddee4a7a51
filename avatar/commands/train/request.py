"""What the user asked a training for, and what is checked of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

from avatar.commands.train.card import Rights, Size
from avatar.commands.train.teacher import TeacherWish
from avatar.errors import UsageError


@dataclass(frozen=True)
class Wish:
    """What the user asked for; see the command's help.

    ``inputs``: clips of one person, or three to five photographs; with ``teacher``, one photograph
    and the clips that move it. ``share``: the first part of each clip, which is learnt from; the
    rest is never looked at. ``devices``: how many, or ``all``.
    """

    name: str
    inputs: tuple[Path, ...] = ()
    size: Size = "regions"
    minutes: float = 20.0
    steps: int | None = None
    device: str = "auto"
    base: Path | None = None
    resume: bool = False
    rights: str | None = None
    share: float = 1.0
    seed: int = 0
    force: bool = False
    face_model: Path | None = None
    devices: str = "1"
    teacher: TeacherWish | None = None

    def going_on(self, rights: Rights) -> str:
        """Return the options of a command that goes on with this training as it was asked for."""
        options = ["--resume", f"--rights {rights}"]
        usual = {field.name: field.default for field in fields(self)}
        for name in ("minutes", "steps", "device", "devices"):
            value = getattr(self, name)
            if value != usual[name]:
                options.append(f"--{name} {value:g}" if name == "minutes" else f"--{name} {value}")
        return " ".join(options)


def checked_rights(rights: str | None) -> Rights:
    """Return the statement of rights. Raises ``UsageError`` where there is none."""
    if rights not in get_args(Rights):
        raise UsageError(
            "avatar train needs --rights self (the clip shows you) or --rights licensed (whoever "
            "it shows has agreed to a generator that can put words into their mouth); found "
            f"{rights or 'neither'}"
        )
    return "self" if rights == "self" else "licensed"
