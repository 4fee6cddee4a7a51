"""Motion templates: what a family's networks saw of a driver, to move other photographs with.

A template is an ``.npz`` of numbers without objects (``core.arrays``): no picture, no sound and
nothing that can run. Beside the arrays it has a description in JSON, ``text``. Frame k stands at
``time_s[k]``; ``tracked[k]`` is 1 where a face was seen, and only there its values mean anything.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from avatar.core.arrays import Shapes, read_arrays, read_text, write_arrays
from avatar.core.choices import MotionMode
from avatar.core.errors import UsageError
from avatar.core.files import parse_record
from avatar.core.frames import Float32, Motion, NetworkMotion, Presence, still
from avatar.stages.motion.performance import FACE, Played, check_rotations
from avatar.stages.motion.retarget import HOLD_NS, FaceRetargeter

SUFFIX = ".npz"
MAX_FRAMES = 200_000
_MAX_BYTES = 200_000_000
_MAX_VALUE = 1e6
# Of a file's bytes for what is not its frames.
_ROOM_BYTES = 1_000_000


class Description(BaseModel):
    """What a template says of itself; ``rate``: frames a second of the clip it was made from."""

    schema_version: Literal[1] = 1
    kind: Literal["webcam-avatar motion template"] = "webcam-avatar motion template"
    family: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    rate: Annotated[float, Field(ge=1, le=240, allow_inf_nan=False)]
    frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)]


@dataclass(frozen=True, eq=False)
class Template:
    """A template in memory; ``values`` have the frames as their first axis, ``reference`` none."""

    family: str
    rate: float
    time_s: Float32
    tracked: Float32
    values: Mapping[str, Float32]
    reference: Mapping[str, Float32]

    @property
    def frames(self) -> int:
        """Return how many frames there are."""
        return len(self.time_s)

    def motions(self, seconds: float | None, mode: MotionMode) -> Generator[Motion, None, None]:
        """Yield each frame's motion; where nobody was seen the avatar holds, then idles."""
        idle = FaceRetargeter()
        last_ns: int | None = None
        motion_of = self._motion_of(mode)
        for k, time_s in enumerate(self.time_s):
            if seconds is not None and time_s - self.time_s[0] >= seconds:
                return
            now_ns = round(float(time_s) * 1e9)
            if self.tracked[k]:
                last_ns = now_ns
                values = {name: value[k] for name, value in self.values.items()}
                yield motion_of(values, now_ns, k)
            elif last_ns is not None and now_ns - last_ns < HOLD_NS:
                yield still(now_ns, k, Presence.HELD, mode == "absolute")
            else:
                motion = idle.retarget(None, now_ns)
                yield dataclasses.replace(motion, index=k, absolute=mode == "absolute")

    def _motion_of(self, mode: MotionMode) -> Callable[[Mapping[str, Float32], int, int], Motion]:
        """Return what makes a motion of a frame's values."""
        if self.family == FACE:
            return Played(self.reference).motion
        neutral = still(0, 0, Presence.TRACKED).neutral

        def seen(values: Mapping[str, Float32], now_ns: int, index: int) -> Motion:
            return dataclasses.replace(
                still(now_ns, index, Presence.TRACKED, mode == "absolute"),
                neutral=neutral,
                network=NetworkMotion(self.family, values, self.reference),
            )

        return seen


@dataclass
class TemplateRecorder:
    """Collects what was seen frame by frame; ``shapes`` are the family's ``seen_shapes``."""

    family: str
    rate: float
    shapes: Shapes
    _times_ns: list[int] = field(default_factory=list)
    _seen: list[Mapping[str, Float32] | None] = field(default_factory=list)
    _reference: Mapping[str, Float32] | None = None

    def add(self, timestamp_ns: int, seen: NetworkMotion | None) -> None:
        """Add a frame; None where nobody was seen. The last reference counts for all."""
        self._times_ns.append(timestamp_ns)
        self._seen.append(None if seen is None else seen.values)
        if seen is not None:
            self._reference = seen.reference

    @property
    def frames(self) -> int:
        """Return how many frames there are so far."""
        return len(self._seen)

    @property
    def is_full(self) -> bool:
        """Return whether a template takes no more frames."""
        return self.frames >= most_frames(self.shapes)

    def template(self) -> Template:
        """Return what was collected. Raises ``UsageError`` when nobody was seen."""
        if self._reference is None:
            raise UsageError("no face was seen in any frame: there is no motion to save")
        count = min(self.frames, most_frames(self.shapes))
        empty = {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}
        first_ns, frames = self._times_ns[0], self._seen[:count]
        return Template(
            self.family,
            self.rate,
            np.array([(t - first_ns) / 1e9 for t in self._times_ns[:count]], np.float32),
            np.array([seen is not None for seen in frames], np.float32),
            {name: np.stack([(seen or empty)[name] for seen in frames]) for name in self.shapes},
            self._reference,
        )

    def save(self, path: Path) -> None:
        """Write the template. Raises ``UsageError`` when nobody was seen, and ``OSError``."""
        save_template(self.template(), path)


def most_frames(shapes: Shapes) -> int:
    """Return how many frames a template of these shapes has at the most."""
    bytes_a_frame = 8 + sum(4 * int(np.prod(shape)) for shape in shapes.values())
    return min(MAX_FRAMES, (_MAX_BYTES - _ROOM_BYTES) // bytes_a_frame)


def save_template(template: Template, path: Path) -> None:
    """Write a template. Raises ``OSError``."""
    arrays = {"time_s": template.time_s, "tracked": template.tracked}
    for name, values in template.values.items():
        arrays[f"values.{name}"] = values
        arrays[f"reference.{name}"] = template.reference[name]
    described = Description(family=template.family, rate=template.rate, frames=template.frames)
    write_arrays(path, arrays, json.dumps(described.model_dump()))


def is_template(path: Path) -> bool:
    """Return whether ``--driving`` names a template by its suffix.

    Raises ``UsageError`` for a pickle, which is what other programs keep motion in.
    """
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise UsageError(
            f"{path} is a pickle: opening one can run any program that its maker put in, so it is "
            "never opened here. Convert it once into a template of numbers alone (.npz) by "
            "scripts/convert_motion.py, see docs/motion-templates.md. Or give the clip itself"
        )
    return path.suffix.lower() == SUFFIX


def load_template(path: Path, shapes_of: Mapping[str, Shapes], family: str) -> Template:
    """Read a template for the networks of ``family``, or one of a face alone.

    ``shapes_of``: each family's ``seen_shapes``. Raises ``UsageError`` when the file is absent, is
    no template, is damaged, of another family or of a newer program.
    """
    if not path.is_file():
        raise UsageError(f"expected a motion template at {path}, found nothing there")
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ValueError(f"{size} bytes, expected at most {_MAX_BYTES}")
        described = parse_record(read_text(path), Description)
        if described.family not in (family, FACE):
            raise UsageError(_of_another(path, described.family))
        family = described.family
        shapes = _shapes(described.frames, shapes_of[family])
        arrays = read_arrays(path, shapes)
        _check(arrays, family)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(
            f"{path} is not a motion template that can be used: {error}. Expected a file made by "
            "`avatar record` or `avatar animate --save-motion`; make it again"
        ) from error
    parts: dict[str, dict[str, Float32]] = {"values": {}, "reference": {}}
    for name, value in arrays.items():
        part, _, field_name = name.partition(".")
        if field_name:
            parts[part][field_name] = value
    return Template(family, described.rate, arrays["time_s"], arrays["tracked"], **parts)


def _of_another(path: Path, found: str) -> str:
    """Return the words for a template whose family is not the one that is wanted."""
    return (
        f"{path} holds motion of {found}, which only those networks can use. Take "
        f"--engine {found}, or make a template of the clip with --save-motion"
    )


def _shapes(frames: int, shapes: Shapes) -> Shapes:
    return {
        "time_s": (frames,),
        "tracked": (frames,),
        **{f"values.{name}": (frames, *shape) for name, shape in shapes.items()},
        **{f"reference.{name}": shape for name, shape in shapes.items()},
    }


def _check(arrays: Mapping[str, Float32], family: str) -> None:
    """Raise ``ValueError`` for numbers that no driver can have made."""
    if (np.diff(arrays["time_s"]) <= 0).any():
        raise ValueError("its times do not rise")
    for name, value in arrays.items():
        if float(np.abs(value).max(initial=0)) > _MAX_VALUE:
            raise ValueError(f"{name} is beyond ±{_MAX_VALUE:g}")
    if not arrays["tracked"].any():
        raise ValueError("no person is seen in it")
    if family == FACE:
        check_rotations(arrays["values.rotation"][arrays["tracked"] > 0])
        return
    for name in ("reference.crop", "values.crop"):
        seen = arrays[name] if name.startswith("reference") else arrays[name][arrays["tracked"] > 0]
        if (seen[..., 2] <= 0).any():
            raise ValueError(f"{name} has a square without a side")
