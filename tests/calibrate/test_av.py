"""The camera's delay from claps and flashes: found where there are some, refused where not."""

from __future__ import annotations

import numpy as np
import pytest

from avatar.errors import UsageError
from calibrate.av import fit_offset, onsets_s

EVENTS_S = [1.0 + 1.13 * k for k in range(9)]
RATE_HZ = 48_000


def frames(fps: float = 30.0) -> np.ndarray:
    return np.arange(0, 12, 1 / fps)


def hands(delay_s: float, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Time stamps, and movement of hands that come together at each event and rest."""
    times = frames()
    fine = np.arange(0, 12, 1e-3)
    speed = np.zeros_like(fine)
    for event in EVENTS_S:
        speed[(fine > event + delay_s - 0.25) & (fine < event + delay_s)] = 20.0
        speed[(fine > event + delay_s + 0.25) & (fine < event + delay_s + 0.5)] = 8.0
    way = np.concatenate([[0.0], np.cumsum(speed) * 1e-3])
    moved = np.diff(np.interp(times, np.append(fine, 12.0), way), prepend=0.0) * 30
    return times, moved + rng.uniform(0, noise, len(times))


@pytest.mark.parametrize("delay_s", [0.0, 0.04, 0.12])
def test_claps_tell_the_delay_to_half_a_frame(delay_s: float) -> None:
    times, movement = hands(delay_s, 0.5, np.random.default_rng(2))
    still = np.full(len(times), 100.0)
    found = fit_offset(times, still, movement, EVENTS_S)
    assert found.kind == "claps"
    assert found.events >= 8
    # What a camera shows, it shows half a frame late on the average.
    assert found.ms == pytest.approx(1e3 * delay_s + 16.7, abs=14)


@pytest.mark.parametrize("delay_s", [0.0, 0.06, 0.2])
def test_flashes_tell_the_delay(delay_s: float) -> None:
    times = frames()
    rng = np.random.default_rng(4)
    light = 100 + rng.normal(0, 0.3, len(times))
    for event in EVENTS_S:
        light[(times >= event + delay_s) & (times < event + delay_s + 0.1)] += 60
    found = fit_offset(times, light, np.abs(np.diff(light, prepend=100)), EVENTS_S)
    assert found.kind == "flashes"
    assert found.ms == pytest.approx(1e3 * delay_s + 16.7, abs=14)


def test_what_is_not_seen_or_not_heard_says_what_to_do() -> None:
    times = frames()
    calm = np.full(len(times), 100.0)
    with pytest.raises(UsageError, match="found 2"):
        fit_offset(times, calm, calm * 0, EVENTS_S[:2])
    with pytest.raises(UsageError, match="saw 0 of them"):
        fit_offset(times, calm, calm * 0, EVENTS_S)


def test_claps_that_disagree_are_refused() -> None:
    times, movement = hands(0.05, 0.5, np.random.default_rng(2))
    apart = [t + 0.1 * (-1) ** k for k, t in enumerate(EVENTS_S)]
    with pytest.raises(UsageError, match="disagree"):
        fit_offset(times, np.full(len(times), 100.0), movement, apart)


def test_onsets_are_heard_to_the_millisecond_and_talk_is_none() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.002, 12 * RATE_HZ).astype(np.float32)
    for event in EVENTS_S:
        at = round(event * RATE_HZ)
        samples[at : at + 2_000] += 0.5 * np.exp(-np.arange(2_000) / 300) * rng.normal(0, 1, 2_000)
    assert onsets_s(samples, RATE_HZ) == pytest.approx(EVENTS_S, abs=0.002)
    hum = np.sin(2 * np.pi * 150 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    assert onsets_s(0.3 * hum * np.linspace(0, 1, RATE_HZ, dtype=np.float32), RATE_HZ) == []
    assert onsets_s(samples[:10], RATE_HZ) == []
