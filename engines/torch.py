"""PyTorch on the processor, and the reference that every other backend is compared with.

What runs on a card is in ``engines.torch_card``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError, MissingDependencyError
from engines.export import deployed, model
from engines.graph import Array, ModelSpec
from engines.networks.family import Function, Model
from engines.runner import Runner

if TYPE_CHECKING:
    from torch import nn

    from engines.backends import Precision
    from engines.deploy import Colour


def import_torch() -> Any:
    """The ``torch`` package; without it a ``MissingDependencyError`` that says how to get it."""
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
        self._torch = import_torch()
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


def deployed_copy(name: str, networks: Mapping[str, nn.Module], colour: Colour) -> nn.Module:
    """The model ``name`` in the form that is exported, sharing nothing with ``networks``."""
    import_torch()
    return copy.deepcopy(deployed(name, networks, colour))


def open_on_processor(
    name: str, networks: Mapping[str, nn.Module], precision: Precision, colour: Colour
) -> TorchRunner:
    """A runner of the model ``name`` in the form that is exported; ``networks`` stay as they are.

    fp16 is computed as a card does, in the numbers that float32 has room for: that is for
    comparing, and is no faster. Raises ``EngineError``.
    """
    module, spec = deployed_copy(name, networks, colour), model(name).spec
    return TorchRunner(computed(module, spec, precision, emulated=True), spec)


def computed(
    module: nn.Module, spec: ModelSpec, precision: Precision, *, emulated: bool
) -> Function:
    """What ``module`` computes in a precision, by the names of ``spec``.

    ``emulated``: products of float16 numbers in float32, where there are no others. Raises
    ``EngineError`` for int8, which PyTorch has no products for here.
    """
    if precision == "int8":
        raise EngineError("expected fp16 or fp32 with torch, found int8")
    if precision == "fp32":
        return _named(module, spec)
    from engines.networks.half import Half, halve

    halve(module)
    function = _named(module, spec)

    def half(**tensors: Any) -> Mapping[str, Any]:
        with Half(emulated=emulated):
            found = function(**tensors)
        return {
            key: value.float() if value.is_floating_point() else value
            for key, value in found.items()
        }

    return half


def _named(module: nn.Module, spec: ModelSpec) -> Function:
    """A module that takes and gives values in the order of ``spec``, by their names."""

    def function(**tensors: Any) -> Mapping[str, Any]:
        found = module(*(tensors[value.name] for value in spec.inputs))
        values = found if isinstance(found, tuple) else (found,)
        return {value.name: made for value, made in zip(spec.outputs, values, strict=True)}

    return function
