"""The command line: parse and dispatch, no logic. Nothing heavy is imported before its use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from avatar import __version__
from avatar.config import DEFAULTS, LiveConfig, parse_face
from avatar.errors import AvatarError, UsageError

app = typer.Typer(
    name="avatar",
    help="A photograph speaks, smiles and looks around in your place. Pictures never leave this "
    "machine, and every generated frame says that it is generated.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"avatar {__version__}")
        raise typer.Exit


avatars_app = typer.Typer(
    help="Keep photographs under a name: `avatar run --avatar NAME` then starts at once.",
    no_args_is_help=True,
)
app.add_typer(avatars_app, name="avatars")
profiles_app = typer.Typer(
    help="What `avatar calibrate` learnt of people: numbers, no pictures.", no_args_is_help=True
)
app.add_typer(profiles_app, name="profiles")
autostart_app = typer.Typer(
    help="Start `avatar run --config FILE` with your desktop session (Linux).",
    no_args_is_help=True,
)
app.add_typer(autostart_app, name="autostart")
models_app = typer.Typer(
    help="Published networks for --engine: fetch, import and prepare them for this machine.",
    no_args_is_help=True,
)
app.add_typer(models_app, name="models")


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Nothing to do before a command."""


def _default(text: str, name: str) -> str:
    """Name an option's default; options left out stay None, so that a config file can set them."""
    value = getattr(DEFAULTS, name)
    shown = ", ".join(value) if isinstance(value, tuple) else value
    return f"{text} (default: {shown})"


AvatarOption = Annotated[
    list[str] | None,
    typer.Option(
        "--avatar", metavar="PHOTO|NAME",
        help=_default("Photograph to bring to life, name of a stored avatar, or `builtin`; "
                      "A.jpg+B.jpg or a folder for several photographs of one person. Give several "
                      "to change between them with the keys 1–9.", "avatar"),
    ),
]  # fmt: skip
CameraOption = Annotated[
    str | None,
    typer.Option(
        "--camera", metavar="CAMERA",
        help=_default("Camera number, device, video file, address, or `demo` for a made-up "
                      "performance.", "camera"),
    ),
]  # fmt: skip
MotionOption = Annotated[
    Literal["relative", "absolute"] | None,
    typer.Option(
        "--motion",
        help=_default("relative: your movement on the photograph's own face; absolute: your "
                      "features and place.", "motion"),
    ),
]  # fmt: skip
FrameOption = Annotated[
    Literal["portrait", "photo"] | None,
    typer.Option(
        "--frame",
        help=_default("portrait: head and shoulders; photo: the whole picture, the face animated "
                      "in place.", "frame"),
    ),
]  # fmt: skip
SizeOption = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help=_default("Output size in pixels.", "size")),
]
SmoothingOption = Annotated[
    Literal["off", "light", "strong"] | None,
    typer.Option("--smoothing", help=_default("How much jitter is removed.", "smoothing")),
]
MouthOption = Annotated[
    Literal["auto", "driver", "teeth"] | None,
    typer.Option(
        "--mouth",
        help=_default(
            "Between the lips: driver takes your own teeth from the camera, teeth draws some, "
            "auto keeps those of a photo that shows its own, else yours.",
            "mouth",
        ),
    ),
]
BackgroundOption = Annotated[
    str | None,
    typer.Option(
        "--background", metavar="photo|blur|transparent|COLOUR|FILE",
        help=_default("Behind the avatar: the photo's own, the same out of focus, nothing, a "
                      "colour such as green or #00ff00, or a picture. portrait only.",
                      "background"),
    ),
]  # fmt: skip
ShadingOption = Annotated[
    float | None,
    typer.Option(
        "--shading", help=_default("How much of your creases the avatar gets, 0 to 1.", "shading")
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="NAME",
        help=_default("portrait needs nothing; neural draws an avatar that `avatar train` made; "
                      "liveportrait and fomm run published networks, see `avatar models`.",
                      "engine"),
    ),
]  # fmt: skip
_NEURAL = "Engines liveportrait, fomm"
_DRIVING = "How far it goes along"
StrengthOption = Annotated[
    float | None,
    typer.Option("--strength", rich_help_panel=_DRIVING,
                 help=_default("How far the avatar goes along, 0 to 2.", "strength")),
]  # fmt: skip
WeightOption = Annotated[
    list[str] | None,
    typer.Option(
        "--weight", metavar="REGION=NUMBER", rich_help_panel=_DRIVING,
        help="How far one part goes along, 0 to 2: pose, mouth, eyes, brows. Give several. "
             "portrait only.",
    ),
]  # fmt: skip
ExaggerateOption = Annotated[
    float | None,
    typer.Option("--exaggerate", rich_help_panel=_DRIVING,
                 help=_default("Small expressions grow by so much, 1 to 3. portrait only.",
                               "exaggerate")),
]  # fmt: skip
MaxTurnOption = Annotated[
    float | None,
    typer.Option("--max-turn", metavar="DEGREES", rich_help_panel=_DRIVING,
                 help="The head never turns further, about any axis. portrait only."),
]  # fmt: skip
LockHeadOption = Annotated[
    bool | None,
    typer.Option("--lock-head/--no-lock-head", rich_help_panel=_DRIVING,
                 help="Only the face moves. portrait only."),
]  # fmt: skip
ReferenceOption = Annotated[
    Literal["auto", "first", "key", "profile"] | None,
    typer.Option(
        "--reference", rich_help_panel=_DRIVING,
        help=_default("Which face of yours stands for the photograph's: auto, the most neutral of "
                      "the first two seconds; first, the first; key, what you choose with X or R; "
                      "profile, the resting face of --profile.", "reference"),
    ),
]  # fmt: skip
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", rich_help_panel=_DRIVING,
                 help="What `avatar calibrate` learnt of your face."),
]  # fmt: skip
_SOUND = "Sound"
MicOption = Annotated[
    str | None,
    typer.Option("--mic", metavar="DEVICE", rich_help_panel=_SOUND,
                 help="Your microphone; off by default. `avatar devices` lists them."),
]  # fmt: skip
SpeakerOption = Annotated[
    str | None,
    typer.Option("--speaker", metavar="DEVICE", rich_help_panel=_SOUND,
                 help="Where your voice goes, in step with the picture: a virtual cable."),
]  # fmt: skip
AvOffsetOption = Annotated[
    float | None,
    typer.Option("--av-offset", metavar="MS", rich_help_panel=_SOUND,
                 help=_default("Sound so much later than measured; negative: earlier.",
                               "av_offset")),
]  # fmt: skip
DriveOption = Annotated[
    Literal["video", "audio", "both", "auto"] | None,
    typer.Option(
        "--drive", rich_help_panel=_SOUND,
        help=_default("What moves the mouth: video, your face; audio, your voice, with no camera "
                      "at all; auto, your voice while no face is seen; both, as auto, and lips "
                      "that close with your p, b and m. portrait only.", "drive"),
    ),
]  # fmt: skip
_STREAMS = "Streams"
EncoderOption = Annotated[
    str | None,
    typer.Option("--encoder", metavar="NAME", rich_help_panel=_STREAMS,
                 help=_default("What encodes H.264: auto, nvenc, qsv, amf, videotoolbox, x264.",
                               "encoder")),
]  # fmt: skip
BitrateOption = Annotated[
    int | None,
    typer.Option("--bitrate", metavar="KBIT/S", rich_help_panel=_STREAMS,
                 help="Of the video (default: by size, 3000 for 1280x720 at 30 fps)."),
]  # fmt: skip
StreamSizeOption = Annotated[
    str | None,
    typer.Option("--stream-size", metavar="WxH", rich_help_panel=_STREAMS,
                 help="Size that is sent (default: that of --size)."),
]  # fmt: skip
StreamPresetOption = Annotated[
    Literal["twitch", "youtube"] | None,
    typer.Option("--stream-preset", rich_help_panel=_STREAMS,
                 help="Bit rates as the service recommends them, and constant."),
]  # fmt: skip
StreamKeyFileOption = Annotated[
    Path | None,
    typer.Option("--stream-key-file", metavar="FILE", rich_help_panel=_STREAMS,
                 help="Stream key, to leave out of the address; also AVATAR_STREAM_KEY."),
]  # fmt: skip
StreamCaOption = Annotated[
    Path | None,
    typer.Option("--stream-ca", metavar="FILE.pem", rich_help_panel=_STREAMS,
                 help="Certificates to trust in place of the system's."),
]  # fmt: skip
HotkeysOption = Annotated[
    bool | None,
    typer.Option("--hotkeys/--no-hotkeys",
                 help="Listen for keys while another window has the focus: ctrl+alt+1 to 9 avatar, "
                      "N and P next and previous, X reference, R search, M mirror, Q quit."),
]  # fmt: skip
HotkeyOption = Annotated[
    list[str] | None,
    typer.Option("--hotkey", metavar="ACTION=KEYS",
                 help="Another key for one of them, such as reference=ctrl+shift+f9; nothing after "
                      "the = for none. Give several."),
]  # fmt: skip
RegionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--region", metavar="REGION", rich_help_panel=_NEURAL,
        help=_default("What of your face drives the avatar: expression, pose, lips, eyes. Give "
                      "several. liveportrait only.", "regions"),
    ),
]  # fmt: skip
StitchingOption = Annotated[
    bool | None,
    typer.Option("--stitching/--no-stitching", rich_help_panel=_NEURAL,
                 help="Keep the shoulders still. liveportrait only."),
]  # fmt: skip
RetargetEyesOption = Annotated[
    bool | None,
    typer.Option("--retarget-eyes/--no-retarget-eyes", rich_help_panel=_NEURAL,
                 help="Shut the avatar's eyes exactly as far as yours. liveportrait only."),
]  # fmt: skip
RetargetLipsOption = Annotated[
    bool | None,
    typer.Option("--retarget-lips/--no-retarget-lips", rich_help_panel=_NEURAL,
                 help="Open its lips exactly as far as yours. liveportrait only."),
]  # fmt: skip
WeightsVariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="animals", rich_help_panel=_NEURAL,
                 help="Weights for animals; needs --crop. liveportrait only."),
]  # fmt: skip
CropOption = Annotated[
    str | None,
    typer.Option(
        "--crop", metavar="X,Y,SIZE", rich_help_panel=_NEURAL,
        help="Where the head is, where no human face is to be looked for: left, top and side of a "
             "square in the photograph's pixels, about twice as wide as the face.",
    ),
]  # fmt: skip
BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend", metavar="NAME", rich_help_panel=_NEURAL,
        help=_default("What runs the networks: auto, tensorrt-rtx, tensorrt, openvino or "
                      "onnxruntime.", "backend"),
    ),
]  # fmt: skip
PrecisionOption = Annotated[
    Literal["auto", "fp32", "fp16", "int8"] | None,
    typer.Option("--precision", rich_help_panel=_NEURAL,
                 help=_default("How exactly they compute.", "precision")),
]  # fmt: skip
FaceModelOption = Annotated[
    Path | None,
    typer.Option(
        "--face-model", metavar="FILE",
        help="MediaPipe's face_landmarker.task; by default the installed one.",
    ),
]  # fmt: skip
ForceOption = Annotated[
    bool | None, typer.Option("--force", help="Replace an existing output file.")
]
LabelTextOption = Annotated[
    str | None,
    typer.Option("--label-text", help=_default("Text of the label in the picture.", "label_text")),
]
LabelCornerOption = Annotated[
    Literal["top-right", "top-left", "bottom-left", "bottom-right"] | None,
    typer.Option("--label-corner", help=_default("Where the label stands.", "label_corner")),
]
NoLabelOption = Annotated[
    bool,
    typer.Option(
        "--no-label",
        help="Leave pictures unmarked; needs --acknowledge-disclosure-duty and is logged.",
    ),
]
AcknowledgeOption = Annotated[
    bool | None,
    typer.Option(
        "--acknowledge-disclosure-duty",
        help="I will tell everybody who sees the pictures that they are generated.",
    ),
]


@app.command()
def run(
    avatar: AvatarOption = None,
    camera: CameraOption = None,
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            metavar="OUT",
            help=_default(
                "Where frames go: virtual, virtual:DEVICE, pipewire, preview, page (for OBS), "
                "file:PATH, rtmp://…, rtmps://…, udp://HOST:PORT, whip:https://… or none. Give "
                "several to serve several.",
                "out",
            ),
        ),
    ] = None,
    engine: EngineOption = None,
    motion: MotionOption = None,
    frame: FrameOption = None,
    size: SizeOption = None,
    fps: Annotated[
        float | None, typer.Option("--fps", help=_default("Frames a second.", "fps"))
    ] = None,
    mirror: Annotated[
        bool | None,
        typer.Option("--mirror/--no-mirror", help="Move as your mirror image would."),
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
    mic: MicOption = None,
    speaker: SpeakerOption = None,
    av_offset: AvOffsetOption = None,
    drive: DriveOption = None,
    encoder: EncoderOption = None,
    bitrate: BitrateOption = None,
    stream_size: StreamSizeOption = None,
    stream_preset: StreamPresetOption = None,
    stream_key_file: StreamKeyFileOption = None,
    stream_ca: StreamCaOption = None,
    label_text: LabelTextOption = None,
    label_corner: LabelCornerOption = None,
    no_label: NoLabelOption = False,
    acknowledge_disclosure_duty: AcknowledgeOption = None,
    hotkeys: HotkeysOption = None,
    hotkey: HotkeyOption = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="End after so many seconds.")
    ] = None,
    stats: Annotated[
        Path | None, typer.Option("--stats", metavar="FILE.json", help="Write measurements.")
    ] = None,
    face_model: FaceModelOption = None,
    force: ForceOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="Options from a file; these win."),
    ] = None,
) -> None:
    """Drive a photograph with your face, live, into a call."""
    given = _given(locals())
    from avatar.commands.run import run as command

    raise typer.Exit(command(_live_config(config, given)))


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of LiveConfig that were given on the command line."""
    given = {name: value for name, value in values.items() if name not in ("config", "no_label")}
    if values.get("no_label"):
        given["label"] = False
    return given


def _live_config(path: Path | None, given: dict[str, Any]) -> LiveConfig:
    from avatar.config import load_config

    return load_config(path, given)


@app.command()
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
            rich_help_panel=_NEURAL,
            help="Write what the networks saw of the driver, to move other photographs with.",
        ),
    ] = None,
    face_model: FaceModelOption = None,
    force: ForceOption = None,
) -> None:
    """Move a photograph by a recorded clip: every frame of it, into a file, with its sound."""
    given = _given(locals())
    for name in ("driving", "out", "face", "audio", "save_motion"):
        del given[name]
    config = _live_config(None, given | {"avatar": [avatar] if avatar is not None else None})
    from avatar.commands.animate import animate as command

    raise typer.Exit(
        command(
            config,
            driving=driving,
            out=out,
            size_px=config.size_px if size is not None else None,
            audio=audio,
            face=parse_face(face),
            save_motion=save_motion,
        )
    )


@app.command()
def bench(
    camera: Annotated[
        str,
        typer.Option("--camera", metavar="CLIP", help="Video file to replay as a camera, or demo."),
    ] = "demo",
    avatar: AvatarOption = None,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="OUT",
            help="Where frames go; a stream's address measures encoding.",
        ),
    ] = "none",
    encoder: EncoderOption = None,
    bitrate: BitrateOption = None,
    engine: EngineOption = None,
    motion: Annotated[
        bool,
        typer.Option(
            "--motion",
            help="Measure how steady and how late the avatar moves instead, on --camera or on all "
            "of --clips.",
        ),
    ] = False,
    motion_mode: Annotated[
        Literal["relative", "absolute"] | None,
        typer.Option("--motion-mode", help="As --motion of `avatar run`."),
    ] = None,
    frame: FrameOption = None,
    size: SizeOption = None,
    smoothing: SmoothingOption = None,
    mouth: MouthOption = None,
    shading: ShadingOption = None,
    strength: StrengthOption = None,
    regions: RegionsOption = None,
    stitching: StitchingOption = None,
    retarget_eyes: RetargetEyesOption = None,
    retarget_lips: RetargetLipsOption = None,
    variant: WeightsVariantOption = None,
    crop: CropOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Measured time.")] = 20.0,
    unpaced: Annotated[
        bool, typer.Option("--unpaced", help="As fast as it goes, instead of 30 fps.")
    ] = False,
    glass: Annotated[
        bool,
        typer.Option(
            "--glass",
            help="From light to light: show a changing code to the camera (--camera 0, or `loop` "
            "for no camera) and read it back at the end of the chain.",
        ),
    ] = False,
    quality: Annotated[
        bool,
        typer.Option("--quality", help="Measure the pictures instead; needs --clips, --avatars."),
    ] = False,
    clips: Annotated[
        Path | None, typer.Option("--clips", metavar="FOLDER", help="Videos of faces.")
    ] = None,
    avatars: Annotated[
        Path | None, typer.Option("--avatars", metavar="FOLDER", help="Pictures of faces.")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="With --quality: fewer frames and pairs; --motion: no clip."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="With --quality: all pictures.")
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw them: .png or .html.")
    ] = None,
    face_model: FaceModelOption = None,
) -> None:
    """Measure frame rate, latency, CPU and memory on this machine."""
    if quality:
        from avatar.commands.quality import quality as quality_command

        raise typer.Exit(
            quality_command(
                engine or DEFAULTS.engine, clips, avatars, quick=quick, html_path=html,
                json_path=json_path, face_model=face_model,
            )
        )  # fmt: skip
    given = {
        name: value
        for name, value in locals().items()
        if name not in ("unpaced", "glass", "json_path", "plot", "motion_mode", "out")
        and name not in ("quality", "clips", "avatars", "quick", "html")
    }
    config = _live_config(None, given | {"motion": motion_mode})
    if motion:
        from avatar.commands.motion import motion as motion_command

        raise typer.Exit(
            motion_command(
                camera, clips, smoothing=config.smoothing, quick=quick, json_path=json_path,
                plot=plot, face_model=face_model,
            )
        )  # fmt: skip
    if glass:
        from avatar.commands.glass import glass as glass_command

        raise typer.Exit(glass_command(config, json_path=json_path))
    from avatar.commands.bench import bench as command

    raise typer.Exit(command(config, unpaced=unpaced, json_path=json_path, plot=plot, out=out))


@app.command()
def calibrate(
    camera: Annotated[
        str,
        typer.Option("--camera", metavar="CAMERA", help="Camera, video file, address or demo."),
    ] = "0",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What to call the profile.")
    ] = "me",
    unattended: Annotated[
        bool,
        typer.Option(
            "--unattended",
            help="Ask for nothing: watch a recording for the same acts, in any order.",
        ),
    ] = False,
    window: Annotated[
        bool, typer.Option("--window/--no-window", help="Show the prompts in a window, too.")
    ] = True,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with signals before and after."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a profile of the same name.")
    ] = False,
    av: Annotated[
        bool,
        typer.Option(
            "--av",
            help="Measure instead how much later the camera is than --mic, by claps, for sound "
            "that is in step; kept in the profile.",
        ),
    ] = False,
    mic: Annotated[
        str | None, typer.Option("--mic", metavar="DEVICE", help="With --av: the microphone.")
    ] = None,
    face_model: FaceModelOption = None,
) -> None:
    """Learn your own range of expression in a guided minute, for `avatar run --profile`."""
    if av:
        from avatar.commands.calibrate.sync import calibrate_av

        raise typer.Exit(calibrate_av(camera, mic, name))
    if mic is not None:
        raise UsageError("--mic is for calibrate --av")
    from avatar.commands.calibrate import calibrate as command

    raise typer.Exit(
        command(
            camera, name, unattended=unattended, window=window, html=html, force=force,
            face_model=face_model,
        )
    )  # fmt: skip


@app.command()
def studio(
    avatar: AvatarOption = None,
    camera: CameraOption = None,
    background: BackgroundOption = None,
    size: SizeOption = None,
    mic: MicOption = None,
    speaker: SpeakerOption = None,
    drive: DriveOption = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where the page is; 0: any free port.")
    ] = 8765,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="ADDRESS",
            help="This machine alone by default. Another address of it, or 0.0.0.0, lets other "
            "devices in, by TLS and with the token only.",
        ),
    ] = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the page in your browser.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start", help="Begin at once, without the page's button.")
    ] = False,
    face_model: FaceModelOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="Options from a file; these win."),
    ] = None,
) -> None:
    """Everything in one page of your browser, served by this machine: avatars, camera, outputs."""
    given = _given(locals())
    for name in ("port", "listen", "browser", "start"):
        del given[name]
    from avatar.commands.studio import studio as command

    settings = _live_config(config, given)
    raise typer.Exit(command(settings, port=port, listen=listen, browser=browser, start=start))


@app.command()
def train(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CLIP...|PHOTO...", help="Video of one person: half a minute or "
                       "more, well lit, talking, smiling, blinking, looking around. Or three to "
                       "five photographs, with --base."),
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
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    face_model: FaceModelOption = None,
) -> None:  # fmt: skip
    """Learn one person's teeth, eyes and wrinkles from a clip, for --engine neural."""
    if evaluate:
        from avatar.commands.train.comparison import compare

        given = {"backend": backend, "precision": precision, "face_model": face_model}
        clip = inputs[0] if inputs else None
        raise typer.Exit(compare(name, clip, out, _live_config(None, given)))
    if backend or precision:
        raise UsageError("--backend and --precision are for train --evaluate")
    from avatar.commands.train.command import Wish
    from avatar.commands.train.command import train as command

    wish = Wish(
        name, tuple(inputs or ()), size, minutes, steps, device, base, resume, rights, share, seed,
        force, face_model,
    )  # fmt: skip
    if as_base is not None:
        from avatar.commands.train.base import train_base

        raise typer.Exit(train_base(wish, as_base, out))
    if out is not None:
        raise UsageError("--out is for train --evaluate and train --as-base")
    raise typer.Exit(command(wish))


@profiles_app.command("list")
def profiles_list() -> None:
    """List the profiles."""
    from avatar.commands.profiles import list_profiles

    raise typer.Exit(list_profiles())


ProfileArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a profile.")]


@profiles_app.command("compare")
def profiles_compare(first: ProfileArgument, second: ProfileArgument) -> None:
    """Show two profiles side by side, the greatest differences first."""
    from avatar.commands.profiles import compare

    raise typer.Exit(compare(first, second))


@profiles_app.command("remove")
def profiles_remove(name: ProfileArgument) -> None:
    """Delete a profile."""
    from avatar.commands.profiles import remove

    raise typer.Exit(remove(name))


@app.command()
def devices() -> None:
    """List cameras, outputs, microphones and speakers."""
    from avatar.commands.devices import devices as command

    raise typer.Exit(command())


@app.command()
def doctor(
    face_model: FaceModelOption = None,
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu",
            help="Build, compare and time the networks of --engine on this machine's card instead, "
            "and write a report to attach to an issue.",
        ),
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", metavar="NAME", help="With --gpu: liveportrait or fomm, an installed one."
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            metavar="NAME",
            help="With --gpu: openvino or onnxruntime do the same on the processor.",
        ),
    ] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "int8"],
        typer.Option("--precision", help="With --gpu: how exactly they compute."),
    ] = "auto",
    report: Annotated[
        Path,
        typer.Option("--report", metavar="FILE", help="With --gpu: where the report goes."),
    ] = Path("avatar-gpu-report.txt"),
    force: ForceOption = None,
    camera: Annotated[
        bool,
        typer.Option(
            "--camera",
            help="The virtual cameras that this system can have, and what each needs, instead. "
            "Looks only; loads and installs nothing.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="With --camera: free v4l2loopback devices that no program can open any more.",
        ),
    ] = False,
) -> None:
    """Check this machine: what works, what does not, and the line that mends it."""
    if gpu and camera:
        raise UsageError("doctor --gpu and --camera are two checks; ask for one of them")
    if gpu:
        from avatar.commands.doctor_gpu import doctor_gpu
        from avatar.commands.terminal import say

        status = doctor_gpu(
            engine=engine, backend=backend, precision=precision, report=report,
            force=bool(force), say=say,
        )  # fmt: skip
        raise typer.Exit(status)
    if engine or force or (backend, precision) != ("auto", "auto"):
        raise UsageError("--engine, --backend, --precision and --force are for doctor --gpu")
    if camera:
        from avatar.commands.doctor_camera import doctor_camera

        raise typer.Exit(doctor_camera(repair))
    if repair:
        raise UsageError("--repair is for doctor --camera")
    from avatar.commands.doctor import doctor as command

    raise typer.Exit(command(face_model))


@avatars_app.command("add")
def avatars_add(
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO...",
            help="Photograph of a person; or up to five of one person (a folder stands for those "
            "in it): the first gives place, body and background, and whichever is nearest to what "
            "you do is shown.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What to call it (default: as the file)."),
    ] = None,
    face: Annotated[
        int,
        typer.Option("--face", metavar="N", min=1, help="Which face of it: 1 is the largest."),
    ] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an avatar of the same name.")
    ] = False,
    face_model: FaceModelOption = None,
) -> None:
    """Store copies of a photograph, or of several of one person, with the face found in them."""
    from avatar.commands.avatars_command import add

    raise typer.Exit(add(*photos, name=name, face=face, force=force, face_model=face_model))


@avatars_app.command("list")
def avatars_list() -> None:
    """List the stored avatars."""
    from avatar.commands.avatars_command import list_avatars

    raise typer.Exit(list_avatars())


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a stored avatar.")]


@avatars_app.command("show")
def avatars_show(
    name: NameArgument,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="FILE.png", help="Write its portrait framing, labelled."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing picture.")] = False,
) -> None:
    """Print what is known of a stored avatar."""
    from avatar.commands.avatars_command import show

    raise typer.Exit(show(name, preview=preview, force=force))


@avatars_app.command("remove")
def avatars_remove(name: NameArgument) -> None:
    """Delete a stored avatar: its copy of the photograph and what was found in it."""
    from avatar.commands.avatars_command import remove

    raise typer.Exit(remove(name))


@autostart_app.command("install")
def autostart_install(
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE.toml", help="The options of `avatar run`."),
    ],
    by: Annotated[
        Literal["systemd", "desktop"] | None,
        typer.Option(
            "--by",
            help="systemd: a user unit, started again when it fails; desktop: a file in the "
            "autostart folder (default: systemd where your session has it).",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that you changed.")
    ] = False,
) -> None:
    """Write the unit or the autostart file, and switch it on."""
    from avatar.commands.autostart import install

    raise typer.Exit(install(config, by, force=force))


@autostart_app.command("status")
def autostart_status() -> None:
    """Say what is installed and whether it runs."""
    from avatar.commands.autostart import status

    raise typer.Exit(status())


@autostart_app.command("remove")
def autostart_remove(
    force: Annotated[bool, typer.Option("--force", help="Delete a file that you changed.")] = False,
) -> None:
    """Stop it and delete what was written."""
    from avatar.commands.autostart import remove

    raise typer.Exit(remove(force=force))


@models_app.command("list")
def models_list() -> None:
    """List what can be had and what is installed, with licence, size and builds."""
    from avatar.commands.models.command import list_models

    raise typer.Exit(list_models())


ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="liveportrait or fomm.")]
VariantOption = Annotated[
    str | None,
    typer.Option(
        "--variant", metavar="people|animals",
        help="Which weights of liveportrait (default: people).",
    ),
]  # fmt: skip
LicenceOption = Annotated[
    bool,
    typer.Option("--accept-licence", help="I have read the model's licence and accept it."),
]


@models_app.command("pull")
def models_pull(
    model: ModelArgument,
    variant: VariantOption = None,
    accept_licence: LicenceOption = False,
) -> None:
    """Fetch a model from its official home; an interrupted download goes on where it ended."""
    from avatar.commands.models.command import pull

    raise typer.Exit(pull(model, variant, accept_licence=accept_licence))


@models_app.command("import")
def models_import(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Checkpoints, or folders and archives of them."),
    ],
    variant: VariantOption = None,
    accept_licence: LicenceOption = False,
) -> None:
    """Install checkpoints that you have; what they are is known by their contents."""
    from avatar.commands.models.command import import_files

    raise typer.Exit(import_files(files, variant, accept_licence=accept_licence))


@models_app.command("build")
def models_build(
    model: ModelArgument,
    variant: VariantOption = None,
    backend: Annotated[
        str,
        typer.Option(
            "--backend", metavar="NAME",
            help="auto, openvino, onnxruntime, tensorrt-rtx or tensorrt.",
        ),
    ] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", metavar="NAME", help="auto, fp32, fp16 or int8.")
    ] = "auto",
    ahead: Annotated[
        bool,
        typer.Option(
            "--ahead", help="For a card that is not in this machine (tensorrt-rtx only)."
        ),
    ] = False,
) -> None:  # fmt: skip
    """Compile an installed model for this machine, so that its first use starts quickly."""
    from avatar.commands.models.command import build

    raise typer.Exit(build(model, variant, backend=backend, precision=precision, ahead=ahead))


@models_app.command("verify")
def models_verify() -> None:
    """Check every installed file again: its hash, and what is in it."""
    from avatar.commands.models.command import verify

    raise typer.Exit(verify())


@models_app.command("remove")
def models_remove(
    model: ModelArgument,
    variant: VariantOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an installed model and what was built of it."""
    from avatar.commands.models.command import remove

    raise typer.Exit(remove(model, variant, yes=yes))


def main() -> None:
    """Run the command line; an ``AvatarError`` becomes one line and an exit status."""
    try:
        app()
    except AvatarError as error:
        typer.echo(f"avatar: {error}", err=True)
        raise SystemExit(error.exit_status) from None


if __name__ == "__main__":
    main()
