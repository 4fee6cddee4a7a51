"""Options that several commands share, and how they become a ``Options``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from avatar.core.options import PUBLISHED, Options, declared, default_of


def defaults(text: str, name: str) -> str:
    """Name an option's default; options left out stay None, so that a config file can set them."""
    value = default_of(name)
    shown = ", ".join(value) if isinstance(value, tuple) else value
    return f"{text} (default: {shown})"


AvatarOption = Annotated[
    list[str] | None,
    typer.Option(
        "--avatar", metavar="PHOTO|NAME",
        help=defaults("Photograph to bring to life, name of a stored avatar, or `builtin`; "
                      "A.jpg+B.jpg or a folder for several photographs of one person. Give several "
                      "to change between them with the keys 1–9.", "avatar"),
    ),
]  # fmt: skip
CameraOption = Annotated[
    str | None,
    typer.Option(
        "--camera", metavar="CAMERA",
        help=defaults("Camera number, device, video file, address, or `demo` for a made-up "
                      "performance.", "camera"),
    ),
]  # fmt: skip
MotionOption = Annotated[
    Literal["relative", "absolute"] | None,
    typer.Option(
        "--motion",
        help=defaults("relative: your movement on the photograph's own face; absolute: your "
                      "features and place.", "motion"),
    ),
]  # fmt: skip
FrameOption = Annotated[
    Literal["portrait", "photo"] | None,
    typer.Option(
        "--frame",
        help=defaults("portrait: head and shoulders; photo: the whole picture, the face animated "
                      "in place.", "frame"),
    ),
]  # fmt: skip
SizeOption = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help=defaults("Output size in pixels.", "size")),
]
SmoothingOption = Annotated[
    Literal["off", "light", "strong"] | None,
    typer.Option("--smoothing", help=defaults("How much jitter is removed.", "smoothing")),
]
MouthOption = Annotated[
    Literal["auto", "driver", "teeth"] | None,
    typer.Option(
        "--mouth",
        help=defaults(
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
        help=defaults("Behind the avatar: the photo's own, the same out of focus, nothing, a "
                      "colour such as green or #00ff00, or a picture. portrait only.",
                      "background"),
    ),
]  # fmt: skip
ShadingOption = Annotated[
    float | None,
    typer.Option(
        "--shading",
        help=defaults("How much of your creases the avatar gets, 0 to 1.", "shading"),
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="NAME",
        help=defaults("portrait needs nothing; neural draws an avatar that `avatar train` made; "
                      f"{' and '.join(PUBLISHED)} run published networks, see `avatar models`.",
                      "engine"),
    ),
]  # fmt: skip
NEURAL_PANEL = f"Engines {', '.join(PUBLISHED)}"
_FINE = f"{declared()['regions'].engines[0]} only."
DRIVING_PANEL = "How far it goes along"
StrengthOption = Annotated[
    float | None,
    typer.Option("--strength", rich_help_panel=DRIVING_PANEL,
                 help=defaults("How far the avatar goes along, 0 to 2.", "strength")),
]  # fmt: skip
WeightOption = Annotated[
    list[str] | None,
    typer.Option(
        "--weight", metavar="REGION=NUMBER", rich_help_panel=DRIVING_PANEL,
        help="How far one part goes along, 0 to 2: pose, mouth, eyes, brows. Give several. "
             "portrait only.",
    ),
]  # fmt: skip
ExaggerateOption = Annotated[
    float | None,
    typer.Option("--exaggerate", rich_help_panel=DRIVING_PANEL,
                 help=defaults("Small expressions grow by so much, 1 to 3. portrait only.",
                               "exaggerate")),
]  # fmt: skip
MaxTurnOption = Annotated[
    float | None,
    typer.Option("--max-turn", metavar="DEGREES", rich_help_panel=DRIVING_PANEL,
                 help="The head never turns further, about any axis. portrait only."),
]  # fmt: skip
LockHeadOption = Annotated[
    bool | None,
    typer.Option("--lock-head/--no-lock-head", rich_help_panel=DRIVING_PANEL,
                 help="Only the face moves. portrait only."),
]  # fmt: skip
ReferenceOption = Annotated[
    Literal["auto", "first", "key", "profile"] | None,
    typer.Option(
        "--reference", rich_help_panel=DRIVING_PANEL,
        help=defaults("Which face of yours stands for the photograph's: auto, the most neutral of "
                      "the first two seconds; first, the first; key, what you choose with X or R; "
                      "profile, the resting face of --profile.", "reference"),
    ),
]  # fmt: skip
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", rich_help_panel=DRIVING_PANEL,
                 help="What `avatar calibrate` learnt of your face."),
]  # fmt: skip
SOUND_PANEL = "Sound"
MicOption = Annotated[
    str | None,
    typer.Option("--mic", metavar="DEVICE", rich_help_panel=SOUND_PANEL,
                 help="Your microphone; off by default. `avatar devices` lists them."),
]  # fmt: skip
SpeakerOption = Annotated[
    str | None,
    typer.Option("--speaker", metavar="DEVICE", rich_help_panel=SOUND_PANEL,
                 help="Where your voice goes, in step with the picture: a virtual cable."),
]  # fmt: skip
AvOffsetOption = Annotated[
    float | None,
    typer.Option("--av-offset", metavar="MS", rich_help_panel=SOUND_PANEL,
                 help=defaults("Sound so much later than measured; negative: earlier.",
                               "av_offset")),
]  # fmt: skip
DriveOption = Annotated[
    Literal["video", "audio", "both", "auto"] | None,
    typer.Option(
        "--drive", rich_help_panel=SOUND_PANEL,
        help=defaults("What moves the mouth: video, your face; audio, your voice, with no camera "
                      "at all; auto, your voice while no face is seen; both, as auto, and lips "
                      "that close with your p, b and m. portrait only.", "drive"),
    ),
]  # fmt: skip
STREAMS_PANEL = "Streams"
EncoderOption = Annotated[
    str | None,
    typer.Option("--encoder", metavar="NAME", rich_help_panel=STREAMS_PANEL,
                 help=defaults("What encodes H.264: auto, nvenc, qsv, amf, videotoolbox, x264.",
                               "encoder")),
]  # fmt: skip
BitrateOption = Annotated[
    int | None,
    typer.Option("--bitrate", metavar="KBIT/S", rich_help_panel=STREAMS_PANEL,
                 help="Of the video (default: by size, 3000 for 1280x720 at 30 fps)."),
]  # fmt: skip
StreamSizeOption = Annotated[
    str | None,
    typer.Option("--stream-size", metavar="WxH", rich_help_panel=STREAMS_PANEL,
                 help="Size that is sent (default: that of --size)."),
]  # fmt: skip
StreamPresetOption = Annotated[
    Literal["twitch", "youtube"] | None,
    typer.Option("--stream-preset", rich_help_panel=STREAMS_PANEL,
                 help="Bit rates as the service recommends them, and constant."),
]  # fmt: skip
StreamKeyFileOption = Annotated[
    Path | None,
    typer.Option("--stream-key-file", metavar="FILE", rich_help_panel=STREAMS_PANEL,
                 help="Stream key, to leave out of the address; also AVATAR_STREAM_KEY."),
]  # fmt: skip
StreamCaOption = Annotated[
    Path | None,
    typer.Option("--stream-ca", metavar="FILE.pem", rich_help_panel=STREAMS_PANEL,
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
        "--region", metavar="REGION", rich_help_panel=NEURAL_PANEL,
        help=defaults("What of your face drives the avatar: expression, pose, lips, eyes. Give "
                      f"several. {_FINE}", "regions"),
    ),
]  # fmt: skip
StitchingOption = Annotated[
    bool | None,
    typer.Option("--stitching/--no-stitching", rich_help_panel=NEURAL_PANEL,
                 help=f"Keep the shoulders still. {_FINE}"),
]  # fmt: skip
RetargetEyesOption = Annotated[
    bool | None,
    typer.Option("--retarget-eyes/--no-retarget-eyes", rich_help_panel=NEURAL_PANEL,
                 help=f"Shut the avatar's eyes exactly as far as yours. {_FINE}"),
]  # fmt: skip
RetargetLipsOption = Annotated[
    bool | None,
    typer.Option("--retarget-lips/--no-retarget-lips", rich_help_panel=NEURAL_PANEL,
                 help=f"Open its lips exactly as far as yours. {_FINE}"),
]  # fmt: skip
WeightsVariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="animals", rich_help_panel=NEURAL_PANEL,
                 help=f"Weights for animals; needs --crop. {_FINE}"),
]  # fmt: skip
CropOption = Annotated[
    str | None,
    typer.Option(
        "--crop", metavar="X,Y,SIZE", rich_help_panel=NEURAL_PANEL,
        help="Where the head is, where no human face is to be looked for: left, top and side of a "
             "square in the photograph's pixels, about twice as wide as the face.",
    ),
]  # fmt: skip
BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend", metavar="NAME", rich_help_panel=NEURAL_PANEL,
        help=defaults("What runs the networks: auto, tensorrt-rtx, tensorrt, openvino or "
                      "onnxruntime.", "backend"),
    ),
]  # fmt: skip
PrecisionOption = Annotated[
    Literal["auto", "fp32", "fp16", "int8"] | None,
    typer.Option("--precision", rich_help_panel=NEURAL_PANEL,
                 help=defaults("How exactly they compute.", "precision")),
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
    typer.Option("--label-text", help=defaults("Text of the label in the picture.", "label_text")),
]
LabelCornerOption = Annotated[
    Literal["top-right", "top-left", "bottom-left", "bottom-right"] | None,
    typer.Option("--label-corner", help=defaults("Where the label stands.", "label_corner")),
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


def given_options(values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of Options that were given on the command line."""
    given = {name: value for name, value in values.items() if name not in ("config", "no_label")}
    if values.get("no_label"):
        given["label"] = False
    return given


def live_config(path: Path | None, given: dict[str, Any]) -> Options:
    """Return the defaults, changed by the file at ``path``, changed by ``given``."""
    from avatar.config import load_config

    return load_config(path, given)


# Of the commands that build: they have no configuration to take a default from.
BuildBackendOption = Annotated[
    str,
    typer.Option(
        "--backend", metavar="NAME",
        help="auto, openvino, onnxruntime, tensorrt-rtx or tensorrt.",
    ),
]  # fmt: skip
BuildPrecisionOption = Annotated[
    str, typer.Option("--precision", metavar="NAME", help="auto, fp32, fp16 or int8.")
]
AheadOption = Annotated[
    bool,
    typer.Option("--ahead", help="For a card that is not in this machine (tensorrt-rtx only)."),
]
