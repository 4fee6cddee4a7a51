"""The PipeWire camera with a real PipeWire, read by other programs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from avatar.core.errors import SinkLostError, SinkUnavailableError
from avatar.core.frames import UInt8Image
from avatar.stages.sinks.pipewire import PipeWireSink
from tests import ROOT
from tests.stages.sinks.numbers import COLOUR, LAST, colour_error, number, numbered
from tests.stages.sinks.pipewire_session import CameraReader, PipeWireSession, wait_until

pytestmark = [pytest.mark.real, pytest.mark.slow]

SIZE = (640, 360)
FPS = 30


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWireSession]:
    with PipeWireSession() as running:
        for key, value in running.environment.items():
            monkeypatch.setenv(key, value)
        yield running


class Writer:
    """Writes rising numbers at ``FPS`` from a thread, as the pipeline does, and counts."""

    def __init__(self, sink: PipeWireSink, size_px: tuple[int, int] = SIZE) -> None:
        self.index = 0
        self._sink, self._size_px = sink, size_px
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _write(self) -> None:
        start = time.monotonic()
        while not self._end.is_set() and self.index < LAST:
            self._sink.write(numbered(self.index + 1, self._size_px))
            self.index += 1
            self._end.wait(max(0.0, start + self.index / FPS - time.monotonic()))


def read_numbers(reader: CameraReader, frames: int) -> list[int]:
    numbers = []
    while len(numbers) < frames:
        image = reader.read()
        assert image is not None, f"the reader ended after {numbers}: {reader.errors()}"
        assert colour_error(image) <= 4
        numbers.append(number(image))
    return numbers


def assert_in_order(numbers: list[int]) -> None:
    """Rising, and nearly all of those that were written in between."""
    assert numbers == sorted(set(numbers)), numbers
    assert len(numbers) >= 0.9 * (numbers[-1] - numbers[0] + 1), numbers


def test_two_readers_get_every_frame_in_order(session: PipeWireSession) -> None:
    with PipeWireSink(SIZE, FPS) as sink, Writer(sink):
        with (
            CameraReader(session, "format=I420", SIZE, 120) as first,
            CameraReader(session, "format=I420", SIZE, 90) as second,
        ):
            seen: dict[str, list[int]] = {}
            threads = [
                threading.Thread(target=lambda n=n, r=r, k=k: seen.update({n: read_numbers(r, k)}))
                for n, r, k in (("first", first, 120), ("second", second, 90))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert seen.keys() == {"first", "second"}
        for numbers in seen.values():
            assert_in_order(numbers)
        wait_until(lambda: sink.agreed is None, "the end of work without a reader")
        with CameraReader(session, "", SIZE, 10) as third:
            assert_in_order(read_numbers(third, 10))


@pytest.mark.parametrize("pixels", ["I420", "YUY2", "RGB"])
@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (640, 360)])
def test_the_reader_chooses_layout_and_size(
    session: PipeWireSession, pixels: str, size: tuple[int, int]
) -> None:
    caps = f"format={pixels},width={size[0]},height={size[1]}"
    with (
        PipeWireSink((1280, 720), FPS) as sink,
        Writer(sink, (1280, 720)),
        CameraReader(session, caps, size, 1000) as reader,
    ):
        images = [reader.read() for _ in range(12)]
        assert sink.agreed == f"{size[0]}×{size[1]} {pixels}"
    pictures = [without_bars(image) for image in images if image is not None]
    assert len(pictures) == 12
    # GStreamer's older readers do not hear of BT.601 and take 720 lines of YUV for BT.709.
    assert max(map(colour_error, pictures)) <= (4 if pixels == "RGB" or size[1] < 720 else 14)
    numbers = [number(picture) for picture in pictures]
    assert numbers == sorted(set(numbers))
    # The label, which a cut to 4:3 would have taken off.
    corner = pictures[0][: pictures[0].shape[0] // 6, -pictures[0].shape[1] // 6 :]
    assert np.abs(corner.astype(int) - COLOUR).max() > 60


def without_bars(image: UInt8Image) -> UInt8Image:
    height = image.shape[1] * 9 // 16
    top = (image.shape[0] - height) // 2
    assert image[:top].max(initial=0) <= 4
    return image[top : top + height]


@pytest.mark.parametrize("size", [(642, 362), (100, 74)])
def test_sizes_that_are_no_multiple_of_eight_are_not_skewed(
    session: PipeWireSession, size: tuple[int, int]
) -> None:
    for pixels in ("YUY2", "RGB"):
        with (
            PipeWireSink(size, FPS) as sink,
            Writer(sink, size),
            CameraReader(session, f"format={pixels}", size, 5) as reader,
        ):
            assert_in_order(read_numbers(reader, 5))


def test_a_reader_that_wants_another_format_does_not_disturb_the_first(
    session: PipeWireSession,
) -> None:
    with (
        PipeWireSink(SIZE, FPS) as sink,
        Writer(sink),
        CameraReader(session, "format=I420", SIZE, 200) as first,
    ):
        numbers = read_numbers(first, 20)
        with CameraReader(session, "format=RGB", SIZE, 5) as second:
            numbers += read_numbers(first, 60)
            assert sink.agreed == "640×360 I420"
            second.__exit__(None, None, None)
        numbers += read_numbers(first, 20)
    assert_in_order(numbers)


def test_the_camera_has_its_name_and_goes_when_left(session: PipeWireSession) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        with PipeWireSink(SIZE, FPS, 'My "own", née {camera}') as sink:
            assert sink.device == 'My "own", née {camera}'
            assert session.cameras() == 1
            said = session.ask("pw-cli", "info", "avatar-camera")
            assert "née {camera}" in said
            assert 'media.role = "Camera"' in said
        wait_until(lambda: session.cameras() == 0, "the camera's end")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert not [t for t in threading.enumerate() if "avatar" in t.name]


def test_two_programs_have_a_camera_each(session: PipeWireSession) -> None:
    with PipeWireSink(SIZE, FPS), PipeWireSink(SIZE, FPS, "Second"):
        assert session.cameras() == 2


def test_a_server_that_dies_is_told_and_its_return_too(session: PipeWireSession) -> None:
    sink = PipeWireSink(SIZE, FPS)
    with sink:
        sink.write(numbered(1, SIZE))
        session.stop()

        def is_lost() -> bool:
            try:
                sink.write(numbered(2, SIZE))
            except SinkLostError as error:
                assert "PipeWire went away" in str(error)
                return True
            return False

        wait_until(is_lost, "the loss of the server")
    with pytest.raises(SinkUnavailableError, match=r"does not run.*systemctl.*--out preview"):
        sink.__enter__()
    session.start()
    with sink, Writer(sink), CameraReader(session, "", SIZE, 10) as reader:
        assert_in_order(read_numbers(reader, 10))


def test_a_whole_run_outlives_the_server_and_ends_cleanly(session: PipeWireSession) -> None:
    command = [
        sys.executable,
        "-m",
        "avatar",
        "run",
        "--camera",
        "demo",
        "--size",
        "640x360",
    ]
    with subprocess.Popen(
        [*command, "--out", "pipewire", "--out", "none"],
        cwd=ROOT,
        env=session.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        try:
            for turn in range(3):
                wait_until(lambda: session.cameras() == 1, f"the camera, time {turn}", 60)
                with CameraReader(session, "", SIZE, 30) as reader:
                    pictures = [reader.read() for _ in range(30)]
                assert all(picture is not None for picture in pictures)
                if turn < 2:
                    session.stop()
                    session.start()
            run.send_signal(signal.SIGTERM)
            assert run.stdout is not None
            said = run.stdout.read()
        finally:
            run.kill()
    assert run.returncode == 0, said
    assert said.count("PipeWire went away") == 2
    assert said.count("pipewire: back") == 2
    assert "Traceback" not in said
    assert session.cameras() == 0


def test_a_killed_program_leaves_no_camera(session: PipeWireSession) -> None:
    program = (
        "import sys, time; from avatar.stages.sinks.pipewire import PipeWireSink as P;"
        "s = P((640, 360), 30).__enter__(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=session.environment, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        assert session.cameras() == 1
        run.kill()
    wait_until(lambda: session.cameras() == 0, "the camera's end")
