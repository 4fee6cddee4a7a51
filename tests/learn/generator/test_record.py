"""``avatar train --record``: what is filmed, what is kept however it ends, and what is refused."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.frames import CameraFrame, Face, FaceTrack, UInt8Image
from avatar.core.home import Home
from avatar.learn.generator import camera_film
from avatar.learn.generator.camera_film import CameraFilm, film_size, join_films
from avatar.learn.generator.capture import Company, FilmingCapture, record
from avatar.learn.generator.command import INTERRUPTED, train
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.self_recording import SelfRecording
from avatar.learn.generator.shown import advice, check_enough, lacking, shown_in
from avatar.stages.sources.video import film_frames
from calibrate import SPEECH, TRAINING_STEPS, Problem, Sample
from tests.calibrate.training_people import FRAME_NS, TrainingPerson, asked_for

ALL = [step.name for step in (*TRAINING_STEPS, *SPEECH)]
SIZE_PX = (64, 48)


def picture(k: int = 0) -> UInt8Image:
    image = np.full((SIZE_PX[1], SIZE_PX[0], 3), 90, np.uint8)
    image[:, : 1 + k % SIZE_PX[0]] = 160
    return image


def film_of(path: Path, count: int, first: int = 0) -> None:
    film = CameraFilm(path, SIZE_PX)
    for k in range(first, first + count):
        # As fast as the encoder is: nothing may be left out here.
        film._frames.put(CameraFrame(picture(k), k * FRAME_NS, k))
    film.close()


class Stage:
    """A made-up person before a capture: what they do is seen as it would be in their face."""

    def __init__(self, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
        self.person = TrainingPerson(decompose(face).shape)
        self.face, self.now_ns, self.count = face, 0, 0
        self.problem: Problem | None = None
        self._sample: Sample | None = None
        watcher = "avatar.learn.person.watch.Watcher"
        monkeypatch.setattr(f"{watcher}._sample", lambda *_: self._sample)
        monkeypatch.setattr(f"{watcher}._problem", lambda *_: self.problem)

    def do(self, capture: FilmingCapture, what: str, seconds: float = 2.0) -> None:
        """Do a step before ``capture``."""
        for sample in self.person.frames(what, self.now_ns, seconds):
            self._sample = sample
            camera = CameraFrame(picture(self.count), self.now_ns, self.count)
            capture.see(FaceTrack(self.now_ns, self.count, self.face, camera))
            self.now_ns, self.count = self.now_ns + FRAME_NS, self.count + 1
            if capture.done:
                return

    def follow(self, capture: FilmingCapture, *, leaves_out: tuple[str, ...] = ()) -> None:
        """Do whatever is asked for until it is done."""
        for _ in range(400):
            wanted = asked_for(capture.state.text)
            self.do(capture, "rest" if wanted in leaves_out else wanted)
            if capture.done:
                return
        raise AssertionError(f"never done: {capture.state}")


@pytest.fixture
def stage(portrait_face: Face, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(portrait_face, monkeypatch)


@pytest.fixture
def recording(home: Home) -> SelfRecording:
    return SelfRecording(home, "Zoë")


def pictures(film: Path) -> list[CameraFrame]:
    return list(film_frames(film))


def test_whoever_does_what_is_asked_is_filmed_for_their_own_eyes_alone(
    stage: Stage, recording: SelfRecording
) -> None:
    capture = FilmingCapture(recording)
    assert 50 < capture.seconds < 120
    stage.follow(capture)
    capture.close()
    film = recording.end()
    assert recording.seen == frozenset(ALL)
    assert recording.ended
    assert len(pictures(film)) > 100
    assert [path.name for path in sorted(film.parent.iterdir())] == ["film.mp4", "recording.json"]
    if os.name != "nt":
        assert film.parent.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in film.parent.iterdir()} == {0o600}


def test_an_interrupted_recording_goes_on_with_what_it_lacks(
    stage: Stage, recording: SelfRecording, home: Home
) -> None:
    capture = FilmingCapture(recording)
    while asked_for(capture.state.text) != "raised brows":
        stage.do(capture, asked_for(capture.state.text))
    capture.close()
    before = pictures(recording.folder / "part-1.mp4")
    assert len(before) > 20

    again = SelfRecording(home, "Zoë")
    assert again.begun
    assert not again.ended
    assert again.seen == frozenset(ALL[: ALL.index("raised brows")])
    capture = FilmingCapture(again)
    asked: list[str] = []
    while not capture.done:
        asked.append(asked_for(capture.state.text))
        stage.do(capture, asked[-1])
    capture.close()
    assert list(dict.fromkeys(asked)) == ["rest", *ALL[ALL.index("raised brows") :]]
    frames = pictures(again.end())
    assert len(frames) > len(before) + 20
    # One film, which begins with what was recorded first and whose time only rises.
    assert np.all(np.diff([frame.timestamp_ns for frame in frames]) > 0)
    np.testing.assert_array_equal(frames[0].image, before[0].image)


def test_what_was_asked_for_in_vain_is_asked_for_by_the_next_command(
    stage: Stage, recording: SelfRecording, home: Home
) -> None:
    capture = FilmingCapture(recording)
    stage.follow(capture, leaves_out=("mouth wide open",))
    capture.close()
    first = len(pictures(recording.end()))
    with pytest.raises(UsageError, match=r"at least .*never seen in it: mouth wide open\. Record"):
        check_enough(recording.seen, "it", "Zoë")

    again = SelfRecording(home, "Zoë")
    assert again.ended
    capture = FilmingCapture(again)
    stage.follow(capture)
    capture.close()
    assert len(pictures(again.end())) > first
    assert again.seen == frozenset(ALL)
    check_enough(again.seen, "it", "Zoë")


def test_a_killed_recording_loses_half_a_second(recording: SelfRecording, home: Home) -> None:
    film_of(recording.begin(SIZE_PX), 90)
    part = recording.folder / "part-1.mp4"
    data = part.read_bytes()
    part.write_bytes(data[: round(0.8 * len(data))])
    recording.begin(SIZE_PX).write_bytes(b"")  # killed before the first picture
    recording.note(frozenset({"pout"}))
    again = SelfRecording(home, "Zoë")
    assert again.begun
    assert again.begin(SIZE_PX).name == "part-3.mp4"
    assert 50 < len(pictures(again.end())) < 90


def test_parts_follow_each_other_without_being_encoded_again(tmp_path: Path) -> None:
    parts = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for k, part in enumerate(parts):
        film_of(part, 20, first=20 * k)
    join_films(parts, tmp_path / "film.mp4")
    joined, apart = pictures(tmp_path / "film.mp4"), [f for p in parts for f in pictures(p)]
    assert len(joined) == 40
    for one, other in zip(joined, apart, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    seconds = np.diff([frame.timestamp_ns for frame in joined]) / 1e9
    np.testing.assert_allclose(np.delete(seconds, 19), 1 / 30, atol=1e-3)
    assert seconds[19] == pytest.approx(1, abs=0.04)


def test_another_camera_cannot_go_on_with_it(recording: SelfRecording) -> None:
    film_of(recording.begin(SIZE_PX), 10)
    with pytest.raises(UsageError, match="expected the camera at 64x48 as before, found 640x480"):
        recording.begin((640, 480))


def test_nothing_is_filmed_that_cannot_be_learned_from(
    stage: Stage, recording: SelfRecording
) -> None:
    capture = FilmingCapture(recording)
    for problem in Problem:
        stage.problem = problem
        stage.do(capture, "rest", 1.5)
        assert capture.state.text == problem.value
    capture.close()
    assert not recording.folder.exists()


@pytest.mark.parametrize("when", ["while it is written", "at once"])
def test_a_full_disk_ends_it_and_keeps_what_there_is(
    stage: Stage, recording: SelfRecording, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    film_of(recording.begin(SIZE_PX), 20)
    full = OSError(errno.ENOSPC, "No space left on device")

    def refuse(*_: object) -> None:
        raise full

    if when == "at once":
        monkeypatch.setattr(os, "open", refuse)
    else:
        monkeypatch.setattr(CameraFilm, "_encode", refuse)
    capture = FilmingCapture(recording)
    stage.do(capture, "rest", 20)
    assert capture.done
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"No space left(.|\n)*Free some space(.|\n)*kept"):
        capture.close()
        assert capture.error is not None
        raise capture.error
    assert len(pictures(recording.folder / "part-1.mp4")) == 20


@pytest.mark.slow
def test_a_full_disk_ends_the_live_session(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CameraFilm, "_encode", refuse)
    request = TrainRequest("Zoë", record=True, rights="self", camera="demo", window=False)
    with pytest.raises(UsageError, match=r"No space left(.|\n)*the same command goes on"):
        record(request, "Zoë", home)


def test_a_camera_whose_size_changes_ends_it(tmp_path: Path) -> None:
    film = CameraFilm(tmp_path / "film.mp4", SIZE_PX)
    film.write(CameraFrame(picture(), 0, 0))
    with pytest.raises(UsageError, match="expected pictures of 64x48 from the camera, found 32x48"):
        film.write(CameraFrame(picture()[:, :32], FRAME_NS, 1))
    film.close()
    assert len(pictures(tmp_path / "film.mp4")) == 1


def test_a_record_that_is_broken_says_what_to_do(recording: SelfRecording, home: Home) -> None:
    recording.begin(SIZE_PX)
    (recording.folder / "recording.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"not valid JSON.*delete the folder"):
        SelfRecording(home, "Zoë")


def test_somebody_else_in_the_picture_is_noticed(portrait: UInt8Image, face_model: Path) -> None:
    company = Company(face_model)
    assert company.alone(CameraFrame(portrait, 0, 0))
    two = np.ascontiguousarray(np.hstack([portrait, portrait]))
    # Looked at from time to time only.
    assert company.alone(CameraFrame(two, 1_000_000_000, 1))
    assert not company.alone(CameraFrame(two, 2_500_000_000, 2))
    assert company.alone(CameraFrame(portrait, 5_000_000_000, 3))


def test_it_can_be_ended_before_anything_is_recorded(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    cancel = threading.Event()
    cancel.set()
    request = TrainRequest("Zoë", record=True, rights="self", camera="demo", window=False)
    assert record(request, "Zoë", home, cancel=cancel) is None
    said = capsys.readouterr().err
    assert "16 things to do, about 74 seconds" in said
    assert "paused before anything was recorded" in said


def test_a_recording_that_is_there_is_used_and_replaced_only_when_asked(
    recording: SelfRecording, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    film_of(recording.begin(SIZE_PX), 20)
    recording.note(frozenset(ALL))
    recording.end()
    request = TrainRequest("Zoë", record=True, rights="self", camera="demo", window=False)
    found = record(request, "Zoë", home)
    assert found is not None
    assert found.film == recording.film
    assert "is there already" in capsys.readouterr().err
    # One that was not trained from is not what --force replaces: the avatar of before is.
    request = replace(request, force=True)
    again = record(request, "Zoë", home)
    assert again is not None
    again.note_used()
    cancel = threading.Event()
    cancel.set()
    assert record(request, "Zoë", home, cancel=cancel) is None
    assert not recording.film.exists()


def test_advice_names_what_was_never_seen() -> None:
    assert advice(ALL) is None
    line = advice([name for name in ALL if name not in ("pout", "turn to the left")])
    assert line is not None
    assert "never seen in it: pout, turn to the left." in line
    assert lacking(ALL[1:]) == ALL[:1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"inputs": (Path("me.mp4"),)}, "leave out me.mp4"),
        ({"resume": True}, "leave out --resume"),
        ({"teacher": "liveportrait"}, "leave out --teacher"),
        ({"camera": "no-such-thing"}, "no such file, camera or address"),
    ],
)
def test_what_does_not_go_together_is_refused(
    given: dict[str, object], said: str, home: Home
) -> None:
    pytest.importorskip("torch", reason="training is done with PyTorch")
    request = TrainRequest("Zoë", rights="self", record=True, window=False, **given)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=said):
        train(request, home)
    assert not home.recordings.exists()


@pytest.mark.parametrize("given", [{"camera": "demo"}, {"anyway": True}, {"window": False}])
def test_a_recordings_options_need_a_recording(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="is for train --record"):
        TrainRequest("Zoë", **given)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_film_as_the_camera_is_searched_for_what_it_shows(
    shared_media: Path, home: Home, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pytest.importorskip("torch", reason="training is done with PyTorch")
    clip = shared_media / "clips" / "d18.mp4"
    request = TrainRequest("him", record=True, rights="licensed", camera=str(clip), steps=1)
    wanted = (
        r"at least smile with teeth, mouth wide open, speech; never seen in \S+d18.mp4: speech "
        r"\(nor (.|\n)*turn to the left"
    )
    with pytest.raises(UsageError, match=wanted):
        train(request, home)
    assert not home.avatars.exists() or not any(home.avatars.iterdir())

    class StoppedError(Exception):
        pass

    def prepared(*_: object) -> None:
        raise StoppedError

    monkeypatch.setattr("avatar.learn.generator.command.prepare", prepared)
    capsys.readouterr()
    with pytest.raises(StoppedError):
        train(replace(request, anyway=True), home)
    said = capsys.readouterr().err
    assert "never seen in it: smile with shut lips, " in said
    assert "mouth wide open" not in said
    # The film is used where it lies.
    assert not home.recordings.exists()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avatar.learn.generator.command.prepare", interrupted)
    assert train(replace(request, anyway=True, force=True), home) == INTERRUPTED
    assert "The same command with --force begins again" in capsys.readouterr().err


@pytest.mark.slow
def test_a_clip_shows_what_it_shows(shared_media: Path, face_model: Path) -> None:
    from avatar.stages.track.landmarker import FaceLandmarker

    with FaceLandmarker(face_model) as tracker:
        tracks = [tracker.track(f) for f in film_frames(shared_media / "clips" / "d9.mp4")]
    shown = shown_in(replace(track, camera=None) for track in tracks)
    assert {"smile with shut lips", "pout", "raised brows"} <= shown
    assert not {"smile with teeth", "mouth wide open", "head raised"} & shown


def test_films_of_nothing_have_no_size(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert film_size(tmp_path / "empty.mp4") is None
    assert camera_film.film_size(tmp_path / "none.mp4") is None


def test_whoever_removes_an_avatar_removes_what_was_recorded_for_it(
    recording: SelfRecording, home: Home, portrait: UInt8Image, portrait_face: Face, tmp_path: Path
) -> None:
    from avatar.app.avatars import remove_stored
    from avatar.core.pictures import png
    from avatar.library.avatars import AvatarStore

    film_of(recording.begin(SIZE_PX), 10)
    (tmp_path / "photo.png").write_bytes(png(portrait))
    AvatarStore(home.avatars).add("Zoë", tmp_path / "photo.png", portrait_face)
    assert remove_stored("Zoë", home) == (home.avatars / "Zoë", recording.folder)
    assert not recording.folder.exists()
