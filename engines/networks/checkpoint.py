"""Loading of checkpoint files as they are published, without running anything they hold.

``.pth`` and ``.pth.tar`` files are pickles, which can run code when read; they are read by
PyTorch's restricted reader only, which knows tensors, numbers and containers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from avatar.core.errors import EngineError, MissingDependencyError
from engines.networks import FAMILIES, NAMES, create

if TYPE_CHECKING:
    from torch import Tensor, nn

_SUFFIXES = (".pth", ".pt", ".tar", ".ckpt", ".bin")


def load(name: str, path: str | Path) -> nn.Module:
    """The network ``name`` in eval mode, float32, with the weights in the file ``path``.

    The file is a ``.safetensors`` or a PyTorch checkpoint; names may carry the prefix ``module.``
    that parallel training leaves. Raises ``EngineError`` for a file that is absent, cut off or
    holds code, and for names or shapes other than the network's.
    """
    return load_state(name, read(path), str(path))


def load_state(name: str, content: Mapping[str, Any], origin: str) -> nn.Module:
    """As :func:`load`, from what :func:`read` gave; ``origin`` is named in errors."""
    import torch

    state = _section(name, content)
    _check(name, state, origin)
    with torch.device("meta"):
        network = create(name)
    kinds = {key: value.dtype for key, value in network.state_dict().items()}
    state = {key: value.to(kinds[key]).contiguous() for key, value in state.items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False)


def recognise(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Which networks' weights are in what :func:`read` gave, known by their keys."""
    return tuple(name for name in NAMES if not _differences(name, _section(name, content)))


@cache
def parameters(name: str) -> Mapping[str, tuple[int, ...]]:
    """Name and shape of every parameter and buffer of the network ``name``."""
    import torch

    with torch.device("meta"):
        state = create(name).state_dict()
    return MappingProxyType({key: tuple(value.shape) for key, value in state.items()})


def read(path: str | Path) -> dict[str, Any]:
    """All that a checkpoint file holds; nothing in it is executed.

    Raises ``EngineError`` when the file is absent, cut off, of another kind, or holds code.
    """
    path = Path(path)
    if not path.is_file():
        raise EngineError(f"no checkpoint at {path}: expected a .safetensors or .pth file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in _SUFFIXES:
        return _read_pickle(path)
    raise EngineError(
        f"{path.name} is not a checkpoint by its name: expected .safetensors or one of "
        f"{', '.join(_SUFFIXES)}"
    )


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"reading {path.name} needs safetensors: pip install safetensors"
        ) from error
    try:
        return dict(load_file(path))
    except Exception as error:  # the reader's own errors share no base
        raise _damaged(path, error) from error


def _read_pickle(path: Path) -> dict[str, Any]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle, storage and system errors share no base
        code = re.search(r"(?:GLOBAL|global|class|instruction|operand)[: ]+`?([\w.]+)", str(error))
        if "weights_only" in str(error).lower() or "weights only" in str(error).lower():
            what = f" ({code[1]})" if code else ""
            raise EngineError(
                f"{path.name} holds something other than weights{what}, which could run code: "
                "it was not loaded. Expected tensors, numbers and containers only; get the file "
                "from its official home, or as .safetensors"
            ) from error
        raise _damaged(path, error) from error
    if not isinstance(content, Mapping):
        raise EngineError(
            f"{path.name} holds a {type(content).__name__}; expected a mapping of names to tensors"
        )
    return dict(content)


def _damaged(path: Path, error: Exception) -> EngineError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return EngineError(
        f"{path.name} cannot be read as a checkpoint ({reason}): it is cut off, damaged or of "
        f"another kind ({path.stat().st_size} bytes found). Fetch it again"
    )


def _section(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a file that belongs to ``name``, with its prefixes taken off."""
    section = FAMILIES[name.split("/", 1)[0]].sections[name]
    if section and isinstance(content.get(section), Mapping):
        content = content[section]
    elif section and any(key.startswith(f"{section}.") for key in _names(content)):
        start = f"{section}."
        content = {k[len(start) :]: v for k, v in content.items() if k.startswith(start)}
    if content and all(key.startswith("module.") for key in _names(content)):
        content = {key.removeprefix("module."): value for key, value in content.items()}
    return dict(content)


def _names(content: Mapping[str, Any]) -> Iterable[str]:
    return (str(key) for key in content)


def _check(name: str, state: Mapping[str, Any], origin: str) -> None:
    differences = _differences(name, state)
    if not differences:
        return
    hint = ", ".join(recognise(state))
    raise EngineError(
        f"{Path(origin).name} does not fit {name}: {'; '.join(differences)}. "
        + (f"It is the file of {hint}" if hint else "Expected the published checkpoint of it")
    )


def _differences(name: str, state: Mapping[str, Any]) -> list[str]:
    """What keeps ``state`` from being the weights of ``name``; empty when nothing does."""
    wanted = parameters(name)
    found: dict[str, Tensor] = {k: v for k, v in state.items() if hasattr(v, "dtype")}
    shapes = [
        f"{key} has shape {tuple(found[key].shape)}, expected {shape}"
        for key, shape in wanted.items()
        if key in found and tuple(found[key].shape) != shape
    ]
    kinds = [
        f"{key} holds {found[key].dtype}, expected real numbers"
        for key in wanted
        if key in found and (found[key].is_complex() or found[key].is_quantized)
    ]
    return [
        *_listed("missing", [key for key in wanted if key not in found]),
        *_listed("not expected", [str(key) for key in state if key not in wanted]),
        *_listed("wrong", shapes + kinds),
    ]


def _listed(what: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
    return [f"{what}: {', '.join(entries[:3])}{more}"]
