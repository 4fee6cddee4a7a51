from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.stages.music.beats import Beats, find_beats
from tests.stages.music import compare
from tests.stages.music.instruments import RATE_HZ, kick, pad, snare
from tests.stages.music.scores import f_measure
from tests.stages.music.songs import STYLES, Song, make_song

SONGS = 20


@pytest.fixture(scope="module")
def songs() -> list[tuple[Song, Beats]]:
    made = [make_song(seed) for seed in range(SONGS)]
    return [(song, find_beats(song.samples, song.rate_hz)) for song in made]


def drummed(bpm: float, seconds: float = 12.0, first_s: float = 0.3) -> Float32:
    """Bass drum and snare in turn."""
    rng = np.random.default_rng(1)
    sound = np.zeros(round(seconds * RATE_HZ))
    for number, at_s in enumerate(np.arange(first_s, seconds - 0.5, 60 / bpm)):
        hit = snare(rng) if number % 2 else kick(rng)
        first = round(at_s * RATE_HZ)
        sound[first : first + len(hit)] += 0.6 * hit
    return sound.astype(np.float32)


def test_the_f_measure() -> None:
    assert f_measure([1.0, 2.0, 3.0], [1.05, 2.0, 2.9]) == pytest.approx(2 / 3)
    assert f_measure([1.0, 1.01], [1.0]) == pytest.approx(2 / 3)
    assert f_measure([], [1.0]) == 0


def test_songs_are_of_all_kinds_and_known_by_their_seed() -> None:
    first, again = make_song(5), make_song(5)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert len({make_song(seed, 20.0).name.split()[0] for seed in range(13)}) == len(STYLES)
    assert np.abs(first.samples).max() <= 1
    assert np.diff(first.beats_s).min() > 0.3


def test_beats_of_songs_are_found(songs: list[tuple[Song, Beats]]) -> None:
    found = {song.name: f_measure(beats.times_s, song.beats_s) for song, beats in songs}
    assert np.mean(list(found.values())) >= 0.95, found
    assert min(found.values()) >= 0.6, found


def test_beats_are_where_they_sound(songs: list[tuple[Song, Beats]]) -> None:
    """A third of a frame of film: heads that nod late are seen to."""
    for song, beats in songs:
        apart = beats.times_s[:, None] - song.beats_s
        off = np.take_along_axis(apart, np.abs(apart).argmin(1)[:, None], 1)
        assert abs(np.median(off)) < 0.012, song.name


def test_most_bars_are_found(songs: list[tuple[Song, Beats]]) -> None:
    right = [
        f_measure(beats.times_s[beats.downbeats], song.beats_s[song.downbeats]) > 0.8
        for song, beats in songs
    ]
    assert np.mean(right) >= 0.7
    assert all(b.beats_per_bar == (3 if "waltz" in s.name else 4) for s, b in songs)


def test_what_is_said_of_beats_fits_together(songs: list[tuple[Song, Beats]]) -> None:
    for song, beats in songs:
        assert beats.times_s.dtype == beats.strength.dtype == np.float32
        assert (np.diff(beats.times_s) > 0).all()
        assert beats.times_s[0] >= 0 and beats.times_s[-1] <= len(song.samples) / song.rate_hz
        assert beats.strength.shape == beats.times_s.shape
        assert beats.strength.min() >= 0 and beats.strength.max() == 1
        assert (np.diff(beats.downbeats) == beats.beats_per_bar).all()
        assert 0 < beats.confidence <= 1


@pytest.mark.skipif(not find_spec("librosa"), reason=compare.REASON)
def test_no_song_is_found_worse_than_by_librosa(songs: list[tuple[Song, Beats]]) -> None:
    for song, beats in songs:
        theirs = f_measure(compare.librosas(song), song.beats_s)
        assert f_measure(beats.times_s, song.beats_s) >= theirs - 0.02, song.name


@pytest.mark.parametrize("bpm", [70, 97.3, 120, 150, 176])
def test_a_steady_tempo_is_a_straight_line(bpm: float) -> None:
    beats = find_beats(drummed(bpm), RATE_HZ)
    assert beats.bpm == pytest.approx(bpm, rel=0.001)
    assert np.diff(beats.times_s).std() < 1e-5
    assert np.abs(beats.times_s[0] - 0.3) < 0.012


def test_beats_of_other_rates_are_the_same() -> None:
    sound = drummed(120)
    twice = np.repeat(sound, 2)
    np.testing.assert_allclose(
        find_beats(twice, 2 * RATE_HZ).times_s, find_beats(sound, RATE_HZ).times_s, atol=0.01
    )


def sustained() -> Float32:
    rng = np.random.default_rng(3)
    sound, at_s = np.zeros(20 * RATE_HZ), 0.0
    while at_s < 17:
        note = pad(int(rng.integers(45, 70)), rng.uniform(2, 5), rng)
        first = round(at_s * RATE_HZ)
        sound[first : first + len(note)] += note[: len(sound) - first]
        at_s += rng.uniform(1, 3)
    return sound.astype(np.float32)


def hits_at_random() -> Float32:
    rng = np.random.default_rng(4)
    sound = np.zeros(20 * RATE_HZ)
    for at_s in np.cumsum(rng.exponential(0.5, 30)):
        hit, first = snare(rng), round(at_s * RATE_HZ)
        sound[first : first + len(hit)] += hit[: max(0, len(sound) - first)]
    return (0.5 * sound).astype(np.float32)


def noise() -> Float32:
    return (0.1 * np.random.default_rng(5).standard_normal(20 * RATE_HZ)).astype(np.float32)


WITHOUT = {
    "noise": noise(), "sustained": sustained(), "at random": hits_at_random(),
    "silence": np.zeros(5 * RATE_HZ, np.float32), "nothing": np.zeros(0, np.float32),
    "a moment": drummed(120, 1.0), "one value": np.full(5 * RATE_HZ, 0.5, np.float32),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(WITHOUT))
def test_where_there_is_no_beat_a_tempo_is_asked_for(kind: str) -> None:
    with pytest.raises(UsageError, match=r"^no beat was found in the music; give .*--bpm"):
        find_beats(WITHOUT[kind], RATE_HZ)


@pytest.mark.parametrize("kind", list(WITHOUT))
def test_a_tempo_and_a_beginning_make_a_grid_of_anything(kind: str) -> None:
    beats = find_beats(WITHOUT[kind], RATE_HZ, bpm=90, offset_s=0.5)
    seconds = len(WITHOUT[kind]) / RATE_HZ
    expected = np.arange(0.5, max(0.5, seconds), 60 / 90)
    np.testing.assert_allclose(beats.times_s, expected[expected < seconds], atol=1e-5)
    assert list(beats.downbeats[:1]) == [0][: len(beats.times_s)]
    assert np.isfinite(beats.strength).all()


def test_a_given_tempo_finds_its_place() -> None:
    beats = find_beats(drummed(120), RATE_HZ, bpm=60)
    assert np.diff(beats.times_s) == pytest.approx(1)
    assert (beats.times_s[0] - 0.3 + 0.25) % 0.5 == pytest.approx(0.25, abs=0.012)
    assert beats.bpm == pytest.approx(60)


def test_a_given_beginning_moves_the_found_tempo() -> None:
    beats = find_beats(drummed(120), RATE_HZ, offset_s=1.45)
    assert beats.bpm == pytest.approx(120, rel=0.001)
    assert np.abs(beats.times_s - 1.45).min() < 1e-4
    bars_s = beats.times_s[beats.downbeats]
    assert np.abs(bars_s - 1.45).min() < 1e-4


@pytest.mark.parametrize("bpm", [0, -10, 1e9, float("nan")])
def test_an_impossible_tempo_is_refused(bpm: float) -> None:
    with pytest.raises(UsageError, match="--bpm: expected 20 to 400"):
        find_beats(drummed(120), RATE_HZ, bpm=bpm)


def test_an_impossible_beginning_is_refused() -> None:
    with pytest.raises(UsageError, match="--offset: expected seconds"):
        find_beats(drummed(120), RATE_HZ, offset_s=float("inf"))
