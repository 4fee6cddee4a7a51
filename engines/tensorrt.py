"""TensorRT-RTX and TensorRT: engines for NVIDIA cards.

Two libraries with one interface. **TensorRT-RTX** (``pip install tensorrt-rtx``) builds ahead of
time, with no card and no driver present, for RTX 20 and later; an engine runs on all of them.
**TensorRT** (10 or later) builds on the card it is for.

Memory, streams and graphs come from ``cuda-core``. One frame's way::

    numpy ─► pinned ─► staging ─► inputs ─► engine ─► outputs ─► pinned ─► numpy
                  └ upload stream: overlaps the engine's work on the frame before

Inputs and outputs of the engine never move, so the whole launch can be one CUDA graph.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, ModelSpec, TensorSpec
from engines.nvidia import RTX_CAPABILITIES, check_gpu, find_gpu, import_library
from engines.precision import precision_of
from engines.runner import Runner

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


@dataclass
class _Slot:
    """One frame on its way: memory of its own for inputs that are being uploaded.

    ``feeds`` are kept until it is done: what lies on the card is read from there meanwhile.
    """

    pinned: dict[str, Any]
    staging: dict[str, Any]
    results: dict[str, Any]
    uploaded: Any
    consumed: Any
    finished: Any
    feeds: Mapping[str, Any] = field(default_factory=dict)


class DeviceArray:
    """Values kept on the card, for inputs that stay the same: a source's features.

    Made by :meth:`TensorRtRunner.upload`; valid until that runner is closed.
    """

    def __init__(self, buffer: Any, spec: TensorSpec) -> None:
        self.buffer = buffer
        self.spec = spec

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.spec.shape,
            "typestr": self.spec.dtype.str,
            "data": (int(self.buffer.handle), True),
            "strides": None,
            "stream": None,
            "version": 3,
        }


class TensorRtRunner(Runner):
    """An engine on an NVIDIA card.

    Inputs are numpy arrays, or anything on the card with ``__cuda_array_interface__`` (torch,
    CuPy, PyCUDA, :class:`DeviceArray`). ``infer`` is one frame, start to end. ``submit`` and
    ``result`` take up to two frames at a time: the upload of the second runs beside the first.
    Those two are for one thread alone that has the runner to itself.
    """

    def __init__(self, engine: bytes, backend: str = "tensorrt-rtx", gpu: int = 0) -> None:
        self.backend = backend
        trt = self._trt = import_library(backend)
        card = find_gpu(gpu)
        check_gpu(card, backend, "fp16")
        from cuda.core import Device, LegacyPinnedMemoryResource

        self._card = Device(gpu)
        self._card.set_current()
        self._pinned = LegacyPinnedMemoryResource()
        self._upload_stream = self._card.create_stream()
        self._stream = self._card.create_stream()
        self._messages = _messages(trt)
        self._runtime = trt.Runtime(self._messages)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise EngineError(
                f"{backend} {trt.__version__} cannot load this engine on {card.name} "
                f"({card.architecture}): {self._messages.text()}. Build it again for this card"
            )
        super().__init__(_engine_spec(trt, self._engine), f"{card.name} ({card.architecture})")
        self._context = self._create_context()
        values = (*self.spec.inputs, *self.spec.outputs)
        self._memory = {value.name: self._allocate(value) for value in values}
        for name, buffer in self._memory.items():
            self._context.set_tensor_address(name, int(buffer.handle))
        self._slots = [self._slot(), self._slot()]
        self._stream.sync()  # memory is allocated in the order of this stream, used by both
        self._submitted: list[_Slot] = []
        self._next = 0
        self._graph: Any = None
        self._launches = 0

    def _create_context(self) -> Any:
        if self.backend != "tensorrt-rtx":
            return self._engine.create_execution_context()
        # TensorRT-RTX compiles kernels on first use and captures graphs itself, after that.
        config = self._engine.create_runtime_config()
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return self._engine.create_execution_context(config)

    def _allocate(self, value: TensorSpec) -> Any:
        return self._card.allocate(_size(value), stream=self._stream)

    def _slot(self) -> _Slot:
        inputs, outputs = self.spec.inputs, self.spec.outputs
        return _Slot(
            pinned={v.name: self._pinned.allocate(_size(v)) for v in inputs},
            staging={v.name: self._allocate(v) for v in inputs},
            results={v.name: self._pinned.allocate(_size(v)) for v in outputs},
            uploaded=self._card.create_event(),
            consumed=self._card.create_event(),
            finished=self._card.create_event(),
        )

    def upload(self, name: str, value: Array) -> DeviceArray:
        """Put a value of the input ``name`` on the card, to pass to ``infer`` many times."""
        spec = next((v for v in self.spec.inputs if v.name == name), None)
        if spec is None:
            raise EngineError(f"this model has no input {name!r}")
        if difference := spec.mismatch(value):
            raise EngineError(f"input {name}: {difference}")
        with self._busy:
            self._card.set_current()
            buffer, pinned = self._allocate(spec), self._pinned.allocate(_size(spec))
            _view(pinned, spec)[...] = value
            buffer.copy_from(pinned, stream=self._stream)
            self._stream.sync()
            pinned.close()
        return DeviceArray(buffer, spec)

    def _described(self, value: Any) -> Array:
        if isinstance(value, np.ndarray):
            return value
        interface = getattr(value, "__cuda_array_interface__", None)
        if interface is None:
            raise EngineError(
                f"the {self.backend} runner takes numpy arrays and arrays on the card "
                f"(__cuda_array_interface__); found {type(value).__name__}"
            )
        return described(interface)

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        while self._submitted:
            self.result()
        self._submit(feeds)
        return self.result()

    def submit(self, feeds: Mapping[str, Any]) -> None:
        """Start a frame. At most two are under way: then :meth:`result` must be taken first."""
        if len(self._submitted) == len(self._slots):
            raise EngineError("two frames are under way; take the result of the first before")
        self.spec.check_inputs({name: self._described(value) for name, value in feeds.items()})
        self._submit(feeds)

    def result(self) -> dict[str, Array]:
        """Wait for the oldest frame that was submitted: its outputs."""
        if not self._submitted:
            raise EngineError("no frame is under way; submit one first")
        self._card.set_current()
        slot = self._submitted.pop(0)
        slot.finished.sync()
        slot.feeds = {}
        return {v.name: _view(slot.results[v.name], v).copy() for v in self.spec.outputs}

    def _submit(self, feeds: Mapping[str, Any]) -> None:
        self._card.set_current()  # frames may come from another thread than opened the runner
        slot = self._slots[self._next]
        self._next = 1 - self._next
        slot.feeds = feeds
        self._upload(slot, feeds)
        self._stream.wait(slot.uploaded)
        for name, value in feeds.items():
            if isinstance(value, np.ndarray):
                self._memory[name].copy_from(slot.staging[name], stream=self._stream)
            else:
                self._copy_from_card(name, value)
        self._stream.record(slot.consumed)
        self._launch()
        for name, buffer in slot.results.items():
            self._memory[name].copy_to(buffer, stream=self._stream)
        self._stream.record(slot.finished)
        self._submitted.append(slot)

    def _upload(self, slot: _Slot, feeds: Mapping[str, Any]) -> None:
        """Start the copies to the card; the slot's last use of its staging memory is over first."""
        self._upload_stream.wait(slot.consumed)
        slot.uploaded.sync()  # the pinned memory is free once its last copy is done
        for spec in self.spec.inputs:
            value = feeds[spec.name]
            if isinstance(value, np.ndarray):
                _view(slot.pinned[spec.name], spec)[...] = value
                slot.staging[spec.name].copy_from(
                    slot.pinned[spec.name], stream=self._upload_stream
                )
        self._upload_stream.record(slot.uploaded)

    def _copy_from_card(self, name: str, value: Any) -> None:
        """From another library's memory, after what its own stream still has to do."""
        from cuda.core import Buffer

        interface = value.__cuda_array_interface__
        await_producer(value, interface, self._stream, self._card)
        size = self._memory[name].size
        source = Buffer.from_handle(int(interface["data"][0]), size, owner=value)
        self._memory[name].copy_from(source, stream=self._stream)

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
        self._card.set_current()
        self._upload_stream.sync()
        self._stream.sync()
        self._submitted.clear()
        self._graph = None
        for slot in self._slots:
            for buffers in (slot.pinned, slot.staging, slot.results):
                for buffer in buffers.values():
                    buffer.close()
        for buffer in self._memory.values():
            buffer.close()
        del self._context, self._engine, self._runtime


def await_producer(value: Any, interface: Mapping[str, Any], stream: Any, card: Any) -> None:
    """Have ``stream`` wait for what still has to be done to ``value``, an array on the card.

    Since version 3 of the interface it names the stream to wait for, or says that there is none.
    PyTorch's is of version 2 and leaves that open, but its DLPack takes a stream and makes it wait
    (https://dmlc.github.io/dlpack/latest/python_spec.html). Else all of the card is waited for.
    """
    if "stream" in interface:
        if interface["stream"] is not None:
            from cuda.core import Stream

            stream.wait(Stream.from_handle(int(interface["stream"])))
    elif hasattr(value, "__dlpack__"):
        value.__dlpack__(stream=int(stream.handle))
    else:
        card.sync()


def described(interface: Mapping[str, Any]) -> Array:
    """An array with the dtype and shape of a ``__cuda_array_interface__``, and no memory.

    Raises ``EngineError`` when the values on the card do not lie one after the other.
    """
    dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
    empty: Array = np.lib.stride_tricks.as_strided(
        np.zeros(1, dtype), shape, [0] * len(shape), writeable=False
    )
    strides: tuple[int, ...] = tuple(interface.get("strides") or ())
    expected = dtype.itemsize
    for length, stride in zip(reversed(shape), reversed(strides), strict=False):
        if stride != expected and length > 1:
            raise EngineError(
                f"an input on the card has strides {strides}; expected contiguous values. "
                "Make it contiguous first"
            )
        expected *= length
    return empty


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


def _size(value: TensorSpec) -> int:
    return int(np.prod([n or 1 for n in value.shape], dtype=np.int64)) * value.dtype.itemsize


def _view(buffer: Any, spec: TensorSpec) -> Array:
    """Pinned memory as an array; valid while the buffer is."""
    memory = (ctypes.c_ubyte * _size(spec)).from_address(int(buffer.handle))
    shape = [n or 1 for n in spec.shape]
    return np.frombuffer(memoryview(memory), spec.dtype).reshape(shape)
