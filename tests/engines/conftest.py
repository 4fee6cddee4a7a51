"""What the tests of engines share: networks with the weights that parity was recorded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests import parity


def relative_error(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="session")
def seeded() -> Callable[[str], Any]:
    """``seeded(name)``: the network with the weights of seed 1, made once."""
    made: dict[str, Any] = {}

    def network(name: str) -> Any:
        if name not in made:
            made[name] = parity.network(name)
        return made[name]

    return network
