"""Recorded motion at even steps: between two faces evenly, and nobody where nobody was seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.frames import Float32, Presence, still
from avatar.stages.motion.performance import FACE, FACE_SHAPES, check_rotations, seen_of
from avatar.stages.motion.steady_rate import at_steady_rate
from avatar.stages.motion.template import Template, TemplateRecorder


def recorded(times_s: list[float], unseen: tuple[int, ...] = ()) -> Template:
    """A head that turns by twenty degrees a second."""
    recorder = TemplateRecorder(FACE, 30, FACE_SHAPES)
    for k, time_s in enumerate(times_s):
        turn = rotation_from_vector(np.radians([0, 20 * time_s, 0]).astype(np.float32))
        motion = replace(still(0, k, Presence.TRACKED), rotation=turn)
        recorder.add(round(time_s * 1e9), None if k in unseen else seen_of(motion))
    return recorder.template()


def turns(template: Template) -> list[float]:
    rotations: Float32 = template.values["rotation"]
    return [math.degrees(vector_from_rotation(matrix)[1]) for matrix in rotations]


def test_even_steps_stay_as_they_are() -> None:
    times = [k / 30 for k in range(40)]
    steady = at_steady_rate(recorded(times))
    assert steady.rate == 30 and steady.frames == 40
    assert turns(steady) == pytest.approx([20 * time for time in times], abs=1e-3)


def test_uneven_steps_become_even_and_the_movement_with_them() -> None:
    times = sorted({*(k / 25 for k in range(50)), 0.05, 0.33} - {4 / 25, 5 / 25, 20 / 25})
    steady = at_steady_rate(recorded(times))
    assert steady.rate == 25 and steady.frames == 50 and steady.tracked.all()
    assert np.allclose(np.diff(steady.time_s), 1 / 25, atol=1e-5)
    assert turns(steady) == pytest.approx([20 * k / 25 for k in range(50)], abs=0.02)
    check_rotations(steady.values["rotation"])


def test_in_long_gaps_nobody_is_seen() -> None:
    steady = at_steady_rate(recorded([k / 30 for k in range(90)], tuple(range(30, 60))))
    assert not steady.tracked[32:58].any()
    assert steady.tracked[:29].all() and steady.tracked[61:].all()


def test_a_single_frame_is_left_alone() -> None:
    template = recorded([0.0])
    assert at_steady_rate(template) is template
