from __future__ import annotations

import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.clock import ManualClock, MonotonicClock
from avatar.core.errors import SourceEndedError, SourceError, SourceLostError, SourceNotFoundError
from avatar.core.frames import CameraFrame
from avatar.stages.sources.video import VideoSource
from tests.stages.sources.films import make_film, make_sound, number_of

FPS = 25
PERIOD_NS = 1_000_000_000 // FPS


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("films") / "twelve.mp4")


def take(source: VideoSource, amount: int) -> list[CameraFrame]:
    frames = []
    while len(frames) < amount:
        frame = source.read()
        if frame is not None:
            frames.append(frame)
    return frames


def test_frames_come_in_order_at_the_moments_of_the_film(film: Path) -> None:
    clock = ManualClock(5_000)
    with VideoSource(str(film), None, clock) as source:
        frames = take(source, 12)
    assert [number_of(f.image) for f in frames] == list(range(12))
    assert [f.timestamp_ns for f in frames] == [5_000 + n * PERIOD_NS for n in range(12)]


def test_a_loop_has_no_seam(film: Path) -> None:
    with VideoSource(str(film), None, ManualClock()) as source:
        frames = take(source, 30)
    assert [number_of(f.image) for f in frames] == [n % 12 for n in range(30)]
    assert set(np.diff([f.timestamp_ns for f in frames])) == {PERIOD_NS}


def test_without_loop_it_ends_and_stays_ended(film: Path) -> None:
    with VideoSource(str(film), None, ManualClock(), loop=False) as source:
        take(source, 12)
        for _ in range(2):
            with pytest.raises(SourceEndedError, match="ended"):
                source.read()


def test_a_late_consumer_gets_the_newest_frame(film: Path) -> None:
    clock = ManualClock()
    with VideoSource(str(film), None, clock) as source:
        take(source, 1)
        clock.advance_ns(5 * PERIOD_NS + 1)
        late = take(source, 1)[0]
        following = take(source, 1)[0]
    assert (number_of(late.image), late.timestamp_ns) == (5, 5 * PERIOD_NS)
    assert (number_of(following.image), following.timestamp_ns) == (6, 6 * PERIOD_NS)


def test_late_frames_before_the_end_are_not_lost_to_it(film: Path) -> None:
    clock = ManualClock()
    with VideoSource(str(film), None, clock, loop=False) as source:
        take(source, 1)
        clock.advance_ns(900_000_000)
        assert number_of(take(source, 1)[0].image) == 11
        with pytest.raises(SourceEndedError):
            source.read()


def test_after_a_long_sleep_the_film_goes_on_where_it_was(film: Path) -> None:
    clock = ManualClock()
    with VideoSource(str(film), None, clock) as source:
        take(source, 2)
        clock.advance_ns(3_600_000_000_000)
        frame = take(source, 1)[0]
    assert (number_of(frame.image), frame.timestamp_ns) == (2, clock.now_ns())


def test_unpaced_gives_every_frame_and_waits_for_none(film: Path) -> None:
    clock = ManualClock(7)
    with VideoSource(str(film), None, clock, loop=False, paced=False) as source:
        frames = take(source, 12)
    assert [number_of(f.image) for f in frames] == list(range(12))
    assert clock.now_ns() == 7


def test_fps_replaces_the_timestamps_of_the_film(film: Path) -> None:
    with VideoSource(str(film), None, ManualClock(), fps=30.0) as source:
        frames = take(source, 20)
    assert [f.timestamp_ns for f in frames] == [round(n * 1e9 / 30) for n in range(20)]
    assert [number_of(f.image) for f in frames] == [n % 12 for n in range(20)]


@pytest.mark.parametrize(
    ("rotation_deg", "red_corner"), [(90, (1, 0)), (180, (1, 1)), (-90, (0, 1))]
)
def test_rotation_is_honoured(
    tmp_path: Path, rotation_deg: int, red_corner: tuple[int, int]
) -> None:
    path = make_film(tmp_path / "turned.mp4", count=2, rotation_deg=rotation_deg)
    with VideoSource(str(path), None, ManualClock()) as source:
        image = take(source, 1)[0].image
    assert image.shape == ((64, 48, 3) if abs(rotation_deg) == 90 else (48, 64, 3))
    height, width = image.shape[:2]
    corners = {
        (row, column): image[height * (1 + 2 * row) // 4, width * (1 + 2 * column) // 4]
        for row in (0, 1)
        for column in (0, 1)
    }
    redness = {where: int(c[0]) - int(c[1]) for where, c in corners.items()}
    assert max(redness, key=lambda where: redness[where]) == red_corner


@given(width=st.integers(16, 200), height=st.integers(16, 200), turned=st.booleans())
@settings(max_examples=12, deadline=None)
def test_any_size_is_filled(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, turned: bool
) -> None:
    path = tmp_path_factory.mktemp("size") / "film.mp4"
    make_film(path, count=1, rotation_deg=90 if turned else 0)
    with VideoSource(str(path), (width, height), ManualClock()) as source:
        image = take(source, 1)[0].image
    assert image.shape == (height, width, 3)
    assert image.flags.c_contiguous


def test_other_containers_and_codecs(tmp_path: Path) -> None:
    for name, codec in (("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx")):
        path = make_film(tmp_path / name, codec=codec)
        with VideoSource(str(path), None, ManualClock()) as source:
            assert [number_of(f.image) for f in take(source, 14)][:12] == list(range(12))


def test_non_ascii_path(tmp_path: Path) -> None:
    path = make_film(tmp_path / "Überraschung 你好.mp4", count=2)
    with VideoSource(str(path), None, ManualClock()) as source:
        assert take(source, 1)


def broken(tmp_path: Path, film: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a film\n" * 50)
    elif kind == "cut":
        path.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    elif kind == "sound":
        make_sound(path)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(20_000))
    elif kind == "picture":
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        path = path.with_suffix(".png")
        picture.to_image().save(path)
    elif kind == "frameless":
        whole = film.read_bytes()
        start = whole.index(b"mdat") + 4
        size = int.from_bytes(whole[start - 8 : start - 4], "big") - 8
        path.write_bytes(whole[:start] + bytes(size) + whole[start + size :])
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "sound", "noise", "picture", "frameless"])
def test_what_is_no_video_is_a_clear_error(tmp_path: Path, film: Path, kind: str) -> None:
    path = broken(tmp_path, film, kind)
    with (
        pytest.raises(SourceError, match="expected a video") as caught,
        VideoSource(str(path), None, ManualClock()),
    ):
        pass
    assert path.name in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with (
        pytest.raises(SourceError, match="expected a video file, found a pipe or a device"),
        VideoSource(str(tmp_path / "pipe.mp4"), None, ManualClock()),
    ):
        pass


def test_absent_file(tmp_path: Path) -> None:
    with (
        pytest.raises(SourceNotFoundError, match="no such file"),
        VideoSource(str(tmp_path / "none.mp4"), None, ManualClock()),
    ):
        pass


def test_a_file_that_vanishes_is_lost_at_its_next_turn(tmp_path: Path) -> None:
    path = make_film(tmp_path / "brief.mp4", count=3)
    with VideoSource(str(path), None, ManualClock()) as source:
        take(source, 1)
        path.unlink()
        take(source, 2)
        for _ in range(2):
            with pytest.raises(SourceLostError, match=r"brief\.mp4"):
                source.read()


def test_nobody_at_the_address_and_no_password_in_the_message() -> None:
    with (
        pytest.raises(SourceNotFoundError, match="sender is running") as caught,
        VideoSource("http://me:secret@127.0.0.1:9/x.mp4", None, MonotonicClock()),
    ):
        pass
    assert "secret" not in str(caught.value)


class Sender:
    """Sends a film as MPEG-TS over HTTP to one viewer, on a thread, until told to stop."""

    def __init__(self) -> None:
        import socket

        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/live.ts"
        self._hang_up = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up.set()
        self._thread.join()
        self._socket.close()

    def hang_up(self) -> None:
        self._hang_up.set()

    def _serve(self) -> None:
        viewer, _ = self._socket.accept()
        with viewer:
            viewer.recv(4096)
            viewer.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
            viewer.sendall(self.film)
            self._hang_up.wait(20)

    film: bytes = b""


def test_a_live_address_is_neither_paced_nor_waited_for(tmp_path: Path) -> None:
    Sender.film = make_film(tmp_path / "live.ts", count=200).read_bytes()
    clock = ManualClock(3)
    with Sender() as sender, VideoSource(sender.url, None, clock) as source:
        first = take(source, 1)[0]
        assert first.timestamp_ns == 3
        while source.read() is not None:
            pass  # the sender is silent now: read() gives up instead of hanging
        sender.hang_up()
        with pytest.raises(SourceLostError):
            while True:
                source.read()


def test_real_clips_play(shared_media: Path) -> None:
    clips = sorted((shared_media / "clips").glob("*.mp4"))
    assert clips
    for clip in clips:
        with VideoSource(str(clip), (640, 480), ManualClock(), fps=30.0) as source:
            frames = take(source, 10)
        assert {f.image.shape for f in frames} == {(480, 640, 3)}
        assert [f.timestamp_ns for f in frames] == [round(n * 1e9 / 30) for n in range(10)]
