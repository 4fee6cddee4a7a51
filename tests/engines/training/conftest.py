"""Small tensors are slower on several threads, and far slower where these are busy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch with one thread for each test of this folder."""
    torch = pytest.importorskip("torch", reason="training is done with PyTorch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
