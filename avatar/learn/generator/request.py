"""The options of ``avatar train``, declared once; see ``avatar.core.options``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from avatar.core.choices import Precision, PublishedEngineName
from avatar.core.errors import UsageError
from avatar.core.option import Option
from avatar.core.options import Options, default_of, flag_of, lent

TRAIN = "train"
_TEACHER: Any = {"on": (TRAIN,), "panel": "networks"}
_RECORDINGS_OWN = ("camera", "camera_size", "window", "anyway")
_TEACHERS_OWN = ("moments", "stitching", "retarget_eyes", "retarget_lips")


@dataclass(frozen=True)
class TrainRequest:
    """What the user asked of ``avatar train``.

    ``inputs``: clips of one person, or three to five photographs; with ``teacher``, one photograph
    and the clips that move it. Of ``share``, the rest of each clip is never looked at.

    Raises ``UsageError`` for options of a teacher or a recording without one.
    """

    # fmt: off
    name: Annotated[str, Option(
        "What to call the avatar.", metavar="NAME", on=(TRAIN,),
    )] = "me"
    inputs: Annotated[tuple[Path, ...], Option("Clips, or photographs.", on=(TRAIN,))] = ()
    rights: Annotated[str | None, Option(
        "self: the clip shows you; licensed: the person it shows has agreed.",
        metavar="self|licensed", on=(TRAIN,),
    )] = None
    record: Annotated[bool, Option(
        "Film yourself with --camera instead of naming a clip; you are asked for what is needed.",
        on=(TRAIN,), flag="--record",
    )] = False
    camera: Annotated[str, replace(
        lent("camera", TRAIN),
        help="With --record: camera number, device, address or `demo`; a video file is searched "
        "for the same expressions, in any order.",
    )] = Options.camera
    camera_size: Annotated[str, replace(
        lent("camera_size", TRAIN), help="With --record: picture size to ask the camera for.",
    )] = "1280x720"
    window: Annotated[bool, Option(
        "With --record: show the prompts in a window, too.", on=(TRAIN,),
    )] = True
    anyway: Annotated[bool, Option(
        "With --record: train even if expressions are missing.", on=(TRAIN,), flag="--anyway",
    )] = False
    size: Annotated[Literal["regions", "head"], Option(
        "regions: mouth and eyes; head: the whole head, slower.", on=(TRAIN,),
    )] = "regions"
    minutes: Annotated[float, Option("How long to train.", on=(TRAIN,))] = 20.0
    steps: Annotated[int | None, Option(
        "Train up to this step, however long it takes.", on=(TRAIN,),
    )] = None
    device: Annotated[Literal["auto", "cpu", "cuda"], Option(
        "What to train on.", on=(TRAIN,),
    )] = "auto"
    devices: Annotated[str, Option(
        "How many graphics cards.", metavar="N|all", on=(TRAIN,),
    )] = "1"
    base: Annotated[Path | None, Option(
        "Start from weights that --as-base made.", metavar="FILE", on=(TRAIN,),
    )] = None
    resume: Annotated[bool, Option(
        "Continue an interrupted training, or train for longer.", on=(TRAIN,), flag="--resume",
    )] = False
    share: Annotated[float, Option(
        "Learn only from this first part of the clip.", on=(TRAIN,), bounds=(0.2, 1, 0.1),
    )] = 1.0
    seed: Annotated[int, Option("Seed of all random choices.", on=(TRAIN,))] = 0
    force: Annotated[bool, Option(
        "Replace an avatar of the same name.", on=(TRAIN,), flag="--force",
    )] = False
    teacher: Annotated[PublishedEngineName | None, Option(
        "Learn from what this engine draws of one photo, moved by the clips; see `avatar models`.",
        on=(TRAIN,),
    )] = None
    moments: Annotated[int, Option(
        "How many pictures the teacher draws to learn from.", bounds=(60, 480, 1), **_TEACHER,
    )] = 240
    stitching: Annotated[bool, lent("stitching", TRAIN)] = Options.stitching
    retarget_eyes: Annotated[bool, lent("retarget_eyes", TRAIN)] = Options.retarget_eyes
    retarget_lips: Annotated[bool, lent("retarget_lips", TRAIN)] = Options.retarget_lips
    backend: Annotated[str, lent("backend", TRAIN)] = Options.backend
    precision: Annotated[Precision, lent("precision", TRAIN)] = Options.precision
    face_model: Annotated[Path | None, lent("face_model", TRAIN)] = Options.face_model
    # fmt: on

    def __post_init__(self) -> None:
        changed = self._changed(_TEACHERS_OWN)
        if self.teacher is None and changed:
            raise UsageError(
                f"{flag_of(changed[0], TrainRequest)} is for train --teacher: leave it out, or "
                "name a teacher"
            )
        changed = self._changed(_RECORDINGS_OWN)
        if not self.record and changed:
            raise UsageError(
                f"{flag_of(changed[0], TrainRequest)} is for train --record: leave it out, or add "
                "--record"
            )

    def _changed(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if getattr(self, name) != _usual(name)]

    @property
    def networks(self) -> Options:
        """Return what is asked of the networks of a teacher or an evaluation."""
        return Options(
            stitching=self.stitching, retarget_eyes=self.retarget_eyes,
            retarget_lips=self.retarget_lips, backend=self.backend, precision=self.precision,
            face_model=self.face_model,
        )  # fmt: skip

    def going_on(self, rights: str) -> str:
        """Return the options of a command that continues this training as it was asked for."""
        options = ["--resume", f"--rights {rights}"]
        for name in ("minutes", "steps", "device", "devices"):
            value = getattr(self, name)
            if value != _usual(name):
                options.append(f"--{name} {value:g}" if name == "minutes" else f"--{name} {value}")
        return " ".join(options)


def _usual(name: str) -> Any:
    return default_of(name, TrainRequest)
