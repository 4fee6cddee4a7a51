"""Encoders: which is taken, keyframes by time, what services ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from avatar.core.errors import SinkUnavailableError, UsageError
from avatar.core.options import Options
from avatar.sessions.streams import stream_settings
from avatar.stages.sinks.streaming import encoders
from avatar.stages.sinks.streaming.encoders import (
    ENCODERS,
    H264Encoder,
    VideoPlan,
    choose_encoder,
    configure,
    options_of,
    why_not,
)
from avatar.stages.sinks.streaming.settings import KEY_VARIABLE, SERVICES, StreamSettings

PLAN = VideoPlan((320, 180), 30, 500)


def test_auto_takes_hardware_first_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    opening = {"qsv", "x264"}
    monkeypatch.setattr(encoders, "why_not", lambda name, plan: None if name in opening else "no")
    said: list[str] = []
    assert choose_encoder("auto", PLAN, said.append) == "qsv"
    assert said == ["encoder: qsv"]
    opening.remove("qsv")
    assert choose_encoder("auto", PLAN, said.append) == "x264"
    assert said[1] == "encoder: x264 (no hardware encoder opens here)"
    opening.clear()
    with pytest.raises(SinkUnavailableError, match="none of those of PyAV opens"):
        choose_encoder("auto", PLAN, said.append)


def test_what_was_asked_for_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "why_not", lambda name, plan: "no card")
    with pytest.raises(SinkUnavailableError, match=r"--encoder nvenc.*no card"):
        choose_encoder("nvenc", PLAN, lambda line: None)
    with pytest.raises(UsageError, match="expected auto, nvenc"):
        choose_encoder("nvec", PLAN, lambda line: None)


def test_encoders_are_really_opened_here() -> None:
    assert why_not("x264", PLAN) is None
    for name in ENCODERS:
        trouble = why_not(name, PLAN)
        assert trouble is None or trouble, name
    assert why_not("x264", VideoPlan((321, 180), 30, 500)) is not None


def keyframes(times_s: list[float], plan: VideoPlan = PLAN) -> list[float]:
    from av.codec import CodecContext

    context: Any = CodecContext.create("libx264", "w")
    configure(context, "x264", plan)
    context.options = options_of("x264", plan)
    encoder = H264Encoder(context.encode, plan)
    grey = np.full((plan.size_px[1] * 3 // 2, plan.size_px[0]), 90, np.uint8)
    found = []
    for time_s in times_s:
        packets = encoder.encode(grey, round(time_s * 1e9))
        assert len(packets) == 1, "each picture leaves at once"
        if packets[0].is_keyframe:
            found.append(time_s)
    return found


def test_keyframes_come_every_two_seconds_at_any_rate() -> None:
    generator = np.random.default_rng(1)
    for fps in (10, 15, 30):
        times = [k / fps + float(generator.uniform(0, 0.01)) for k in range(7 * fps)]
        found = keyframes(times)
        assert len(found) == 4
        np.testing.assert_allclose(found, [0, 2, 4, 6], atol=0.5 / fps + 0.02)


def test_a_picture_that_is_still_is_filled_up_where_a_service_wants_it() -> None:
    def size(plan: VideoPlan) -> int:
        from av.codec import CodecContext

        context: Any = CodecContext.create("libx264", "w")
        configure(context, "x264", plan)
        context.options = options_of("x264", plan)
        encoder = H264Encoder(context.encode, plan)
        grey = np.full((270, 320), 90, np.uint8)
        return sum(p.size for k in range(90) for p in encoder.encode(grey, k * 33_333_333))

    constant = size(VideoPlan((320, 180), 30, 500, is_constant_rate=True))
    assert size(PLAN) < constant / 10
    assert constant * 8 / 3 == pytest.approx(500_000, rel=0.15)


@pytest.mark.parametrize(
    ("settings", "size_px", "fps", "kbps"),
    [
        ({}, (1280, 720), 30, 3000),
        ({}, (640, 480), 30, 1500),
        ({"preset": "twitch"}, (1920, 1080), 60, 6000),
        ({"preset": "youtube"}, (1280, 720), 30, 4000),
        ({"preset": "youtube"}, (1920, 1080), 30, 10_000),
        ({"preset": "twitch", "bitrate_kbps": 5000}, (1280, 720), 30, 5000),
    ],
)
def test_bit_rates_are_those_that_services_recommend(
    settings: Mapping[str, Any], size_px: tuple[int, int], fps: float, kbps: int
) -> None:
    assert StreamSettings(**settings).video_kbps(size_px, fps) == kbps


def test_what_a_service_would_refuse_is_told() -> None:
    with pytest.raises(UsageError, match="at most 6000"):
        StreamSettings(preset="twitch", bitrate_kbps=8000).video_kbps((1280, 720), 30)
    with pytest.raises(UsageError, match="--stream-size 1920x1080"):
        StreamSettings(preset="twitch").video_kbps((2560, 1440), 30)
    with pytest.raises(UsageError, match="--bitrate: expected 100"):
        StreamSettings(bitrate_kbps=6)
    assert SERVICES["twitch"].sound_kbps == 160


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"out": ("none",), "bitrate": 3000}, "--bitrate is for streams"),
        ({"out": ("none",), "encoder": "nvenc"}, "--encoder is for streams"),
        ({"out": ("udp://h:1",), "stream_size": "2x2"}, "--stream-size: expected even"),
    ],
)
def test_options_without_a_stream_are_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        stream_settings(Options(**options))


def test_one_key_is_for_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k")
    one = Options(out=("rtmp://h/app", "udp://h:1"))
    assert stream_settings(one).key == "k"
    with pytest.raises(UsageError, match=f"{KEY_VARIABLE} is for one stream, found 2"):
        stream_settings(Options(out=("rtmp://h/app", "rtmp://g/app")))
