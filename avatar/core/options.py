"""Every option of a session, declared once: name, type, default, bounds, words, and where it shows.

The command line, the config file, the studio's page, the public API and the documented table are
made from this file, so a new option is one field here, its effect, and its translations. Nothing
heavier than the standard library is imported: ``avatar run --help`` reads it.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from avatar.errors import UsageError

Corner = Literal["top-right", "top-left", "bottom-left", "bottom-right"]
Region = Literal["expression", "pose", "lips", "eyes"]
MotionMode = Literal["relative", "absolute"]
Framing = Literal["portrait", "photo"]
Smoothing = Literal["off", "light", "strong"]
Reference = Literal["auto", "first", "key", "profile"]
MouthInside = Literal["auto", "driver", "teeth"]
Drive = Literal["video", "audio", "both", "auto"]
Precision = Literal["auto", "fp32", "fp16", "int8"]
Group = Literal["picture", "movement", "label"]
PublishedEngineName = Literal["liveportrait", "fomm"]
Change = Literal["picture", "movement", "driving", "label", "mirror", "restart"]
"""What is made again when an option changes while running; ``restart``: it cannot change."""

WEIGHTED_REGIONS = ("pose", "mouth", "eyes", "brows")
PORTRAIT, TRAINED = "portrait", "neural"
PUBLISHED: tuple[PublishedEngineName, ...] = get_args(PublishedEngineName)
"""Names of the engines; ``sessions.engines`` has one object for each."""
ENGINE_NAMES = (PORTRAIT, TRAINED, *PUBLISHED)

RUN, ANIMATE, BENCH, STUDIO = "run", "animate", "bench", "studio"
_DRAWING = (RUN, ANIMATE, BENCH)
PANELS = {
    "driving": "Driving",
    "networks": f"Engines {', '.join(PUBLISHED)}",
    "sound": "Sound",
    "streams": "Streams",
}


@dataclass(frozen=True)
class Option:
    """What is known of an option beside its name, type and default.

    ``help``: one or two sentences, for the command line and the documented table. ``on``: the
    commands that have it. ``panel``: a key of ``PANELS``, empty for the general one. ``flag``: its
    name on the command line where that is not the field's. ``bounds``: (least, most, step), which
    the constructor checks and the page's slider shows; ``unit`` for messages. ``page``: the
    studio's group, empty where the page does not show it. ``change``: see ``Change``. ``engines``:
    which engines use it; empty: all of them.
    """

    help: str
    on: tuple[str, ...] = _DRAWING
    panel: str = ""
    metavar: str | None = None
    flag: str = ""
    bounds: tuple[float, float, float] | None = None
    unit: str = ""
    page: Group | Literal[""] = ""
    change: Change = "restart"
    engines: tuple[str, ...] = ()


_OWN = (PORTRAIT, TRAINED)
_NETWORKS: Any = {"panel": "networks", "engines": PUBLISHED[:1]}
_DRIVING: Any = {
    "panel": "driving", "page": "movement", "change": "driving", "on": (RUN, ANIMATE),
    "engines": _OWN,
}  # fmt: skip
_SOUND: Any = {"panel": "sound", "on": (RUN, STUDIO)}
_STREAM: Any = {"panel": "streams", "on": (RUN,)}
_PICTURE: Any = {"page": "picture", "change": "picture"}
_MOVEMENT: Any = {"page": "movement", "change": "movement"}
_LABEL: Any = {"page": "label", "change": "label", "on": (RUN, ANIMATE)}


@dataclass(frozen=True)
class Options:
    """One session's options. A config file has the same names.

    Raises ``UsageError`` for values out of bounds and for what does not go together.
    """

    # fmt: off
    avatar: Annotated[tuple[str, ...], Option(
        "Photograph to bring to life, name of a stored avatar, or `builtin`; A.jpg+B.jpg or a "
        "folder for several photographs of one person. Give several to change between them with "
        "the keys 1–9.",
        metavar="PHOTO|NAME", on=(RUN, BENCH, STUDIO), change="picture",
    )] = ("builtin",)
    camera: Annotated[str, Option(
        "Camera number, device, video file, address, or `demo` for a made-up performance.",
        metavar="CAMERA", on=(RUN, STUDIO),
    )] = "0"
    # Addresses of streams have keys in them: they stand in no representation.
    out: Annotated[tuple[str, ...], Option(
        "Where frames go: virtual, virtual:DEVICE, pipewire, preview, page (for OBS), file:PATH, "
        "rtmp://…, rtmps://…, udp://HOST:PORT, whip:https://… or none. Give several to serve "
        "several.",
        metavar="OUT", on=(RUN,),
    )] = field(default=("virtual",), repr=False)
    engine: Annotated[str, Option(
        "portrait needs nothing; neural draws an avatar that `avatar train` made; "
        f"{' and '.join(PUBLISHED)} run published networks, see `avatar models`.",
        metavar="NAME",
    )] = PORTRAIT
    motion: Annotated[MotionMode, Option(
        "relative: your movement on the photograph's own face; absolute: your features and place.",
        on=(RUN, ANIMATE), **_MOVEMENT,
    )] = "relative"
    frame: Annotated[Framing, Option(
        "portrait: head and shoulders; photo: the whole picture, the face animated in place.",
        **_PICTURE,
    )] = "portrait"
    size: Annotated[str, Option(
        "Output size in pixels.", metavar="WxH", on=(RUN, BENCH, STUDIO),
    )] = "1280x720"
    fps: Annotated[float, Option(
        "Frames a second.", on=(RUN,), bounds=(1, 120, 1), unit="frames a second",
    )] = 30.0
    mirror: Annotated[bool, Option(
        "Move as your mirror image would.", on=(RUN,), page="movement", change="mirror",
    )] = False
    smoothing: Annotated[Smoothing, Option("How much jitter is removed.", **_MOVEMENT)] = "light"
    background: Annotated[str, Option(
        "Behind the avatar: the photo's own, the same out of focus, nothing, a colour such as "
        "green or #00ff00, or a picture. portrait only.",
        metavar="photo|blur|transparent|COLOUR|FILE", on=(RUN, ANIMATE, STUDIO), engines=_OWN,
        **_PICTURE,
    )] = "photo"
    mouth: Annotated[MouthInside, Option(
        "Between the lips: driver takes your own teeth from the camera, teeth draws some, auto "
        "keeps those of a photo that shows its own, else yours.",
        **_PICTURE,
    )] = "auto"
    shading: Annotated[float, Option(
        "How much of your creases the avatar gets, 0 to 1.", bounds=(0, 1, 0.05), **_PICTURE,
    )] = 1.0
    reference: Annotated[Reference, Option(
        "Which face of yours stands for the photograph's: auto, the most neutral of the first two "
        "seconds; first, the first; key, what you choose with X or R; profile, the resting face of "
        "--profile.",
        panel="driving", on=(RUN, ANIMATE), **_MOVEMENT,
    )] = "auto"
    profile: Annotated[str | None, Option(
        "What `avatar calibrate` learnt of your face.",
        panel="driving", metavar="NAME", on=(RUN, ANIMATE), **_MOVEMENT,
    )] = None
    strength: Annotated[float, Option(
        "How far the avatar goes along, 0 to 2.",
        bounds=(0, 2, 0.05), panel="driving", page="movement", change="driving",
    )] = 1.0
    weight: Annotated[tuple[str, ...], Option(
        "How far one part goes along, 0 to 2: pose, mouth, eyes, brows. Give several. portrait "
        "only.",
        metavar="REGION=NUMBER", **_DRIVING,
    )] = ()
    exaggerate: Annotated[float, Option(
        "Small expressions grow by so much, 1 to 3. portrait only.", bounds=(1, 3, 0.1), **_DRIVING,
    )] = 1.0
    max_turn: Annotated[float | None, Option(
        "The head never turns further, about any axis. portrait only.",
        metavar="DEGREES", bounds=(0, 90, 1), unit="degrees", **_DRIVING,
    )] = None
    lock_head: Annotated[bool, Option("Only the face moves. portrait only.", **_DRIVING)] = False
    regions: Annotated[tuple[Region, ...], Option(
        "What of your face drives the avatar: expression, pose, lips, eyes. Give several. "
        "liveportrait only.",
        flag="--region", metavar="REGION", **_NETWORKS,
    )] = ("expression", "pose")
    stitching: Annotated[bool, Option(
        "Keep the shoulders still. liveportrait only.", **_NETWORKS,
    )] = True
    retarget_eyes: Annotated[bool, Option(
        "Shut the avatar's eyes exactly as far as yours. liveportrait only.", **_NETWORKS,
    )] = False
    retarget_lips: Annotated[bool, Option(
        "Open its lips exactly as far as yours. liveportrait only.", **_NETWORKS,
    )] = False
    variant: Annotated[Literal["", "animals"], Option(
        "Weights for animals; needs --crop. liveportrait only.", metavar="animals", **_NETWORKS,
    )] = ""
    crop: Annotated[str | None, Option(
        "Where the head is, where no human face is to be looked for: left, top and side of a "
        "square in the photograph's pixels, about twice as wide as the face.",
        metavar="X,Y,SIZE", panel="networks", engines=PUBLISHED,
    )] = None
    backend: Annotated[str, Option(
        "What runs the networks: auto, tensorrt-rtx, tensorrt, openvino or onnxruntime.",
        metavar="NAME", panel="networks", engines=(TRAINED, *PUBLISHED),
    )] = "auto"
    precision: Annotated[Precision, Option(
        "How exactly they compute.", panel="networks", engines=(TRAINED, *PUBLISHED),
    )] = "auto"
    mic: Annotated[str | None, Option(
        "Your microphone; off by default. `avatar devices` lists them.", metavar="DEVICE", **_SOUND,
    )] = None
    speaker: Annotated[str | None, Option(
        "Where your voice goes, in step with the picture: a virtual cable.",
        metavar="DEVICE", **_SOUND,
    )] = None
    av_offset: Annotated[float, Option(
        "Sound so much later than measured; negative: earlier.",
        metavar="MS", bounds=(-1000, 1000, 1), unit="milliseconds", panel="sound", on=(RUN,),
    )] = 0.0
    drive: Annotated[Drive, Option(
        "What moves the mouth: video, your face; audio, your voice, with no camera at all; auto, "
        "your voice while no face is seen; both, as auto, and lips that close with your p, b and "
        "m. portrait only.",
        engines=_OWN, **_SOUND,
    )] = "video"
    encoder: Annotated[str, Option(
        "What encodes H.264: auto, nvenc, qsv, amf, videotoolbox, x264.",
        metavar="NAME", panel="streams", on=(RUN, BENCH),
    )] = "auto"
    bitrate: Annotated[int | None, Option(
        "Of the video (default: by size, 3000 for 1280x720 at 30 fps).",
        metavar="KBIT/S", panel="streams", on=(RUN, BENCH),
    )] = None
    stream_size: Annotated[str | None, Option(
        "Size that is sent (default: that of --size).", metavar="WxH", **_STREAM,
    )] = None
    stream_preset: Annotated[Literal["twitch", "youtube"] | None, Option(
        "Bit rates as the service recommends them, and constant.", **_STREAM,
    )] = None
    stream_key_file: Annotated[Path | None, Option(
        "Stream key, to leave out of the address; also AVATAR_STREAM_KEY.",
        metavar="FILE", **_STREAM,
    )] = None
    stream_ca: Annotated[Path | None, Option(
        "Certificates to trust in place of the system's.", metavar="FILE.pem", **_STREAM,
    )] = None
    label: Annotated[bool, Option(
        "Leave pictures unmarked; needs --acknowledge-disclosure-duty and is logged.",
        on=(RUN, ANIMATE), flag=" /--no-label",
    )] = True
    label_text: Annotated[str, Option("Text of the label in the picture.", **_LABEL)] = "AI"
    label_corner: Annotated[Corner, Option("Where the label stands.", **_LABEL)] = "top-right"
    acknowledge_disclosure_duty: Annotated[bool, Option(
        "I will tell everybody who sees the pictures that they are generated.",
        on=(RUN, ANIMATE), flag="--acknowledge-disclosure-duty",
    )] = False
    hotkeys: Annotated[bool, Option(
        "Listen for keys while another window has the focus: ctrl+alt+1 to 9 avatar, N and P next "
        "and previous, X reference, R search, M mirror, Q quit.",
        on=(RUN,),
    )] = False
    hotkey: Annotated[tuple[str, ...], Option(
        "Another key for one of them, such as reference=ctrl+shift+f9; nothing after the = for "
        "none. Give several.",
        metavar="ACTION=KEYS", on=(RUN,),
    )] = ()
    seconds: Annotated[float | None, Option("End after so many seconds.", on=(RUN,))] = None
    stats: Annotated[Path | None, Option(
        "Write measurements.", metavar="FILE.json", on=(RUN,),
    )] = None
    face_model: Annotated[Path | None, Option(
        "MediaPipe's face_landmarker.task; by default the installed one.",
        metavar="FILE", on=(*_DRAWING, STUDIO),
    )] = None
    force: Annotated[bool, Option(
        "Replace an existing output file.", on=(RUN, ANIMATE), flag="--force",
    )] = False
    # fmt: on

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.regions:
            raise UsageError("--region: expected one or more of expression, pose, lips, eyes")
        if self.seconds is not None and self.seconds <= 0:
            raise UsageError(f"--seconds: expected more than 0, found {self.seconds:g}")
        parse_size(self.size)
        parse_weights(self.weight)
        if self.reference == "profile" and self.profile is None:
            raise UsageError(
                "--reference profile needs --profile NAME; `avatar profiles list` shows the names"
            )
        self._check_sound()
        if not self.avatar or not self.out:
            raise UsageError("at least one --avatar and one --out are needed")

    def _check_sound(self) -> None:
        if self.speaker is not None and self.mic is None:
            raise UsageError("--speaker needs --mic: `avatar devices` shows the microphones")
        if self.drive != "video" and self.mic is None:
            raise UsageError(
                f"--drive {self.drive} needs --mic, whose voice moves the mouth: `avatar devices` "
                "shows the microphones"
            )

    @property
    def weights(self) -> dict[str, float]:
        """Return the weight of each region that was given one."""
        return parse_weights(self.weight)

    @property
    def size_px(self) -> tuple[int, int]:
        """Return the output's (width, height). Raises ``UsageError``."""
        return parse_size(self.size)


@cache
def hints(table: type = Options) -> dict[str, Any]:
    """Return the annotated types of a table's fields, by name."""
    return get_type_hints(table, include_extras=True)


@cache
def declared(table: type = Options) -> dict[str, Option]:
    """Return the options of a table by name, in their order.

    ``table``: a dataclass whose fields are annotated with an ``Option``.
    """
    return {
        name: next(extra for extra in get_args(hint) if isinstance(extra, Option))
        for name, hint in hints(table).items()
    }


def type_of(name: str, table: type = Options) -> Any:
    """Return an option's plain type."""
    return get_args(hints(table)[name])[0]


def default_of(name: str, table: type = Options) -> Any:
    """Return an option's default."""
    found: Field[Any] = next(field for field in fields(table) if field.name == name)
    assert found.default is not MISSING, "every option has a default"
    return found.default


def flag_of(name: str, table: type = Options) -> str:
    """Return what an option is called on the command line, such as ``--max-turn``."""
    flag = declared(table)[name].flag or f"--{name.replace('_', '-')}"
    return flag.partition("/")[0].strip() or flag.partition("/")[2]


def check_bounds(values: Any) -> None:
    """Raise ``UsageError`` for an option of a table that is out of its bounds."""
    table: type = type(values)
    for name, option in declared(table).items():
        value = getattr(values, name)
        if option.bounds is None or value is None:
            continue
        low, high, _ = option.bounds
        if not low <= value <= high:
            expected = f"{low:g} to {high:g} {option.unit}".rstrip().replace("-", "−")
            raise UsageError(f"{flag_of(name, table)}: expected {expected}, found {value:g}")


def changeable(kind: Change) -> frozenset[str]:
    """Return the options for which ``kind`` is made again when they change while running."""
    return frozenset(name for name, option in declared().items() if option.change == kind)


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Return (width, height) of ``WIDTHxHEIGHT``; both even, 64 to 4096 pixels.

    ``option``: what the user calls it.

    Raises ``UsageError``.
    """
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError(f"{option}: expected WIDTHxHEIGHT such as 1280x720, found {text!r}")
    size = int(width), int(height)
    if any(side % 2 or not 64 <= side <= 4096 for side in size):
        raise UsageError(
            f"{option}: expected even numbers from 64 to 4096 (video stores colour for 2×2 "
            f"pixels), found {text!r}"
        )
    return size


def parse_weights(texts: tuple[str, ...]) -> dict[str, float]:
    """Return the regions' weights of ``REGION=NUMBER``: pose, mouth, eyes, brows; 0 to 2.

    Raises ``UsageError``.
    """
    weights: dict[str, float] = {}
    for text in texts:
        region, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if region not in WEIGHTED_REGIONS or not 0 <= value <= 2:
            raise UsageError(
                f"--weight: expected REGION=NUMBER with one of {', '.join(WEIGHTED_REGIONS)} and a "
                f"number from 0 to 2, such as mouth=1.3; found {text!r}"
            )
        if region in weights:
            raise UsageError(f"--weight: each region only once, found {region} again")
        weights[region] = value
    return weights
