"""The beats of a song, whose turn it is, and the motions of several faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.face.head import decompose
from avatar.core.frames import Face, Float32
from avatar.stages.motion.choreography import Choreography, Curve, Keyframe
from avatar.stages.motion.on_the_beat import PHASES, BeatGrid, Performer

JAW = Curve((Keyframe(0, 0.6), Keyframe(2, 0.1)), 4)
SINGS = Choreography("sings", "", "", 4, ({"jawOpen": JAW, "roll": Curve((Keyframe(0, 8),), 4)},))


@given(
    st.lists(st.floats(0.2, 2), min_size=1, max_size=20),
    st.integers(0, 3),
    st.floats(-20, 40),
)
def test_beats_and_moments_are_each_others_inverse(
    gaps: list[float], first: int, beat: float
) -> None:
    grid = BeatGrid(np.cumsum([0.3, *gaps]).astype(np.float32), first)
    assert grid.beat_at(grid.time_of(beat)) == pytest.approx(beat, abs=1e-2)


def test_a_steady_tempo_goes_on_for_ever() -> None:
    grid = BeatGrid.steady(120, 0.25)
    assert [grid.beat_at(t) for t in (0.25, 0.75, 60.25, -0.25)] == pytest.approx([0, 1, 120, -1])


@pytest.fixture(scope="module")
def shape(portrait_face: Face) -> Float32:
    return decompose(portrait_face).shape


def openings(phase: str, shape: Float32, faces: int = 3) -> list[list[float]]:
    """Return how far each face's mouth is open, beat by beat."""
    performer = Performer(
        SINGS,
        BeatGrid.steady(60),
        [shape] * faces,
        phase=phase,
        period_s=24.0,  # type: ignore[arg-type]
    )
    moved = [performer.motions(float(beat), beat) for beat in range(16)]
    return [[-float(motion.expression[14, 1]) for motion in motions] for motions in moved]


def test_together_all_mouths_open_at_once(shape: Float32) -> None:
    opened = np.array(openings("together", shape))
    assert (opened[0::4] > 2 * opened[2::4]).all()


def test_in_a_canon_each_begins_two_beats_later(shape: Float32) -> None:
    opened = np.array(openings("canon", shape))
    assert opened[0, 0] > 2 * opened[0, 1]
    assert opened[2, 1] > 2 * opened[2, 0]


def test_in_turns_one_sings_and_the_others_wait(shape: Float32) -> None:
    opened = np.array(openings("alternate", shape))
    assert opened[0].argmax() == 0 and opened[4].argmax() == 1 and opened[8].argmax() == 2
    assert (np.sort(opened[[0, 4, 8]], axis=1)[:, :2] < 0.02).all()


def test_what_belongs_on_a_beat_is_there_within_a_frame(shape: Float32) -> None:
    nods = Choreography(
        "nods", "", "", 2, ({"pitch": Curve((Keyframe(0, 12, "hit"), Keyframe(0.5, 0)), 1)},)
    )
    times = (0.2 + np.cumsum(np.full(20, 60 / 137))).astype(np.float32)
    performer = Performer(nods, BeatGrid(times), [shape], period_s=8.0)
    down = [
        float(performer.motions(k / 30, k)[0].rotation[1, 2]) for k in range(8 * 30)
    ]  # the nose's fall
    for beat in times[times < 7.9]:
        around = range(max(round(beat * 30) - 5, 0), round(beat * 30) + 6)
        lowest = min(around, key=lambda k: down[k])
        assert abs(lowest / 30 - beat) <= 1.01 / 30


@pytest.mark.parametrize("phase", PHASES)
def test_one_face_is_never_left_waiting(shape: Float32, phase: str) -> None:
    opened = np.array(openings(phase, shape, 1))
    assert (opened[0::4] > 2 * opened[2::4]).all()


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_jumps_between_frames(shape: Float32, phase: str) -> None:
    performer = Performer(
        SINGS,
        BeatGrid.steady(120),
        [shape] * 2,
        phase=phase,
        period_s=8.0,  # type: ignore[arg-type]
    )
    frames = [performer.motions(k / 30, k) for k in range(241)]
    for face in range(2):
        moved = np.array([motions[face].expression for motions in frames])
        assert float(np.abs(np.diff(moved, axis=0)).max()) < 0.12
        # Eight seconds are whole turns: the clip can be looped.
        assert float(np.abs(moved[240] - moved[0]).max()) < 0.02 or phase == "alternate"
