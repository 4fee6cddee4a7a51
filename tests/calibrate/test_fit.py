"""Samples to a profile, and back: what a made-up person has is what is found."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from avatar.core.clock import ManualClock
from avatar.core.face.head import decompose, eye_opening
from avatar.core.face.regions import signal_groups
from avatar.core.frames import BLENDSHAPE_INDEX, Face
from avatar.stages.motion.expression import KnownPerson, LearningEyes
from avatar.stages.motion.retarget import FaceRetargeter
from calibrate import CalibrationError, Profile, Recording, Session, fit
from tests.calibrate.people import FRAME_NS, MadeUpPerson, follow
from tests.stages.motion.faces import posed, track

MADE = datetime(2026, 1, 1, tzinfo=UTC)


def recorded(person: MadeUpPerson, **options: tuple[str, ...]) -> Recording:
    session = Session()
    follow(person, session, **options)
    samples, steps = session.samples
    return Recording(samples, steps, signal_groups(person.shape), (640, 480), 21.0)


@pytest.fixture(scope="module")
def person(portrait_face: Face) -> MadeUpPerson:
    return MadeUpPerson(decompose(portrait_face).shape)


@pytest.fixture(scope="module")
def profile(person: MadeUpPerson) -> Profile:
    return fit(recorded(person), MADE, "test")


def test_range_lids_lips_and_noise_are_found(person: MadeUpPerson, profile: Profile) -> None:
    smile = profile.scores["mouthSmileLeft"]
    assert smile.measured
    assert smile.rest == pytest.approx(0.03, abs=0.01)
    assert smile.full == pytest.approx(0.63, abs=0.03)
    assert not profile.scores["noseSneerLeft"].measured
    open_ = float(eye_opening(person.shape)[0])
    assert profile.left_eye.open == pytest.approx(open_, rel=0.05)
    assert profile.left_eye.shut == pytest.approx(0.2 * open_, abs=0.05 * open_)
    assert profile.lips.open - profile.lips.closed > 0.25
    assert 0.0004 < profile.noise["face"] < 0.004
    assert profile.delays_ms.capture_to_tracked == 21.0
    assert profile.delays_ms.frame_interval == pytest.approx(33.3, abs=0.1)


def test_it_is_a_pure_function(person: MadeUpPerson) -> None:
    recording = recorded(MadeUpPerson(person.shape))
    assert fit(recording, MADE, "test") == fit(recording, MADE, "test")


def test_numbers_only_and_back_from_json(profile: Profile) -> None:
    text = profile.model_dump_json()
    assert Profile.model_validate_json(text) == profile
    assert len(text) < 40_000
    again = Profile.model_validate_json(text).person()
    assert np.array_equal(again.neutral, profile.person().neutral)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", 2),
        ("neutral", []),
        ("noise", {"face": 1.0}),
        ("scores", {}),
        ("rest_rotation", [[1, 0, 0], [0, 1, 0], [0, 0, -1]]),
        ("picture", "AAAA"),
    ],
)
def test_what_is_no_profile_is_refused(profile: Profile, field: str, value: object) -> None:
    values = json.loads(profile.model_dump_json()) | {field: value}
    with pytest.raises(ValidationError):
        Profile.model_validate(values)


def test_nan_is_refused(profile: Profile) -> None:
    values = json.loads(profile.model_dump_json())
    values["left_eye"]["open"] = float("nan")
    with pytest.raises(ValidationError):
        Profile.model_validate(values)


def test_a_smile_does_not_close_the_eyes_but_a_blink_does(
    person: MadeUpPerson, profile: Profile
) -> None:
    known = KnownPerson(profile.person())

    def shut(what: str) -> tuple[float, float]:
        sample = person.sample(0, what)
        left, right = known.closure(sample.shape, known.scores(sample.scores, sample.shape))
        return float(left), float(right)

    assert max(shut("smile")) < 0.12
    assert min(shut("blink")) > 0.95
    assert shut("wink left")[0] > 0.95
    assert shut("wink left")[1] < 0.1
    assert shut("wink right")[0] < 0.1


def test_weak_expressions_reach_their_full_and_rest_is_zero(
    person: MadeUpPerson, profile: Profile
) -> None:
    known = KnownPerson(profile.person())
    smile, rest = person.sample(0, "smile"), person.sample(0)
    index = BLENDSHAPE_INDEX["mouthSmileLeft"]
    assert known.scores(smile.scores, smile.shape)[index] > 0.95
    assert known.scores(rest.scores, rest.shape).max() < 0.03


def test_what_was_left_out_keeps_the_usual(person: MadeUpPerson) -> None:
    sparse = fit(
        recorded(MadeUpPerson(person.shape), leaves_out=("blink", "wink left", "wink right")),
        MADE, "test",
    )  # fmt: skip
    assert not sparse.left_eye.measured
    assert sparse.left_eye.shut == pytest.approx(0.25 * sparse.left_eye.open, rel=1e-3)


def test_without_a_resting_face_there_is_no_profile(person: MadeUpPerson) -> None:
    samples = [person.sample(k * FRAME_NS, "smile") for k in range(20)]
    recording = Recording(
        samples, [frozenset({"smile"})] * 20, signal_groups(person.shape), (640, 480)
    )
    with pytest.raises(CalibrationError, match="resting face, found 0"):
        fit(recording, MADE, "test")


def test_the_resting_pose_is_straight_ahead(portrait_face: Face, profile: Profile) -> None:
    retargeter = FaceRetargeter("relative", "off", "profile", person=profile.person())
    motion = [retargeter.retarget(track(posed(portrait_face), k), k * FRAME_NS) for k in range(30)]
    assert np.abs(motion[-1].rotation - np.eye(3)).max() < 0.05
    assert np.abs(motion[-1].expression).max() < 0.1
    with pytest.raises(ValueError, match="expected a person"):
        FaceRetargeter("relative", "off", "profile")


def test_without_a_profile_blinks_teach_how_far_lids_close(person: MadeUpPerson) -> None:
    """This person's shut lids keep 0.45 of the distance: more than usual."""
    eyes, clock = LearningEyes(), ManualClock()
    closed = []
    for k in range(30 * 30):
        t = (k / 30) % 3
        how = np.sin(np.pi * t / 0.25) if t < 0.25 else 0.0
        sample = person.sample(clock.now_ns(), "blink", 0.55 / 0.8 * how)
        closed.append(eyes(sample.shape, person.shape, sample.scores, clock.now_ns()).min())
        clock.advance_ns(FRAME_NS)
    assert max(closed[:60]) < 0.9
    assert max(closed[-90:]) > 0.97
    assert abs(np.median(closed[-90:])) < 0.05


def test_speech_does_not_drift_what_was_learnt(person: MadeUpPerson) -> None:
    eyes = LearningEyes()
    rest = person.sample(0)
    for k in range(300):
        eyes(rest.shape, person.shape, rest.scores, k * FRAME_NS)
    before = eyes(rest.shape, person.shape, rest.scores, 300 * FRAME_NS)
    for k in range(301, 301 + 30 * 60):
        sample = person.sample(0, "smile", 0.5 + 0.5 * np.sin(k / 4))
        eyes(sample.shape, person.shape, sample.scores, k * FRAME_NS)
    after = eyes(rest.shape, person.shape, rest.scores, 3000 * FRAME_NS)
    assert np.abs(after - before).max() < 0.03


def test_the_field_of_view_of_a_known_camera(portrait_face: Face) -> None:
    """Samples projected in perspective tell the focal length that projected them."""
    from avatar.core.face.head import RIGID
    from avatar.core.face.rotation import rotation_from_vector
    from calibrate import Sample
    from calibrate.perspective import field_of_view_deg

    shape = decompose(portrait_face).shape
    focal_px, unit_px = 640.0, 60.0

    def seen(turn: tuple[float, float, float]) -> Sample:
        rotation = rotation_from_vector(np.array(turn, np.float32))
        posed_ = shape @ rotation.T
        near = 1 / (1 - posed_[:, 2:] * unit_px / focal_px)
        flat = np.concatenate([posed_[:, :2] * near, posed_[:, 2:]], axis=1)
        scale = float(np.sqrt(np.mean(np.sum((flat[RIGID] - flat[RIGID].mean(0)) ** 2, axis=1))))
        return Sample(
            0, (flat @ rotation / scale).astype(np.float32), rotation, np.array(turn, np.float32),
            np.zeros(2, np.float32), unit_px * scale, np.zeros(52, np.float32),
            np.ones(2, np.float32), 0.0,
        )  # fmt: skip

    turns = [(0.0, y, 0.0) for y in np.linspace(-0.5, 0.5, 30)] + [
        (x, 0.0, 0.0) for x in np.linspace(-0.35, 0.35, 30)
    ]
    samples = [seen((0, 0, 0))] * 8 + [seen(turn) for turn in turns]
    steps = [frozenset({"rest"})] * 8 + [frozenset({"turn"})] * 60
    recording = Recording(samples, steps, signal_groups(shape), (640, 480))
    found = field_of_view_deg(recording, samples[0].shape)
    truth = np.degrees(2 * np.arctan(320 / focal_px))
    assert found == pytest.approx(truth, rel=0.15)
