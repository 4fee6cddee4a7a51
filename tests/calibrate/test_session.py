"""The guided minute: what it asks, what it accepts, and what it says when something is wrong."""

from __future__ import annotations

import pytest

from avatar.core.face.head import decompose
from avatar.core.frames import BLENDSHAPE_INDEX, Face
from calibrate import STEPS, Problem, Session
from tests.calibrate.people import FRAME_NS, MadeUpPerson, follow, frames


@pytest.fixture
def person(portrait_face: Face) -> MadeUpPerson:
    return MadeUpPerson(decompose(portrait_face).shape)


def test_somebody_who_does_what_is_asked_gets_through(person: MadeUpPerson) -> None:
    session = Session()
    state = follow(person, session)
    assert state.done
    assert session.missing == []
    assert session.skipped == []
    _, steps = session.samples
    assert {name for marks in steps for name in marks} == {"rest", *(s.name for s in STEPS)}


def test_nobody_has_to_wink(person: MadeUpPerson) -> None:
    session = Session()
    state = follow(person, session, leaves_out=("wink left",))
    assert state.done
    assert session.skipped == ["wink left"]
    assert session.missing == ["wink left"]


def test_a_step_is_asked_again_in_other_words(person: MadeUpPerson) -> None:
    session = Session()
    said, now_ns = [], 0
    for _ in range(30 * 15):
        said.append(session.see(person.sample(now_ns), None, now_ns).text)
        now_ns += FRAME_NS
    assert list(dict.fromkeys(said))[-2:] == [STEPS[0].ask, STEPS[0].again]


@pytest.mark.parametrize("problem", list(Problem))
def test_what_is_wrong_is_said_after_a_second_and_makes_no_sample(
    person: MadeUpPerson, problem: Problem
) -> None:
    session = Session()
    now_ns, said = 0, []
    for k in range(90):
        sample = None if problem is Problem.NO_FACE else person.sample(now_ns)
        said.append(session.see(sample, problem if k >= 3 else None, now_ns).text)
        now_ns += FRAME_NS
    assert problem.value not in said[:30]
    assert said[-1] == problem.value
    assert session.samples[0] == []
    # As soon as it is mended, the step goes on.
    assert session.see(person.sample(now_ns), None, now_ns).text != problem.value


def test_time_without_a_face_is_not_hesitation(person: MadeUpPerson) -> None:
    session = Session(asks=1)
    now_ns = 0
    while session.state(now_ns).text != STEPS[0].ask:
        session.see(person.sample(now_ns), None, now_ns)
        now_ns += FRAME_NS
    for _ in range(30 * 60):
        session.see(None, None, now_ns)
        now_ns += FRAME_NS
    assert session.see(person.sample(now_ns), None, now_ns).text == STEPS[0].ask
    assert session.skipped == []


def test_a_moving_or_smiling_face_is_not_at_rest(person: MadeUpPerson) -> None:
    session = Session()
    now_ns = 0
    for k in range(90):
        how = 1.0 if k % 10 < 5 else 0.0
        state = session.see(person.sample(now_ns, "turn+", how), None, now_ns)
        now_ns += FRAME_NS
    assert state.step == 1


def test_a_recording_is_searched_in_any_order(person: MadeUpPerson) -> None:
    session = Session(any_order=True)
    now_ns = 0
    for what in ("smile", "turn", "rest", "sentence", "blink", "jaw"):
        for act, how in frames(what, 2.5):
            session.see(person.sample(now_ns, act, how), None, now_ns)
            now_ns += FRAME_NS
    session.finish()
    assert set(session.missing) == {"wink left", "wink right", "look", "pucker", "brows", "nod"}
    samples, steps = session.samples
    resting = [s for s, marks in zip(samples, steps, strict=True) if "rest" in marks]
    assert all(s.lip_gap < 0.05 and abs(s.turn[1]) < 0.05 for s in resting)


def test_an_empty_recording_has_no_resting_face() -> None:
    session = Session(any_order=True)
    session.see(None, None, 0)
    session.finish()
    assert "rest" in session.missing


def test_a_camera_of_five_frames_a_second_is_enough(person: MadeUpPerson) -> None:
    session = Session()
    now_ns = 0
    for what in ("rest", *(step.name for step in STEPS)):
        for k, (act, how) in enumerate(frames(what, 4.0)):
            if k % 6 == 0:
                session.see(person.sample(now_ns, act, how), None, now_ns)
            now_ns += FRAME_NS
    assert {"smile", "jaw", "turn", "nod"} - set(session.missing) == {"smile", "jaw", "turn", "nod"}


@pytest.mark.parametrize("jump_s", [-3600.0, -0.05, 0.0, 7.0, 86_400.0])
def test_frames_out_of_order_and_clocks_that_jump_skip_nothing(
    person: MadeUpPerson, jump_s: float
) -> None:
    """Neither done for somebody nor given up: the step that is asked for stays."""
    session = Session(asks=1)
    now_ns = 0
    while session.state(now_ns).step < 2:
        session.see(person.sample(now_ns), None, now_ns)
        now_ns += FRAME_NS
    for _ in range(20):
        session.see(person.sample(now_ns), None, now_ns)
        now_ns += FRAME_NS
    then_ns = now_ns + round(jump_s * 1e9)
    state = session.see(person.sample(then_ns), None, then_ns)
    for k in range(20):
        state = session.see(person.sample(then_ns + k * FRAME_NS), None, then_ns + k * FRAME_NS)
    assert state.text == STEPS[0].ask
    assert session.skipped == []
    # Patience is what it was: nine seconds, of which one and a half are over.
    for k in range(20, 20 + 30 * 9):
        state = session.see(person.sample(then_ns + k * FRAME_NS), None, then_ns + k * FRAME_NS)
    assert session.skipped == [STEPS[0].name]


@pytest.mark.parametrize("any_order", [True, False])
def test_lips_that_are_pursed_at_rest_are_seen_when_they_purse_more(
    person: MadeUpPerson, any_order: bool
) -> None:
    """From 0.65 to 0.88 is most of what is left; it was asked for a quarter more."""
    session = Session([step for step in STEPS if step.name == "pucker"], any_order=any_order)
    index, now_ns = BLENDSHAPE_INDEX["mouthPucker"], 0
    for value, count in ((0.65, 60), (0.88, 60), (0.65, 30)):
        for _ in range(count):
            sample = person.sample(now_ns)
            sample.scores[index] = value
            session.see(sample, None, now_ns)
            now_ns += FRAME_NS
    session.finish()
    assert session.missing == []
