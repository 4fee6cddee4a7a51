"""Deterministic checkpoint weights, made from names and shapes alone.

The published checkpoints of these networks are hundreds of megabytes and need a download. Parity of
an implementation needs no trained values: the same names, shapes and seed give the same weights
here and in the original network, so the recorded outputs in ``*.golden.npz`` can be reproduced to
float32 rounding. Nothing here may change, or the recorded outputs are those of other weights.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def _rng(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))


def make_tensor(name: str, shape: list[int], seed: int) -> NDArray[Any]:
    """One parameter or buffer. Scales keep activations near unit size through deep networks."""
    rng, leaf = _rng(seed, name), name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if leaf in ("running_mean", "bias", "beta"):
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)
    if leaf == "gamma" and len(shape) == 4:  # layer scale / response norm
        return (0.5 + 0.1 * rng.standard_normal(shape)).astype(np.float32)
    if len(shape) <= 1:  # normalisation scale
        return (1.0 + 0.1 * rng.standard_normal(shape)).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) * np.sqrt(1.6 / fan_in)).astype(np.float32)


def make_state(entries: list[dict[str, Any]], seed: int) -> dict[str, NDArray[Any]]:
    """The state dict for a manifest's entries (``{"name", "shape"}``).

    Spectral-norm vectors are the leading singular vectors of their weight (power iteration), as
    training leaves them.
    """
    state = {e["name"]: make_tensor(e["name"], e["shape"], seed) for e in entries}
    for name in [n for n in state if n.endswith("weight_orig")]:
        stem, w = name[: -len("weight_orig")], state[name]
        w = w.reshape(w.shape[0], -1).astype(np.float64)
        u = np.ones(w.shape[0]) / np.sqrt(w.shape[0])
        for _ in range(30):
            v = w.T @ u
            v /= np.linalg.norm(v)
            u = w @ v
            u /= np.linalg.norm(u)
        state[f"{stem}weight_u"] = u.astype(np.float32)
        state[f"{stem}weight_v"] = v.astype(np.float32)
    return state


def sample(array: NDArray[Any], count: int = 4096) -> Float32:
    """The entries kept in a golden file: evenly strided over the flattened array."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat[:: max(1, flat.size // count)][:count].astype(np.float32)


def make_image(seed: int, size: int = 256) -> Float32:
    """A smooth random RGB image, float32 (1, 3, size, size) in [0, 1]."""
    rng = _rng(seed, "image")
    y, x = np.mgrid[0:size, 0:size] / size
    out = np.zeros((3, size, size))
    for c in range(3):
        for _ in range(12):
            fy, fx, phase = rng.uniform(0, 6, 3)
            out[c] += rng.normal() * np.cos(2 * np.pi * (fy * y + fx * x) + phase)
    out = (out - out.min()) / (out.max() - out.min())
    return np.asarray(out[None].astype(np.float32))
