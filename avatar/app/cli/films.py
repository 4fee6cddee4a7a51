"""Commands that work through recordings: ``animate`` and ``train``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from avatar.app.cli.session_command import session_command, table_command
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.option_values import parse_face
from avatar.core.options import PANELS, Options
from avatar.learn.generator.request import TrainRequest


@session_command
def animate(
    options: Options,
    driving: Annotated[
        Path,
        typer.Option(
            "--driving",
            metavar="CLIP",
            help="Video whose face moves the avatar, a motion template (.npz), or a take of Live "
            "Link Face (.csv).",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE.mp4",
            help="Video to write; with --background transparent FILE.webm or FILE.mov.",
        ),
    ],
    avatar: Annotated[
        str | None,
        typer.Option(
            "--avatar",
            metavar="PHOTO|NAME",
            help="Photo to bring to life, name of a stored avatar, or several photos of one "
            "person: A.jpg+B.jpg, or their folder (default: builtin).",
        ),
    ] = None,
    face: Annotated[
        str,
        typer.Option(
            "--face", metavar="N|all", help="Which face in it: 1 is the largest; all: every one."
        ),
    ] = "1",
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="Output size in pixels (default: the photo's own with --frame photo, 720x720 with "
            "--frame portrait).",
        ),
    ] = None,
    audio: Annotated[
        Literal["keep", "none"], typer.Option("--audio", help="keep: the clip's sound.")
    ] = "keep",
    audio_track: Annotated[
        int | None,
        typer.Option(
            "--audio-track",
            metavar="N",
            help="Which sound track of the clip, from 1 (default: the one the clip itself plays).",
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Only the first seconds of the clip.")
    ] = None,
    save_motion: Annotated[
        Path | None,
        typer.Option(
            "--save-motion",
            metavar="FILE.npz",
            rich_help_panel=PANELS["networks"],
            help="Write what the networks saw of the driver, to move other photos with.",
        ),
    ] = None,
) -> int:
    """Move a photo by a recorded clip: every frame of it, into a file, with its sound."""
    from avatar.sessions.film import animate as command

    return command(
        replace(options, seconds=seconds),
        Home.of_user(),
        driving=driving,
        out=out,
        size_px=options.size_px if size is not None else None,
        audio=audio,
        audio_track=audio_track,
        face=parse_face(face),
        save_motion=save_motion,
    )


@table_command(TrainRequest)
def train(
    request: TrainRequest,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CLIP...|PHOTO...",
            help="Video of one person: half a minute or more, well lit, talking, smiling, "
            "blinking, looking around. Or three to five photos, with --base. Or one photo and "
            "clips that move it, with --teacher.",
        ),
    ] = None,
    as_base: Annotated[
        Path | None,
        typer.Option(
            "--as-base",
            metavar="FOLDER",
            help="Train on everyone in the clips of FOLDER, one clip per person, instead of on one "
            "person; needs --out.",
        ),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Do not train: measure the avatar NAME on the part of CLIP it was not trained "
            "on, compared with the portrait engine.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="With --evaluate: a new folder for a page and a video; with --as-base: the file "
            "of weights.",
        ),
    ] = None,
) -> int:
    """Learn one person's teeth, eyes and wrinkles from a clip or --record, for --engine neural."""
    if request.teacher is not None and (evaluate or as_base is not None):
        raise UsageError(
            "--teacher is for a training: --evaluate asks the teacher that the avatar's card "
            "names, and --as-base learns from clips"
        )
    if request.record and (evaluate or as_base is not None):
        raise UsageError("--record films for a training: leave out --evaluate and --as-base")
    if evaluate:
        from avatar.measure.trained.comparison import compare

        return compare(
            request.name, inputs[0] if inputs else None, out, request.networks, Home.of_user()
        )
    if (request.backend, request.precision) != ("auto", "auto") and request.teacher is None:
        raise UsageError("--backend and --precision are for train --evaluate and train --teacher")
    if as_base is not None:
        from avatar.learn.generator.base import train_base

        return train_base(request, as_base, out, Home.of_user())
    if out is not None:
        raise UsageError("--out is for train --evaluate and train --as-base")
    from avatar.learn.generator.command import train as command

    return command(request, Home.of_user())
