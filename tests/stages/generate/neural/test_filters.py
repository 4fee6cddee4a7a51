import numpy as np

from avatar.stages.generate.neural.filters import OneEuro, OneEuroFilter

FRAME_NS = 33_333_333


def test_noise_on_a_still_signal_shrinks() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (300, 4)).astype(np.float32)
    smooth = OneEuroFilter(OneEuro(1.0, 0.0))
    out = np.stack([smooth(row, k * FRAME_NS) for k, row in enumerate(noise)])
    assert out[30:].std() < 0.5 * noise[30:].std()


def test_a_fast_change_passes() -> None:
    smooth = OneEuroFilter(OneEuro(1.0, 10.0))
    for k in range(10):
        smooth(np.zeros(1, np.float32), k * FRAME_NS)
    values = [smooth(np.ones(1, np.float32), (10 + k) * FRAME_NS)[0] for k in range(3)]
    assert values[0] > 0.6
    assert values[2] > 0.95


def test_a_constant_stays_and_time_gaps_start_anew() -> None:
    smooth = OneEuroFilter(OneEuro(1.0, 1.0))
    one = np.ones((2, 2), np.float32)
    assert np.array_equal(smooth(one, 0), one)
    assert np.allclose(smooth(one, FRAME_NS), one)
    assert np.array_equal(smooth(5 * one, 10_000_000_000), 5 * one)
    # A clock that jumps backwards starts anew as well.
    assert np.array_equal(smooth(2 * one, 0), 2 * one)
