"""Motion templates on the command line: made with ``--save-motion``, played with ``--driving``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from avatar.core.counting import counted
from avatar.core.errors import SinkError, UsageError
from avatar.core.options import Options
from avatar.core.outputs import check_output
from avatar.sessions.engines import ENGINES, find_engine
from avatar.stages.motion.performance import FACE, FACE_SHAPES
from avatar.stages.motion.template import (
    SUFFIX,
    Template,
    TemplateRecorder,
    is_template,
    load_template,
)


def open_template(driving: Path, engine: str) -> Template | None:
    """Return the template that ``--driving`` names; None where it names a clip.

    Raises ``UsageError`` for a template that cannot be used.
    """
    if not is_template(driving):
        return None
    shapes = {name: found.seen_shapes for name, found in ENGINES.items() if found.seen_shapes}
    return load_template(driving, {FACE: FACE_SHAPES, **shapes}, family_of(engine))


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
    try:
        recording.save(path)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error
    whom = "any engine that draws faces" if recording.family == FACE else recording.family
    say(f"{path}: the motion of {counted(recording.frames, 'frame')}, for {whom}")
