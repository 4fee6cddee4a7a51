"""The microphone as a track: every moment's sound at its own place, silence where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from avatar.core.frames import Float32
from avatar.stages.sound.samples import SampleBlock, packed, unpacked
from avatar.stages.sound.track import TRACK_HZ, MicrophoneTrack, SoundFeed

BLOCK_S, SIZE = 0.02, 1024
START_S = 100.0


def hum(times_s: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Float32:
    """A sound that tells the time: each moment has its own value, to a tenth of a second."""
    return np.asarray(0.8 * np.sin(2 * np.pi * 5 * times_s), np.float32)


def speak(
    feed: SoundFeed, start_s: float, seconds: float, rate_hz: int = 48_000,
    jitter: np.random.Generator | None = None, said_s: float = 0.0,
) -> None:  # fmt: skip
    """Hand ``hum`` over in blocks; ``said_s``: how wrong the times are that are told."""
    count = round(BLOCK_S * rate_hz)
    for k in range(round(seconds / BLOCK_S)):
        first_s = start_s + k * count / rate_hz
        off_s = float(jitter.normal(0, 0.002)) if jitter is not None else 0.0
        feed.hear(hum(first_s + np.arange(count) / rate_hz), rate_hz, first_s + off_s + said_s)


def heard(track: MicrophoneTrack, blocks: int, now_s: float, first: int = 0) -> Float32:
    found = []
    for k in range(first, first + blocks):
        at_ns = round(START_S * 1e9 + k * SIZE * 1e9 / TRACK_HZ)
        block = track.read(at_ns, SIZE, round(now_s * 1e9))
        assert block is not None
        found.append(block)
    return np.concatenate(found)


def late_by_s(sound: Float32, begins_s: float) -> float:
    """Return how much later ``sound`` is than ``hum``, whose period is 0.2 s."""
    times_s = begins_s + np.arange(len(sound)) / TRACK_HZ
    wave = np.exp(2j * np.pi * 5 * times_s)
    phase = np.angle((sound * wave).sum() * -1j)
    # sound = sin(5 cycles (t − late)): the phase against the same wave is that lateness.
    return float(phase / (2 * np.pi * 5))


@pytest.mark.parametrize("rate_hz", [48_000, 44_100, 16_000])
@pytest.mark.parametrize("offset_ms", [0, 120, -200])
def test_sound_lies_where_it_was_captured_plus_the_offset(rate_hz: int, offset_ms: int) -> None:
    feed = SoundFeed(lambda: offset_ms / 1e3)
    track = feed.open_track()
    speak(feed, START_S - 0.5, 4.0, rate_hz, np.random.default_rng(3))
    sound = heard(track, 120, START_S + 10)
    expected_s = START_S + 1.0 - offset_ms / 1e3
    assert abs(late_by_s(sound[TRACK_HZ : 2 * TRACK_HZ], expected_s)) < 0.004


def test_what_has_not_come_yet_is_waited_for_and_then_is_silence() -> None:
    feed = SoundFeed(lambda: 0.0)
    track = feed.open_track()
    start_ns = round(START_S * 1e9)
    assert track.read(start_ns, SIZE, start_ns + 100_000_000) is None
    silence = track.read(start_ns, SIZE, start_ns + 1_000_000_000)
    assert silence is not None
    assert not silence.any()
    speak(feed, START_S, 0.5)
    assert track.read(start_ns, SIZE, start_ns) is not None
    late_ns = start_ns + 490_000_000
    assert track.read(late_ns, SIZE, late_ns) is None, "too near to what is known"


def test_sound_that_is_to_come_early_is_waited_for_longer() -> None:
    track = SoundFeed(lambda: -1.0).open_track()
    start_ns = round(START_S * 1e9)
    assert track.read(start_ns, SIZE, start_ns + 1_200_000_000) is None
    assert track.read(start_ns, SIZE, start_ns + 1_500_000_000) is not None


def test_a_microphone_that_comes_back_is_in_its_place_at_once() -> None:
    feed = SoundFeed(lambda: 0.0)
    track = feed.open_track()
    speak(feed, START_S, 1.0)
    first = heard(track, 40, START_S + 1)
    assert abs(late_by_s(first[9600:38_400], START_S + 0.2)) < 0.003
    speak(feed, START_S + 3.1, 1.5)
    gap = heard(track, 110, START_S + 9, first=40)
    assert not gap[TRACK_HZ // 2 : 2 * TRACK_HZ].any(), "nothing while it was away"
    back = heard(track, 40, START_S + 9, first=150)
    at_s = START_S + 150 * SIZE / TRACK_HZ
    assert abs(late_by_s(back[9600:28_800], at_s + 0.2)) < 0.003


def test_sound_that_is_lost_does_not_leave_the_rest_early() -> None:
    """A busy machine loses 30 ms: what follows must not be early by them for long."""
    feed = SoundFeed(lambda: 0.0)
    track = feed.open_track()
    speak(feed, START_S - 1, 2.0)
    speak(feed, START_S + 1.03, 4.0)
    sound = heard(track, 200, START_S + 9)
    later_s = START_S + 3.2
    begin = round((later_s - START_S) * TRACK_HZ)
    assert abs(late_by_s(sound[begin : begin + 9600 * 4], later_s)) < 0.004


def test_each_track_is_read_by_itself_and_is_let_go() -> None:
    feed = SoundFeed(lambda: 0.0)
    one, other = feed.open_track(), feed.open_track()
    speak(feed, START_S, 1.0)
    np.testing.assert_array_equal(heard(one, 20, START_S), heard(other, 20, START_S))
    del other
    assert len(feed._tracks) == 1


def test_blocks_survive_the_way_between_processes() -> None:
    samples = hum(np.arange(960) / 48_000)
    block = unpacked(packed(SampleBlock(samples, 48_000, 1.25)))
    assert (block.rate_hz, block.captured_s) == (48_000, 1.25)
    np.testing.assert_allclose(block.samples, samples, atol=1e-4)
