"""WHIP against a real WebRTC endpoint, and its parts."""

from __future__ import annotations

import time
from fractions import Fraction

import av
import numpy as np
import pytest

from avatar.core.errors import SinkError, SinkLostError
from avatar.stages.sinks.streaming.whip import Interleaved
from tests.stages.sinks.pipewire_session import wait_until
from tests.stages.sinks.streaming.show import perform
from tests.stages.sinks.streaming.test_stream_sink import KEY, SIZE, make
from tests.stages.sinks.streaming.whip_server import WhipServer


def test_pictures_and_sound_arrive_together_and_in_order() -> None:
    start_ns = time.monotonic_ns()
    with WhipServer(token=KEY) as server:
        with make(f"{server.address}/room", start_ns, key=KEY) as sink:
            perform(sink, range(120), SIZE, start_ns)
            wait_until(lambda: len(server.frames) > 60, "the receiver")
        numbers = [n for n, _, _ in server.frames]
        assert np.all(np.diff(numbers) == 1), numbers
        assert {"H264", "opus"} <= server.codecs
        assert "VP8" not in server.codecs
        bright = [at for n, at, level in server.frames if n % 15 == 0 and level > 200]
        assert len(bright) >= 4
        # When they came in, the receiver's buffers included: it puts them together itself.
        for flash in bright[1:-1]:
            assert min(abs(click - flash) for click in server.clicks) < 0.15
        assert server.deleted == 1
        assert server.requests[0] == "POST /whip/room"


def test_a_receiver_that_lost_its_picture_gets_a_whole_one() -> None:
    start_ns = time.monotonic_ns()
    with WhipServer() as server, make(f"{server.address}/{KEY}") as sink:
        perform(sink, range(30), SIZE, start_ns)
        wait_until(lambda: len(server.frames) > 5, "the receiver")
        server.lose_picture()
        perform(sink, range(30, 55), SIZE, start_ns)
        wait_until(lambda: server.frames[-1][0] > 45, "the receiver")
        # Without having asked, the next one would come two seconds after the first.
        assert any(30 <= number < 50 for number in server.keyframes), server.keyframes


def test_a_wrong_key_is_told_without_the_key() -> None:
    start_ns = time.monotonic_ns()
    with WhipServer(token=KEY) as server, make(f"{server.address}/room", key="wr0ng") as sink:
        with pytest.raises(SinkLostError) as raised:
            perform(sink, range(150), SIZE, start_ns)
        assert "the key is refused" in str(raised.value)
        assert "wr0ng" not in str(raised.value)


def test_a_receiver_that_leaves_is_lost_and_may_be_entered_again() -> None:
    start_ns = time.monotonic_ns()
    with WhipServer() as server:
        sink = make(f"{server.address}/{KEY}")
        with sink:
            perform(sink, range(45), SIZE, start_ns)
            wait_until(lambda: len(server.frames) > 5, "the receiver")
            server.drop()
            with pytest.raises(SinkError):
                perform(sink, range(45, 600), SIZE, start_ns)
        server.frames.clear()
        begun_ns = time.monotonic_ns()
        with sink:
            perform(sink, range(60), SIZE, begun_ns)
            wait_until(lambda: len(server.frames) > 5, "the receiver, again")


def packet(pts: int, clock_hz: int, duration: int = 0) -> av.Packet:
    made = av.Packet(b"x")
    made.pts, made.time_base, made.duration = pts, Fraction(1, clock_hz), duration
    return made


def test_pictures_wait_for_the_sound_of_their_time() -> None:
    order = Interleaved()
    early, late = packet(0, 90_000), packet(3000, 90_000)
    assert order.add([early, late]) == []
    first = packet(0, 48_000, 960)
    assert order.add([first]) == [early, first]
    second = packet(960, 48_000, 960)
    assert order.add([second]) == [late, second]
