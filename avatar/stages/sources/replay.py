"""Frames from memory and recorded tracks: the fake that ships beside the real sources."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avatar.core.archives import UNUSABLE
from avatar.core.clock import Clock
from avatar.core.counting import counted
from avatar.core.errors import SourceEndedError, SourceError
from avatar.core.frames import (
    BLENDSHAPE_NAMES,
    LANDMARK_COUNT,
    CameraFrame,
    Face,
    FaceTrack,
    UInt8Image,
)
from avatar.stages.sources.pacing import FixedRate, FrameCounter, not_open

TRACK_FORMAT = 1
"""Version of the recorded track's layout."""


class ReplaySource:
    """Shows ``frames`` at ``fps`` as a camera would; the newest that is due wins.

    ``frames``: uint8 (H, W, 3) RGB each; they are handed out as they are, not copied.
    """

    def __init__(
        self, frames: Sequence[UInt8Image], fps: float, clock: Clock, loop: bool = False
    ) -> None:
        if not frames:
            raise ValueError("ReplaySource.frames: expected at least one frame, got none")
        self._frames = frames
        self._loop = loop
        self._rate = FixedRate(fps, clock)
        self._counter = FrameCounter()
        self._stop = threading.Event()
        self._open = False

    @property
    def name(self) -> str:
        """Return what the user is told is being watched."""
        return "replay"

    def __enter__(self) -> Self:
        """Start from the first frame."""
        self._stop.clear()
        self._rate.restart()
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        """End a wait that is under way."""
        self._stop.set()
        self._open = False

    def read(self) -> CameraFrame | None:
        """Return the frame that is due; see ``FrameSource.read``."""
        if not self._open:
            raise not_open(self.name)
        due = self._rate.wait(self._stop)
        if due is None:
            return None
        tick, due_ns = due
        if tick >= len(self._frames) and not self._loop:
            raise SourceEndedError(
                f"The replay ended after its {counted(len(self._frames), 'frame')}."
            )
        image = np.ascontiguousarray(self._frames[tick % len(self._frames)])
        return self._counter.frame(image, due_ns)


def save_track(path: Path, tracks: Sequence[FaceTrack]) -> None:
    """Write tracks, without their camera frames, to a ``.npz`` file that holds no objects.

    Arrays: ``format`` (); ``timestamp_ns`` and ``index`` int64 (N,); ``present`` bool (N,);
    and for the M present faces ``landmarks_px`` float32 (M, 478, 3), ``blendshapes`` float32
    (M, 52), ``pose`` float32 (M, 4, 4), ``image_size_px`` int64 (M, 2).
    """
    faces = [track.face for track in tracks if track.face is not None]
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(TRACK_FORMAT),
        "timestamp_ns": np.array([t.timestamp_ns for t in tracks], np.int64),
        "index": np.array([t.index for t in tracks], np.int64),
        "present": np.array([t.face is not None for t in tracks], np.bool_),
    }
    for name, (dtype, shape) in _FACE_FIELDS.items():
        values: NDArray[Any] = np.array([getattr(face, name) for face in faces], dtype)
        arrays[name] = values.reshape((len(faces), *shape))
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_track(path: Path) -> list[FaceTrack]:
    """Return the tracks that ``save_track`` wrote.

    Raises ``SourceError`` when the file is absent, damaged or of another layout.
    """
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise _broken(path, "it is a single array")
            arrays = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise SourceError(f"{path}: expected a recorded track, found no such file.") from None
    except UNUSABLE as error:
        raise _broken(path, str(error)) from None
    _check_layout(path, arrays)
    faces = iter(range(len(arrays["landmarks_px"])))
    return [
        FaceTrack(int(stamp), int(index), _face(arrays, next(faces)) if present else None)
        for stamp, index, present in zip(
            arrays["timestamp_ns"], arrays["index"], arrays["present"], strict=True
        )
    ]


_FACE_FIELDS: dict[str, tuple[type, tuple[int, ...]]] = {
    "landmarks_px": (np.float32, (LANDMARK_COUNT, 3)),
    "blendshapes": (np.float32, (len(BLENDSHAPE_NAMES),)),
    "pose": (np.float32, (4, 4)),
    "image_size_px": (np.int64, (2,)),
}


def _face(arrays: Mapping[str, NDArray[Any]], row: int) -> Face:
    width, height = (int(side) for side in arrays["image_size_px"][row])
    return Face(
        arrays["landmarks_px"][row],
        arrays["blendshapes"][row],
        arrays["pose"][row],
        (width, height),
    )


def _check_layout(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise unless every array is there with its dtype and shape."""
    if "format" not in arrays or arrays["format"].shape != ():
        raise _broken(path, "it has no format number")
    if int(arrays["format"]) != TRACK_FORMAT:
        raise _broken(path, f"its format is {arrays['format']}, expected {TRACK_FORMAT}")
    for name in ("present", "timestamp_ns", "index", *_FACE_FIELDS):
        if name not in arrays:
            raise _broken(path, f"it has no array {name!r}")
    count = len(np.atleast_1d(arrays["present"]))
    faces = int(np.count_nonzero(arrays["present"]))
    expected: dict[str, tuple[type, tuple[int, ...]]] = {
        "present": (np.bool_, (count,)),
        "timestamp_ns": (np.int64, (count,)),
        "index": (np.int64, (count,)),
    }
    expected |= {name: (dtype, (faces, *shape)) for name, (dtype, shape) in _FACE_FIELDS.items()}
    for name, (dtype, shape) in expected.items():
        found = arrays[name]
        if found.dtype != dtype or found.shape != shape:
            raise _broken(
                path,
                f"{name} is {found.dtype} {found.shape}, expected {np.dtype(dtype)} {shape}",
            )


def _broken(path: Path, reason: str) -> SourceError:
    return SourceError(
        f"{path}: expected a recorded track (.npz written by this program), but {reason}. "
        "Record it again."
    )
