"""Converts a motion template of LivePortrait (.pkl) into one of numbers alone (.npz).

    python convert_motion.py motion.pkl motion.npz

It needs Python and NumPy, and nothing of the program beside it. A pickle can run whatever its maker
put in. This reads it with an unpickler that knows arrays, and refuses every other name: nothing of
NumPy is called while it reads, and sizes are checked before arrays are made.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 200_000_000
MAX_FRAMES = 200_000
_MAX_VALUE = 1e6
# Ours, theirs today, theirs of before, and how many numbers it is for each frame.
_VALUES = {
    "rotation": (("R", "R_d"), (3, 3)),
    "expression": (("exp",), (21, 3)),
    "translation": (("t",), (3,)),
    "scale": (("scale",), (1,)),
}
_LIPS = ("c_lip_lst", "c_d_lip_lst")
# Kinds of numbers and their bytes, as array files have them.
_KINDS = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}


class NotATemplateError(Exception):
    """The file is no template, or holds more than one: the words are for the user."""


class _Dtype:
    """A kind of number, noted and not made."""

    def __init__(self, name: str, *_: object) -> None:
        self.name, self.order = str(name), "="

    def __setstate__(self, state: Sequence[Any]) -> None:
        self.order = str(state[1])

    def made(self) -> np.dtype[Any]:
        kind, size = self.name[:1], self.name[1:]
        if not size.isdecimal() or int(size) not in _KINDS.get(kind, ()):
            raise NotATemplateError(f"it holds arrays of {self.name[:20]!r}, expected numbers")
        return np.dtype(("" if self.order == "|" else self.order[:1]) + self.name)


class _Array:
    """An array, noted and not made."""

    def __init__(self, shape: object = (), dtype: object = None, data: object = b"") -> None:
        self.shape, self.dtype, self.data, self.is_fortran = shape, dtype, data, False

    def __setstate__(self, state: Sequence[Any]) -> None:
        _, self.shape, self.dtype, self.is_fortran, self.data = state

    def made(self) -> NDArray[np.float64]:
        if not isinstance(self.dtype, _Dtype) or not isinstance(self.data, (bytes, bytearray)):
            raise NotATemplateError("it holds an array of objects, expected numbers")
        dtype, shape = self.dtype.made(), self.shape
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise NotATemplateError("it holds an array without a shape")
        if math.prod(shape) * dtype.itemsize != len(self.data):
            raise NotATemplateError("it holds an array that is not as long as it says")
        flat = np.frombuffer(self.data, dtype).astype(np.float64)
        return flat.reshape(shape[::-1]).T if self.is_fortran else flat.reshape(shape)


def _reconstructed(*_: object) -> _Array:
    return _Array()


def _scalar(dtype: object, data: object = b"") -> _Array:
    return _Array((), dtype, data)


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> _Array:
    array = _Array(shape, dtype, data)
    array.is_fortran = order == "F"
    return array


def _encoded(text: str, encoding: str) -> bytes:
    """Return bytes as protocols below 3 keep them: a letter for each."""
    if encoding not in ("latin1", "latin-1"):
        raise NotATemplateError(f"it has bytes in {encoding[:20]!r}")
    return text.encode("latin-1")


_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric",
            "numpy._core.numeric")  # fmt: skip
_NAMES: dict[str, Any] = {
    "dtype": _Dtype, "ndarray": _Array, "_reconstruct": _reconstructed, "scalar": _scalar,
    "_frombuffer": _from_buffer,
}  # fmt: skip


class _Reader(pickle.Unpickler):
    """Reads arrays of numbers in lists and dictionaries, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name of NumPy; raises for every other."""
        if module in _MODULES and name in _NAMES:
            return _NAMES[name]
        if (module, name) == ("_codecs", "encode"):
            return _encoded
        more = " (save it again as NumPy arrays)" if module.startswith("torch") else ""
        raise NotATemplateError(
            f"it wants {module[:60]}.{name[:60]}, which no template of numbers needs{more}: "
            "not opened"
        )


def read(path: Path) -> Any:
    """Return what a pickle holds, its arrays as ``_Array``. Raises ``NotATemplateError``."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise NotATemplateError("it is no file")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise NotATemplateError(f"it is longer than {MAX_BYTES // 1_000_000} MB")
    try:
        return _Reader(io.BytesIO(data)).load()
    except NotATemplateError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise NotATemplateError(f"it is damaged ({type(error).__name__}: {error})") from error


def converted(content: Any) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Return a template's description and arrays. Raises ``NotATemplateError``."""
    frames, lips, rate = _parts(content)
    count = len(frames)
    values = {
        name: np.stack([_value(frame, names, shape) for frame in frames])
        for name, (names, shape) in _VALUES.items()
    }
    values["crop"] = np.tile([128.0, 128.0, 256.0], (count, 1))
    values["closure"] = np.zeros((count, 2))
    values["lips"] = _lips(lips, count)
    arrays = {"time_s": np.arange(count) / rate, "tracked": np.ones(count)}
    arrays |= {f"values.{name}": value for name, value in values.items()}
    arrays |= {f"reference.{name}": value[0] for name, value in values.items()}
    described = {
        "schema_version": 1, "kind": "webcam-avatar motion template", "family": "liveportrait",
        "rate": rate, "frames": count,
    }  # fmt: skip
    return described, {name: value.astype(np.float32) for name, value in arrays.items()}


def _parts(content: Any) -> tuple[Sequence[Any], Any, float]:
    """Return the frames, the lips' distances and the frames a second of each known layout."""
    lips: Any = None
    rate: Any = 25.0
    if isinstance(content, (tuple, list)) and len(content) == 2:  # of the first version
        frames = content[0]
    elif isinstance(content, dict) and "motion" in content:
        frames = content["motion"]
        lips = next((content[name] for name in _LIPS if content.get(name) is not None), None)
        rate = content.get("output_fps", rate)
    else:
        raise NotATemplateError("expected motion and its frames, found something else")
    if not isinstance(frames, (list, tuple)) or not 0 < len(frames) <= MAX_FRAMES:
        raise NotATemplateError(f"expected 1 to {MAX_FRAMES} frames")
    return frames, lips, _rate(rate)


def _rate(found: Any) -> float:
    rate = float(_numbers(found, 1)[0])
    if not 1 <= rate <= 240:
        raise NotATemplateError(f"expected 1 to 240 frames a second, found {rate:g}")
    return rate


def _value(frame: Any, names: Sequence[str], shape: tuple[int, ...]) -> NDArray[np.float64]:
    if not isinstance(frame, Mapping):
        raise NotATemplateError("a frame is no table of values")
    for name in names:
        if name in frame:
            return _numbers(frame[name], math.prod(shape)).reshape(shape)
    raise NotATemplateError(f"a frame lacks {' and '.join(names)}")


def _lips(lips: Any, count: int) -> NDArray[np.float64]:
    if lips is None:
        return np.zeros((count, 1))
    rows = lips.made() if isinstance(lips, _Array) else lips
    if not (isinstance(rows, (list, tuple)) or (isinstance(rows, np.ndarray) and rows.ndim)):
        raise NotATemplateError("expected the lips of each frame, found something else")
    if len(rows) != count:
        raise NotATemplateError(f"expected the lips of {count} frames, found {len(rows)}")
    return np.stack([_numbers(row, None)[:1] for row in rows])


def _numbers(found: Any, size: int | None) -> NDArray[np.float64]:
    """Return numbers in a row, ``size`` of them, or at least one."""
    try:
        values = found.made() if isinstance(found, _Array) else np.asarray(found, np.float64)
    except (TypeError, ValueError, OverflowError):  # an integer of hundreds of digits
        raise NotATemplateError("expected numbers, found something else") from None
    flat = values.reshape(-1)
    if (size is not None and flat.size != size) or flat.size == 0:
        raise NotATemplateError(f"expected {size or 'some'} numbers, found {flat.size}")
    if not (np.isfinite(flat).all() and np.abs(flat).max() <= _MAX_VALUE):
        raise NotATemplateError("it holds numbers that no face makes")
    return flat


def write(
    path: Path, described: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write a template or nothing; raises ``FileExistsError`` rather than replace a file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("text", json.dumps(described))
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(value), (1, 0))
    with path.open("xb") as file:
        try:
            file.write(content.getbuffer())
            file.flush()
        except BaseException:
            path.unlink()
            raise


def main() -> int:
    """Convert what the command line names; return the exit status."""
    if len(sys.argv) != 3:
        sys.stderr.write(f"usage: python {sys.argv[0]} MOTION.pkl MOTION.npz\n")
        return 2
    source, target = map(Path, sys.argv[1:])
    try:
        described, arrays = converted(read(source))
        write(target, described, arrays)
    except NotATemplateError as error:
        sys.stderr.write(_line(f"{source} is not converted: {error}"))
        return 1
    except OSError as error:
        sys.stderr.write(_line(f"{error.filename or target}: {error.strerror or error}"))
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(_line(f"{target}: {described['frames']} frames"))
    return 0


def _line(text: str) -> str:
    """Return a line without what commands a terminal."""
    return "".join(c if c.isprintable() else " " for c in text) + "\n"


if __name__ == "__main__":
    sys.exit(main())
