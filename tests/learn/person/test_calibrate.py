"""``avatar calibrate`` and ``avatar profiles`` on the built-in performer and on broken files."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from avatar.app.calibrate import CalibrationResult, Lesson, calibrate
from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.face.regions import signal_groups
from avatar.core.frames import CameraFrame, Face, FaceTrack, UInt8Image
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.learn.person.learn import learn
from avatar.learn.person.watch import Watcher, look_at
from avatar.library.profiles import ProfileStore, compare, list_profiles, remove
from avatar.sessions.retargeting import chosen_reference, make_retargeter
from calibrate import Problem, Profile, Recording, Session, State, fit
from tests.calibrate.people import MadeUpPerson, follow
from tests.measure.pages import Page
from tests.stages.sources.films import make_film


@pytest.fixture(scope="module")
def profile(portrait_face: Face) -> Profile:
    person = MadeUpPerson(decompose(portrait_face).shape)
    session = Session()
    follow(person, session)
    samples, steps = session.samples
    recording = Recording(samples, steps, signal_groups(person.shape), (640, 480))
    return fit(recording, datetime(2026, 1, 1, tzinfo=UTC), "test")


@pytest.fixture
def store(home: Home, profile: Profile) -> ProfileStore:
    made = ProfileStore(home.profiles)
    made.save("Zoë 2", profile)
    return made


def test_profiles_are_kept_listed_compared_and_removed(
    store: ProfileStore, profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store.load("Zoë 2") == profile
    store.save("other", profile.model_copy(update={"field_of_view_deg": 70.0}))
    assert store.names() == ["other", "Zoë 2"]
    assert list_profiles(store) == 0
    assert compare("Zoë 2", "other", store) == 0
    shown = capsys.readouterr().out
    assert "2026-01-01" in shown
    assert "mouthSmileLeft at its full" in shown
    assert remove("other", store) == 0
    assert store.names() == ["Zoë 2"]
    # Readable by its owner alone, as all that is measured of people.
    assert store.path("Zoë 2").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"schema_version": 7}', r"newer program \(schema 7"),
        ('{"schema_version": 1}', "broken"),
        ("[]", "broken"),
        ("not json", "not valid JSON"),
        ("", "not valid JSON"),
        ('{"schema_version": 1, "made": NaN}', "broken"),
    ],
)
def test_a_broken_or_newer_profile_says_what_to_do(
    store: ProfileStore, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.path("bad").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=f"{said}(.|\n)*avatar calibrate --name bad"):
        store.load("bad")
    assert list_profiles(store) == 0
    assert "not readable" in capsys.readouterr().out
    assert remove("bad", store) == 0


def test_an_unknown_profile_names_the_nearest(store: ProfileStore) -> None:
    with pytest.raises(UsageError, match=r"Near it: Zoë 2\..*avatar calibrate --name Zoe2"):
        store.load("Zoe2")
    with pytest.raises(UsageError, match="a profile's name"):
        store.load("../x")


def test_one_that_is_there_is_not_replaced_unasked(store: ProfileStore, home: Home) -> None:
    before = store.path("Zoë 2").read_bytes()
    with pytest.raises(UsageError, match="--force to replace it"):
        calibrate("demo", "Zoë 2", unattended=True, home=home)
    assert store.path("Zoë 2").read_bytes() == before


def test_a_profile_reaches_the_retargeter(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    with pytest.raises(UsageError, match="none called 'me'"):
        make_retargeter(Options(profile="me"), home)
    ProfileStore(home.profiles).save("me", profile)
    assert chosen_reference(Options(profile="me")) == "profile"
    assert chosen_reference(Options(profile="me", reference="first")) == "first"
    make_retargeter(Options(profile="me"), home)
    with pytest.raises(UsageError, match="your left from your right"):
        make_retargeter(Options(profile="me", mirror=True), home)


def looked(image: UInt8Image, face: Face, watcher: Watcher | None = None) -> str:
    """What is said after a second and a half of ``image``."""
    watcher = watcher or Watcher(Session())
    for k in range(45):
        track = FaceTrack(k * 33_333_333, k, face, CameraFrame(image, k * 33_333_333, k))
        text = watcher.see(track).text
    return text


def test_pictures_that_cannot_be_used_are_told_apart(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    usual = look_at(portrait, portrait_face)
    assert usual is not None
    assert looked((portrait * 0.2).astype(np.uint8), portrait_face) == Problem.DARK.value
    centre = portrait_face.landmarks_px.mean(axis=0)
    small = Face(
        (portrait_face.landmarks_px - centre) * np.float32(0.3) + centre,
        portrait_face.blendshapes,
        portrait_face.pose, portrait_face.image_size_px,
    )  # fmt: skip
    assert looked(portrait, small) == Problem.FAR.value
    import cv2

    watcher = Watcher(Session())
    looked(portrait, portrait_face, watcher)
    blurred = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 12), np.uint8)
    for k in range(45, 90):
        stamp_ns = k * 33_333_333
        state = watcher.see(
            FaceTrack(stamp_ns, k, portrait_face, CameraFrame(blurred, stamp_ns, k))
        )
    assert state.text == Problem.BLURRED.value


def film_of_the_performer(path: Path, seconds: float) -> None:
    from avatar.core.clock import ManualClock
    from avatar.stages.sinks.mp4 import Mp4Writer
    from avatar.stages.sources.demo import DemoSource

    with (
        Mp4Writer(path, (640, 480), 30.0, {"AIGC": "a test"}, preset="ultrafast") as film,
        DemoSource((640, 480), 30.0, ManualClock()) as source,
    ):
        for _ in range(round(seconds * 30)):
            frame = source.read()
            assert frame is not None
            film.write_rgb(frame.image)


@pytest.mark.slow
def test_a_recording_is_calibrated_unattended(tmp_path: Path, home: Home) -> None:
    film_of_the_performer(tmp_path / "film.mp4", 12)
    store, page = ProfileStore(home.profiles), tmp_path / "page.html"
    status = calibrate(str(tmp_path / "film.mp4"), "drawn", unattended=True, html=page, home=home)
    assert status == 0
    profile = store.load("drawn")
    assert {"rest", "blink", "smile", "jaw", "turn"} <= set(profile.steps)
    assert profile.left_eye.shut < 0.3 * profile.left_eye.open
    assert profile.scores["mouthSmileLeft"].measured
    text = page.read_text(encoding="utf-8")
    assert "Calibration of drawn" in Page(text).text
    assert "wink left" in text


def test_a_recording_without_a_face_keeps_nothing(tmp_path: Path, home: Home) -> None:
    film = make_film(tmp_path / "wall.mp4", 20)
    store = ProfileStore(home.profiles)
    with pytest.raises(UsageError, match="resting face, found 0"):
        calibrate(str(film), unattended=True, home=home)
    assert store.names() == []


@pytest.mark.slow
def test_a_program_calibrates_in_a_thread_of_its_own(tmp_path: Path, home: Home) -> None:
    film_of_the_performer(tmp_path / "film.mp4", 8)
    states: list[State] = []
    found: list[CalibrationResult] = []
    worker = threading.Thread(
        target=lambda: found.append(
            learn(str(tmp_path / "film.mp4"), unattended=True, on_state=states.append, home=home)
        )
    )
    worker.start()
    worker.join(120)
    (learnt,) = found
    assert "blink" in learnt.seen
    assert learnt.profile.left_eye.measured
    assert len(states) == pytest.approx(240, abs=3)
    progress = [state.progress for state in states]
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(8 / 90, abs=0.01)


@pytest.mark.parametrize("unattended", [True, False])
def test_a_program_ends_it_before_its_time(unattended: bool, home: Home) -> None:
    cancel = threading.Event()
    states: list[State] = []

    def seen(state: State) -> None:
        states.append(state)
        cancel.set()

    with pytest.raises(UsageError, match="no profile was made"):
        learn(
            "demo",
            unattended=unattended,
            on_state=seen,
            cancel=cancel,
            say=lambda line: None,
            home=home,
        )
    assert 1 <= len(states) <= 5


def test_a_session_that_has_the_camera_already_can_teach(portrait_face: Face) -> None:
    person = MadeUpPerson(decompose(portrait_face).shape)
    lesson = Lesson(unattended=True)

    class Sees:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *ended: object) -> None:
            pass

        def track(self, frame: CameraFrame) -> FaceTrack:
            return FaceTrack(frame.timestamp_ns, frame.index, portrait_face)

    tracker = lesson.wrap(Sees())
    for k in range(40):
        frame = CameraFrame(np.zeros((4, 4, 3), np.uint8), k * 33_333_333, k)
        assert tracker.track(frame).face is portrait_face
    learnt = lesson.result()
    assert len(learnt.recording) == 40
    assert not learnt.seen
    np.testing.assert_allclose(np.array(learnt.profile.neutral), person.shape, atol=1e-3)


@pytest.mark.slow
def test_a_profile_made_anew_keeps_the_cameras_delay_and_says_so(
    tmp_path: Path, profile: Profile, capsys: pytest.CaptureFixture[str], home: Home
) -> None:
    film_of_the_performer(tmp_path / "film.mp4", 4)
    store = ProfileStore(home.profiles)
    store.save("me", profile.with_sound_delay(87.04))
    film = str(tmp_path / "film.mp4")
    assert calibrate(film, unattended=True, home=home, force=True) == 0
    made = store.load("me")
    assert made.made > profile.made
    assert made.delays_ms.sound == 87.0
    assert "kept from before: the camera is 87 ms later" in capsys.readouterr().err
    # One that cannot be read has nothing to keep.
    store.path("me").write_text("{}", encoding="utf-8")
    assert calibrate(film, unattended=True, home=home, force=True) == 0
    assert store.load("me").delays_ms.sound is None


@pytest.mark.parametrize("field", ["landmarks_px", "blendshapes", "pose"])
def test_nan_in_a_track_is_no_sample(portrait_face: Face, field: str) -> None:
    lesson = Lesson(unattended=True)
    broken = getattr(portrait_face, field).copy()
    broken.flat[7] = np.nan
    for k in range(40):
        face = replace(portrait_face, **{field: broken}) if k % 4 == 0 else portrait_face
        lesson.see(FaceTrack(k * 33_333_333, k, face))
    learnt = lesson.result()
    assert np.isfinite(learnt.profile.neutral).all()
    assert len(learnt.recording) == 30
