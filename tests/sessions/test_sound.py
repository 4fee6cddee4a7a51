"""How late sound has to be, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar.app.devices import report_sound
from avatar.core.clock import ManualClock
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.libraries import missing_libraries
from avatar.core.observe import Recorder, Span
from avatar.core.options import Options
from avatar.learn.person.sync import calibrate_av
from avatar.library.profiles import ProfileStore
from avatar.measure.doctor import check_sound
from avatar.sessions.live import LiveSession
from avatar.sessions.sound import PictureDelay, sound_summary
from avatar.stages.sinks.none import NullSink
from avatar.stages.sound.devices import SoundDevice
from avatar.stages.sound.passthrough import SoundReport
from avatar.stages.sources.absent import AbsentSource


def delivered(recorder: Recorder, late_ms: float, frames: int) -> None:
    for k in range(frames):
        recorder.span(Span("capture→none", k, 0, round(late_ms * 1e6)))


def test_sound_waits_as_long_as_the_picture_takes() -> None:
    recorder = Recorder()
    lag_s = 0.0
    delay = PictureDelay(
        recorder, lambda: "none", camera_s=0.035, by_hand_s=-0.01, shown_lag_s=lambda: lag_s
    )
    delivered(recorder, 25, 80)
    delivered(recorder, 400, 5)
    assert delay() == pytest.approx(0.025 + 0.035 - 0.01)
    lag_s = 0.04
    assert delay() == pytest.approx(0.025 + 0.04 - 0.01), "a voice's picture has no camera in it"
    delivered(recorder, 60, 80)
    assert delay() == pytest.approx(0.06 + 0.04 - 0.01), "measured again while running"


def test_sound_never_has_to_come_before_it_was_heard() -> None:
    assert PictureDelay(Recorder(), lambda: "none", by_hand_s=-1.0)() == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"speaker": "cable"}, "--speaker needs --mic"),
        ({"drive": "both"}, "--drive both needs --mic"),
        ({"mic": "0", "av_offset": 3000.0}, "--av-offset"),
    ],
)
def test_options_that_do_not_fit_are_told(options: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Options(**options)  # type: ignore[arg-type]


def test_calibrating_the_camera_needs_a_microphone(home: Home) -> None:
    with pytest.raises(UsageError, match="--av needs --mic"):
        calibrate_av("demo", None, "me", store=ProfileStore(home.profiles))


@pytest.mark.parametrize(
    ("out", "brought", "recorded"),
    [("none", False, False), ("file:a.mp4", False, True), ("none", True, True)],
)
def test_sound_is_heard_where_a_recording_is_or_may_come(
    out: str,
    brought: bool,
    recorded: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Home,
) -> None:
    monkeypatch.chdir(tmp_path)
    config = Options(camera="demo", mic="any", out=(out,), size="320x240")
    sinks = [NullSink(config.size_px)] if brought else []
    session = LiveSession(config, print, home=home, sinks=sinks)
    assert session.sound is not None and session.sound.is_recorded == recorded


def test_the_summary_says_when_the_devices_are_slower_than_the_picture() -> None:
    assert "in step" in sound_summary(SoundReport(61.0, 60.0, 0, 0, 0))
    assert "17 ms behind the picture" in sound_summary(SoundReport(42.0, 25.0, 2, 1, 0))
    assert "lost 2 times" in sound_summary(SoundReport(0.0, 0.0, 0, 0, 2))


def test_devices_are_listed_with_what_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    yeti = SoundDevice(7, "Yeti [bold]", 1, 0, 44_100, "alsa_input.yeti")
    speakers = SoundDevice(3, "Speakers", 0, 2, 48_000)
    report_sound([yeti, speakers])
    out = capsys.readouterr().out
    assert "alsa_input.yeti" in out
    assert "Yeti [bold]" in out
    assert "module-null-sink" in out, "no cable: how to get one"
    report_sound([yeti, SoundDevice(7, "Cable", 0, 2, 48_000, "cable")])
    assert "module-null-sink" not in capsys.readouterr().out


def test_doctor_never_fails_for_want_of_sound() -> None:
    check = check_sound()
    assert check.state in ("ok", "warn")
    if missing_libraries("sound"):
        assert "libportaudio2" in check.remedy


def test_no_camera_has_no_frames_and_no_end() -> None:
    clock = ManualClock()
    with AbsentSource(clock) as source:
        assert source.read() is None
        assert clock.now_ns() == 250_000_000
        assert source.read() is None
