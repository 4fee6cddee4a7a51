"""A recording to train from: what is asked for, asked for again, left out and gone back to."""

from __future__ import annotations

import pytest

from avatar.core.face.head import decompose
from avatar.core.frames import Face
from calibrate import SPEECH, TRAINING_STEPS, Session, State
from tests.calibrate.training_people import (
    FRAME_NS,
    TrainingPerson,
    asked_for,
    follow_training,
)

ALL = [step.name for step in (*TRAINING_STEPS, *SPEECH)]


@pytest.fixture
def person(portrait_face: Face) -> TrainingPerson:
    return TrainingPerson(decompose(portrait_face).shape)


def session() -> Session:
    return Session(TRAINING_STEPS, closing=SPEECH, count_in_s=3.0)


def test_somebody_who_does_what_is_asked_is_through_in_a_minute_or_so(
    person: TrainingPerson,
) -> None:
    guided = session()
    states = follow_training(person, guided)
    assert guided.seen == ALL
    assert guided.missing == guided.skipped == []
    assert len(states) * FRAME_NS < 90e9


def test_it_counts_in_from_the_first_face_on(person: TrainingPerson) -> None:
    guided = session()
    for k in range(30):
        assert "Get ready" not in guided.see(None, None, k * FRAME_NS).text
    said = [
        guided.see(person.sample(k * FRAME_NS), None, k * FRAME_NS).text for k in range(30, 200)
    ]
    counts = [text for text in dict.fromkeys(said) if "Get ready" in text]
    assert [text[-3] for text in counts] == ["3", "2", "1"]
    assert guided.samples[0][0].timestamp_ns >= 120 * FRAME_NS


@pytest.mark.parametrize("left_out", ["pout", "smile with shut lips", "turn to the left"])
def test_what_was_not_seen_is_asked_for_once_more_before_the_talk(
    person: TrainingPerson, left_out: str
) -> None:
    guided = session()
    states = follow_training(person, guided, leaves_out=(left_out,))
    assert guided.skipped == guided.missing == [left_out]
    asked = list(dict.fromkeys(state.text for state in states if asked_for(state.text) != "rest"))
    names = list(dict.fromkeys(zip(map(asked_for, asked), asked, strict=True)))
    of_it = [text for name, text in names if name == left_out]
    assert len(of_it) == 3
    assert of_it[2].startswith("Still missing")
    # The end is held out from training: nothing that stands there alone may be asked for there.
    assert [name for name, _ in names][-3:] == [left_out, *(step.name for step in SPEECH)]


def test_an_expression_that_comes_at_the_second_time_of_asking_counts(
    person: TrainingPerson,
) -> None:
    guided = session()
    now_ns, text, once_more = 0, "", 0
    while not guided.done:
        wanted = asked_for(text)
        again = text.startswith("Still missing")
        once_more += again
        shown = "rest" if wanted == "pout" and not again else wanted
        for sample in person.frames(shown, now_ns):
            text = guided.see(sample, None, sample.timestamp_ns).text
            now_ns = sample.timestamp_ns + FRAME_NS
    assert once_more
    assert guided.missing == []


def test_a_step_can_be_left_out_and_the_one_before_asked_for_again(
    person: TrainingPerson,
) -> None:
    guided = session()
    now_ns = 0

    def do(what: str, seconds: float) -> str:
        nonlocal now_ns
        text = ""
        for sample in person.frames(what, now_ns, seconds):
            text = guided.see(sample, None, sample.timestamp_ns).text
            now_ns = sample.timestamp_ns + FRAME_NS
        return text

    # Before the resting face was seen nothing can be left out.
    guided.skip()
    assert asked_for(do("rest", 5.5)) == ALL[0]
    guided.skip()
    assert asked_for(do("rest", 0.2)) == ALL[1]
    assert guided.skipped == [ALL[0]]
    guided.repeat()
    assert asked_for(do("rest", 0.2)) == ALL[0]
    assert guided.skipped == []
    # Of a step that was begun, the step itself.
    do("smile with shut lips", 1.6)
    guided.repeat()
    assert asked_for(do("rest", 0.2)) == ALL[0]
    # Left out by the driver: not asked for once more at the end.
    guided.skip()
    for name in ALL[1:]:
        do(name, 3.0)
        do("rest", 0.5)
    assert guided.skipped == [ALL[0]]


def test_what_was_done_by_going_back_is_not_asked_for_once_more(person: TrainingPerson) -> None:
    guided = session()
    now_ns, texts, went_back = 0, [""], False
    while not guided.done:
        wanted = asked_for(texts[-1])
        if wanted == "smile with teeth" and not went_back:
            went_back = True
            guided.repeat()
            wanted = "smile with shut lips"
        elif wanted == "smile with shut lips" and not went_back:
            wanted = "rest"
        for sample in person.frames(wanted, now_ns):
            texts.append(guided.see(sample, None, sample.timestamp_ns).text)
            now_ns = sample.timestamp_ns + FRAME_NS
    assert guided.missing == []
    assert not any(text.startswith("Still missing") for text in texts)


def test_a_recording_shows_its_steps_in_any_order(person: TrainingPerson) -> None:
    watched = Session((*TRAINING_STEPS, *SPEECH), any_order=True)
    now_ns = 0
    shown = ["speech", "turn to the right", "rest", "mouth wide open", "smile with shut lips"]
    for what in shown:
        for sample in person.frames(what, now_ns):
            watched.see(sample, None, sample.timestamp_ns)
            now_ns = sample.timestamp_ns + FRAME_NS
    watched.finish()
    assert set(watched.seen) == set(shown) - {"rest"}


def test_lips_that_smile_apart_are_not_shut(person: TrainingPerson) -> None:
    watched = Session((*TRAINING_STEPS, *SPEECH), any_order=True)
    now_ns = 0
    for what in ("rest", "smile with teeth"):
        for sample in person.frames(what, now_ns, 4.0):
            watched.see(sample, None, sample.timestamp_ns)
            now_ns = sample.timestamp_ns + FRAME_NS
    watched.finish()
    assert watched.seen == ["smile with teeth"]


def test_an_open_mouth_is_no_rest_however_still(person: TrainingPerson) -> None:
    """The scores of a mouth that is held open may be those of a shut one."""
    watched = Session((*TRAINING_STEPS, *SPEECH), any_order=True)
    now_ns = 0
    for apart in (0.34, 0.0, 0.34):
        for _ in range(60):
            sample = person.act(now_ns, ({}, apart, (0.0, 0.0)))
            watched.see(sample, None, now_ns)
            now_ns += FRAME_NS
    watched.finish()
    samples, marks = watched.samples
    resting = [sample for sample, of in zip(samples, marks, strict=True) if "rest" in of]
    assert resting
    assert max(sample.lip_gap for sample in resting) == 0


def test_long_prompts_fit_the_window() -> None:
    for step in (*TRAINING_STEPS, *SPEECH):
        for text in (step.ask, f"Still missing, so once more. {step.again}"):
            lines = State(text, 12, 16, 0.4, False).line.splitlines()
            assert max(map(len, lines)) <= 60
            assert lines[-1] == "●●○○○"
