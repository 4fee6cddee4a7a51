"""PyTorch: the reference that every other backend is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError, MissingDependencyError
from engines.export import model
from engines.graph import Array, ModelSpec
from engines.networks.family import Function, Model
from engines.runner import Runner

if TYPE_CHECKING:
    from torch import nn

    from engines.deploy import Colour


def _import() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "the torch backend needs PyTorch: pip install torch"
        ) from error
    return torch


class TorchRunner(Runner):
    """A function of tensors, on the CPU or on a device that PyTorch knows (``cuda``, ``mps``)."""

    backend = "torch"

    def __init__(self, function: Function, spec: ModelSpec, device: str = "cpu") -> None:
        self._torch = _import()
        try:
            self._torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:
            raise EngineError(
                f"this build of PyTorch cannot use the device {device!r}: {error}"
            ) from error
        super().__init__(spec, device)
        self._function: Function | None = function

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        assert self._function is not None
        tensors = {
            name: self._torch.from_numpy(np.array(value)).to(self.device)
            for name, value in feeds.items()
        }
        with self._torch.no_grad():
            found = self._function(**tensors)
        return {value.name: found[value.name].cpu().numpy() for value in self.spec.outputs}

    def _close(self) -> None:
        self._function = None


def reference(
    name: str, networks: Mapping[str, nn.Module], colour: Colour = "rgb", device: str = "cpu"
) -> TorchRunner:
    """The model ``name`` computed by its networks as they were published, in float32."""
    wanted = model(name)
    parts = [networks[key].to(device) for key in wanted.networks]
    return TorchRunner(_function(wanted, parts, colour), wanted.spec, device)


def _function(wanted: Model, networks: Sequence[nn.Module], colour: Colour) -> Function:
    from engines.deploy import PictureIn, PictureOut

    enter, leave = PictureIn(colour), PictureOut(colour)
    if wanted.published is not None:
        return wanted.published(networks, enter, leave)

    def plain(**inputs: Any) -> Mapping[str, Any]:
        (value,) = inputs.values()
        found = networks[0](enter(value) if "picture" in inputs else value)
        return found if isinstance(found, Mapping) else {wanted.spec.outputs[0].name: found}

    return plain
