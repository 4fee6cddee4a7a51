"""What a checkpoint file is, by the names and shapes in it; nothing in it is executed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import IO, Any

from avatar.core.errors import EngineError, MissingDependencyError
from engines.networks import NAMES
from engines.networks.checkpoint import load_state, parameters, read, recognise

_CHUNK_BYTES = 1 << 20


def require_reader() -> None:
    """Raise ``MissingDependencyError`` where checkpoints cannot be read, before work is done."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "checkpoints are read by PyTorch, which is not installed: scripts/setup models, or pip "
            "install torch"
        ) from error


def networks_in(path: Path) -> tuple[str, ...]:
    """Return the networks that the checkpoint ``path`` holds.

    Raises ``EngineError`` for a file that is cut off, holds code, or fits no known network: then
    the nearest is named, with what keeps the file from being it.
    """
    content = read(path)
    if names := recognise(content):
        return names
    nearest = _nearest(content)
    if nearest is None:
        raise EngineError(
            f"{path.name} holds none of the known networks: expected one of {', '.join(NAMES)}"
        )
    load_state(nearest, content, str(path))  # raises, with all differences
    raise EngineError(f"{path.name} fits no known network")


def _nearest(content: Mapping[str, Any]) -> str | None:
    """Return the network most of whose parameters' names are in ``content``."""
    flat: set[str] = set()
    for key, value in content.items():
        inner = value if isinstance(value, Mapping) else {key: value}
        flat |= {str(name).removeprefix("module.") for name in inner}
    shares = {name: len(flat & parameters(name).keys()) / len(parameters(name)) for name in NAMES}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= 0.5 else None


def copy_hashed(source: IO[bytes] | FileIO, target: Path, limit_bytes: int) -> str:
    """Copy ``source`` into the new file ``target`` and return the SHA-256 of what was written.

    Raises ``EngineError`` beyond ``limit_bytes``, whatever the source says of its length.
    """
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > limit_bytes:
                raise EngineError(
                    f"{target.name} is larger than expected of a checkpoint: found more than "
                    f"{limit_bytes / 1e9:.1f} GB. Give the checkpoint files themselves"
                )
            file.write(chunk)
            digest.update(chunk)
    return digest.hexdigest()
