"""Commands that work through recordings: ``animate`` and ``train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from avatar.cli.options import (
    NEURAL_PANEL,
    AcknowledgeOption,
    BackendOption,
    BackgroundOption,
    CropOption,
    EngineOption,
    ExaggerateOption,
    FaceModelOption,
    ForceOption,
    FrameOption,
    LabelCornerOption,
    LabelTextOption,
    LockHeadOption,
    MaxTurnOption,
    MotionOption,
    MouthOption,
    NoLabelOption,
    PrecisionOption,
    ProfileOption,
    ReferenceOption,
    RegionsOption,
    RetargetEyesOption,
    RetargetLipsOption,
    ShadingOption,
    SmoothingOption,
    StitchingOption,
    StrengthOption,
    WeightOption,
    WeightsVariantOption,
    given_options,
    live_config,
)
from avatar.config import parse_face
from avatar.core.home import Home
from avatar.core.options import Options, PublishedEngineName, default_of
from avatar.errors import UsageError


def animate(
    driving: Annotated[
        Path,
        typer.Option(
            "--driving",
            metavar="CLIP",
            help="Video whose face moves the avatar, or a motion template (.npz).",
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
            help="Photograph to bring to life, name of a stored avatar, or several photographs of "
            "one person: A.jpg+B.jpg, or their folder (default: builtin).",
        ),
    ] = None,
    face: Annotated[
        str,
        typer.Option(
            "--face", metavar="N|all", help="Which face of it: 1 is the largest; all: every one."
        ),
    ] = "1",
    engine: EngineOption = None,
    motion: MotionOption = None,
    frame: FrameOption = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="Output size in pixels (default: the photograph's own with --frame photo, "
            "720x720 with --frame portrait).",
        ),
    ] = None,
    smoothing: SmoothingOption = None,
    background: BackgroundOption = None,
    mouth: MouthOption = None,
    shading: ShadingOption = None,
    reference: ReferenceOption = None,
    profile: ProfileOption = None,
    strength: StrengthOption = None,
    weight: WeightOption = None,
    exaggerate: ExaggerateOption = None,
    max_turn: MaxTurnOption = None,
    lock_head: LockHeadOption = None,
    regions: RegionsOption = None,
    stitching: StitchingOption = None,
    retarget_eyes: RetargetEyesOption = None,
    retarget_lips: RetargetLipsOption = None,
    variant: WeightsVariantOption = None,
    crop: CropOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    audio: Annotated[
        Literal["keep", "none"], typer.Option("--audio", help="keep: the clip's sound.")
    ] = "keep",
    label_text: LabelTextOption = None,
    label_corner: LabelCornerOption = None,
    no_label: NoLabelOption = False,
    acknowledge_disclosure_duty: AcknowledgeOption = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Only the clip's first seconds.")
    ] = None,
    save_motion: Annotated[
        Path | None,
        typer.Option(
            "--save-motion",
            metavar="FILE.npz",
            rich_help_panel=NEURAL_PANEL,
            help="Write what the networks saw of the driver, to move other photographs with.",
        ),
    ] = None,
    face_model: FaceModelOption = None,
    force: ForceOption = None,
) -> None:
    """Move a photograph by a recorded clip: every frame of it, into a file, with its sound."""
    given = given_options(locals())
    for name in ("driving", "out", "face", "audio", "save_motion"):
        del given[name]
    config = live_config(None, given | {"avatar": [avatar] if avatar is not None else None})
    from avatar.commands.animate import animate as command

    raise typer.Exit(
        command(
            config,
            Home.of_user(),
            driving=driving,
            out=out,
            size_px=config.size_px if size is not None else None,
            audio=audio,
            face=parse_face(face),
            save_motion=save_motion,
        )
    )


def train(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CLIP...|PHOTO...", help="Video of one person: half a minute or "
                       "more, well lit, talking, smiling, blinking, looking around. Or three to "
                       "five photographs, with --base. Or one photograph and clips that move it, "
                       "with --teacher."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What to call the avatar.")
    ] = "me",
    rights: Annotated[
        str | None,
        typer.Option("--rights", metavar="self|licensed",
                     help="self: the clip shows you; licensed: whoever it shows has agreed."),
    ] = None,
    size: Annotated[
        Literal["regions", "head"],
        typer.Option("--size", help="regions: mouth and eyes; head: the whole head, slower."),
    ] = "regions",
    minutes: Annotated[float, typer.Option("--minutes", help="How long to train.")] = 20.0,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Train up to this step, whatever the time.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option("--device", help="What to train on.")
    ] = "auto",
    devices: Annotated[
        str, typer.Option("--devices", metavar="N|all", help="How many cards.")
    ] = "1",
    base: Annotated[
        Path | None,
        typer.Option("--base", metavar="FILE", help="Begin with weights that --as-base made."),
    ] = None,
    as_base: Annotated[
        Path | None,
        typer.Option("--as-base", metavar="FOLDER", help="Learn no person but all of the clips in "
                     "FOLDER, a clip a person; needs --out."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what was interrupted, or for longer.")
    ] = False,
    share: Annotated[
        float,
        typer.Option("--share", help="Learn from this first part of the clip only, 0.2 to 1."),
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of all random choices.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an avatar of the same name.")
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option("--evaluate", help="Train nothing: measure the avatar NAME on what it has not "
                     "seen of CLIP, against the portrait engine."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="With --evaluate: a new folder for a page and "
                     "a video; with --as-base: the file of weights."),
    ] = None,
    teacher: Annotated[
        PublishedEngineName | None,
        typer.Option("--teacher",
                     help="Learn from what this engine draws of one photograph, moved by the "
                     "clips; see `avatar models`."),
    ] = None,
    moments: Annotated[
        int | None,
        typer.Option("--moments", rich_help_panel=NEURAL_PANEL,
                     help="How many pictures it draws to learn from, 60 to 480 (default: 240)."),
    ] = None,
    stitching: StitchingOption = None,
    retarget_eyes: RetargetEyesOption = None,
    retarget_lips: RetargetLipsOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    face_model: FaceModelOption = None,
) -> None:  # fmt: skip
    """Learn one person's teeth, eyes and wrinkles from a clip, for --engine neural."""
    drawing = {
        "stitching": stitching, "retarget_eyes": retarget_eyes, "retarget_lips": retarget_lips,
    }  # fmt: skip
    given: dict[str, Any] = {name: v for name, v in drawing.items() if v is not None}
    _check_teacher(teacher, moments, given, alone=evaluate or as_base is not None)
    if evaluate:
        from avatar.commands.train.comparison import compare

        runtime = {"backend": backend, "precision": precision, "face_model": face_model}
        clip = inputs[0] if inputs else None
        raise typer.Exit(compare(name, clip, out, live_config(None, runtime), Home.of_user()))
    if (backend or precision) and teacher is None:
        raise UsageError("--backend and --precision are for train --evaluate and train --teacher")
    from avatar.commands.train.command import train as command
    from avatar.commands.train.request import Wish
    from avatar.commands.train.teacher import DEFAULT_MOMENTS, TeacherWish

    asked = None
    if teacher is not None:
        options = Options(
            **given,
            backend=backend or default_of("backend"),
            precision=precision or default_of("precision"),
        )
        asked = TeacherWish(teacher, DEFAULT_MOMENTS if moments is None else moments, options)
    wish = Wish(
        name, tuple(inputs or ()), size, minutes, steps, device, base, resume, rights, share, seed,
        force, face_model, devices, asked,
    )  # fmt: skip
    if as_base is not None:
        from avatar.commands.train.base import train_base

        raise typer.Exit(train_base(wish, as_base, out, Home.of_user()))
    if out is not None:
        raise UsageError("--out is for train --evaluate and train --as-base")
    raise typer.Exit(command(wish, Home.of_user()))


def _check_teacher(
    teacher: str | None, moments: int | None, drawing: dict[str, bool], *, alone: bool
) -> None:
    """Raise ``UsageError`` for a teacher's options without one, and for one that is of no use."""
    if teacher is not None and alone:
        raise UsageError(
            "--teacher is for a training: --evaluate asks the teacher that the avatar's card "
            "names, and --as-base learns from clips"
        )
    options = [f"--{name.replace('_', '-')}" for name in drawing]
    options += ["--moments"] if moments is not None else []
    if teacher is None and options:
        raise UsageError(f"{options[0]} is for train --teacher: leave it out, or name a teacher")
