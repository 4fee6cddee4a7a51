"""Landmarks smoothed both ways: no tremble, no lag."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.frames import Float32
from avatar.stages.generate.swap.steady import steady

SHAPE = np.random.default_rng(3).normal(0, 40, (478, 3)).astype(np.float32) + 200


def moving(frames: int, speed: float, grows: float, turns: float) -> Float32:
    out = []
    for k in range(frames):
        angle = turns * k
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        out.append((SHAPE - 200) * (1 + grows * k) @ turn.T + 200 + [speed * k, 0, 0])
    return np.asarray(out, np.float32)


@given(st.integers(1, 40), st.floats(-20, 20), st.floats(-0.01, 0.02), st.floats(-0.05, 0.05))
def test_even_movement_stays_as_it_is(
    frames: int, speed: float, grows: float, turns: float
) -> None:
    still = moving(frames, speed, grows, turns)
    assert np.abs(steady(still) - still).max() < 0.6


def test_tremble_is_halved() -> None:
    still = moving(60, 3.0, 0.002, 0.01)
    noisy = still + np.random.default_rng(1).normal(0, 0.5, still.shape).astype(np.float32)
    smooth = steady(noisy)
    jitter = [np.diff(points[:, :, :2], 2, axis=0).std() for points in (noisy, smooth)]
    assert jitter[1] < 0.5 * jitter[0]
    assert np.abs(smooth - still)[..., :2].mean() < 0.75 * np.abs(noisy - still)[..., :2].mean()


def test_a_step_is_not_announced_far_ahead() -> None:
    points = moving(30, 0.0, 0.0, 0.0)
    points[15:, :, 0] += 30
    moved = np.abs(steady(points)[..., 0] - points[..., 0]).max(axis=1)
    assert moved[:11].max() < 0.1 and moved[19:].max() < 0.1
