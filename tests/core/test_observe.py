import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.clock import ManualClock
from avatar.core.observe import (
    Recorder,
    Span,
    delivered,
    delivery,
    distribution,
    dropped_share,
    predicted_summary,
    summarise,
    timed,
)


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


def test_predicted_pictures_count_for_the_rate_and_not_for_the_latency() -> None:
    recorder = Recorder()
    for k in range(30):
        begin = k * 33_000_000
        recorder.span(Span("capture→none", k, begin, begin + 10_000_000))
        recorder.span(Span("predicted→none", k, begin, begin + 26_500_000))
        recorder.count("captured")
        recorder.count("presence.tracked")
        recorder.count("presence.predicted")
    recorder.count("dropped.none busy", 6)
    found = summarise(recorder)
    sink = found["sinks"]["none"]
    assert sink["latency"]["p50_ms"] == pytest.approx(10)
    assert sink["predicted_latency"]["p50_ms"] == pytest.approx(26.5)
    assert sink["delivery"]["frames"] == 60
    assert sink["delivery"]["fps"] == pytest.approx(60.6, abs=0.5)
    assert sink["delivery"]["jitter_ms"] < 0.1
    assert found["dropped_share"] == pytest.approx(0.1)
    assert "predicted→none" not in found["stages"]
    assert [span.index for span in delivered(recorder, "none", 3)] == [28, 29, 29]
    assert predicted_summary(found["counts"]) == (
        "drawn: 30 from a tracked face, 30 predicted between two"
    )


def test_without_predicted_pictures_nothing_is_said_of_them() -> None:
    recorder = Recorder()
    recorder.span(Span("capture→none", 0, 0, 10_000_000))
    assert "predicted_latency" not in summarise(recorder)["sinks"]["none"]
    assert predicted_summary({"presence.tracked": 3}) == ""
