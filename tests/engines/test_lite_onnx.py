"""TensorFlow Lite files become ONNX files that every runtime computes alike."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import EngineError
from engines.graph import ModelSpec, TensorSpec
from engines.lite_onnx import _same_pads, lite_to_onnx
from engines.onnx_bytes import Node, model_bytes
from engines.opencv import OpenCvRunner
from engines.tflite import read_lite

NAMES = ("face_detector", "face_landmarks_detector", "face_blendshapes")
FLOAT = np.dtype(np.float32)


@pytest.fixture(scope="module", params=NAMES)
def lite(request: pytest.FixtureRequest, face_model: Path) -> bytes:
    with zipfile.ZipFile(face_model) as packed:
        return packed.read(f"{request.param}.tflite")


def test_a_file_is_read_whole(lite: bytes) -> None:
    graph = read_lite(lite)
    made = {i for operation in graph.operations for i in operation.outputs}
    known = made | set(graph.inputs)
    known |= {i for i, tensor in enumerate(graph.tensors) if tensor.data is not None}
    for operation in graph.operations:
        assert set(operation.inputs) <= known
    assert set(graph.outputs) <= made


def test_what_is_written_is_onnx(lite: bytes) -> None:
    onnx = pytest.importorskip("onnx", reason="the judge")
    content, spec = lite_to_onnx(lite)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == [value.name for value in spec.inputs]
    assert [value.name for value in model.graph.output] == [value.name for value in spec.outputs]


@pytest.mark.parametrize("other", ["onnxruntime", "openvino"])
def test_runtimes_agree(other: str, lite: bytes, tmp_path: Path) -> None:
    pytest.importorskip(other, reason="the runtime to compare with")
    from engines.backends import BACKENDS

    content, spec = lite_to_onnx(lite)
    file = tmp_path / "graph.onnx"
    file.write_bytes(content)
    shape = [n or 1 for n in spec.inputs[0].shape]
    value = np.random.default_rng(4).uniform(0, 1, shape).astype(np.float32)
    with (
        OpenCvRunner(content, spec) as ours,
        BACKENDS[other].open("graph", file, threads=1) as them,
    ):
        found = list(ours.infer({spec.inputs[0].name: value}).values())
        expected = list(them.infer({them.spec.inputs[0].name: value}).values())
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape
        assert mine == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize(
    ("length", "size", "stride", "pads"),
    [
        (256, 3, 2, (0, 1)),
        (128, 3, 1, (1, 1)),
        (128, 5, 2, (1, 2)),
        (16, 2, 2, (0, 0)),
        (7, 1, 3, (0, 0)),
    ],
)
def test_same_padding_is_tensorflows(
    length: int, size: int, stride: int, pads: tuple[int, int]
) -> None:
    found = _same_pads((length, length), (size, size), (stride, stride), (1, 1))
    assert found == (pads[0], pads[0], pads[1], pads[1])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"something else entirely",
        lambda data: data[:4] + b"TFL3" + b"\xff" * 40,
        lambda data: data[: len(data) // 3],
    ],
)
def test_other_files_are_errors(spoil: Callable[[bytes], bytes], face_model: Path) -> None:
    with zipfile.ZipFile(face_model) as packed:
        data = packed.read("face_detector.tflite")
    with pytest.raises(EngineError, match="TensorFlow Lite"):
        read_lite(spoil(data))


def small(*nodes: Node, **constants: Any) -> tuple[bytes, ModelSpec]:
    """Return a graph from ``a`` to ``b``, both float32 (2, 3)."""
    ends = [TensorSpec(name, FLOAT, (2, 3)) for name in "ab"]
    content = model_bytes(nodes, ends[:1], ends[1:], constants)
    return content, ModelSpec((ends[0],), (ends[1],))


def test_opencv_runs_what_is_written_and_keeps_nothing_of_the_caller() -> None:
    content, spec = small(Node("Add", ["a", "c"], "b", {}), c=np.float32([[1, 2, 3]]))
    value = np.float32([[1, 1, 1], [2, 2, 2]])
    with OpenCvRunner(content, spec) as runner:
        first = runner.infer({"a": value})["b"]
        kept = first.copy()
        runner.infer({"a": value * 10})
        assert first == pytest.approx(kept), "an output belongs to whoever asked"
        assert first == pytest.approx(np.float32([[2, 3, 4], [3, 4, 5]]))
        with pytest.raises(EngineError, match="a: expected"):
            runner.infer({"a": value.astype(np.float64)})
    with pytest.raises(EngineError, match="closed"):
        runner.infer({"a": value})


def test_opencv_says_what_it_cannot_load() -> None:
    content, spec = small(Node("NoSuchOperation", ["a"], "b", {}))
    with pytest.raises(EngineError, match="OpenCV"), OpenCvRunner(content, spec) as runner:
        runner.infer({"a": np.zeros((2, 3), np.float32)})
    with pytest.raises(EngineError, match="OpenCV cannot load"):
        OpenCvRunner(struct.pack("<I", 77), spec)
