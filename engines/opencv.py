"""OpenCV's own networks: small graphs without another library, loaded in a tenth of a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, ModelSpec
from engines.runner import Runner


class OpenCvRunner(Runner):
    """A graph in OpenCV's DNN module, on the processor, in the thread that calls.

    ``content``: an ONNX file's; ``spec``: its inputs and outputs, which OpenCV does not tell.
    Computes on as many threads as OpenCV is allowed in this process.
    """

    backend = "opencv"

    def __init__(self, content: bytes, spec: ModelSpec) -> None:
        import cv2

        buffer = np.frombuffer(content, np.uint8)
        try:
            # The classic engine does not fuse PReLU and takes twice as long for a face.
            self._network = cv2.dnn.readNetFromONNX(buffer, cv2.dnn.ENGINE_NEW)
        except cv2.error as error:
            raise EngineError(f"OpenCV cannot load the model: {_reason(error)}") from error
        self._error = cv2.error
        self._names = [value.name for value in spec.outputs]
        super().__init__(spec, "cpu")

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        try:
            for name, value in feeds.items():
                self._network.setInput(np.ascontiguousarray(value), name)
            found = self._network.forward(self._names)
        except self._error as error:
            raise EngineError(f"OpenCV failed: {_reason(error)}") from error
        return {
            value.name: np.array(array, value.dtype).reshape(array.shape)
            for value, array in zip(self.spec.outputs, found, strict=True)
        }

    def _close(self) -> None:
        del self._network


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
