"""Trained generators on disk: found, checked against what they were made for, and opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.errors import EngineError
from avatar.library.generators.card import neural_folder, read_card
from avatar.library.models.builds import Target, choose_target
from engines.backends import BACKENDS, GRAPH_BACKENDS
from engines.patches import Patch, patches_of, spec_of
from engines.select import PROBES

if TYPE_CHECKING:
    from engines.graph import ModelSpec
    from engines.runner import Runner

Say = Callable[[str], None]


_TAKING = ", ".join(GRAPH_BACKENDS)
_NO_GRAPHS = "runs published networks, and a trained generator is kept as an ONNX graph alone"


def _no_graphs() -> str:
    raise EngineError(_NO_GRAPHS)


_PROBES = {
    pair: probe if pair[0] in GRAPH_BACKENDS else _no_graphs for pair, probe in PROBES.items()
}


def choose_generator_target(
    backend: str = "auto", precision: str = "auto", device: str = "auto", *, ahead: bool = False
) -> Target:
    """Return what to run a trained generator with; see ``choose_target``.

    Raises ``EngineError``, also for a backend that takes no graphs.
    """
    if backend in BACKENDS and backend not in GRAPH_BACKENDS:
        raise EngineError(f"--backend {backend} {_NO_GRAPHS}. Take one of {_TAKING}")
    return choose_target(backend, precision, device, ahead=ahead, probes=_PROBES)


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
    backend = GRAPH_BACKENDS[target.choice.backend]
    runner = backend.open("generator", made.path, threads=backend.small_threads, say=say)
    try:
        made.check(runner.spec)
    except EngineError:
        runner.close()
        raise
    return runner
