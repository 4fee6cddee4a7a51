"""What the tests of engines share: the seeded weights and what the original networks gave."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Parity:
    """Seeded weights by name and shape, and the recorded outputs of the original networks."""

    folder: Path
    weights: Any

    def manifest(self, name: str) -> list[dict[str, Any]]:
        family, part = name.split("/", 1)
        manifest = json.loads((self.folder / f"{family}.manifest.json").read_text())
        entries: list[dict[str, Any]] = manifest[part]
        return entries

    def golden(self, family: str) -> Any:
        return np.load(self.folder / f"{family}.golden.npz")

    def state(self, name: str, seed: int = 1) -> dict[str, Any]:
        import torch

        state = self.weights.make_state(self.manifest(name), seed)
        return {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}

    def network(self, name: str, seed: int = 1) -> Any:
        from engines.networks.checkpoint import load_state

        return load_state(name, self.state(name, seed), f"seed {seed}")


def relative_error(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="session")
def shared_parity() -> Parity:
    """Manifests, seeded weights and golden outputs, too large for the repository."""
    folder = Path(os.environ.get("AVATAR_SHARED") or ROOT.parent / "shared") / "parity"
    if not folder.is_dir():
        pytest.skip(f"no parity files at {folder}; AVATAR_SHARED names the folder above them")
    spec = importlib.util.spec_from_file_location("parity_weights", folder / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Parity(folder, module)


@pytest.fixture(scope="session")
def seeded(shared_parity: Parity) -> Callable[[str], Any]:
    """``seeded(name)``: the network with the weights of seed 1, made once."""
    made: dict[str, Any] = {}

    def network(name: str) -> Any:
        if name not in made:
            made[name] = shared_parity.network(name)
        return made[name]

    return network
