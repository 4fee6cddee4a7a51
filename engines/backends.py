"""The backends: what each runs on, what it needs, and how it opens a model.

Most take an ONNX graph; PyTorch takes the networks themselves. A new one is an object in
:data:`BACKENDS`, and a runner in a file of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from avatar.core.errors import EngineError, MissingDependencyError
from engines.runner import Runner

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from engines.build import Progress, Say
    from engines.deploy import Colour
    from engines.export import Form

Precision = Literal["fp32", "fp16", "int8"]
Device = Literal["cuda", "cpu"]
"""What networks run on: an NVIDIA card, or the processor."""


def _unseen(_what: str, _share: float) -> None:
    """Stand in for a bar where there is none."""


def _unheard(_line: str) -> None:
    """Stand in for a listener where there is none."""


@dataclass(frozen=True, kw_only=True)
class Backend(ABC):
    """Something that runs networks.

    ``precisions``: what it was tried in (docs/engines.md), the usual one first. ``extra``: the
    program's extra that brings it. ``devices``: what it runs on, the faster first.
    """

    name: str
    precisions: tuple[Precision, ...]
    extra: str
    devices: tuple[Device, ...]

    @abstractmethod
    def probe(self, device: Device) -> str:
        """Why it can be used on ``device``; raises ``AvatarError`` with what is missing."""

    def precisions_on(self, device: Device) -> tuple[Precision, ...]:
        """Its precisions there, the usual one first."""
        return self.precisions


@dataclass(frozen=True, kw_only=True)
class GraphBackend(Backend):
    """Something that runs an ONNX graph.

    ``small_threads``: its threads for a small network in a live picture, 0 leaves it to it.
    ``ahead``: whether it compiles for a card that is not in this machine.
    """

    small_threads: int = 0
    ahead: bool = False

    @abstractmethod
    def samples_volumes(self) -> bool:
        """Whether it resamples volumes itself."""

    def volume_form(self, *, exact: bool = False) -> Form:
        """How a graph for it has to resample volumes: see ``engines.export``.

        ``exact`` prefers float32 rounding to speed where it has no operation of its own.
        """
        if self.samples_volumes():
            return "native"
        return "rows" if exact else "tile4c"

    def open(
        self,
        name: str,
        model: ModelProto | Path,
        *,
        cache: Path | None = None,
        device: str = "cpu",
        threads: int = 0,
        progress: Progress = _unseen,
        say: Say = _unheard,
    ) -> Runner:
        """A runner of ``model``, a graph or its file; ``name`` is for messages.

        ``cache``: where what it compiles is kept, else beside the graph's file. ``device`` and
        ``threads`` are for those on a processor; 0 threads leaves it to them.
        """
        return self._runner(self._made(name, model, cache, progress, say), device, threads)

    def _made(
        self, name: str, model: ModelProto | Path, cache: Path | None, progress: Progress, say: Say
    ) -> ModelProto | Path | bytes:
        """What it runs of a graph."""
        return model

    @abstractmethod
    def _runner(self, made: Any, device: str, threads: int) -> Runner: ...

    def compiled(
        self, name: str, made: Path, *, progress: Progress = _unseen, say: Say = _unheard
    ) -> bytes:
        """What it makes of the graph's file ``made`` before it runs, kept beside it.

        Needs no card. Raises ``EngineError`` for a backend that makes nothing.
        """
        raise EngineError(f"{self.name} takes graphs as they are: there is nothing to compile")


@dataclass(frozen=True, kw_only=True)
class ProcessorBackend(GraphBackend):
    """A runtime that takes the graph as it is.

    ``runner`` gives its runner's class. ``reason``: why it would be taken. ``has_volumes``: see
    ``samples_volumes``.
    """

    runner: Callable[[], Callable[[ModelProto | Path, str, int], Runner]]
    reason: str
    has_volumes: bool = False
    devices: tuple[Device, ...] = ("cpu",)
    extra: str = "openvino"

    def probe(self, device: Device) -> str:
        """See ``Backend``."""
        _require(self.name)
        return self.reason

    def samples_volumes(self) -> bool:
        """See ``Backend``."""
        return self.has_volumes

    def _runner(self, made: Any, device: str, threads: int) -> Runner:
        return self.runner()(made, device, threads)


@dataclass(frozen=True, kw_only=True)
class TensorRtBackend(GraphBackend):
    """A library that compiles a graph into an engine for a card first."""

    devices: tuple[Device, ...] = ("cuda",)
    extra: str = "gpu"
    precisions: tuple[Precision, ...] = ("fp16", "fp32")

    def probe(self, device: Device) -> str:
        """See ``Backend``."""
        from engines import nvidia

        library = nvidia.import_library(self.name)
        gpu = nvidia.find_gpu()
        nvidia.check_gpu(gpu, self.name, "fp16")
        return f"{library.__version__} on {gpu.name} ({gpu.architecture})"

    def samples_volumes(self) -> bool:
        """See ``Backend``."""
        from engines.nvidia import samples_volumes

        return samples_volumes(self.name)

    def _runner(self, made: Any, device: str, threads: int) -> Runner:
        from engines.tensorrt import TensorRtRunner

        return TensorRtRunner(made, self.name)

    def compiled(
        self, name: str, made: Path, *, progress: Progress = _unseen, say: Say = _unheard
    ) -> bytes:
        """See ``Backend``."""
        return self._made(name, made, None, progress, say)

    def _made(
        self, name: str, model: ModelProto | Path, cache: Path | None, progress: Progress, say: Say
    ) -> bytes:
        from engines.build import build
        from engines.graph import read
        from engines.tensorrt import TensorRtBuilder

        builder = TensorRtBuilder(self.name)
        if isinstance(model, Path):
            cache, model = cache or model.parent, read(model)
        if cache is None:
            raise EngineError(f"{self.name} needs a folder for the engine of {name}, found none")
        return build(name, model, builder, cache, progress=progress, say=say).data


@dataclass(frozen=True, kw_only=True)
class TorchBackend(Backend):
    """PyTorch: the networks as they are, without a graph. Runs on every card that PyTorch knows."""

    name: str = "torch"
    precisions: tuple[Precision, ...] = ("fp16", "fp32")
    extra: str = "models"
    devices: tuple[Device, ...] = ("cuda", "cpu")

    def precisions_on(self, device: Device) -> tuple[Precision, ...]:
        """See ``Backend``; a processor computes float16 no faster."""
        return self.precisions if device == "cuda" else self.precisions[::-1]

    def probe(self, device: Device) -> str:
        """See ``Backend``."""
        _require(self.name)
        if device == "cpu":
            return "PyTorch on the processor, slower than the other backends there"
        from engines.torch_card import find_card

        return find_card()

    def open_networks(
        self,
        name: str,
        networks: Mapping[str, nn.Module],
        *,
        precision: Precision,
        device: Device,
        colour: Colour = "rgb",
        say: Say = _unheard,
    ) -> Runner:
        """A runner of the model ``name`` of ``networks``, which are not changed.

        ``say`` is told what does not go as it should. Raises ``EngineError``.
        """
        if device == "cpu":
            from engines.torch import open_on_processor

            return open_on_processor(name, networks, precision, colour)
        from engines.torch_card import open_on_card

        return open_on_card(name, networks, precision, colour, say)


def _require(package: str) -> None:
    if find_spec(package) is None:
        raise MissingDependencyError(f"{package} is not installed: pip install {package}")


def _openvino() -> Callable[[ModelProto | Path, str, int], Runner]:
    from engines.openvino import OpenVinoRunner

    return OpenVinoRunner


def _onnxruntime() -> Callable[[ModelProto | Path, str, int], Runner]:
    from engines.onnxruntime import OnnxRuntimeRunner

    return OnnxRuntimeRunner


BACKENDS: Mapping[str, Backend] = {
    backend.name: backend
    for backend in (
        TensorRtBackend(name="tensorrt-rtx", ahead=True),
        TensorRtBackend(name="tensorrt"),
        TorchBackend(),
        ProcessorBackend(
            name="openvino",
            precisions=("fp32", "int8"),
            runner=_openvino,
            reason="the fastest on a CPU",
            # A second thread waits for the tracker's core, and the picture with it.
            small_threads=1,
        ),
        ProcessorBackend(
            name="onnxruntime",
            precisions=("fp32",),
            runner=_onnxruntime,
            reason="runs on every CPU",
            has_volumes=True,
        ),
    )
}
"""All backends by name, the fastest of a device first; PyTorch is the last on a processor."""

GRAPH_BACKENDS: Mapping[str, GraphBackend] = {
    name: backend for name, backend in BACKENDS.items() if isinstance(backend, GraphBackend)
}
"""Those that run an ONNX graph."""


def of_device(device: Device) -> tuple[str, ...]:
    """The names of the backends that run on ``device``, the fastest first."""
    able = [backend for backend in BACKENDS.values() if device in backend.devices]
    # What runs on one device alone is made for it.
    return tuple(b.name for b in sorted(able, key=lambda b: b.devices.index(device)))
