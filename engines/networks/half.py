"""Networks in half precision, by the rule of ``engines.precision``, as PyTorch runs them.

Convolutions and matrix products take and give float16 numbers; what says *where* to read, sums over
a picture and powers are float32, and what lies between has the type of what it is computed from.
PyTorch's own autocast has other rules on a card than on a processor, so that the one would prove
nothing of the other; this one is the same on both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_PRODUCTS = frozenset(
    ("conv1d", "conv2d", "conv3d", "linear", "matmul", "__matmul__", "__rmatmul__", "bmm", "mm")
)
_FULL = frozenset(
    (
        "grid_sample", "layer_norm", "softmax", "sum", "mean", "exp", "cumsum",
        "linalg_vector_norm",
    )
)  # fmt: skip
# Behind products; PyTorch has it for float16 on a card alone.
_ROUNDED = frozenset(("avg_pool3d",))
_LARGEST = float(torch.finfo(torch.float16).max)


class Half(TorchFunctionMode):
    """Within it, operations on tensors compute in the precision that the module says.

    ``emulated``: products are those of float16 numbers, summed in float32 as on a card's tensor
    cores, for processors that have none.
    """

    def __init__(self, *, emulated: bool) -> None:
        super().__init__()
        self._emulated = emulated

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call ``func`` on values of the type that it computes in."""
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in _FULL:
            return func(*_as(torch.float32, args), **_as(torch.float32, kwargs))
        if name in _PRODUCTS:
            args, kwargs = _as(torch.float16, args), _as(torch.float16, kwargs)
        if self._emulated and name in (_PRODUCTS | _ROUNDED):
            made = func(*_as(torch.float32, args), **_as(torch.float32, kwargs))
            return made.to(torch.float16)
        return func(*args, **kwargs)


def _as(kind: torch.dtype, values: Any) -> Any:
    """Return ``values`` with floating tensors of another type cast; dictionaries and tuples."""
    if isinstance(values, dict):
        return {key: _as(kind, value) for key, value in values.items()}
    if isinstance(values, tuple):
        return tuple(_as(kind, value) for value in values)
    if isinstance(values, Tensor) and values.is_floating_point() and values.dtype != kind:
        return values.to(kind)
    return values


def halve(module: nn.Module) -> None:
    """Make the weights of ``module`` float16, but for those of one axis: norms' and biases."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.clamp(-_LARGEST, _LARGEST).half()
