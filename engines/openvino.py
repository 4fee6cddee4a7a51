"""OpenVINO: the fastest on a CPU."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError, MissingDependencyError
from engines.graph import Array, ModelSpec, TensorSpec
from engines.runner import Runner

if TYPE_CHECKING:
    from onnx import ModelProto


def _import() -> Any:
    # Importing OpenVINO looks a name up on the network for its telemetry; without that package
    # it uses a stub of its own. Nothing here may open a connection.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "the openvino backend needs OpenVINO: pip install openvino"
        ) from error
    return openvino


class OpenVinoRunner(Runner):
    """A graph in OpenVINO.

    ``device`` is ``cpu`` or another of OpenVINO's; ``threads`` is the number of threads of one
    inference, 0 leaves it to the runtime. ``cache`` is a folder for compiled models.
    """

    backend = "openvino"

    def __init__(
        self,
        model: ModelProto | Path,
        device: str = "cpu",
        threads: int = 0,
        cache: Path | None = None,
    ) -> None:
        runtime = _import()
        core = runtime.Core()
        if device.upper() not in core.available_devices:
            raise EngineError(
                f"OpenVINO finds no device {device!r}; it finds "
                f"{', '.join(core.available_devices).lower()}"
            )
        # Precision is in the graph; a hint would narrow it behind the graph's back.
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        options["INFERENCE_PRECISION_HINT"] = "f32"
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        if cache:
            options["CACHE_DIR"] = str(cache)
        try:
            graph = _read(core, model)
            self._compiled = core.compile_model(graph, device.upper(), options)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot load the model: {_reason(error)}. A volumetric GridSample is one "
                "cause: see engines.resample"
            ) from error
        self._request = self._compiled.create_infer_request()
        super().__init__(
            ModelSpec(
                tuple(_spec(port) for port in self._compiled.inputs),
                tuple(_spec(port) for port in self._compiled.outputs),
            ),
            device,
        )
        self._names = [value.name for value in self.spec.outputs]

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        contiguous = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        try:
            found = self._request.infer(contiguous, share_inputs=True, share_outputs=False)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed: {_reason(error)}") from error
        return {
            name: np.array(found[i]).reshape(found[i].shape) for i, name in enumerate(self._names)
        }

    def _close(self) -> None:
        del self._request, self._compiled


def _read(core: Any, model: ModelProto | Path) -> Any:
    if isinstance(model, Path):
        if not model.is_file():
            raise EngineError(f"no ONNX file at {model}")
        return core.read_model(str(model))
    return core.read_model(model.SerializeToString(), b"")


def _spec(port: Any) -> TensorSpec:
    shape = port.get_partial_shape()
    lengths = tuple(None if axis.is_dynamic else int(axis.get_length()) for axis in shape)
    return TensorSpec(port.get_any_name(), np.dtype(port.get_element_type().to_dtype()), lengths)


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
