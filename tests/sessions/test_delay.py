import pytest

from avatar.core.observe import Recorder, Span
from avatar.sessions.delay import LONGEST_S, MeasuredDelay


def delivered(recorder: Recorder, late_ms: float, frames: int) -> None:
    for k in range(frames):
        recorder.span(Span("capture→none", k, 0, round(late_ms * 1e6)))


def test_the_delay_is_the_median_of_the_newest_frames() -> None:
    recorder = Recorder()
    delay = MeasuredDelay(recorder, lambda: "none")
    assert delay() == 0
    delivered(recorder, 20, 40)
    delivered(recorder, 400, 3)
    assert delay() == 0  # looked up anew only now and then
    assert [delay() for _ in range(20)][-1] == pytest.approx(0.020)
    delivered(recorder, 30, 40)
    assert [delay() for _ in range(20)][-1] == pytest.approx(0.030)


def test_a_pipeline_that_hangs_does_not_make_the_avatar_guess_far() -> None:
    recorder = Recorder()
    delivered(recorder, 900, 5)
    assert MeasuredDelay(recorder, lambda: "none")() == LONGEST_S
