"""What a training computes on: number formats, compiled networks, and what a card says.

Weights, losses and gradients are float32 everywhere. On a card the networks alone compute in
16 bits: bfloat16 where the card has it, whose range is float32's, else float16 with losses scaled
up so that small gradients survive (arXiv 1710.03740). On a processor everything is float32.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from avatar.core.errors import EngineError

Precision = Literal["fp32", "bf16", "fp16"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_OLDEST_COMPILED = (7, 0)  # what Triton writes kernels for
# The scale begins at 2**16 and is halved each time: after so many nothing of a gradient is left.
_MOST_SKIPPED = 32


@dataclass(frozen=True)
class Device:
    """``name``: as PyTorch has it, ``cpu``, ``cuda`` or ``cuda:1``. ``precision`` of networks."""

    name: str = "cpu"
    precision: Precision = "fp32"
    compiled: bool = False

    @property
    def kind(self) -> str:
        """Return ``cpu`` or ``cuda``."""
        return self.name.partition(":")[0]

    def __str__(self) -> str:
        form = "" if self.precision == "fp32" else f" in {self.precision}"
        return f"{self.name}{form}{', compiled' if self.compiled else ''}"


def find_device(name: str) -> Device:
    """Return the device ``cpu`` or ``cuda`` as it trains fastest, of the kind of the first card."""
    if name == "cpu":
        return Device()
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    compiled = (
        find_spec("triton") is not None and torch.cuda.get_device_capability() >= _OLDEST_COMPILED
    )
    return Device(name, "bf16" if bf16 else "fp16", compiled)


def _keep_memory() -> None:
    """Have glibc keep what is freed: each step takes the same blocks again.

    Given back to the system and taken anew, they come page by page, a seventh of a step's time.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # another C library
        tell = ctypes.CDLL("libc.so.6").mallopt
        tell(_MMAP_THRESHOLD, 1 << 25)
        tell(_TRIM_THRESHOLD, 1 << 30)


class Arithmetic:
    """Runs networks in the number format of ``device``, and takes the optimizers' steps."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._scaler = torch.amp.GradScaler(device.kind, enabled=device.precision == "fp16")
        self._skipped = 0  # in a row
        if device.kind == "cuda":
            torch.backends.cudnn.benchmark = True  # all steps have the same shapes
        else:
            _keep_memory()

    def place(self, network: nn.Module) -> None:
        """Bring ``network`` onto the device; on a card channels last, as its kernels want them."""
        network.to(self.device.name)
        if self.device.kind == "cuda":
            network.to(memory_format=torch.channels_last)

    def compile(self, network: nn.Module) -> None:
        """Have ``network`` compiled when it first runs, if the device is to; its state stays."""
        if self.device.compiled:
            network.compile()

    def run(self, network: nn.Module, *given: Any) -> Any:
        """Return what ``network`` makes, tensors in float32."""
        if self.device.precision == "fp32":
            return network(*given)
        with torch.autocast(self.device.kind, _TYPES[self.device.precision]):
            found = network(*given)
        return _float32(found)

    def gradients(
        self, loss: Tensor, parameters: Iterable[nn.Parameter], *, keep: bool = False
    ) -> list[Tensor]:
        """Return the gradients of ``loss``, as large as they are after ``step`` only.

        ``keep``: another loss of the same computation follows.
        """
        scaled = self._scaler.scale(loss)
        return list(torch.autograd.grad(scaled, list(parameters), retain_graph=keep))

    def step(self, clipped: Sequence[Optimizer], free: Sequence[Optimizer]) -> bool:
        """Take a step of each optimizer; return whether it was taken.

        ``clipped``: their gradients are brought to a norm of 1 together at most. None takes a step
        where a gradient is no number: see ``given_up``.
        """
        optimizers = [*clipped, *free]
        for optimizer in optimizers:
            self._scaler.unscale_(optimizer)
        norms = [nn.utils.clip_grad_norm_(_parameters(clipped), 1.0)]
        norms += [nn.utils.get_total_norm(_gradients(free))] if free else []
        finite = all(math.isfinite(float(norm)) for norm in norms)
        if finite:
            for optimizer in optimizers:
                self._scaler.step(optimizer)
        self._scaler.update()
        self._skipped = 0 if finite else self._skipped + 1
        return finite

    @property
    def given_up(self) -> bool:
        """Return whether a step that was not taken means that the training diverged.

        In float16 a gradient that overflows is part of finding the largest scale: the step is left
        out and the scale halved. Elsewhere, or time after time, it is a fault.
        """
        return not self._scaler.is_enabled() or self._skipped >= _MOST_SKIPPED

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep, of numbers alone; nothing but in float16."""
        return {"scaler": self._scaler.state_dict()} if self._scaler.is_enabled() else {}

    def resume(self, facts: Mapping[str, Any]) -> None:
        """Go on with what ``facts`` gave; another number format begins with its own."""
        if self._scaler.is_enabled() and facts.get("scaler"):
            self._scaler.load_state_dict(facts["scaler"])


def _parameters(optimizers: Sequence[Optimizer]) -> list[nn.Parameter]:
    return [p for each in optimizers for group in each.param_groups for p in group["params"]]


def _gradients(optimizers: Sequence[Optimizer]) -> list[Tensor]:
    return [p.grad for p in _parameters(optimizers) if p.grad is not None]


def _float32(found: Any) -> Any:
    if isinstance(found, Tensor):
        return found.float()
    return type(found)(_float32(value) for value in found)


@contextmanager
def card_errors_as_engine_errors() -> Iterator[None]:
    """Turn what a card says into a message for the user. Raises ``EngineError``."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "the card has too little memory left for this training. Close what else uses it "
            "(nvidia-smi lists that), take --size regions, or --device cpu. The last checkpoint is "
            "intact: --resume continues from it"
        ) from error
    except torch.AcceleratorError as error:
        raise EngineError(
            f"the card failed: {str(error).splitlines()[0]}. Look at nvidia-smi; restart the "
            "machine if it goes on, or take --device cpu. The last checkpoint is intact: --resume "
            "continues from it"
        ) from error
