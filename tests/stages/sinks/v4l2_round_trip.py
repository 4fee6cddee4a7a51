"""Run where v4l2loopback is loaded, at /dev/video0 (see test_virtual_real.py); exits 0 if fine.

Numbered frames are written by this process through ``VirtualSink`` and read back by another one
through OpenCV, many times over one device.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from select import select

from avatar.core.errors import SinkUnavailableError
from avatar.measure.doctor_camera import doctor_camera
from avatar.stages.sinks.any_camera import AnyCameraSink
from avatar.stages.sinks.devices import list_outputs
from avatar.stages.sinks.virtual import VirtualSink
from tests.stages.sinks.numbers import LAST, colour_error, number, numbered

DEVICE = "/dev/video0"
SIZE = (320, 240)
OTHER_SIZE = (640, 360)
ROUNDS = 10
HERE = [sys.executable, "-m", "tests.stages.sinks.v4l2_round_trip"]
# A program that never says STREAMON and is killed, as pyvirtualcam 0.15 alone does.
CRASH = (
    "import os, numpy, pyvirtualcam as p;"
    f"c = p.Camera({SIZE[0]}, {SIZE[1]}, 30, fmt=p.PixelFormat.I420, device={DEVICE!r});"
    f"c.send(numpy.zeros({SIZE[0] * SIZE[1] * 3 // 2}, numpy.uint8)); os.kill(os.getpid(), 9)"
)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def state() -> str:
    (output,) = list_outputs()
    return output.state


def read(patience_s: float) -> None:
    """Read eight frames as any program would, and print size, numbers and the colour error.

    ``patience_s`` is how long the device may take to become a camera.
    """
    import cv2

    end = time.monotonic() + patience_s
    capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
    while not capture.isOpened():
        say("waits")
        assert time.monotonic() < end, "the reader cannot open the device"
        time.sleep(0.2)
        capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
    images = [capture.read()[1][..., ::-1] for _ in range(8)]
    say("size", images[0].shape[1], images[0].shape[0])
    say("numbers", *map(number, images))
    say("error", max(map(colour_error, images)))


def write_until_read(sink: VirtualSink, size_px: tuple[int, int] = SIZE) -> None:
    """Write rising numbers until the reader has what it wants, and judge what it saw."""
    indices = itertools.count(1)
    sink.write(numbered(next(indices), size_px))  # a camera only once a frame is there
    with subprocess.Popen([*HERE, "read", "0"], stdout=subprocess.PIPE, text=True) as reader:
        serve(sink, reader, size_px, indices)


def serve(
    sink: VirtualSink,
    reader: subprocess.Popen[str],
    size_px: tuple[int, int],
    indices: itertools.count[int],
) -> None:
    for index in indices:
        if reader.poll() is not None or index > LAST:
            break
        sink.write(numbered(index, size_px))
        time.sleep(0.1)
    assert reader.stdout is not None
    said = dict(line.split(" ", 1) for line in reader.stdout if " " in line)
    assert reader.returncode == 0, f"the reader failed: {said}"
    # The first may be an older one: the driver's ring of buffers is not full yet.
    numbers = [int(n) for n in said["numbers"].split()][1:]
    say("read", said)
    assert said["size"].split() == [str(side) for side in size_px]
    assert numbers == sorted(numbers) and len(set(numbers)) >= 4, numbers
    assert int(said["error"]) <= 8


def check_rounds() -> None:
    """Ten writers, one after the other, on a device with ``exclusive_caps=1``."""
    for turn in range(ROUNDS):
        with VirtualSink(SIZE, 30) as sink:
            assert sink.device == DEVICE, sink.device
            write_until_read(sink)
            (output,) = list_outputs()
            assert (output.device, output.name) == (DEVICE, "AvatarCam"), output
            assert output.state == "busy", output
        say("round", turn + 1, list_outputs())
        assert state() == "free"
        assert not list_outputs()[0].always_reads


def check_busy() -> None:
    with VirtualSink(SIZE, 30, DEVICE) as first:
        first.write(numbered(1, SIZE))
        subprocess.run([*HERE, "refused"], check=True)
        write_until_read(first)  # the refusal did not take it from its writer


def refused() -> None:
    try:
        VirtualSink(SIZE, 30, DEVICE).__enter__()
    except SinkUnavailableError as error:
        say(error)
        assert DEVICE in str(error) and "in use" in str(error)
        assert "process" in str(error)
        return
    raise AssertionError("a device with a writer was opened again")


def check_reader_first() -> None:
    """A program that waits for the camera gets its frames once there is a writer."""
    with subprocess.Popen([*HERE, "read", "60"], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "waits\n"
        with VirtualSink(SIZE, 30) as sink:
            serve(sink, reader, SIZE, itertools.count(1))


def check_resolution_change() -> None:
    """The same device with another size, and back; also chosen by itself."""
    for size_px in (OTHER_SIZE, SIZE):
        with VirtualSink(size_px, 30) as sink:
            write_until_read(sink, size_px)
    said: list[str] = []
    with AnyCameraSink(OTHER_SIZE, 30, said.append) as chosen:
        assert isinstance(chosen.camera, VirtualSink)
        write_until_read(chosen.camera, OTHER_SIZE)
    say(said)
    assert said == [f'virtual camera: choose "AvatarCam" in the call (v4l2loopback, {DEVICE})']


def check_another_size_under_a_reader() -> None:
    """Who still watches keeps the device's size; another is refused and not shown as noise."""
    with VirtualSink(SIZE, 30) as sink:
        sink.write(numbered(1, SIZE))
        reader = subprocess.Popen([*HERE, "hold"], stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        while reader.poll() is None and not select([reader.stdout], [], [], 0.1)[0]:
            sink.write(numbered(1, SIZE))
    try:
        VirtualSink(OTHER_SIZE, 30).__enter__()
    except SinkUnavailableError as error:
        say(error)
        assert "320×240 pixels by python" in str(error) and "--size 320x240" in str(error)
    else:
        raise AssertionError("a size that the reader does not have was taken")
    with VirtualSink(SIZE, 30) as sink:
        sink.write(numbered(1, SIZE))
    reader.kill()
    reader.communicate()
    with VirtualSink(OTHER_SIZE, 30) as sink:
        write_until_read(sink, OTHER_SIZE)


def hold() -> None:
    """Read one frame, say so, and keep the device until killed."""
    import cv2

    capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
    say("has one" if capture.read()[0] else "has none")
    time.sleep(600)


def crash() -> None:
    """Leave the device as a writer does that was killed."""
    subprocess.run([sys.executable, "-c", CRASH], check=False)
    say("after a crash:", list_outputs())


def check_after_a_crash() -> None:
    """A writer that was killed leaves the device usable all the same."""
    crash()
    with VirtualSink(SIZE, 30) as sink:
        write_until_read(sink)


def check_repair() -> None:
    """The doctor sees what a crash left, touches it only when asked, and then others can use it."""
    crash()
    left = state()
    status = doctor_camera()
    say("before repair:", left, "doctor", status)
    assert state() == left
    assert (status, left) in ((1, "stuck"), (0, "free"))  # 0.13 and later leave nothing stuck
    assert doctor_camera(repair=True) == 0
    assert state() == "free"
    subprocess.run([sys.executable, "-c", CRASH.replace("os.kill(os.getpid(), 9)", "")], check=True)


def check_wrong_device() -> None:
    try:
        VirtualSink(SIZE, 30, "/dev/video7").__enter__()
    except SinkUnavailableError as error:
        say(error)
        assert DEVICE in str(error)
        return
    raise AssertionError("an absent device was opened")


def main() -> None:
    say("before:", list_outputs())
    check_reader_first()
    check_rounds()
    check_busy()
    check_resolution_change()
    check_another_size_under_a_reader()
    check_after_a_crash()
    check_repair()
    check_wrong_device()
    say("all rounds passed")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["read", patience]:
            read(float(patience))
        case ["refused"]:
            refused()
        case ["hold"]:
            hold()
        case _:
            main()
