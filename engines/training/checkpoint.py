"""Checkpoints of a training: tensors and numbers in one safetensors file, whole or not at all.

No pickle is written or read. A file is written beside its place, brought to the disk and renamed,
so that a process that is killed, or a disk that is full, leaves the one before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.core.errors import EngineError
from avatar.core.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor

_FORMAT = "webcam-avatar training 1"


def write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write ``tensors`` with ``facts``, which JSON can hold. Raises ``OSError``."""
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"format": _FORMAT, "facts": json.dumps(dict(facts)), "sha256": _digest(plain)}
    write_whole(path, save(plain, metadata), flush=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and facts in ``path``.

    Raises ``EngineError`` for a file that is absent, cut short, changed or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(metadata["facts"])
        whole = metadata["format"] == _FORMAT and metadata["sha256"] == _digest(tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise EngineError(f"{path} is not a complete checkpoint: {_first_line(error)}") from error
    if not whole:
        raise EngineError(f"{path} is not a complete checkpoint: its checksum does not match")
    return tensors, facts


def _digest(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.numpy().tobytes())
    return found.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
