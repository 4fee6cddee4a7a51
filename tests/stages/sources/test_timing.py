from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.stages.sources.timing import film_timing, plan_rate
from tests.stages.sources.films import make_film


@given(
    rate=st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30),
                          Fraction(60), Fraction(15)]),
    start_ms=st.integers(0, 5000),
    count=st.integers(2, 400),
)  # fmt: skip
def test_times_rounded_to_milliseconds_keep_their_rate(
    rate: Fraction, start_ms: int, count: int
) -> None:
    times = [Fraction(round(1000 * k / rate) + start_ms, 1000) for k in range(count)]
    timing = plan_rate(times)
    assert timing.constant
    assert timing.frames == count
    # The rate puts every frame at its place, whichever of several near ones it is.
    assert [round((time - times[0]) * timing.rate) for time in times] == list(range(count))


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "30", "25", "37/2"])
def test_a_long_film_names_its_rate_exactly(rate: str) -> None:
    times = [Fraction(round(90000 * k / Fraction(rate)), 90000) for k in range(5000)]
    assert plan_rate(times).rate == Fraction(rate)


def test_a_missing_frame_makes_the_rate_vary_and_keeps_the_usual_pace() -> None:
    times = [Fraction(k, 30) for k in range(90) if k != 40]
    assert plan_rate(times).rate == 30
    assert not plan_rate(times).constant


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=50))
def test_any_times_give_a_usable_rate(gaps_ms: list[int]) -> None:
    times = [Fraction(sum(gaps_ms[:k]), 1000) for k in range(len(gaps_ms) + 1)]
    timing = plan_rate(times)
    assert timing.constant or 1 <= timing.rate <= 60


def test_one_frame_or_none_is_no_trouble() -> None:
    assert plan_rate([]).frames == 0
    assert plan_rate([Fraction(2)]).constant


def test_a_film_tells_its_timing(tmp_path: Path) -> None:
    timing = film_timing(make_film(tmp_path / "a.mp4", count=12, fps=25))
    assert (timing.rate, timing.constant, timing.frames) == (25, True, 12)


def test_real_clips_are_of_constant_rate(shared_media: Path) -> None:
    for clip in sorted((shared_media / "clips").iterdir()):
        timing = film_timing(clip)
        assert timing.constant
        assert timing.rate in (25, 30)
