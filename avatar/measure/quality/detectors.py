"""dlib's landmarks and face descriptors: detectors that no engine uses, so that none can please.

The two networks are data files of the distribution ``face-recognition-models``, which is never
imported: its code needs a part of setuptools that newer ones lack.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import MissingDependencyError
from avatar.core.face.bounds import surface_bounds
from avatar.core.frames import Face, Float32, UInt8Image

MODELS = "face-recognition-models"
_INSTALL = "Install them with `pip install 'webcam-avatar[quality]'`."
# MediaPipe's 468 points in shares of their own bounds → the box that dlib's detector draws, the
# mean over clips in which both see the face: its landmarks are trained on such boxes.
_BOX = np.array([[-0.04, 0.05], [1.03, 0.95]], np.float32)

FindFace = Callable[[], Face | None]


@dataclass(frozen=True, eq=False)
class MeasuredFace:
    """``points_px``: float32 (68, 2), pixel indices. ``descriptor``: float64 (128,)."""

    points_px: Float32
    descriptor: NDArray[np.float64]


class FaceMeter:
    """dlib's face box, 68 landmarks (Kazemi and Sullivan 2014) and 128-d face descriptor.

    Raises ``MissingDependencyError`` when dlib or its models are not installed.
    """

    def __init__(self) -> None:
        try:
            import dlib
        except ImportError as error:
            raise MissingDependencyError(
                "what `avatar bench` measures of pictures needs the Python packages dlib-bin and "
                f"{MODELS}, found no dlib ({error}). {_INSTALL}"
            ) from error
        self._dlib: Any = dlib
        self._boxes: Any = dlib.get_frontal_face_detector()
        self._shape: Any = dlib.shape_predictor(_model("shape_predictor_68_face_landmarks.dat"))
        self._net: Any = dlib.face_recognition_model_v1(
            _model("dlib_face_recognition_resnet_model_v1.dat")
        )

    def box(self, image: UInt8Image, find_face: FindFace) -> Any:
        """Return the face's box in ``image``, or None.

        It is dlib's frontal HOG detector's largest in the picture enlarged twice; where that
        finds none, it is derived from MediaPipe's landmarks, which ``find_face`` returns.
        """
        found = self._boxes(image, 1)
        if len(found) > 0:
            return max(found, key=lambda box: box.area())
        face = find_face()
        if face is None:
            return None
        low, high = surface_bounds(face)
        (left, top), (right, bottom) = (low + _BOX * (high - low)).round().astype(int).tolist()
        return self._dlib.rectangle(left, top, right, bottom)

    def face(self, image: UInt8Image) -> MeasuredFace | None:
        """Return what dlib alone makes of the largest face in ``image``, RGB; None without one.

        It is looked for at the picture's own size, then in the picture enlarged twice.
        """
        for enlarged in (0, 1):
            found = self._boxes(image, enlarged)
            if len(found) > 0:
                return self.measure(image, max(found, key=lambda box: box.area()))
        return None

    def measure(self, image: UInt8Image, box: Any) -> MeasuredFace:
        """Return landmarks and descriptor of the face in ``box`` of ``image``, RGB."""
        shape = self._shape(image, box)
        points = [(part.x, part.y) for part in shape.parts()]
        descriptor = np.array(self._net.compute_face_descriptor(image, shape), np.float64)
        return MeasuredFace(np.array(points, np.float32), descriptor)


def _model(name: str) -> str:
    """Return the path of one of the networks that the distribution lists among its files."""
    try:
        files = importlib.metadata.files(MODELS) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == name and path.is_file():
            return str(path)
    raise MissingDependencyError(
        f"expected {name} in the Python package {MODELS}, found none. {_INSTALL}"
    )
