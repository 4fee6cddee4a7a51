from __future__ import annotations

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.stages.music.beats import find_beats
from avatar.stages.music.reading import from_sound
from avatar.stages.music.tunes import SCORES, TUNE_HZ, play_tune
from tests.stages.music.scores import f_measure

NAMES = list(SCORES)
PEAK = 10 ** (-3 / 20)


def test_there_are_two() -> None:
    assert {name: score.bpm for name, score in SCORES.items()} == {"hop": 120, "stroll": 100}


@pytest.mark.parametrize("name", NAMES)
def test_a_tune_is_of_the_right_kind(name: str) -> None:
    tune = play_tune(name)
    assert tune.sound.dtype == np.float32 and tune.sound.shape[1] == 2
    assert len(tune.sound) == round(SCORES[name].loop_s * TUNE_HZ)
    assert np.abs(tune.sound).max() == pytest.approx(PEAK, abs=1e-4)
    assert np.abs(tune.sound.mean(0)).max() < 0.003
    # Both ears hear as much, and not the same.
    left, right = np.sqrt((tune.sound**2).mean(0))
    assert left == pytest.approx(right, rel=0.1)
    assert np.abs(tune.sound[:, 0] - tune.sound[:, 1]).max() > 0.02


@pytest.mark.parametrize("name", NAMES)
def test_a_tune_is_always_the_same(name: str) -> None:
    import avatar.stages.music.tunes as tunes

    first = play_tune(name).sound.copy()
    tunes._loop.cache_clear()
    np.testing.assert_array_equal(play_tune(name).sound, first)


@pytest.mark.parametrize("name", NAMES)
def test_the_end_joins_the_beginning_without_a_click(name: str) -> None:
    """The seam lies on a beat: it may rise as steeply as any other first beat of a bar."""
    sound = np.diff(play_tune(name, 2 * SCORES[name].loop_s).sound, axis=0)
    bar = round(4 * 60 / SCORES[name].bpm * TUNE_HZ)
    steepest = [np.abs(sound[k * bar - 3 : k * bar + 2]).max() for k in range(1, 16)]
    assert steepest[7] <= 1.5 * np.median(steepest) + 0.005


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [0.001, 0.5, 3.0, 10.0, 47.3])
def test_a_tune_is_as_long_as_asked_for(name: str, seconds: float) -> None:
    tune = play_tune(name, seconds)
    assert len(tune.sound) == round(seconds * TUNE_HZ)
    assert len(tune.beats.times_s) == max(1, np.ceil(seconds * SCORES[name].bpm / 60 - 1e-6))
    assert tune.beats.times_s[0] == 0 and tune.beats.times_s[-1] < seconds
    assert np.abs(tune.sound[-1]).max() < 1e-6  # faded out
    np.testing.assert_array_equal(tune.beats.downbeats % 4, 0)
    assert tune.beats.bpm == SCORES[name].bpm


@pytest.mark.parametrize("name", NAMES)
def test_whole_rounds_do_not_fade(name: str) -> None:
    once, twice = play_tune(name), play_tune(name, 2 * SCORES[name].loop_s)
    np.testing.assert_array_equal(twice.sound, np.concatenate([once.sound, once.sound]))


@pytest.mark.parametrize("name", NAMES)
def test_beats_and_bars_of_a_tune_are_found(name: str) -> None:
    tune = play_tune(name, 30)
    music = from_sound(tune.sound)
    found = find_beats(music.samples, music.rate_hz)
    assert found.bpm == pytest.approx(tune.beats.bpm, rel=0.001)
    assert f_measure(found.times_s, tune.beats.times_s) > 0.98
    bars_s = found.times_s[found.downbeats], tune.beats.times_s[tune.beats.downbeats]
    assert f_measure(*bars_s) > 0.9


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e6])
def test_an_impossible_length_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="a tune's length: expected"):
        play_tune("hop", seconds)


def test_an_unknown_tune_is_named() -> None:
    with pytest.raises(UsageError, match="one of the tunes hop, stroll, found 'polka'"):
        play_tune("polka")


def test_what_is_handed_out_can_be_changed() -> None:
    play_tune("hop").sound[:] = 0
    assert np.abs(play_tune("hop").sound).max() > 0.5
