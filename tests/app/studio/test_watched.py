"""What is said of the camera's pictures."""

from __future__ import annotations

import pytest

from avatar.app.studio.watched import CameraWatch
from avatar.core.clock import ManualClock
from avatar.core.frames import FaceTrack


@pytest.mark.parametrize(
    ("page_sends", "at_first", "in_silence"),
    [(None, "waiting", "silent"), (True, "waiting", "silent"), (False, "closed", "closed")],
)
def test_a_page_that_left_is_told_from_one_that_has_not_come(
    page_sends: bool | None, at_first: str, in_silence: str
) -> None:
    clock = ManualClock()
    watch = CameraWatch(clock)
    assert watch.feed(page_sends) == at_first
    watch.see(FaceTrack(0, 0, None))
    assert watch.feed(page_sends) == "ok"
    clock.advance_ns(60_000_000_000)
    assert watch.feed(page_sends) == in_silence
