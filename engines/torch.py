"""PyTorch: the reference that every other backend is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.errors import EngineError, MissingDependencyError
from engines.export import Model
from engines.export import model as model_called
from engines.graph import Array, ModelSpec
from engines.runner import Runner

if TYPE_CHECKING:
    from torch import nn

    from engines.deploy import Colour

Function = Callable[..., Mapping[str, Any]]
"""Tensors by the names of the inputs -> tensors by the names of the outputs."""


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
    wanted = model_called(name)
    networks = {key: networks[key].to(device) for key in wanted.networks}
    return TorchRunner(_function(name, wanted, networks, colour), wanted.spec, device)


def _function(
    name: str, wanted: Model, networks: Mapping[str, nn.Module], colour: Colour
) -> Function:
    from engines.deploy import PictureIn, PictureOut

    enter, leave = PictureIn(colour), PictureOut(colour)
    first = networks[wanted.networks[0]]

    def frame(feature_3d: Any, kp_driving: Any, kp_source: Any) -> Mapping[str, Any]:
        warped = first(feature_3d, kp_driving, kp_source)["out"]
        return {"picture": leave(networks[wanted.networks[1]](warped))}

    def first_order_frame(small: Any, features: Any, **points: Any) -> Mapping[str, Any]:
        motion = first.dense_motion_network(small, **points)
        image = first.decode(features, motion["deformation"], motion["occlusion_map"])
        return {"picture": leave(image)}

    def encode(picture: Any) -> Mapping[str, Any]:
        small, features = first.encode(enter(picture))
        return {"small": small, "features": features}

    def plain(**inputs: Any) -> Mapping[str, Any]:
        (value,) = inputs.values()
        found = first(enter(value) if "picture" in inputs else value)
        return found if isinstance(found, Mapping) else {wanted.spec.outputs[0].name: found}

    special: dict[str, Function] = {
        "liveportrait/frame": frame,
        "fomm/frame": first_order_frame,
        "fomm/source": encode,
    }
    return special.get(name, plain)
