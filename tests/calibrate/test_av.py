"""The camera's delay from claps and flashes: found where there are some, refused where not."""

from __future__ import annotations

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.learn.person.sync import Thumbnails, block_times_s
from calibrate.av import fit_offset, onsets_s
from tests.calibrate.claps import APPLAUSE, BRIEF, HOLDS, Clapper, Style

EVENTS_S = [1.0 + 1.03 * k for k in range(8)]
RATE_HZ = 48_000
END_S = 9.3


def frames(fps: float = 30.0) -> np.ndarray:
    return np.arange(0, END_S, 1 / fps)


def seen_by(clapper: Clapper, times: np.ndarray, delay_s: float) -> np.ndarray:
    """What `avatar calibrate --av` keeps of a camera that is ``delay_s`` late."""
    watched = Thumbnails()
    for time_s in times:
        watched.see(clapper.image(time_s - delay_s), round(time_s * 1e9))
    return watched.pictures


@pytest.mark.parametrize(
    ("style", "delay_s", "exposure_s", "room"),
    [
        (HOLDS, 0.0, 0.02, {}),
        (HOLDS, 0.12, 0.033, {"noise": 8.0, "light": 0.3}),
        (BRIEF, 0.07, 0.005, {}),
        (APPLAUSE, 0.04, 0.02, {}),
    ],
)
def test_claps_tell_the_delay(
    style: Style, delay_s: float, exposure_s: float, room: dict[str, float]
) -> None:
    """Whether hands rest together, part at once, are blurred, or in the dark; the head moves."""
    clapper = Clapper(EVENTS_S[0], 1.03, style=style, exposure_s=exposure_s, **room)
    times = frames()
    found = fit_offset(times, seen_by(clapper, times, delay_s), EVENTS_S)
    assert found.kind == "claps"
    assert found.events >= 6
    assert found.ms == pytest.approx(1e3 * delay_s, abs=7)


@pytest.mark.parametrize(("exposure_s", "flash_s"), [(0.033, 0.12), (0.005, 0.05)])
def test_a_phone_that_flashes_tells_the_delay(exposure_s: float, flash_s: float) -> None:
    clapper = Clapper(EVENTS_S[0], 1.03, style=None, exposure_s=exposure_s, flash_s=flash_s)
    times = frames()
    found = fit_offset(times, seen_by(clapper, times, 0.07), EVENTS_S)
    assert found.kind == "flashes"
    assert found.events >= 6
    assert found.ms == pytest.approx(70, abs=7)


@pytest.mark.parametrize("fps", [15.0, 24.0, 60.0])
@pytest.mark.parametrize("delay_s", [0.0, 0.06, 0.2])
def test_flashes_tell_the_delay_at_any_rate(delay_s: float, fps: float) -> None:
    times = frames(fps)
    light = 100 + np.random.default_rng(4).normal(0, 0.3, (len(times), 6, 8))
    for event in EVENTS_S:
        on = (times >= event + delay_s) & (times < event + delay_s + 0.15)
        light[on, :3] += 60
    found = fit_offset(times, light, EVENTS_S)
    assert found.kind == "flashes"
    # A picture that is taken in no time shows the light between itself and the one before.
    assert found.ms == pytest.approx(1e3 * delay_s, abs=0.35e3 / fps)


def test_a_person_who_only_talks_claps_at_no_time() -> None:
    times = frames()
    nobody_claps = Clapper(1e6, 1.03)
    with pytest.raises(UsageError, match=r"saw [0-3] of them"):
        fit_offset(times, seen_by(nobody_claps, times, 0.0), EVENTS_S)


def test_what_is_not_seen_or_not_heard_says_what_to_do() -> None:
    times = frames()
    calm = np.full((len(times), 6, 8), 100.0)
    with pytest.raises(UsageError, match="found 2"):
        fit_offset(times, calm, EVENTS_S[:2])
    with pytest.raises(UsageError, match="saw 0 of them"):
        fit_offset(times, calm, EVENTS_S)
    with pytest.raises(UsageError, match="expected pictures"):
        fit_offset(times[:2], calm[:2], EVENTS_S)


def test_flashes_that_disagree_are_refused() -> None:
    times = frames()
    light = np.full((len(times), 6, 8), 100.0)
    for k, event in enumerate(EVENTS_S):
        at = event + 0.05 + 0.03 * (-1) ** k
        light[(times >= at) & (times < at + 0.15), :3] += 60
    with pytest.raises(UsageError, match="disagree"):
        fit_offset(times, light, EVENTS_S)


def test_onsets_are_heard_to_the_millisecond_and_talk_is_none() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.002, 10 * RATE_HZ).astype(np.float32)
    for event in EVENTS_S:
        at = round(event * RATE_HZ)
        samples[at : at + 2_000] += 0.5 * np.exp(-np.arange(2_000) / 300) * rng.normal(0, 1, 2_000)
    assert onsets_s(samples, RATE_HZ) == pytest.approx(EVENTS_S, abs=0.002)
    hum = np.sin(2 * np.pi * 150 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    assert onsets_s(0.3 * hum * np.linspace(0, 1, RATE_HZ, dtype=np.float32), RATE_HZ) == []
    assert onsets_s(samples[:10], RATE_HZ) == []


def test_lost_sound_does_not_move_what_was_heard_before_and_after() -> None:
    """The count of samples says less than the clock once blocks are missing."""
    rng = np.random.default_rng(6)
    blocks, index = [], 0
    for k in range(2_000):
        if 800 <= k < 840:  # 0.2 s that nobody got
            continue
        blocks.append((index, 50 + 0.005 * k + rng.uniform(-0.01, 0.01)))
        index += 240
    before, after = block_times_s([2.0, 7.0], blocks, RATE_HZ)
    assert before == pytest.approx(52.0, abs=0.002)
    assert after == pytest.approx(57.2, abs=0.002)
