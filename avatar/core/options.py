"""Every option of a session, declared once: name, type, default, bounds, words, and where it shows.

The command line, the config file, the studio's page and its HTTP schema, ``Driver``, ``open_live``
and the documented tables are made from this file, so a new option is one field here, its effect,
and its translations. Nothing heavier than the standard library is imported: ``avatar run --help``
reads it.
"""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from avatar.core.choices import (
    ComputeDevice,
    Corner,
    Drive,
    Framing,
    MotionMode,
    Mouth,
    Precision,
    PublishedEngineName,
    Reference,
    Region,
    Smoothing,
    StreamPreset,
    TrackerName,
)
from avatar.core.errors import UsageError
from avatar.core.messages import Message
from avatar.core.option import ANIMATE, BENCH, DRAWING, DRIVER, RUN, STUDIO, Change, Option
from avatar.core.option_values import parse_person, parse_size, parse_weights

F = TypeVar("F", bound=Callable[..., Any])
PORTRAIT, TRAINED = "portrait", "neural"
PUBLISHED: tuple[PublishedEngineName, ...] = get_args(PublishedEngineName)
"""Names of the engines; ``sessions.engines`` has one object for each."""
ENGINE_NAMES = (PORTRAIT, TRAINED, *PUBLISHED)

GREEN = "#00b140"
"""The green that programs such as OBS key out by default."""
LIVE = (RUN, STUDIO)
"""Commands that hold a live session: they use every option that a config file may have."""
PANELS = {
    "driving": "Driving",
    "networks": "Neural engines",
    "sound": "Sound",
    "streams": "Streams",
}


_OWN = (PORTRAIT, TRAINED)
_NETWORKS: Any = {"panel": "networks", "engines": PUBLISHED[:1]}
_BACKEND: Any = {"panel": "networks", "engines": (TRAINED, *PUBLISHED)}
_DRIVING: Any = {
    "panel": "driving", "page": "movement", "change": "driving", "on": (RUN, ANIMATE, DRIVER),
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

    Raises ``UsageError`` for values out of bounds and for options that exclude each other.
    """

    # fmt: off
    avatar: Annotated[tuple[str, ...], Option(
        "Photo to bring to life, name of a stored avatar, or `builtin`. A.jpg+B.jpg or a folder: "
        "several photos of one person. Repeat the option to switch between avatars with the keys "
        "1–9.",
        metavar="PHOTO|NAME", on=(RUN, ANIMATE, BENCH, STUDIO), change="picture", main=True,
    )] = ("builtin",)
    camera: Annotated[str, Option(
        "Camera number, device, video file or address, or `demo` for a made-up performance.",
        metavar="CAMERA", on=(RUN, STUDIO), main=True,
    )] = "0"
    camera_size: Annotated[str, Option(
        "Picture size to ask the camera for; native: its largest, which shows the whole width of "
        "a 16:9 camera and more of your mouth, and takes more computing.",
        metavar="WxH|native", on=(RUN, STUDIO), page="camera",
        offered=("640x480", "1280x720", "native"),
    )] = "640x480"
    # Addresses of streams have keys in them: they stand in no representation.
    out: Annotated[tuple[str, ...], Option(
        "Where the pictures go: virtual, virtual:DEVICE, pipewire, preview, page (for OBS), "
        "file:PATH, rtmp://…, rtmps://…, udp://HOST:PORT, whip:https://… or none. Repeat the "
        "option for several outputs.",
        metavar="OUT", on=(RUN,), main=True,
    )] = field(default=("virtual",), repr=False)
    engine: Annotated[str, Option(
        "What draws the avatar: portrait needs nothing else; neural uses an avatar that `avatar "
        f"train` made; {' and '.join(PUBLISHED)} run published networks, see `avatar models`.",
        metavar="NAME", on=(*DRAWING, STUDIO), choices=ENGINE_NAMES, main=True, **_PICTURE,
    )] = PORTRAIT
    motion: Annotated[MotionMode, Option(
        "relative: your movements, applied to the face in the photo; absolute: your features and "
        "position.",
        **_MOVEMENT,
    )] = "relative"
    frame: Annotated[Framing, Option(
        "portrait: head and shoulders; photo: the whole photo, its face animated in place.",
        main=True, **_PICTURE,
    )] = "portrait"
    size: Annotated[str, Option(
        "Output size in pixels.",
        metavar="WxH", on=(RUN, ANIMATE, BENCH, STUDIO), main=True,
    )] = "1280x720"
    fps: Annotated[float, Option(
        "Output frame rate; cameras are asked for it. From a slower camera the avatar's movement "
        "is predicted between two pictures.",
        on=(RUN, BENCH), bounds=(1, 120, 1), unit="frames a second",
    )] = 30.0
    mirror: Annotated[bool, Option(
        "Move as your mirror image would.", on=(RUN,), page="movement", change="mirror",
    )] = False
    smoothing: Annotated[Smoothing, Option("How much jitter is removed.", **_MOVEMENT)] = "light"
    background: Annotated[str, Option(
        "Behind the avatar: the photo's own background, the same blurred, transparent, a colour "
        "such as green or #00ff00, or an image file.",
        metavar="photo|blur|transparent|COLOUR|FILE", on=(RUN, ANIMATE, STUDIO, DRIVER),
        engines=_OWN, offered=("photo", "blur", "transparent", GREEN), main=True, **_PICTURE,
    )] = "photo"
    mouth: Annotated[Mouth, Option(
        "Inside the mouth: driver shows your own teeth from the camera, teeth draws some, auto "
        "keeps the teeth that the photo shows and uses yours otherwise.",
        engines=_OWN, **_PICTURE,
    )] = "auto"
    shading: Annotated[float, Option(
        "How strongly your wrinkles and dimples show on the avatar.",
        bounds=(0, 1, 0.05), engines=_OWN, **_PICTURE,
    )] = 1.0
    strength: Annotated[float, Option(
        "How strongly the avatar follows you.",
        bounds=(0, 2, 0.05), panel="driving", page="movement", change="driving", main=True,
    )] = 1.0
    weight: Annotated[tuple[str, ...], Option(
        "How strongly one part follows you, 0–2: pose, mouth, eyes or brows. Repeat the option for "
        "several parts.",
        metavar="REGION=NUMBER", **_DRIVING,
    )] = ()
    exaggerate: Annotated[float, Option(
        "Amplify small expressions.", bounds=(1, 3, 0.1), **_DRIVING,
    )] = 1.0
    max_turn: Annotated[float | None, Option(
        "Limit how far the head turns about any axis.",
        metavar="DEGREES", bounds=(0, 90, 1), unit="degrees", **_DRIVING,
    )] = None
    lock_head: Annotated[bool, Option(
        "Keep the head still; only the face moves.", **_DRIVING,
    )] = False
    reference: Annotated[Reference, Option(
        "Which of your faces counts as neutral: auto, the most neutral one of the first two "
        "seconds; first, the first one seen; key, the one you choose with X or R; profile, the "
        "resting face of --profile.",
        panel="driving", on=(RUN, ANIMATE, DRIVER), **_MOVEMENT,
    )] = "auto"
    profile: Annotated[str | None, Option(
        "Use what `avatar calibrate` learned about your face.",
        panel="driving", metavar="NAME", on=(RUN, ANIMATE, DRIVER), **_MOVEMENT,
    )] = None
    regions: Annotated[tuple[Region, ...], Option(
        "Which of your movements drive the avatar: expression, pose, lips, eyes. Repeat the option "
        "for several.",
        flag="--region", metavar="REGION", **_NETWORKS,
    )] = ("expression", "pose")
    stitching: Annotated[bool, Option("Keep the shoulders still.", **_NETWORKS)] = True
    retarget_eyes: Annotated[bool, Option(
        "Close the avatar's eyes exactly as far as yours.", **_NETWORKS,
    )] = False
    retarget_lips: Annotated[bool, Option(
        "Open the avatar's lips exactly as far as yours.", **_NETWORKS,
    )] = False
    variant: Annotated[Literal["", "animals"], Option(
        "Use networks that were trained on animals; needs --crop.", metavar="animals", **_NETWORKS,
    )] = ""
    crop: Annotated[str | None, Option(
        "Where the head is, for pictures in which no human face can be found: left, top and side "
        "of a square in the photo's pixels, about twice as wide as the face.",
        metavar="X,Y,SIZE", panel="networks", engines=PUBLISHED,
    )] = None
    backend: Annotated[str, Option(
        "What runs the networks: auto, tensorrt-rtx, tensorrt, torch, openvino or onnxruntime.",
        metavar="NAME", **_BACKEND,
    )] = "auto"
    device: Annotated[ComputeDevice, Option(
        "What the networks run on: cuda, an NVIDIA card; cpu, the processor.", **_BACKEND,
    )] = "auto"
    precision: Annotated[Precision, Option("Numeric precision of the networks.", **_BACKEND)] = (
        "auto"
    )
    listen: Annotated[str, Option(
        "Where pages are served: this machine alone by default. Another address of it, or 0.0.0.0, "
        "lets other devices in, but only over TLS and with the token.",
        metavar="ADDRESS", on=LIVE,
    )] = "127.0.0.1"
    mic: Annotated[str | None, Option(
        "Your microphone; off by default. `avatar devices` lists them.",
        metavar="DEVICE", main=True, page="camera", **_SOUND,
    )] = None
    speaker: Annotated[str | None, Option(
        "Play your voice here, in step with the picture: a virtual audio cable.",
        metavar="DEVICE", **_SOUND,
    )] = None
    av_offset: Annotated[float, Option(
        "Play the sound this much later than measured, or earlier if negative.",
        metavar="MS", bounds=(-1000, 1000, 1), unit="milliseconds", panel="sound", on=(RUN,),
    )] = 0.0
    drive: Annotated[Drive, Option(
        "What moves the mouth: video, your face; audio, your voice, without a camera; auto, your "
        "voice while no face or no mouth is seen; both, like auto, and the lips close at your p, b "
        "and m.",
        engines=_OWN, **_SOUND,
    )] = "video"
    encoder: Annotated[str, Option(
        "H.264 encoder: auto, nvenc, qsv, amf, videotoolbox or x264.",
        metavar="NAME", panel="streams", on=(RUN, BENCH),
    )] = "auto"
    bitrate: Annotated[int | None, Option(
        "Video bit rate (default: by size, 3000 for 1280x720 at 30 fps).",
        metavar="KBIT/S", panel="streams", on=(RUN, BENCH),
    )] = None
    stream_size: Annotated[str | None, Option(
        "Size of the stream (default: that of --size).", metavar="WxH", **_STREAM,
    )] = None
    stream_preset: Annotated[StreamPreset | None, Option(
        "Constant bit rates as the service recommends them.", **_STREAM,
    )] = None
    stream_key_file: Annotated[Path | None, Option(
        "File with the stream key, which is then left out of the address; or set "
        "AVATAR_STREAM_KEY.",
        metavar="FILE", **_STREAM,
    )] = None
    stream_ca: Annotated[Path | None, Option(
        "Trust these certificates instead of the system's.", metavar="FILE.pem", **_STREAM,
    )] = None
    label: Annotated[bool, Option(
        "Leave the pictures unmarked; needs --acknowledge-disclosure-duty and is logged.",
        on=(RUN, ANIMATE), flag=" /--no-label",
    )] = True
    label_text: Annotated[str, Option("Text of the label in the picture.", **_LABEL)] = "AI"
    label_corner: Annotated[Corner, Option("Corner of the label.", **_LABEL)] = "top-right"
    acknowledge_disclosure_duty: Annotated[bool, Option(
        "I will tell everyone who sees the pictures that they are generated.",
        on=(RUN, ANIMATE), flag="--acknowledge-disclosure-duty",
    )] = False
    play: Annotated[str | None, Option(
        "Play a template once at the start, and whenever you press V: a name of `avatar templates "
        "list`, or a motion template (.npz). Then it is you again.",
        metavar="NAME|FILE.npz", on=(RUN, STUDIO), engines=_OWN,
    )] = None
    hotkeys: Annotated[bool, Option(
        "Listen for keys while another window has the focus: ctrl+alt+1 to 9 avatar, N and P next "
        "and previous, X reference, R search, M mirror, O other person, Q quit; S smile, U "
        "surprise, W wink, A laugh, Y shy, E sad, G angry, Z sleepy, H hold, V play.",
        on=(RUN,),
    )] = False
    hotkey: Annotated[tuple[str, ...], Option(
        "Use another key for one of them, such as reference=ctrl+shift+f9; nothing after the = for "
        "no key. Repeat the option for several.",
        metavar="ACTION=KEYS", on=(RUN,),
    )] = ()
    seconds: Annotated[float | None, Option("Stop after this many seconds.", on=(RUN,))] = None
    stats: Annotated[Path | None, Option(
        "Write measurements to a file.", metavar="FILE.json", on=(RUN,),
    )] = None
    tracker: Annotated[TrackerName, Option(
        "What finds and follows faces: own needs nothing else, finds small faces and keeps to one "
        "person; mediapipe runs the same networks by Google's library; auto takes own where it "
        "runs.",
        on=(*DRAWING, STUDIO),
    )] = "auto"
    person: Annotated[str, Option(
        "Whom to follow where several people are seen: largest, left or right in the camera's "
        "picture, or a number by size. The key O follows the next one.",
        metavar="largest|left|right|N", on=(RUN, ANIMATE, STUDIO, DRIVER), page="camera",
        offered=("largest", "left", "right", "2", "3"), change="person",
    )] = "largest"
    face_model: Annotated[Path | None, Option(
        "MediaPipe's face_landmarker.task (default: the installed one).",
        metavar="FILE", on=(*DRAWING, STUDIO),
    )] = None
    force: Annotated[bool, Option(
        "Overwrite an existing output file.", on=(RUN, ANIMATE), flag="--force",
    )] = False
    # fmt: on

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.regions:
            raise UsageError("--region: expected one or more of expression, pose, lips, eyes")
        if self.seconds is not None and self.seconds <= 0:
            raise UsageError(f"--seconds: expected more than 0, found {self.seconds:g}")
        parse_size(self.size)
        _ = self.camera_size_px
        parse_weights(self.weight)
        self._check_person()
        if self.reference == "profile" and self.profile is None:
            raise UsageError(
                Message(
                    "error.referenceProfile",
                    "--reference profile needs --profile NAME; `avatar profiles list` shows the "
                    "names",
                )
            )
        self._check_sound()
        if not self.avatar or not self.out:
            raise UsageError("at least one --avatar and one --out are needed")

    def _check_person(self) -> None:
        if parse_person(self.person) != "largest" and self.tracker == "mediapipe":
            raise UsageError("--person: MediaPipe cannot choose whom to follow; use --tracker own")

    def _check_sound(self) -> None:
        if self.speaker is not None and self.mic is None:
            raise UsageError(
                Message(
                    "error.speakerNeedsMic",
                    "--speaker needs --mic: `avatar devices` shows the microphones",
                )
            )
        if self.drive != "video" and self.mic is None:
            raise UsageError(
                Message(
                    "error.driveNeedsMic",
                    "--drive {drive} needs --mic, whose voice moves the mouth: `avatar devices` "
                    "shows the microphones",
                    drive=self.drive,
                )
            )

    @property
    def weights(self) -> dict[str, float]:
        """Return the weight of each region that was given one."""
        return parse_weights(self.weight)

    @property
    def camera_size_px(self) -> tuple[int, int] | None:
        """Return the (width, height) to ask cameras for; None: the largest they have.

        Raises ``UsageError``.
        """
        if self.camera_size == "native":
            return None
        return parse_size(self.camera_size, "--camera-size")

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


def takes_several(name: str, table: type = Options) -> bool:
    """Return whether an option may be given several times."""
    return get_origin(type_of(name, table)) is tuple


def choices_of(name: str, table: type = Options) -> tuple[Any, ...]:
    """Return the values that an option can have, empty where they cannot be listed."""
    parts = get_args(type_of(name, table)) if NoneType in get_args(type_of(name, table)) else ()
    plain = next((part for part in parts if part is not NoneType), type_of(name, table))
    listed = get_args(plain) if get_origin(plain) is Literal else ()
    return declared(table)[name].choices or listed


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
    """Raise ``UsageError`` for an option of a table that has an impossible value."""
    table: type = type(values)
    for name in declared(table):
        check_bound(name, getattr(values, name), table)


def check_bound(name: str, value: Any, table: type = Options) -> None:
    """Raise ``UsageError`` for a value out of its option's bounds."""
    option = declared(table)[name]
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{flag_of(name, table)}: expected a number, found {value:g}")
    if option.bounds is None or value is None:
        return
    low, high, _ = option.bounds
    if not low <= value <= high:
        raise UsageError(f"{flag_of(name, table)}: expected {option.span(' to ')}, found {value:g}")


def lent(name: str, command: str) -> Option:
    """Return an option of a session as another table has it, for one command alone."""
    return replace(declared()[name], on=(command,), engines=())


def options_on(command: str | None, table: type = Options) -> tuple[str, ...]:
    """Return the names of the options that a command has; without one, all names."""
    known = declared(table).items()
    return tuple(name for name, option in known if command is None or command in option.on)


def takes_options(command: str | None = None, table: type = Options) -> Callable[[F], F]:
    """Return a decorator that shows the options in a signature, in place of its ``**options``.

    Those of ``table`` that ``command`` has; without one all of them.
    """

    def shown(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        named = {parameter.name for parameter in own}
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY,
                default=default_of(name, table), annotation=type_of(name, table),
            )
            for name in options_on(command, table) if name not in named
        ]  # fmt: skip
        function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return function

    return shown


def changeable(kind: Change) -> frozenset[str]:
    """Return the options for which ``kind`` is made again when they change while running."""
    return frozenset(name for name, option in declared().items() if option.change == kind)


def used_by(name: str, engine: str) -> bool:
    """Return whether ``engine`` uses the option ``name``."""
    engines = declared()[name].engines
    return not engines or engine in engines


def schema(name: str) -> dict[str, Any]:
    """Return what is declared of an option, ready for JSON.

    ``kind``: flag, number, choice, list or text; ``choices``, ``min``, ``max``, ``step`` and
    ``unit`` where they apply; ``optional``: it may be null.
    """
    option, plain, default = declared()[name], type_of(name), default_of(name)
    described = {
        "name": name,
        "flag": flag_of(name),
        "help": option.text,
        "default": list(default) if isinstance(default, tuple) else default,
        "optional": NoneType in get_args(plain),
        "commands": list(option.on),
        "engines": list(option.engines),
        "group": option.page,
        "change": option.change,
    }
    if takes_several(name):
        return described | {"kind": "list"}
    if plain is bool:
        return described | {"kind": "flag"}
    if choices_of(name):
        return described | {"kind": "choice", "choices": list(choices_of(name))}
    if option.bounds is not None:
        low, high, step = option.bounds
        bounds = {"min": low, "max": high, "step": step, "unit": option.unit}
        return described | {"kind": "number"} | bounds
    return described | {"kind": "number" if {int, float} & {plain, *get_args(plain)} else "text"}
