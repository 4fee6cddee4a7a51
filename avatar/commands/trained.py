"""``--engine neural``: the portrait engine corrected by a generator that was trained for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.commands.avatars import AvatarPhoto
from avatar.commands.models.builds import Target, choose_target, compiled
from avatar.commands.train.card import REFERENCES, neural_folder, read_card
from avatar.core.options import Options
from avatar.errors import EngineError, UsageError
from avatar.generate.framing import Framing
from avatar.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.generate.trained.generator import TrainedGenerator
from avatar.generate.trained.references import References
from engines.nvidia import has_driver
from engines.patches import Patch, patches_of, spec_of

if TYPE_CHECKING:
    from engines.build import Progress
    from engines.graph import ModelSpec
    from engines.runner import Runner

Say = Callable[[str], None]


def _untold(_what: str, _share: float) -> None:
    """Stand in for a bar where there is none."""


class TrainedEngine:
    """Makes generators of avatars that ``avatar train`` made.

    Raises ``EngineError`` when no backend can run here, ``UsageError`` for options that the
    network was not trained for.
    """

    def __init__(self, options: Options, settings: PortraitSettings, say: Say) -> None:
        if settings.mouth == "driver":
            raise UsageError(
                "--engine neural draws the avatar's own teeth; found --mouth driver. Leave it out, "
                "or take --engine portrait"
            )
        self._target = choose_target(options.backend, options.precision)
        choice = self._target.choice
        # Made for a processor: it is no surprise to run on one, but beside a card.
        say(str(choice) if has_driver() else choice.line)
        self._settings, self._say = replace(settings, mouth="empty"), say

    def generator(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> TrainedGenerator:
        """Return the generator of a stored avatar.

        Raises ``UsageError`` for what is none, ``EngineError`` where none was trained for it.
        """
        if avatar.folder is None:
            raise UsageError(
                f"--engine neural takes the name of an avatar that was trained, found {avatar.name}"
                ". Train one from a clip of the person: avatar train --name NAME CLIP --rights self"
            )
        if avatar.more:
            raise UsageError(
                f"--engine neural animates one photograph; found {1 + len(avatar.more)} of "
                f"{avatar.name}. Take --engine portrait"
            )
        made = find_exported(avatar.folder, avatar.name, avatar.photo_sha256, self._target)
        portrait = PortraitGenerator(avatar.photo, avatar.face, framing, size_px, self._settings)
        references = neural_folder(avatar.folder) / REFERENCES
        return TrainedGenerator(
            portrait,
            made.patches,
            partial(_references, references, made),
            partial(open_exported, made, self._target, self._say),
        )


@dataclass(frozen=True)
class Exported:
    """A generator's graph on disk. ``again``: what to do when it is of no use."""

    path: Path
    patches: tuple[Patch, ...]
    again: str

    def check(self, spec: ModelSpec) -> None:
        """Raise ``EngineError`` for a graph that another version of this program exported."""
        wanted = spec_of(self.patches)
        if {str(value) for value in (*spec.inputs, *spec.outputs)} != {
            str(value) for value in (*wanted.inputs, *wanted.outputs)
        }:
            raise EngineError(
                f"{self.path} was exported by another version of this program. {self.again}"
            )


def find_exported(folder: Path, name: str, photo_sha256: str, target: Target) -> Exported:
    """Return the generator of the stored avatar in ``folder``, in the precision of ``target``.

    Raises ``EngineError`` where none was trained for it, or its graph is gone.
    """
    card = read_card(folder, photo_sha256)
    path = neural_folder(folder) / f"{target.precision}.onnx"
    again = (
        f'Export it again: avatar train --name "{name}" --resume --minutes 0 --rights {card.rights}'
    )
    if not path.is_file():
        raise EngineError(f"expected the exported generator {path}, found none. {again}")
    return Exported(path, patches_of(card.size), again)


def open_exported(made: Exported, target: Target, say: Say) -> Runner:
    """Return the runner of a generator; what TensorRT needs is built where there is none yet.

    Raises ``EngineError``, among others for what another version of this program exported.
    """
    runner = _runner(made.path, target, say)
    try:
        made.check(runner.spec)
    except EngineError:
        runner.close()
        raise
    return runner


def engine_of(made: Path, target: Target, say: Say, progress: Progress = _untold) -> bytes:
    """Return TensorRT's engine of an exported generator, kept beside it. Needs no card."""
    return compiled("generator", made, target, progress=progress, say=say)


def _runner(path: Path, target: Target, say: Say) -> Runner:
    backend = target.choice.backend
    if backend == "openvino":
        from engines.openvino import OpenVinoRunner

        # A second thread waits for the tracker's core, and the picture with it.
        return OpenVinoRunner(path, threads=1)
    if backend == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeRunner

        return OnnxRuntimeRunner(path)
    from engines.tensorrt import TensorRtRunner

    return TensorRtRunner(engine_of(path, target, say), backend)


def _references(path: Path, made: Exported) -> References:
    try:
        return References.load(path, made.patches)
    except EngineError as error:
        raise EngineError(f"{error}. {made.again}") from error
