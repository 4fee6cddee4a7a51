"""Blocks of samples on their way between processes."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from avatar.core.frames import Float32

_FULL = 32_767


@dataclass(frozen=True, eq=False)
class SampleBlock:
    """``samples``: float32 (N,), mono, range [−1, 1]; the first was captured at ``captured_s``."""

    samples: Float32
    rate_hz: int
    captured_s: float


def packed(block: SampleBlock) -> list[object]:
    """Return ``block`` as JSON takes it: 16 bits a sample."""
    values = np.round(np.clip(block.samples, -1, 1) * _FULL).astype("<i2")
    return [base64.b64encode(values.tobytes()).decode("ascii"), block.rate_hz, block.captured_s]


def unpacked(values: list[object]) -> SampleBlock:
    """Return what ``packed`` was given, but for rounding."""
    text, rate_hz, captured_s = values
    assert isinstance(text, str) and isinstance(rate_hz, int) and isinstance(captured_s, float)
    samples = np.frombuffer(base64.b64decode(text), "<i2").astype(np.float32)
    return SampleBlock(samples / np.float32(_FULL), rate_hz, captured_s)
