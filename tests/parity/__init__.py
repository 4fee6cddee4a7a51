"""What the original networks gave for seeded weights; README.md says how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity.weights import make_state

FOLDER = Path(__file__).parent


def manifest(name: str) -> list[dict[str, Any]]:
    """The names and shapes of a published checkpoint's parameters, for ``family/part``."""
    family, part = name.split("/", 1)
    entries: list[dict[str, Any]] = json.loads(
        (FOLDER / f"{family}.manifest.json").read_text(encoding="utf-8")
    )[part]
    return entries


def golden(family: str) -> Any:
    """The recorded inputs and outputs of a family's networks by key, float32."""
    return np.load(FOLDER / f"{family}.golden.npz")


def network(name: str, seed: int = 1) -> Any:
    """This project's network ``family/part`` with the seeded weights; needs PyTorch."""
    import torch

    from engines.networks.checkpoint import load_state

    state = make_state(manifest(name), seed)
    tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}
    return load_state(name, tensors, f"seed {seed}")
