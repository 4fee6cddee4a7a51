"""Streams through a real RTMP server, and as MPEG-TS: what a player gets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.error import BrokenPipeError, EOFError, InvalidDataError

from avatar.core.clock import MonotonicClock
from avatar.core.errors import SinkLostError, SinkUnavailableError
from avatar.core.stages import FrameSink, RemoteSink
from avatar.stages.label import file_metadata
from avatar.stages.sinks import create_sink
from avatar.stages.sinks.streaming import fifo, network, whip
from avatar.stages.sinks.streaming.address import parse_address
from avatar.stages.sinks.streaming.encoders import VideoPlan
from avatar.stages.sinks.streaming.settings import StreamSettings
from avatar.stages.sinks.streaming.sink import StreamSink
from tests.stages.sinks.numbers import COLOUR
from tests.stages.sinks.pipewire_session import wait_until
from tests.stages.sinks.streaming.servers import (
    Played,
    Player,
    RtmpServer,
    TlsProxy,
    free_port,
    play,
    self_signed,
)
from tests.stages.sinks.streaming.show import FPS, FRAME_NS, ClickTrack, perform, picture

SIZE = (640, 360)
KEY = "s3cr3t-k3y"


@pytest.fixture(scope="module")
def server() -> Iterator[RtmpServer]:
    with RtmpServer() as running:
        yield running


def make(spec: str, start_ns: int = 0, **settings: Any) -> FrameSink:
    return create_sink(
        spec, size_px=SIZE, fps=FPS, clock=MonotonicClock(), stream=StreamSettings(**settings),
        open_track=lambda: ClickTrack(start_ns),
    )  # fmt: skip


def check(played: Played, at_least: int) -> None:
    numbers = [n for n, _, _ in played.frames]
    assert len(numbers) >= at_least
    assert np.all(np.diff(numbers) == 1), "every picture, in order"
    times = np.array([t for _, t, _ in played.frames])
    np.testing.assert_allclose(np.diff(times), 1 / FPS, atol=0.002)
    apart_ms = 1e3 * np.array(apart(played))
    assert len(apart_ms) >= at_least // 15 - 2
    assert np.abs(apart_ms).max() <= 5, apart_ms


def apart(played: Played) -> list[float]:
    """How much later than its flash each click is heard, seconds."""
    return [
        click - flash for flash in played.flashes for click in played.clicks
        if abs(click - flash) < 0.25
    ]  # fmt: skip


def test_a_player_gets_every_picture_with_its_sound(server: RtmpServer) -> None:
    start_ns = time.monotonic_ns()
    address = f"{server.address}/{KEY}"
    with server.player(KEY) as player, make(address, start_ns) as sink:
        perform(sink, range(90), SIZE, start_ns)
        wait_until(lambda: len(player.played.frames) >= 75, "the player")
    check(player.played, 75)
    played = player.played
    assert np.allclose(np.diff(played.keyframes), 2.0, atol=0.04)
    assert played.codecs["audio"].name == "aac"
    assert played.codecs["audio"].sample_rate == 48_000
    video = played.codecs["video"]
    assert (video.width, video.height) == SIZE
    assert (video.color_range, video.colorspace) == (1, 6), "limited range, BT.601"
    assert played.picture is not None
    colour = played.picture[SIZE[1] // 2, SIZE[0] // 3].astype(int)
    assert np.abs(colour - COLOUR).max() <= 8
    assert played.picture[:80, -80:].max() > 200, "the label"


def test_mpeg_ts_is_received_as_it_was_sent() -> None:
    start_ns = time.monotonic_ns()
    address = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with Player(f"{address}?fifo_size=100000") as player, make(address, start_ns) as sink:
        perform(sink, range(90), SIZE, start_ns)
        wait_until(lambda: len(player.played.frames) >= 45, "the receiver")
    played = player.played
    numbers = [n for n, _, _ in played.frames]
    assert np.all(np.diff(numbers) == 1), numbers
    assert np.abs(apart(played)).max() <= 0.005
    assert played.codecs["audio"].name == "aac"


def test_certificates_are_checked(server: RtmpServer, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    start_ns = time.monotonic_ns()
    with TlsProxy(server.port, certificate, key) as proxy:
        address = f"rtmps://localhost:{proxy.port}/live/{KEY}"
        with make(address) as sink, pytest.raises(SinkLostError) as raised:
            perform(sink, range(90), SIZE, start_ns)
        assert "certificate of localhost is not trusted" in str(raised.value)
        assert "--stream-ca FILE" in str(raised.value)
        assert KEY not in str(raised.value)
        start_ns = time.monotonic_ns()
        with server.player(KEY) as player, make(address, start_ns, ca_file=certificate) as sink:
            perform(sink, range(75), SIZE, start_ns)
            wait_until(lambda: len(player.played.frames) >= 45, "the player")
        check(player.played, 45)
        other_name = f"rtmps://127.0.0.1:{proxy.port}/live/{KEY}"
        with make(other_name, ca_file=certificate) as sink, pytest.raises(SinkLostError) as raised:
            perform(sink, range(90), SIZE, time.monotonic_ns())
        assert "not trusted" in str(raised.value)


def test_another_size_is_sent_with_everything_in_it(server: RtmpServer) -> None:
    start_ns = time.monotonic_ns()
    address = f"{server.address}/{KEY}"
    with server.player(KEY) as player, make(address, start_ns, size_px=(360, 360)) as sink:
        perform(sink, range(60), SIZE, start_ns)
        wait_until(lambda: len(player.played.frames) >= 30, "the player")
    picture = player.played.picture
    assert picture is not None
    assert picture.shape == (360, 360, 3)
    assert picture[:60].max() < 40, "black above"
    assert picture[90:130, -45:].max() > 200, "the label is whole"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is long enough for a server of this machine."""
    for module in (fifo, network, whip):
        monkeypatch.setattr(module, "ANSWER_S", 1.0)
    monkeypatch.setattr(StreamSink, "settle_s", 4.0)


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])
        # Who still knocks is left to give up by itself.
        wait_until(lambda: "knock" not in {t.name for t in threading.enumerate()}, "the end")


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ("rtmp", "did not take the stream"),
        ("rtmps", "no answer from 127.0.0.1"),
        ("whip:http", "did not take the stream"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_nothing_blocks_nothing(scheme: str, told: str) -> None:
    if scheme.startswith("whip"):
        pytest.importorskip("aiortc", reason="speaks WebRTC")
    start_ns = time.monotonic_ns()
    with silent_server() as port, make(f"{scheme}://127.0.0.1:{port}/live/{KEY}") as sink:
        before = threading.active_count()
        writes: list[float] = []
        with pytest.raises(SinkLostError, match=told):
            for index in range(600):
                writes += perform(sink, range(index, index + 1), SIZE, start_ns)
        assert len(writes) > 15, "it went on meanwhile"
        assert threading.active_count() <= before + 2


def test_nobody_there_is_told_in_words() -> None:
    port = free_port()
    sink = make(f"rtmp://127.0.0.1:{port}/live/{KEY}")
    with sink, pytest.raises(SinkLostError, match=f"nothing answers at 127.0.0.1:{port}"):
        perform(sink, range(90), SIZE, time.monotonic_ns())
    with pytest.raises(SinkUnavailableError, match="nothing answers"), sink:
        pass
    sink = make(f"rtmp://no-such-host.invalid/live/{KEY}")
    with sink, pytest.raises(SinkLostError, match=r"no-such-host\.invalid is not known"):
        perform(sink, range(90), SIZE, time.monotonic_ns())


def test_a_second_stream_with_the_same_key_is_told(server: RtmpServer) -> None:
    start_ns = time.monotonic_ns()
    address = f"{server.address}/{KEY}"
    with server.player(KEY) as player, make(address, start_ns) as first:
        perform(first, range(60), SIZE, start_ns)
        wait_until(lambda: len(player.played.frames) > 5, "the player")
        with make(address) as second, pytest.raises(SinkLostError, match="did not take") as raised:
            perform(second, range(90), SIZE, time.monotonic_ns())
        assert "nobody else streams with it" in str(raised.value)


@pytest.mark.usefixtures("impatient")
def test_a_wait_for_a_server_can_be_ended() -> None:
    with silent_server() as port:
        sink = make(f"rtmps://127.0.0.1:{port}/live/{KEY}")
        assert isinstance(sink, RemoteSink)
        with sink:
            perform(sink, range(3), SIZE, time.monotonic_ns())
        sink.interrupt()
        with pytest.raises(SinkUnavailableError, match="interrupted"), sink:
            pass


def test_a_recording_has_the_sound_where_it_belongs(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    sink = create_sink(
        f"file:{path}", size_px=SIZE, fps=FPS, clock=MonotonicClock(),
        metadata=file_metadata("test", "1"), open_track=lambda: ClickTrack(FRAME_NS),
    )  # fmt: skip
    with sink:
        for index in range(90):
            sink.write(picture(index, SIZE, FRAME_NS))
    played = Played()
    with av.open(str(path)) as container:
        play(container, played)
    check(played, 90)
    assert played.sound_s == pytest.approx(3.0, abs=0.05)


def test_a_server_that_dies_and_comes_back_gets_a_new_stream() -> None:
    with RtmpServer() as server:
        sink = make(f"{server.address}/{KEY}", start_ns := time.monotonic_ns())
        with server.player(KEY) as player, sink:
            perform(sink, range(50), SIZE, start_ns)
            wait_until(lambda: len(player.played.frames) > 15, "the player")
            server.kill()
            with pytest.raises(SinkLostError, match="nothing answers"):
                perform(sink, range(50, 300), SIZE, start_ns)
        with pytest.raises(SinkUnavailableError, match="nothing answers"), sink:
            pass
        server.start()
        with server.player(KEY) as player, sink:
            first = (time.monotonic_ns() - start_ns) // FRAME_NS + 2
            perform(sink, range(first, first + 60), SIZE, start_ns)
            wait_until(lambda: len(player.played.frames) >= 45, "the player, again")
        check(player.played, 45)
        assert player.played.frames[0][0] == first, "from its first picture, a keyframe"
        assert player.played.keyframes[0] == pytest.approx(0, abs=0.05)


def test_every_way_in_which_ffmpeg_fails_is_a_lost_stream(server: RtmpServer) -> None:
    """An end of file is no OSError, and must not end the other outputs."""
    sender = fifo.FifoSender(
        parse_address("rtmp", f"//127.0.0.1:{server.port}/live/{KEY}"), "x264",
        VideoPlan(SIZE, FPS, 500), 128, None,
    )  # fmt: skip
    container = sender._container
    assert container is not None
    for error in (EOFError, BrokenPipeError, InvalidDataError):

        class Failing:
            @staticmethod
            def mux(packet: object, error: Any = error) -> None:
                raise error(1, "gone", f"rtmp://host/live/{KEY}")

            @staticmethod
            def close(error: Any = error) -> None:
                raise error(1, "gone", f"rtmp://host/live/{KEY}")

        sender._container = cast("Any", Failing())
        with pytest.raises(SinkLostError) as raised:
            sender.send(cast("Any", [object()]))
        assert KEY not in str(raised.value)
        sender.close()
    container.close()
