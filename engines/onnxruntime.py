"""ONNX Runtime: runs every graph, on every system."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError, MissingDependencyError
from engines.graph import Array, ModelSpec, TensorSpec
from engines.runner import Runner

if TYPE_CHECKING:
    from onnx import ModelProto

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""Device names and what ONNX Runtime calls them."""

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def _import() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "the onnxruntime backend needs ONNX Runtime: pip install onnxruntime"
        ) from error
    return onnxruntime


def devices() -> tuple[str, ...]:
    """The devices of :data:`PROVIDERS` that the installed build can use."""
    available = _import().get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in available)


class OnnxRuntimeRunner(Runner):
    """A graph in ONNX Runtime, on one device; a device that is not there is an error.

    ``threads`` is the number of threads of one inference on the CPU; 0 leaves it to the runtime.
    """

    backend = "onnxruntime"

    def __init__(self, model: ModelProto | Path, device: str = "cpu", threads: int = 0) -> None:
        runtime = _import()
        if device not in PROVIDERS or device not in devices():
            raise EngineError(
                f"this build of onnxruntime has no device {device!r}; it has "
                f"{', '.join(devices())}. Others come with onnxruntime-gpu (cuda) and "
                "onnxruntime-directml (directml)"
            )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        source = str(model) if isinstance(model, Path) else model.SerializeToString()
        try:
            self._session = runtime.InferenceSession(source, options, [PROVIDERS[device]])
        except Exception as error:  # the runtime's own errors share no base
            raise EngineError(f"onnxruntime cannot load the model: {_reason(error)}") from error
        used = self._session.get_providers()[0]
        if used != PROVIDERS[device]:
            raise EngineError(
                f"onnxruntime was asked for {device} ({PROVIDERS[device]}) and would use {used}; "
                "check the driver and libraries of that device, or choose --device cpu"
            )
        super().__init__(
            ModelSpec(
                tuple(_spec(v) for v in self._session.get_inputs()),
                tuple(_spec(v) for v in self._session.get_outputs()),
            ),
            device,
        )
        self._names = [value.name for value in self.spec.outputs]

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        try:
            found = self._session.run(self._names, dict(feeds))
        except Exception as error:  # the runtime's own errors share no base
            raise EngineError(f"onnxruntime failed: {_reason(error)}") from error
        return dict(zip(self._names, found, strict=True))

    def _close(self) -> None:
        del self._session


def _spec(value: Any) -> TensorSpec:
    if value.type not in _TYPES:
        raise EngineError(f"{value.name} is a {value.type}; expected a tensor of numbers")
    shape = tuple(n if isinstance(n, int) else None for n in value.shape)
    return TensorSpec(value.name, np.dtype(_TYPES[value.type]), shape)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
