"""The delay line: what comes out is what went in, later, and never with a click."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.stages.sound.delay import DelayLine, cubic

RATE_HZ, BLOCK = 48_000, 240
TONE_HZ = 440.0
# The steepest step of the test tone between two samples, and what bending and fading may add.
STEP = 2 * np.pi * TONE_HZ / RATE_HZ
LARGEST = 1.5 * STEP + 0.03


def tone(start: int, count: int) -> np.ndarray:
    return np.sin(2 * np.pi * TONE_HZ * np.arange(start, start + count) / RATE_HZ).astype("f4")


class Played:
    """A line fed with a tone and read in blocks, with the wished delays in samples."""

    def __init__(self) -> None:
        self.line = DelayLine(RATE_HZ)
        self.out: list[np.ndarray] = []
        self.fed = 0

    def feed(self, count: int) -> None:
        self.line.write(tone(self.fed, count))
        self.fed += count

    def step(self, delay: float, fed: int = BLOCK) -> None:
        self.feed(fed)
        wanted = BLOCK * len(self.out) - delay
        self.out.append(self.line.read(BLOCK, wanted))

    @property
    def sound(self) -> np.ndarray:
        return np.concatenate(self.out)


@given(st.integers(0, 20_000))
@settings(max_examples=25, deadline=None)
def test_a_steady_delay_gives_every_sample_bit_for_bit(delay: int) -> None:
    played = Played()
    for _ in range(200):
        played.step(max(delay, 300))
    out = played.sound
    started = int(np.flatnonzero(out)[0]) // BLOCK * BLOCK + BLOCK
    first = started - max(delay, 300)
    assert played.line.gaps == 0
    np.testing.assert_array_equal(out[started:], tone(first, len(out) - started))


@given(st.lists(st.integers(300, 30_000), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_changing_delay_never_clicks(delays: list[int]) -> None:
    played = Played()
    for delay in delays:
        for _ in range(150):
            played.step(delay)
    assert np.abs(np.diff(played.sound, prepend=0)).max() < LARGEST
    assert np.abs(played.sound).max() <= 1.001
    assert played.line.gaps == 0


@given(st.integers(300, 3_000), st.integers(300, 3_000))
@settings(max_examples=20, deadline=None)
def test_a_new_delay_is_reached(first: int, second: int) -> None:
    played = Played()
    for delay in (first, second):
        for _ in range(900):
            played.step(delay)
    assert played.line.position is not None
    actual = BLOCK * len(played.out) - played.line.position
    assert abs(actual - second) <= 0.002 * RATE_HZ + 1


@given(st.lists(st.booleans(), min_size=50, max_size=120))
@settings(max_examples=25, deadline=None)
def test_missing_blocks_fade_and_come_back(arrives: list[bool]) -> None:
    played = Played()
    owed = 0
    for there in [True] * 20 + arrives + [True] * 60:
        owed += BLOCK
        played.step(500, owed if there else 0)
        owed = 0 if there else owed
    assert np.abs(np.diff(played.sound, prepend=0)).max() < LARGEST
    assert np.abs(played.out[-1]).max() > 0.5, "sound is back"


def test_a_delay_shorter_than_what_there_is_stays_as_near_as_is_safe() -> None:
    played = Played()
    for _ in range(1000):
        played.step(-5_000)
    assert played.line.position is not None
    behind = played.line.written - played.line.position
    assert 0 < behind < 0.005 * RATE_HZ
    assert played.line.gaps <= 2


def test_bursts_are_not_run_after() -> None:
    """Blocks that come four at a time leave the reader where the last of a burst is enough."""
    played = Played()
    places = []
    for k in range(2400):
        played.step(-5_000, 4 * BLOCK if k % 4 == 0 else 0)
        assert played.line.position is None or played.line.position >= 0
        places.append((played.line.position or 0) - BLOCK * k)
    assert np.ptp(places[-800:]) == 0, "a steady pace, though the newest sample jumps"


def test_longer_than_the_ring_is_silence_not_rubbish() -> None:
    line = DelayLine(RATE_HZ, seconds=0.1)
    for k in range(100):
        line.write(np.ones(BLOCK, np.float32))
        assert not line.read(BLOCK, BLOCK * k - 50_000).any()


def test_the_cubic_goes_through_its_points_and_is_exact_on_a_parabola() -> None:
    x = np.arange(12, dtype=np.float32)
    where = np.linspace(1, 8.9, 50)
    np.testing.assert_allclose(cubic(x * x, where), where**2, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(cubic(x, np.arange(1.0, 9.0)), x[1:9])
