"""ONNX -> engine, kept in a folder so that it is built once.

An engine belongs to its graph, its precision, the library that made it and the device it is for.
All four are written in front of it; a change of any of them is a reason to build again, and the
reason is told. Files appear whole or not at all, and two processes that want the same engine build
it once: the second waits, then reads.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from avatar.core.errors import EngineError
from avatar.core.files import left_overs, whole_file
from engines.graph import digest
from engines.locking import locked
from engines.precision import precision_of

if TYPE_CHECKING:
    from onnx import ModelProto

Progress = Callable[[str, float], None]
"""Told what is being done and the share of it that is done, in [0, 1]."""

Say = Callable[[str], None]
"""Takes a line for the user."""

_MAGIC = b"webcam-avatar engine 1\n"


class Builder(Protocol):
    """Makes an engine of a graph."""

    @property
    def library(self) -> str:
        """The library and its version, as in ``tensorrt_rtx 1.7.1``."""

    @property
    def device(self) -> str:
        """What the engine will run on."""

    def build(self, model: ModelProto, progress: Progress) -> bytes:
        """The engine. Raises ``EngineError`` when the library refuses the graph."""


@dataclass(frozen=True)
class Key:
    """What an engine belongs to."""

    graph: str
    precision: str
    library: str
    device: str


@dataclass(frozen=True)
class BuiltEngine:
    """An engine, where it lies, and whether it was built just now."""

    data: bytes
    path: Path
    built: bool


def build(
    name: str,
    model: ModelProto,
    builder: Builder,
    cache: Path,
    *,
    progress: Progress = lambda _what, _share: None,
    say: Say = lambda _line: None,
) -> BuiltEngine:
    """The engine of ``model``: read from the folder ``cache`` where it fits, else built.

    ``name`` is the model's, for the file and for messages. ``say`` gets a line when an engine is
    built, with the reason. Raises ``EngineError`` when the folder cannot be written or the build
    fails; then the folder is as it was.
    """
    key = Key(digest(model), precision_of(model), builder.library, builder.device)
    path = cache / _file_name(name, key)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock"), name, say):
            data, reason = _read(path, key)
            if data is not None:
                return BuiltEngine(data, path, built=False)
            say(f"building {name} ({key.precision}) for {key.device}: {reason}")
            data = builder.build(model, progress)
            _write(path, key, data)
    except OSError as error:
        raise EngineError(
            f"the engine of {name} cannot be kept in {cache}: {error.strerror or error}. "
            "Choose another folder, or free some space"
        ) from error
    return BuiltEngine(data, path, built=True)


def _file_name(name: str, key: Key) -> str:
    """One file for each model, precision, library's name and device: others do not replace it."""
    library = key.library.split(" ")[0]
    parts = (name, key.precision, library, key.device)
    return ".".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts) + ".engine"


def _read(path: Path, key: Key) -> tuple[bytes | None, str]:
    """The engine in ``path``, or ``None`` and why it is of no use."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, "there is none yet"
    header_end = content.find(b"\n", len(_MAGIC))
    if not content.startswith(_MAGIC) or header_end < 0:
        return None, f"{path.name} is damaged (no header)"
    try:
        header = json.loads(content[len(_MAGIC) : header_end])
        found, checksum = Key(**header["key"]), header["sha256"]
    except (ValueError, KeyError, TypeError):
        return None, f"{path.name} is damaged (its header cannot be read)"
    if found != key:
        return None, f"{path.name} is stale ({_difference(found, key)})"
    data = content[header_end + 1 :]
    if hashlib.sha256(data).hexdigest() != checksum:
        return None, f"{path.name} is damaged (its checksum does not match)"
    return data, ""


def _difference(found: Key, wanted: Key) -> str:
    return "; ".join(
        f"its {field.name} is {_short(getattr(found, field.name))}, "
        f"now it is {_short(getattr(wanted, field.name))}"
        for field in fields(Key)
        if getattr(found, field.name) != getattr(wanted, field.name)
    )


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text


def _write(path: Path, key: Key, data: bytes) -> None:
    """Write beside, then rename: another process sees the old file, the new one, or none."""
    header = {"key": asdict(key), "sha256": hashlib.sha256(data).hexdigest()}
    with whole_file(path, flush=True) as part, part.open("wb") as file:
        file.write(_MAGIC + json.dumps(header).encode() + b"\n")
        file.write(data)


@contextmanager
def _locked(path: Path, name: str, say: Say) -> Iterator[None]:
    """Hold the lock ``path``.

    Left-overs of builds that died are removed while the lock is held: nobody is writing them.
    """
    with locked(path, lambda: say(f"another process is building {name}: waiting for it")):
        for part in left_overs(path.with_suffix(".engine")):
            part.unlink(missing_ok=True)
        yield
