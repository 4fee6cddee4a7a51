"""From the microphone's blocks to the speaker's: delays by the clock, rates, drift."""

from __future__ import annotations

import numpy as np
import pytest

from avatar.stages.sound.passthrough import DelayedPath
from avatar.stages.sound.resample import Resampler
from avatar.stages.sound.timeline import Timeline

CLICK_S = (3.0, 6.5)


def run(in_hz: int, out_hz: int, delay_s: float, drift: float = 0.0, seconds: float = 9) -> float:
    """Return the delay of the last click, heard by the devices' own (trembling) times."""
    path = DelayedPath(in_hz, out_hz)
    path.delay_s = delay_s
    rng = np.random.default_rng(3)
    in_block, out_block = in_hz // 200, out_hz // 200
    clicks = [round(t * in_hz * (1 + drift)) for t in CLICK_S]
    out, heard, played = [], 0, 0
    for step in range(round(seconds * 200)):
        now_s = step / 200
        while heard / (in_hz * (1 + drift)) < now_s:
            block = np.zeros(in_block, np.float32)
            for click in clicks:
                if heard <= click < heard + in_block:
                    block[click - heard] = 1
            path.heard(block, heard / (in_hz * (1 + drift)) + rng.uniform(-5e-3, 5e-3))
            heard += in_block
        out.append(path.wanted(out_block, played / out_hz + 0.02 + rng.uniform(-8e-3, 8e-3)))
        played += out_block
    sound = np.concatenate(out)
    after = round(5 * out_hz)
    return (after + int(np.abs(sound[after:]).argmax())) / out_hz + 0.02 - CLICK_S[1]


@pytest.mark.parametrize(
    ("in_hz", "out_hz"), [(48_000, 48_000), (44_100, 48_000), (16_000, 48_000), (48_000, 44_100)]
)
def test_the_delay_is_right_whatever_the_rates(in_hz: int, out_hz: int) -> None:
    assert run(in_hz, out_hz, 0.1) == pytest.approx(0.1, abs=0.004)


@pytest.mark.parametrize("drift", [-3e-4, 3e-4])
def test_clocks_that_drift_are_followed(drift: float) -> None:
    assert run(48_000, 48_000, 0.08, drift) == pytest.approx(0.08, abs=0.005)


def test_a_tone_keeps_its_pitch_and_loudness_through_the_resampler() -> None:
    resample = Resampler(16_000, 48_000)
    tone = np.sin(2 * np.pi * 500 * np.arange(16_000) / 16_000).astype(np.float32)
    out = np.concatenate([resample(block) for block in np.split(tone, 200)])
    middle = out[4_800:43_200]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(np.sqrt(0.5), rel=0.01)
    assert np.abs(np.fft.rfft(middle)).argmax() * 48_000 / len(middle) == pytest.approx(500, abs=2)


def test_a_timeline_is_steadier_than_what_it_is_told() -> None:
    rng = np.random.default_rng(1)
    timeline = Timeline(48_000)
    for k in range(2_000):
        timeline.add(240 * k, 100 + 0.005 * k + rng.uniform(-0.01, 0.01))
    assert timeline.time_s(480_000) == pytest.approx(110, abs=0.0015)
    assert timeline.index(110) == pytest.approx(480_000, abs=72)


@pytest.mark.parametrize("lost_s", [0.02, 0.1])
def test_a_timeline_follows_lost_sound_within_a_second(lost_s: float) -> None:
    rng = np.random.default_rng(1)
    timeline = Timeline(48_000)
    for k in range(1_200):
        lost = lost_s if k >= 1_000 else 0.0
        timeline.add(240 * k, 100 + 0.005 * k + lost + rng.uniform(-0.01, 0.01))
    assert timeline.time_s(480_000) == pytest.approx(110 + lost_s, abs=0.003)


def test_a_timeline_begins_anew_after_a_break() -> None:
    timeline = Timeline(48_000)
    for k in range(400):
        timeline.add(240 * k, 0.005 * k + (3.0 if k >= 200 else 0.0))
    assert timeline.time_s(240 * 400) == pytest.approx(5.0, abs=1e-6)
