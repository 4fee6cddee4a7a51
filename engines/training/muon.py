"""Muon: momentum whose update has all directions alike strong (Jordan 2024, after Bernstein 2024).

A layer's gradient is dominated by a few directions of its matrix; Adam, which looks at each number
by itself, keeps it so. Here the update is the nearest matrix with singular values near one: rare
directions are learnt as fast as common ones. For weights between a network's first and last layer.

PyTorch's own ``torch.optim.Muon`` takes no convolutions and computes in bfloat16, for which most
laptops' processors have no instructions (it took 76 ms a step there, 5 in float32).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

# Newton-Schulz iteration: an odd polynomial of fifth degree that carries singular values of [0, 1]
# near 1, between 0.7 and 1.2, in five steps (https://kellerjordan.github.io/posts/muon).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5
_MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Moves ``weights``, (outputs, inputs, …), by about ``lr`` in every direction of theirs."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(weights, {"lr": lr})

    def step(self, closure: Any = None) -> None:
        """Take a step; weights without a gradient stay."""
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._move(weight, group["lr"])

    def _move(self, weight: nn.Parameter, lr: float) -> None:
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        ahead = gradient.lerp(momentum, _MOMENTUM)  # Nesterov
        weight.add_(orthogonal(ahead.flatten(1)).view_as(weight), alpha=-lr)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix whose singular values are 1, float32 like ``matrix`` (m, n).

    Newton-Schulz, X ← (a + b·XXᵀ + c·(XXᵀ)²)·X, with the small matrices before X gathered first:
    X itself is multiplied once.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / matrix.norm().clamp(min=1e-7)
    square = matrix @ matrix.T
    before = torch.eye(len(matrix), device=matrix.device)
    for _ in range(_STEPS):
        current = before @ square @ before
        once = torch.addmm(current, current, current, beta=_B, alpha=_C)
        once.diagonal().add_(_A)
        before = once @ before
    return before @ matrix
