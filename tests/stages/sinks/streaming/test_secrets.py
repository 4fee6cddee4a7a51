"""A stream's key is in nothing that is written: a whole run, grepped."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avatar.app.studio.outputs import Outputs
from avatar.core.clock import MonotonicClock
from avatar.core.config_file import load_options
from avatar.core.errors import AvatarError, ConfigError, SinkError, SourceError, UsageError
from avatar.core.home import Home
from avatar.core.observe import Recorder, Span, summarise
from avatar.core.options import Options
from avatar.measure.doctor import check_streams
from avatar.sessions.live import LiveSession
from avatar.stages.label import file_metadata
from avatar.stages.sinks import create_sink
from avatar.stages.sinks.streaming.address import numbered, parse_address
from avatar.stages.sinks.streaming.settings import KEY_VARIABLE, StreamSettings, stream_key
from avatar.stages.sources import create_source
from tests.core.test_addresses import addresses
from tests.stages.sinks.streaming.servers import RtmpServer, free_port
from tests.stages.sinks.streaming.show import perform

KEY, TOKEN = "live_123-s3cr3t", "t0k3n-s3cr3t"
SECRETS = ("s3cr3t", "live_123", "t0k3n")
SIZE = (160, 120)


def clean(text: str) -> str:
    assert not any(secret in text for secret in SECRETS), text
    return text


@pytest.mark.parametrize("answers", [True, False])
def test_a_run_writes_the_key_nowhere(tmp_path: Path, answers: bool) -> None:
    with RtmpServer() as server:
        port = server.port if answers else free_port()
        stats = tmp_path / "stats.json"
        environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
        done = subprocess.run(
            [sys.executable, "-m", "avatar", "run", "--camera", "demo",
             "--out", "none", "--out", f"rtmp://127.0.0.1:{port}/live/{KEY}?auth={TOKEN}",
             "--out", f"whip:http://127.0.0.1:{free_port()}/{KEY}/webRTC/publish?auth={TOKEN}",
             "--out", f"rtmp://127.0.0.1:{port}/live/{KEY}/",
             "--seconds", "1.5", "--stats", str(stats), "--size", "320x180",
             "--no-label", "--acknowledge-disclosure-duty"],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
    assert done.returncode == 1, clean(done.stderr)  # nobody answers the second stream
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"stats.json", "disclosure.log"}
    for text in (done.stdout, done.stderr, *(path.read_text("utf-8") for path in written)):
        clean(text)
    shown = f"rtmp://127.0.0.1:{port}/…"
    assert shown in done.stderr
    outputs = json.loads(next(p for p in written if p.suffix == ".log").read_text())["outputs"]
    assert {shown, f"{shown} (2)"} <= set(outputs)
    assert ("nothing answers" in done.stderr) or answers


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (f"rtmpx://host/app/{KEY}", "Did you mean 'rtmp'"),
        (f"https://host/whip/{KEY}?t={TOKEN}", "Did you mean 'whip:'"),
        (f"none:rtmp://host/{KEY}", "takes nothing"),
        (f" RTMP://host/app/{KEY}/", "Did you mean 'rtmp'"),
        (f"'rtmp://host/app/{KEY}'", "There is no output"),
        (f"rtmp//host/app/{KEY}", "a stream begins with"),
        (f"user:{TOKEN}@host/app/{KEY}", "a stream begins with"),
        (f"host.example/app/{KEY}", "a stream begins with"),
        (f"preview://host/{KEY}?x", "takes nothing"),
        (f"whip:rtmp://host/app/{KEY}", "such as whip:https"),
        (f"rtmp:/host/{KEY}", "such as rtmp://HOST"),
        (f"udp://host/{KEY}", "expected a port"),
        (f"rtmp://host:port/app/{KEY}", "such as rtmp://HOST"),
    ],
)
def test_mistakes_are_told_without_the_key(spec: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        create_sink(spec, size_px=SIZE, fps=30, clock=MonotonicClock())
    assert told in clean(str(raised.value))


def test_the_same_output_twice_is_told_without_the_key(home: Home) -> None:
    address = f"rtmp://host/app/{KEY}"
    with pytest.raises(UsageError, match="only once") as raised:
        LiveSession(Options(camera="demo", out=(address, address)), lambda line: None, home=home)
    clean(str(raised.value))


def test_two_streams_to_one_host_have_names_of_their_own() -> None:
    address = parse_address("rtmp", f"//host/app/{KEY}")
    names = [address.shown]
    names.append(numbered(address, names).shown)
    names.append(numbered(address, names).shown)
    assert names == ["rtmp://host/…", "rtmp://host/… (2)", "rtmp://host/… (3)"]


@pytest.mark.parametrize(
    "camera",
    [
        f"http://user:{TOKEN}@127.0.0.1:9/cam?token={KEY}", f"rtsp://127.0.0.1:9/{KEY}/",
        f"http:/127.0.0.1/{KEY}", f"gopher://127.0.0.1/{KEY}", f"http://[{KEY}/", f"HTTP://h:{KEY}",
    ],
)  # fmt: skip
def test_a_cameras_address_is_told_without_its_token(camera: str) -> None:
    with pytest.raises(SourceError) as raised:
        source = create_source(camera, clock=MonotonicClock())
        clean(source.name)
        source.__enter__()
    clean("".join(traceback.format_exception(raised.value)))


def test_a_run_says_a_cameras_address_without_its_token(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "avatar", "run", "--camera",
         f"http://127.0.0.1:{free_port()}/cam/{KEY}?token={TOKEN}", "--out", "none",
         "--seconds", "1", "--stats", str(tmp_path / "stats.json")],
        capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")},
    )  # fmt: skip
    assert done.returncode != 0
    clean(done.stdout + done.stderr)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            clean(path.read_text("utf-8"))


def test_a_config_file_that_is_wrong_is_told_without_the_key(tmp_path: Path) -> None:
    file = tmp_path / "live.toml"
    file.write_text(f'out = {{ stream = "rtmp://host/app/{KEY}" }}\n')
    with pytest.raises(ConfigError, match="found dict") as raised:
        load_options(file, {})
    clean("".join(traceback.format_exception(raised.value)))


def test_what_is_printed_for_developers_has_no_key() -> None:
    address = parse_address("rtmp", f"//user:{TOKEN}@host/app/{KEY}")
    settings = StreamSettings(key=KEY)
    for thing in (address, settings, Options(out=(f"rtmp://host/app/{KEY}",))):
        clean(repr(thing))
    sink = create_sink(
        f"rtmp://127.0.0.1:{free_port()}/live/{KEY}", size_px=SIZE, fps=30, clock=MonotonicClock()
    )
    with sink, pytest.raises(SinkError) as raised:
        perform(sink, range(60), SIZE, 0)
    text = io.StringIO()
    traceback.print_exception(raised.value, file=text)
    clean(text.getvalue())
    clean(repr(check_streams()))


@pytest.mark.parametrize("key", [KEY, f"FB-1?s_bl=1&s={TOKEN}", f"a/{KEY}"])
def test_a_key_given_apart_goes_to_the_end_and_is_not_shown(key: str) -> None:
    address = parse_address("rtmps", "//live.example:443/rtmp/", key)
    assert address.url == f"rtmps://live.example:443/rtmp/{key}"
    assert address.shown == "rtmps://live.example:443/…"
    whip = parse_address("whip", "https://live.example/whip/room", key)
    assert whip.token == key
    assert whip.shown == "whip:https://live.example/…"


def test_a_token_does_not_travel_readable() -> None:
    with pytest.raises(UsageError, match="begins with https"):
        parse_address("whip", "http://live.example/whip", KEY)
    assert parse_address("whip", "http://127.0.0.1/whip", KEY).token == KEY


def test_keys_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert stream_key(file, {KEY_VARIABLE: "other"}) == KEY
    assert stream_key(None, {KEY_VARIABLE: f" {KEY} "}) == KEY
    assert stream_key(None, {}) is None
    file.write_text(f"{KEY}\n{TOKEN}\n")
    with pytest.raises(UsageError, match="one line with the key") as raised:
        stream_key(file, {})
    clean(str(raised.value))
    with pytest.raises(UsageError, match="cannot be read"):
        stream_key(tmp_path / "none", {})


def test_a_files_name_is_not_taken_for_an_address(tmp_path: Path) -> None:
    sink = create_sink(
        f"file:{tmp_path}/a.mp4", size_px=SIZE, fps=30, clock=MonotonicClock(),
        metadata=file_metadata("test", "1"),
    )  # fmt: skip
    assert sink.name == f"file:{tmp_path}/a.mp4"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(address=addresses(), is_whip=st.booleans())
def test_whatever_an_address_is_like_no_other_part_of_it_is_told(
    tmp_path: Path, address: str, is_whip: bool
) -> None:
    """Errors, names, statistics and what a page is sent, over addresses of every form."""
    told: list[str] = []
    spec = f"whip:{address}" if is_whip and not address.startswith("whip") else address
    recorder = Recorder()
    try:
        sink = create_sink(spec, size_px=SIZE, fps=30, clock=MonotonicClock(), say=told.append)
    except AvatarError as error:
        told.append("".join(traceback.format_exception(error)))
    else:
        recorder.span(Span(f"sink {sink.name}", 0, 0, 1))
        recorder.span(Span(f"capture→{sink.name}", 0, 0, 1))
        recorder.count(f"failed.{sink.name}")
        told += [sink.name, repr(sink), json.dumps(summarise(recorder), ensure_ascii=False)]
    outputs = Outputs(tmp_path, told.append)
    with suppress(AvatarError):
        outputs.switch("stream", True, spec, None)
    told.append(str(outputs.describe(None)))
    try:
        told.append(create_source(address, clock=MonotonicClock()).name)
    except AvatarError as error:
        told.append("".join(traceback.format_exception(error)))
    for text in told:
        assert "S3" not in text.upper() and "CR3T" not in text.upper(), (spec, text)
