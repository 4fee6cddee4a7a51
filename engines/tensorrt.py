"""TensorRT-RTX and TensorRT: engines for NVIDIA cards.

Two libraries with one interface. **TensorRT-RTX** (``pip install tensorrt-rtx``) builds ahead of
time, with no card and no driver present, for RTX 20 and later; an engine runs on all of them.
**TensorRT** (10 or later) builds on the card it is for.

The order of uploads and work is that of ``engines.overlap``; memory and streams come from
``cuda-core`` (``engines.cuda_card``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError
from engines.cuda_card import CudaCard
from engines.graph import ModelSpec, TensorSpec
from engines.nvidia import RTX_CAPABILITIES, check_gpu, find_gpu, import_library
from engines.overlap import OverlappedRunner, Work
from engines.precision import precision_of

if TYPE_CHECKING:
    from onnx import ModelProto

    from engines.build import Progress


class TensorRtBuilder:
    """Builds engines; with TensorRT-RTX for any card, with TensorRT for the one in this machine.

    ``architectures`` as in ``("sm86", "sm89")``; empty means all that the precision can run on.
    """

    def __init__(
        self,
        backend: str = "tensorrt-rtx",
        architectures: tuple[str, ...] = (),
    ) -> None:
        self._trt = import_library(backend)
        self.backend = backend
        self.architectures = architectures
        self._gpu = find_gpu() if backend == "tensorrt" else None

    @property
    def library(self) -> str:
        """See :class:`engines.build.Builder`."""
        return f"{self.backend} {self._trt.__version__}"

    @property
    def device(self) -> str:
        """The architectures, or the card: an engine of TensorRT runs on no other."""
        if self._gpu is not None:
            return f"{self._gpu.name} {self._gpu.architecture}"
        return " ".join(self.architectures) or "rtx"

    def build(self, model: ModelProto, progress: Progress) -> bytes:
        """See :class:`engines.build.Builder`."""
        trt = self._trt
        messages = _messages(trt)
        builder = trt.Builder(messages)
        network = builder.create_network(self._network_flags())
        parser = trt.OnnxParser(network, messages)
        if not parser.parse(model.SerializeToString()):
            errors = (parser.get_error(i) for i in range(parser.num_errors))
            reasons = "; ".join(f"{e.node_operator()} {e.node_name()}: {e.desc()}" for e in errors)
            raise EngineError(f"{self.library} cannot read the graph: {reasons}")
        config = builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)  # float32 means float32
        config.progress_monitor = _monitor(trt, progress)
        if self.backend == "tensorrt-rtx":
            self._aim(config, precision_of(model))
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise EngineError(f"{self.library} cannot build the engine: {messages.text()}")
        return bytes(engine)

    def _network_flags(self) -> int:
        """Types as the graph has them; TensorRT 11 and RTX know no other way."""
        strong = getattr(self._trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return 0 if strong is None or self.backend == "tensorrt-rtx" else 1 << int(strong)

    def _aim(self, config: Any, precision: str) -> None:
        kinds = self._trt.ComputeCapability
        names = self.architectures or tuple(
            f"sm{a}{b}" for a, b in RTX_CAPABILITIES if precision != "fp32" or (a, b) > (7, 5)
        )
        try:
            wanted = [getattr(kinds, name.upper()) for name in names]
        except AttributeError as error:
            raise EngineError(
                f"{self.library} knows no card of architecture {error.name}; expected some of "
                f"{', '.join(f'sm{a}{b}' for a, b in RTX_CAPABILITIES)}"
            ) from error
        config.num_compute_capabilities = len(wanted)
        for i, kind in enumerate(wanted):
            config.set_compute_capability(kind, i)


def _messages(trt: Any) -> Any:
    """A logger that keeps errors for the message instead of printing them."""

    class Messages(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lines: list[str] = []

        def log(self, severity: Any, line: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.lines.append(line)

        def text(self) -> str:
            return "; ".join(self.lines[-3:]) or "no reason was given"

    return Messages()


def _monitor(trt: Any, progress: Progress) -> Any:
    """Tells of the outermost phases only: the inner ones come by the thousand."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self.steps[phase_name] = num_steps
                progress(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self.steps:
                progress(phase_name, (step + 1) / max(1, self.steps[phase_name]))
            return True

        def phase_finish(self, phase_name: str) -> None:
            if self.steps.pop(phase_name, None) is not None:
                progress(phase_name, 1.0)

    return Monitor()


class TensorRtRunner(OverlappedRunner):
    """An engine on an NVIDIA card; what lies on it is taken as ``engines.cuda_card`` says."""

    def __init__(self, engine: bytes, backend: str = "tensorrt-rtx", gpu: int = 0) -> None:
        self.backend = backend
        trt = self._trt = import_library(backend)
        found = find_gpu(gpu)
        check_gpu(found, backend, "fp16")
        card = CudaCard(gpu, f"{found.name} ({found.architecture})")
        self._messages = _messages(trt)
        self._runtime = trt.Runtime(self._messages)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise EngineError(
                f"{backend} {trt.__version__} cannot load this engine on {card.name}: "
                f"{self._messages.text()}. Build it again for this card"
            )
        self._context = self._create_context()
        self._graph: Any = None
        self._launches = 0
        super().__init__(backend, _engine_spec(trt, self._engine), card, self._made_work)

    def _create_context(self) -> Any:
        if self.backend != "tensorrt-rtx":
            return self._engine.create_execution_context()
        # TensorRT-RTX compiles kernels on first use and captures graphs itself, after that.
        config = self._engine.create_runtime_config()
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return self._engine.create_execution_context(config)

    def _made_work(self, inputs: Mapping[str, Any], stream: Any) -> Work[Any]:
        outputs = {value.name: self._card.memory(value) for value in self.spec.outputs}
        for name, buffer in (*inputs.items(), *outputs.items()):
            self._context.set_tensor_address(name, int(buffer.handle))
        return Work(self._launch, outputs)

    def _launch(self) -> None:
        """The engine's work: the first times as it comes, then as one CUDA graph."""
        if self._graph is not None:
            self._graph.launch(self._stream)
            return
        if self.backend == "tensorrt" and self._launches == 1:
            self._graph = self._captured()
        if self._graph is not None:
            self._graph.launch(self._stream)
        elif not self._context.execute_async_v3(int(self._stream.handle)):
            raise EngineError(f"{self.backend} failed: {self._messages.text()}")
        self._launches += 1

    def _captured(self) -> Any:
        """The launch as a CUDA graph; ``None`` for a network that synchronises inside."""
        if not self._context.is_stream_capturable(int(self._stream.handle)):
            return None
        builder = self._stream.create_graph_builder().begin_building()
        worked = self._context.execute_async_v3(int(builder.stream.handle))
        graph = builder.end_building().complete()
        if not worked:
            raise EngineError(f"{self.backend} failed in a CUDA graph: {self._messages.text()}")
        return graph

    def _close(self) -> None:
        super()._close()
        self._graph = None
        del self._context, self._engine, self._runtime


def _engine_spec(trt: Any, engine: Any) -> ModelSpec:
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        shape = tuple(None if n < 0 else int(n) for n in engine.get_tensor_shape(name))
        if None in shape:
            raise EngineError(f"{name} has a shape that may change; export with fixed shapes")
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        (inputs if is_input else outputs).append(TensorSpec(name, dtype, shape))
    return ModelSpec(tuple(inputs), tuple(outputs))
