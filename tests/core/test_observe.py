from hypothesis import given
from hypothesis import strategies as st

from avatar.core.clock import ManualClock
from avatar.core.observe import Recorder, Span, delivery, distribution, dropped_share, timed


@given(count=st.integers(0, 40), limit=st.integers(1, 12), newest=st.integers(1, 15))
def test_a_recorder_keeps_the_newest_in_order(count: int, limit: int, newest: int) -> None:
    recorder = Recorder(limit)
    spans = [Span("s", k, 10 * k, 10 * k + 5) for k in range(count)]
    for span in spans:
        recorder.span(span)
    assert recorder.spans("s") == spans[-limit:][: len(spans)]
    assert recorder.latest("s", newest) == spans[-min(limit, newest) :][: len(spans)]
    assert recorder.spans("other") == []


def test_timed_reports_the_clocks_difference_and_nothing_after_an_error() -> None:
    recorder, clock = Recorder(), ManualClock(7)
    with timed(recorder, clock, "work", 3):
        clock.advance_ns(2_000_000)
    try:
        with timed(recorder, clock, "work", 4):
            raise KeyError
    except KeyError:
        pass
    assert recorder.spans("work") == [Span("work", 3, 7, 2_000_007)]
    assert recorder.spans("work")[0].ms == 2.0


def test_summaries() -> None:
    assert distribution([]).count == 0
    assert distribution([1.0, 2.0, 3.0]).p50_ms == 2.0
    steady = delivery([Span("s", k, 0, k * 50_000_000) for k in range(5)])
    assert (steady.fps, steady.jitter_ms) == (20.0, 0.0)
    assert dropped_share({"captured": 200, "dropped.a": 1, "dropped.b": 1}) == 0.01
