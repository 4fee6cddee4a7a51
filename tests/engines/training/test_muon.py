"""Muon's updates are orthogonal, whatever the gradient's shape and size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training is done with PyTorch")

from engines.training.muon import Muon, orthogonal  # noqa: E402


def matrix(seed: int, rows: int, columns: int) -> torch.Tensor:
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    return torch.from_numpy(values.astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), st.integers(2, 40), st.integers(2, 40), st.floats(1e-4, 1e4))
def test_directions_are_kept_and_none_is_weak(
    seed: int, rows: int, columns: int, size: float
) -> None:
    given_ = matrix(seed, rows, columns)
    left, values, right = torch.linalg.svd(given_, full_matrices=False)
    found = left.T @ orthogonal(given_ * size) @ right.T
    strengths = found.diagonal()
    assert torch.allclose(found, torch.diag(strengths), atol=2e-3)
    # Five steps carry to about 1 all that is no less than a two-hundredth of the whole.
    strong = values / values.norm() > 0.005
    assert strengths[strong].min() > 0.65 and strengths.max() < 1.25


def test_it_is_the_iteration_that_it_is_said_to_be() -> None:
    given_ = matrix(3, 12, 30)
    x = given_ / given_.norm()
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    torch.testing.assert_close(orthogonal(given_), x, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(orthogonal(given_.T), x.T, atol=1e-4, rtol=1e-4)


def test_no_gradient_and_none_at_all_move_nothing() -> None:
    weights = [torch.nn.Parameter(torch.ones(4, 3, 3, 3)) for _ in range(2)]
    weights[0].grad = torch.zeros_like(weights[0])
    Muon(weights, 0.1).step()
    assert all(torch.equal(weight, torch.ones(4, 3, 3, 3)) for weight in weights)


def test_a_step_is_as_long_as_its_rate_in_every_direction() -> None:
    weight = torch.nn.Parameter(torch.zeros(8, 4, 3, 3))
    weight.grad = matrix(1, 8, 36).view_as(weight)
    Muon([weight], 0.1).step()
    strengths = torch.linalg.svdvals(weight.detach().flatten(1))
    assert strengths.min() > 0.065 and strengths.max() < 0.125
    assert (weight.detach() * weight.grad).sum() < 0
