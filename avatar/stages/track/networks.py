"""The three networks of MediaPipe's face model, run by an engine of ours, and its canonical face.

``face_landmarker.task`` is a ZIP file of TensorFlow Lite files (Google, Apache-2.0). OpenCV, which
is always here, runs them as fast as OpenVINO and loads them in a fraction of its time
(docs/decisions/0030).
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from avatar.core.archives import UNUSABLE
from avatar.core.errors import FaceModelError
from avatar.core.frames import BLENDSHAPE_NAMES, LANDMARK_COUNT, Float32, UInt8Image
from avatar.stages.track.pose import CanonicalFace
from engines.backends import GRAPH_BACKENDS
from engines.graph import ModelSpec
from engines.lite_onnx import lite_to_onnx
from engines.opencv import OpenCvRunner
from engines.runner import Runner

OWN_BACKENDS = ("opencv", "openvino", "onnxruntime")
"""What can run the networks; the first needs nothing more."""
_NETWORKS = ("face_detector", "face_landmarks_detector", "face_blendshapes")
_GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
# The landmarks that blendshapes are told from (face_blendshapes_graph.cc): those of brows, eyes,
# lips, the nose's ridge and the face's edge.
_TELLING = np.array(
    [0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65,
     66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136,
     144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172,
     173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283,
     284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324,
     332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385,
     386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472,
     473, 474, 475, 476, 477]
)  # fmt: skip


class FaceNetworks:
    """Detector, landmarks and blendshapes, ready to run, on one thread.

    ``face_model``: path of ``face_landmarker.task``. ``backend``: one of ``OWN_BACKENDS``. Use as a
    context manager. Entering raises ``FaceModelError`` for a file that is not the face model, and
    what the backend raises.
    """

    def __init__(self, face_model: Path, backend: str = OWN_BACKENDS[0]) -> None:
        self._face_model, self._backend = face_model, backend
        self._open = ExitStack()

    def __enter__(self) -> Self:
        model = _read(self._face_model)
        with ExitStack() as opening:
            self._detector, self._landmarks, self._blendshapes = (
                opening.enter_context(_runner(name, model.graphs[name], self._backend))
                for name in _NETWORKS
            )
            self.canonical = model.canonical
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def detect(self, image: UInt8Image) -> tuple[Float32, Float32]:
        """Return the detector's (896, 16) boxes and (896,) logits of uint8 (128, 128, 3)."""
        scaled = np.multiply(image, np.float32(2 / 255), dtype=np.float32)
        boxes, logits = _run(self._detector, scaled - np.float32(1))
        return boxes[0], logits[0, :, 0]

    def landmarks(self, image: UInt8Image) -> tuple[Float32, float]:
        """Return (478, 3) landmarks in the picture's pixels, and how surely a face is there.

        ``image``: uint8 (256, 256, 3).
        """
        scaled = np.multiply(image, np.float32(1 / 255), dtype=np.float32)
        points, logit, _ = _run(self._landmarks, scaled)
        return points.reshape(LANDMARK_COUNT, 3), 1 / (1 + float(np.exp(-logit.ravel()[0])))

    def blendshapes(self, landmarks_px: Float32) -> Float32:
        """Return the 52 blendshapes, float32, of landmarks, float32 (478, 3)."""
        (found,) = _run(self._blendshapes, np.ascontiguousarray(landmarks_px[_TELLING, :2]))
        return found.reshape(len(BLENDSHAPE_NAMES))


def _runner(name: str, graph: tuple[bytes, ModelSpec], backend: str) -> Runner:
    """Return one of the networks, ready to run."""
    content, spec = graph
    if backend == "opencv":
        return OpenCvRunner(content, spec)
    with TemporaryDirectory(prefix="avatar-face-") as folder:
        file = Path(folder) / f"{name}.onnx"
        file.write_bytes(content)
        return GRAPH_BACKENDS[backend].open(name, file, threads=1)


def _run(runner: Runner, value: Float32) -> list[Float32]:
    """Return the outputs in the order of the file; their names change from runtime to runtime."""
    return list(runner.infer({runner.spec.inputs[0].name: value[None]}).values())


@dataclass(frozen=True)
class _FaceModel:
    """What is in the face model: networks as ONNX with what they take, and the canonical face."""

    graphs: Mapping[str, tuple[bytes, ModelSpec]]
    canonical: CanonicalFace


# Many pictures are looked at one by one; converting takes longer than looking.
@lru_cache(maxsize=1)
def _read(face_model: Path) -> _FaceModel:
    try:
        with zipfile.ZipFile(face_model) as packed:
            lite = {name: packed.read(f"{name}.tflite") for name in _NETWORKS}
            canonical = CanonicalFace.parse(packed.read(_GEOMETRY))
    except UNUSABLE as error:
        raise FaceModelError(
            f"expected the face model in {face_model}, but {error}. Delete the file or name "
            "another one with --face-model"
        ) from error
    return _FaceModel({name: lite_to_onnx(data) for name, data in lite.items()}, canonical)
