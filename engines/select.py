"""Which backend a machine can run, and why: a choice that is always told.

``auto`` takes the fastest that is installed and present, in the order of :data:`BACKENDS`. What
was passed over is said with its reason and remedy; a backend that was asked for by name is used or
is an error, and never replaced by another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.errors import AvatarError, EngineError, MissingDependencyError
from engines.export import Form
from engines.runner import Runner

if TYPE_CHECKING:
    from onnx import ModelProto

    from engines.build import Progress, Say

BACKENDS: tuple[str, ...] = ("tensorrt-rtx", "tensorrt", "openvino", "onnxruntime")
"""All backends that run an ONNX graph, the fastest first."""


@dataclass(frozen=True)
class Choice:
    """A backend, why it was taken, and why those before it were not."""

    backend: str
    reason: str
    passed_over: Mapping[str, str]

    @property
    def line(self) -> str:
        """What was taken, without what was not."""
        return f"backend {self.backend}: {self.reason}"

    def __str__(self) -> str:
        lines = [self.line]
        lines += [f"  not {name}: {why}" for name, why in self.passed_over.items()]
        return "\n".join(lines)


Probe = Callable[[], str]
"""Gives why a backend can be used, or raises ``AvatarError`` with what is missing."""


def _probe_tensorrt(backend: str) -> str:
    from engines import nvidia

    library = nvidia.import_library(backend)
    gpu = nvidia.find_gpu()
    nvidia.check_gpu(gpu, backend, "fp16")
    return f"{library.__version__} on {gpu.name} ({gpu.architecture})"


def _probe_package(package: str, what: str) -> str:
    if find_spec(package) is None:
        raise MissingDependencyError(f"{package} is not installed: pip install {package}")
    return what


PROBES: Mapping[str, Probe] = {
    "tensorrt-rtx": lambda: _probe_tensorrt("tensorrt-rtx"),
    "tensorrt": lambda: _probe_tensorrt("tensorrt"),
    "openvino": lambda: _probe_package("openvino", "the fastest on a CPU"),
    "onnxruntime": lambda: _probe_package("onnxruntime", "runs on every CPU"),
}


def choose(wanted: str = "auto", probes: Mapping[str, Probe] = PROBES) -> Choice:
    """The backend to use. Print the result: it says what was chosen, and why.

    Raises ``EngineError`` for an unknown name or when ``auto`` finds none, and whatever keeps a
    backend that was asked for by name from running.
    """
    if wanted != "auto":
        if wanted not in probes:
            raise EngineError(f"no backend is called {wanted!r}; known are auto, {_known(probes)}")
        return Choice(wanted, f"asked for; {probes[wanted]()}", {})
    passed_over: dict[str, str] = {}
    for name, probe in probes.items():
        try:
            return Choice(name, probe(), passed_over)
        except AvatarError as error:
            passed_over[name] = str(error)
    reasons = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    raise EngineError(
        f"no backend can run here. Expected one of {_known(probes)}; {reasons}. "
        "The simplest remedy is: pip install onnxruntime"
    )


def _known(probes: Mapping[str, Probe]) -> str:
    return ", ".join(probes)


def volume_form(backend: str, *, exact: bool = False) -> Form:
    """How a graph for ``backend`` has to resample volumes: see ``engines.export``.

    ``exact`` prefers float32 rounding to speed where the backend has no operation of its own.
    """
    if backend == "onnxruntime":
        return "native"
    if backend in ("tensorrt-rtx", "tensorrt"):
        from engines.nvidia import samples_volumes

        if samples_volumes(backend):
            return "native"
    return "rows" if exact else "tile4c"


def open_runner(
    name: str,
    model: ModelProto,
    choice: Choice,
    *,
    cache: Path,
    device: str = "cpu",
    threads: int = 0,
    progress: Progress = lambda _what, _share: None,
    say: Say = lambda _line: None,
) -> Runner:
    """A runner of ``model`` on the chosen backend; engines are built into ``cache``.

    ``device`` is for ONNX Runtime and OpenVINO; ``threads`` is their threads, 0 leaves it to them.
    """
    if choice.backend == "openvino":
        from engines.openvino import OpenVinoRunner

        return OpenVinoRunner(model, device, threads)
    if choice.backend == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeRunner

        return OnnxRuntimeRunner(model, device, threads)
    from engines.build import build
    from engines.tensorrt import TensorRtBuilder, TensorRtRunner

    builder = TensorRtBuilder(choice.backend)
    engine = build(name, model, builder, cache, progress=progress, say=say)
    return TensorRtRunner(engine.data, choice.backend)
