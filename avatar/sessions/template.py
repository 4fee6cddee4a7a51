"""Motion templates on the command line: made with ``--save-motion``, played with ``--driving``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from avatar.core.counting import counted
from avatar.core.errors import SinkError, UsageError
from avatar.core.options import Options
from avatar.core.outputs import check_output
from avatar.sessions.engines import ENGINES, find_engine
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
    if find_engine(engine).seen_shapes is None:
        raise UsageError(
            f"{driving} is a motion template, which moves --engine {' or '.join(shapes)}; "
            f"found --engine {engine}. Name one of those, or give a clip"
        )
    return load_template(driving, shapes, engine)


def check_saving(
    path: Path, config: Options, template: Template | None, others: Sequence[Path]
) -> None:
    """Raise ``UsageError`` where ``--save-motion`` cannot be done: at the start, not at the end."""
    if find_engine(config.engine).seen_shapes is None:
        seeing = " or ".join(name for name, found in ENGINES.items() if found.seen_shapes)
        raise UsageError(
            f"--save-motion keeps what the networks of {seeing} see; found --engine {config.engine}"
        )
    if template is not None:
        raise UsageError("--save-motion needs a clip; --driving is a motion template already")
    if path.suffix.lower() != SUFFIX:
        raise UsageError(f"--save-motion: expected a name that ends in {SUFFIX}, found {path}")
    check_output(path, "--save-motion", force=config.force, others=others)


def recording_of(engine: str, rate: float) -> TemplateRecorder | None:
    """Return what collects the motion that ``engine`` sees; None for an engine without."""
    shapes = find_engine(engine).seen_shapes
    return None if shapes is None else TemplateRecorder(engine, rate, shapes)


def save(recording: TemplateRecorder | None, path: Path, say: Callable[[str], None]) -> None:
    """Write the template. Raises ``UsageError`` and ``SinkError``."""
    assert recording is not None, "checked at the start"
    try:
        recording.save(path)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error
    say(
        f"{path}: the motion of {counted(recording.frames, 'frame')}, "
        f"for --engine {recording.family}"
    )
