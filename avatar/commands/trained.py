"""``--engine neural``: the portrait engine corrected by a generator that was trained for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.commands.avatars import AvatarPhoto
from avatar.commands.models.builds import choose_target, compiled
from avatar.commands.store import file_sha256
from avatar.commands.train.card import REFERENCES, neural_folder, read_card
from avatar.config import NeuralOptions
from avatar.errors import EngineError, UsageError
from avatar.generate.framing import Framing
from avatar.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.generate.trained.generator import TrainedGenerator
from avatar.generate.trained.references import References
from engines.patches import Patch, patches_of, spec_of

if TYPE_CHECKING:
    from engines.runner import Runner

Say = Callable[[str], None]


class TrainedEngine:
    """Makes generators of avatars that ``avatar train`` made.

    Raises ``EngineError`` when no backend can run here, ``UsageError`` for options that the
    network was not trained for.
    """

    def __init__(self, options: NeuralOptions, settings: PortraitSettings, say: Say) -> None:
        if settings.mouth == "driver":
            raise UsageError(
                "--engine neural draws the avatar's own teeth; found --mouth driver. Leave it out, "
                "or take --engine portrait"
            )
        self._target = choose_target(options.backend, options.precision)
        say(str(self._target.choice))
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
        card = read_card(avatar.folder, avatar.photo_sha256)
        path = neural_folder(avatar.folder) / f"{self._target.precision}.onnx"
        again = (
            f'Export it again: avatar train --name "{avatar.name}" --resume --minutes 0 --rights '
            f"{card.rights}"
        )
        if not path.is_file():
            raise EngineError(f"expected the exported generator {path}, found none. {again}")
        portrait = PortraitGenerator(avatar.photo, avatar.face, framing, size_px, self._settings)
        patches = patches_of(card.size)
        references = neural_folder(avatar.folder) / REFERENCES
        return TrainedGenerator(
            portrait,
            patches,
            lambda: _references(references, patches, again),
            lambda: self._checked(path, patches, again),
        )

    def _checked(self, path: Path, patches: Sequence[Patch], again: str) -> Runner:
        """Open the generator; one that another version of this program exported is refused."""
        runner = self._runner(path)
        if {str(spec) for spec in (*runner.spec.inputs, *runner.spec.outputs)} == {
            str(spec) for spec in (*spec_of(patches).inputs, *spec_of(patches).outputs)
        }:
            return runner
        runner.close()
        raise EngineError(f"{path} was exported by another version of this program. {again}")

    def _runner(self, path: Path) -> Runner:
        backend = self._target.choice.backend
        if backend == "openvino":
            from engines.openvino import OpenVinoRunner

            return OpenVinoRunner(path)
        if backend == "onnxruntime":
            from engines.onnxruntime import OnnxRuntimeRunner

            return OnnxRuntimeRunner(path)
        from engines.tensorrt import TensorRtRunner

        name = f"generator-{file_sha256(path)[:16]}"
        return TensorRtRunner(compiled(name, path, self._target, say=self._say), backend)


def _references(path: Path, patches: Sequence[Patch], again: str) -> References:
    try:
        return References.load(path, patches)
    except EngineError as error:
        raise EngineError(f"{error}. {again}") from error
