"""What a live session is made of: the one home of every default, and reading it from a file."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from avatar.core.choices import (
    DEFAULT_MOUTH,
    DEFAULT_REGIONS,
    DEFAULT_SHADING,
    Corner,
    Framing,
    MotionMode,
    Mouth,
    Reference,
    Region,
    Smoothing,
    StreamPreset,
)
from avatar.errors import ConfigError, UsageError

WEIGHTED_REGIONS = ("pose", "mouth", "eyes", "brows")
NEURAL_ENGINES = ("liveportrait", "fomm")
"""The engines that run published networks, by the names of their families."""
TRAINED_ENGINE = "neural"
"""The engine that runs what ``avatar train`` made."""


@dataclass(frozen=True)
class NeuralOptions:
    """What can be chosen about the neural engines.

    ``strength``: how far the avatar goes along, 1 as far as the driver; any engine heeds it.
    ``regions``: what of the driver's face drives the avatar; the expression has lips and eyes in
    it. ``stitching``: keep the shoulders still. ``retarget_eyes``, ``retarget_lips``: shut lids and
    open lips as far as the driver's are, by networks of their own. ``variant``: other weights,
    "animals". ``crop``: the photograph's square as ``X,Y,SIZE`` where no face is to be looked for.
    ``backend`` and ``precision``: what runs the networks, see docs/engines.md.
    """

    strength: float = 1.0
    regions: tuple[Region, ...] = DEFAULT_REGIONS
    stitching: bool = True
    retarget_eyes: bool = False
    retarget_lips: bool = False
    variant: Literal["", "animals"] = ""
    crop: str | None = None
    backend: str = "auto"
    precision: Literal["auto", "fp32", "fp16", "int8"] = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 2:
            raise UsageError(f"--strength: expected 0 to 2, found {self.strength:g}")
        if not self.regions:
            raise UsageError("--region: expected one or more of expression, pose, lips, eyes")


@dataclass(frozen=True)
class LiveConfig(NeuralOptions):
    """Every option of ``avatar run``; a config file has the same names.

    Those of ``NeuralOptions`` but ``strength`` are for the neural engines alone.

    ``avatar``: photographs, the first is shown first. ``camera``: index, device, file, address
    or ``demo``. ``out``: where frames go. ``size``: the output's ``WIDTHxHEIGHT``.
    ``weight``: ``REGION=NUMBER`` for parts of the movement, see ``weights``. ``max_turn``: degrees.
    ``background``: ``photo``, ``blur``, ``transparent``, a colour, or a picture's path.
    ``profile``: name of a stored profile of the driver.
    ``mic``, ``speaker``: sound devices, None for no sound. ``av_offset``: milliseconds that sound
    comes later than measured. ``hotkeys``: listen for keys without focus; ``hotkey``:
    ``ACTION=KEYS`` that change them. ``drive``: what moves the mouth: the face, the voice, both, or
    (auto) the voice where no face is seen.
    ``encoder``, ``bitrate`` (kbit/s), ``stream_size`` (``WIDTHxHEIGHT``), ``stream_preset``,
    ``stream_key_file``, ``stream_ca``: of streams only.
    """

    avatar: tuple[str, ...] = ("builtin",)
    camera: str = "0"
    # Addresses of streams have keys in them.
    out: tuple[str, ...] = dataclasses.field(default=("virtual",), repr=False)
    engine: str = "portrait"
    motion: MotionMode = "relative"
    frame: Framing = "portrait"
    size: str = "1280x720"
    fps: float = 30.0
    mirror: bool = False
    smoothing: Smoothing = "light"
    reference: Reference = "auto"
    profile: str | None = None
    weight: tuple[str, ...] = ()
    exaggerate: float = 1.0
    max_turn: float | None = None
    lock_head: bool = False
    background: str = "photo"
    mouth: Mouth = DEFAULT_MOUTH
    shading: float = DEFAULT_SHADING
    mic: str | None = None
    speaker: str | None = None
    av_offset: float = 0.0
    drive: Literal["video", "audio", "both", "auto"] = "video"
    encoder: str = "auto"
    bitrate: int | None = None
    stream_size: str | None = None
    stream_preset: StreamPreset | None = None
    stream_key_file: Path | None = None
    stream_ca: Path | None = None
    label: bool = True
    label_text: str = "AI"
    label_corner: Corner = "top-right"
    acknowledge_disclosure_duty: bool = False
    hotkeys: bool = False
    hotkey: tuple[str, ...] = ()
    seconds: float | None = None
    stats: Path | None = None
    face_model: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_size(self.size)
        if not 1 <= self.fps <= 120:
            raise UsageError(f"--fps: expected 1 to 120 frames a second, found {self.fps:g}")
        if not 0 <= self.shading <= 1:
            raise UsageError(f"--shading: expected 0 to 1, found {self.shading:g}")
        if self.seconds is not None and self.seconds <= 0:
            raise UsageError(f"--seconds: expected more than 0, found {self.seconds:g}")
        self._check_driving()
        self._check_sound()
        if not self.avatar or not self.out:
            raise UsageError("at least one --avatar and one --out are needed")

    def _check_driving(self) -> None:
        parse_weights(self.weight)
        if not 1 <= self.exaggerate <= 3:
            raise UsageError(f"--exaggerate: expected 1 to 3, found {self.exaggerate:g}")
        if self.max_turn is not None and not 0 <= self.max_turn <= 90:
            raise UsageError(f"--max-turn: expected 0 to 90 degrees, found {self.max_turn:g}")
        if self.reference == "profile" and self.profile is None:
            raise UsageError(
                "--reference profile needs --profile NAME; `avatar profiles list` shows the names"
            )

    def _check_sound(self) -> None:
        if not -1000 <= self.av_offset <= 1000:
            raise UsageError(
                f"--av-offset: expected −1000 to 1000 milliseconds, found {self.av_offset:g}"
            )
        if self.speaker is not None and self.mic is None:
            raise UsageError("--speaker needs --mic: `avatar devices` shows the microphones")
        if self.drive != "video" and self.mic is None:
            raise UsageError(
                f"--drive {self.drive} needs --mic, whose voice moves the mouth: `avatar devices` "
                "shows the microphones"
            )
        if self.drive != "video" and self.engine in NEURAL_ENGINES:
            raise UsageError(
                f"--drive {self.drive} is for --engine portrait; {self.engine} takes the movement "
                "from your picture itself. Leave it out, or choose --engine portrait"
            )

    @property
    def weights(self) -> dict[str, float]:
        """Return the weight of each region that was given one."""
        return parse_weights(self.weight)

    @property
    def size_px(self) -> tuple[int, int]:
        """Return the output's (width, height). Raises ``UsageError``."""
        return parse_size(self.size)


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


def parse_face(text: str) -> int | Literal["all"]:
    """Return which face ``--face`` asks for: a number from 1, the largest, or all of them.

    Raises ``UsageError``.
    """
    if text.lower() == "all":
        return "all"
    if not (text.isdecimal() and int(text) >= 1):
        raise UsageError(f"--face: expected a number from 1 (the largest), or all, found {text!r}")
    return int(text)


DEFAULTS = LiveConfig()


def load_config(path: Path | None, given: dict[str, Any]) -> LiveConfig:
    """Return the defaults, changed by the TOML file at ``path``, changed by ``given``.

    ``given``: options from the command line; those that are None were not given.
    Raises ``ConfigError`` for an unreadable file, an unknown key (naming the nearest known one)
    or a value of the wrong kind.
    """
    values = _read(path) if path is not None else {}
    values |= {name: value for name, value in given.items() if value is not None}
    return _validated(values, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the config file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} is not valid TOML: {error}") from error
    inherited = {field.name for field in dataclasses.fields(NeuralOptions)}
    known = [field.name for field in dataclasses.fields(LiveConfig)]
    known.sort(key=lambda name: name in inherited)
    normal = {key.replace("-", "_"): value for key, value in values.items()}
    for key in normal:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(known)}."
            raise ConfigError(f"{path}: unknown key `{key}`.{hint}")
    for key in ("avatar", "out", "regions", "weight", "hotkey"):
        if isinstance(normal.get(key), str):
            normal[key] = [normal[key]]
    return normal


def _validated(values: dict[str, Any], path: Path | None) -> LiveConfig:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(LiveConfig).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "value"
        where = f"{path}: " if path is not None else ""
        value = first.get("input")
        # An output may be an address with a key in it: neither it nor the library's error is shown.
        found = type(value).__name__ if key.startswith("out") else repr(value)
        raise ConfigError(f"{where}`{key}`: {first['msg']}; found {found}") from None
