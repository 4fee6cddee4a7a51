"""When a picture is drawn between two faces, played through with exact times."""

from __future__ import annotations

import itertools

import pytest

from avatar.sessions.rhythm import STALL_NS, Rhythm

MS = 1_000_000
LATE_NS = 12 * MS  # from a frame's capture until its face comes to be drawn
TOOK_NS = 6 * MS


def play(
    camera_fps: float,
    fps: float,
    seconds: float = 2.0,
    *,
    took_ns: int = TOOK_NS,
    ends_s: float = 9,
) -> list[tuple[int, int | None]]:
    """Return the moments at which pictures are begun, and what predicted ones stand for.

    −1 stands for a tracked face, None for a camera that does not come.
    """
    rhythm = Rhythm(round(1e9 / fps))
    step_ns = round(1e9 / camera_fps)
    rhythm.begin(0)
    now, frame, drawn = 0, 0, list[tuple[int, int | None]]()
    while now < seconds * 1e9:
        comes_ns = frame * step_ns + LATE_NS if frame * step_ns < ends_s * 1e9 else 1 << 60
        if comes_ns <= max(rhythm.due_ns(), now):
            now = max(comes_ns, now)
            rhythm.came(frame * step_ns, now)
            drawn.append((now, -1))
            frame = max(frame + 1, (now - LATE_NS) // step_ns + 1)
        else:
            now = max(rhythm.due_ns(), now)
            drawn.append((now, rhythm.waited(now)))
        now += took_ns
        rhythm.drew(now)
    return drawn


@pytest.mark.parametrize(
    ("camera_fps", "fps", "rate"),
    [(30, 60, 60), (25, 60, 50), (15, 30, 30), (15, 60, 60), (60, 60, 60), (30, 30, 30),
     (25, 30, 25), (20, 30, 20)],
)  # fmt: skip
def test_pictures_come_at_the_outputs_rate_evenly(camera_fps: float, fps: float, rate: int) -> None:
    drawn = [moment for moment in play(camera_fps, fps) if moment[0] >= 1e9]
    assert len(drawn) == pytest.approx(rate, abs=1)
    tracked = [moment for moment in drawn if moment[1] == -1]
    assert len(tracked) == pytest.approx(camera_fps, abs=1)
    gaps_ms = [(b[0] - a[0]) / MS for a, b in itertools.pairwise(drawn)]
    assert min(gaps_ms) >= 0.7e3 / fps


def test_a_predicted_picture_stands_for_a_moment_between_two_frames_of_the_camera() -> None:
    drawn = play(30, 60)
    predicted = [moment for _, moment in drawn if moment is not None and moment >= 0]
    assert len(predicted) > 40
    for moment_ns in predicted:
        assert moment_ns % round(1e9 / 30) == pytest.approx(1e9 / 60, abs=MS)


def test_no_tracked_face_waits_for_a_predicted_picture() -> None:
    for took_ms in (6, 14, 18, 25):
        for at_ns, moment in play(30, 60, took_ns=took_ms * MS):
            if moment == -1:
                assert (at_ns - LATE_NS) % round(1e9 / 30) < MS, took_ms


def test_a_camera_that_stops_is_carried_on_briefly_and_then_not_predicted() -> None:
    drawn = play(30, 60, ends_s=1.0)
    after = [(at, moment) for at, moment in drawn if at > 1e9 + LATE_NS]
    assert all(moment is None for at, moment in after if at > 1e9 + STALL_NS)
    assert len(after) == pytest.approx(60 - STALL_NS / 1e9 * 60, abs=3)


def test_where_it_is_not_wanted_nothing_is_drawn_between() -> None:
    rhythm = Rhythm(16 * MS, between=False)
    rhythm.begin(0)
    for frame in range(20):
        rhythm.came(frame * 33 * MS, frame * 33 * MS)
        assert rhythm.due_ns() == frame * 33 * MS + STALL_NS
