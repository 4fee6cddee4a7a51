"""Motion templates on the command line: made with ``--save-motion``, played with ``--driving``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.commands.run import check_writable
from avatar.core.options import PUBLISHED, Options
from avatar.errors import SinkError, UsageError
from avatar.frames import NetworkMotion
from avatar.motion.template import SUFFIX, Recording, Template, is_template, load_template
from avatar.stages import Generator

if TYPE_CHECKING:
    from avatar.arrays import Shapes


def open_template(driving: Path, engine: str) -> Template | None:
    """Return the template that ``--driving`` names; None where it names a clip.

    Raises ``UsageError`` for a template that cannot be used.
    """
    if not is_template(driving):
        return None
    if engine not in PUBLISHED:
        raise UsageError(
            f"{driving} is a motion template, which moves --engine {' or '.join(PUBLISHED)}; "
            f"found --engine {engine}. Name one of those, or give a clip"
        )
    return load_template(driving, _shapes(), engine)


def _shapes() -> Mapping[str, Shapes]:
    from avatar.generate.neural.fomm import FirstOrder
    from avatar.generate.neural.liveportrait import LivePortrait

    return {family.name: family.seen_shapes for family in (LivePortrait, FirstOrder)}


def check_saving(
    path: Path, config: Options, template: Template | None, others: Sequence[Path]
) -> None:
    """Raise ``UsageError`` where ``--save-motion`` cannot be done: at the start, not at the end."""
    if config.engine not in PUBLISHED:
        raise UsageError(
            f"--save-motion keeps what the networks of {' or '.join(PUBLISHED)} see; found "
            f"--engine {config.engine}"
        )
    if template is not None:
        raise UsageError("--save-motion needs a clip; --driving is a motion template already")
    if path.suffix.lower() != SUFFIX:
        raise UsageError(f"--save-motion: expected a name that ends in {SUFFIX}, found {path}")
    check_writable(path, "--save-motion")
    if path.exists() and (not config.force or any(_same(path, other) for other in others)):
        raise UsageError(f"--save-motion: {path} exists already. Name another file, or --force")


def _same(a: Path, b: Path) -> bool:
    return b.exists() and a.samefile(b)


def recording_of(generator: Generator, rate: float) -> Recording | None:
    """Return what collects the motion that ``generator`` sees; None for an engine without."""
    from avatar.generate.neural.generator import NeuralGenerator

    if not isinstance(generator, NeuralGenerator):
        return None
    return Recording(generator.family.name, rate, generator.family.seen_shapes)


def seen_by(generator: Generator) -> NetworkMotion | None:
    """Return what ``generator`` saw for its last picture."""
    from avatar.generate.neural.generator import NeuralGenerator

    return generator.seen if isinstance(generator, NeuralGenerator) else None


def save(recording: Recording | None, path: Path, say: Callable[[str], None]) -> None:
    """Write the template. Raises ``UsageError`` and ``SinkError``."""
    assert recording is not None, "checked at the start"
    try:
        recording.save(path)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error
    say(f"{path}: the motion of {recording.frames} frames, for --engine {recording.family}")
