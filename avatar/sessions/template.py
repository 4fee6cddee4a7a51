"""Motion templates on the command line: made with ``--save-motion``, played with ``--driving``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from avatar.core.counting import counted
from avatar.core.errors import SinkError, UsageError
from avatar.core.face.head import decompose
from avatar.core.frames import Float32
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.core.outputs import check_output
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import open_one
from avatar.sessions.engines import ENGINES, find_engine
from avatar.stages.generate.photo import BUILTIN
from avatar.stages.motion.live_link import SUFFIX as TAKE_SUFFIX
from avatar.stages.motion.live_link import read_take
from avatar.stages.motion.performance import FACE, FACE_SHAPES
from avatar.stages.motion.template import (
    SUFFIX,
    Template,
    TemplateRecorder,
    is_template,
    load_template,
    save_template,
)


def open_template(driving: Path, engine: str, shape: Callable[[], Float32]) -> Template | None:
    """Return the template that ``--driving`` names; None where it names a clip.

    ``shape``: asked for the face that a take of Live Link Face is laid on. Raises ``UsageError``
    for a template that cannot be used.
    """
    if driving.suffix.lower() == TAKE_SUFFIX:
        return read_take(driving).template(shape())
    if not is_template(driving):
        return None
    shapes = {name: found.seen_shapes for name, found in ENGINES.items() if found.seen_shapes}
    return load_template(driving, {FACE: FACE_SHAPES, **shapes}, family_of(engine))


def is_motion(driving: Path) -> bool:
    """Return whether ``--driving`` names motion without pictures; see ``is_template``."""
    return driving.suffix.lower() == TAKE_SUFFIX or is_template(driving)


def builtin_shape(face_model: Path | None, home: Home) -> Float32:
    """Return the built-in portrait's face at rest, float32 (478, 3), head frame."""
    model = find_face_model(face_model, home)
    return decompose(open_one(BUILTIN, model, home, lambda line: None).face).shape


def family_of(engine: str) -> str:
    """Return whose motion moves an engine: its own networks', or any face's."""
    return FACE if find_engine(engine).seen_shapes is None else engine


def check_saving(
    path: Path, config: Options, template: Template | None, others: Sequence[Path]
) -> None:
    """Raise ``UsageError`` where ``--save-motion`` cannot be done: at the start, not at the end."""
    if family_of(config.engine) == FACE and config.motion == "absolute":
        raise UsageError("--save-motion keeps relative motion: leave out --motion absolute")
    if template is not None:
        raise UsageError("--save-motion needs a clip; --driving is a motion template already")
    if path.suffix.lower() != SUFFIX:
        raise UsageError(f"--save-motion: expected a name that ends in {SUFFIX}, found {path}")
    check_output(path, "--save-motion", force=config.force, others=others)


def recording_of(engine: str, rate: float) -> TemplateRecorder:
    """Return what collects the motion that moves ``engine``."""
    family = family_of(engine)
    return TemplateRecorder(family, rate, find_engine(engine).seen_shapes or FACE_SHAPES)


def save(recording: TemplateRecorder, path: Path, say: Callable[[str], None]) -> None:
    """Write the template. Raises ``UsageError`` and ``SinkError``."""
    write(recording.template(), path, say)


def write(template: Template, path: Path, say: Callable[[str], None]) -> None:
    """Write a template, and say for whom it is. Raises ``SinkError``."""
    try:
        save_template(template, path)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error
    whom = "any engine" if template.family == FACE else template.family
    say(f"{path}: the motion of {counted(template.frames, 'frame')}, for {whom}")
