"""Run where v4l2loopback is loaded, at /dev/video0 (see test_virtual_real.py); exits 0 if fine.

Frames carry their number as ten black or white blocks. They are written by this process through
``VirtualSink`` and read back by another one through OpenCV, several times over one device.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from avatar.errors import SinkUnavailableError
from avatar.frames import GeneratedFrame, LabelledFrame, Presence
from avatar.label import VisibleLabel
from avatar.sinks.devices import list_outputs
from avatar.sinks.virtual import VirtualSink

DEVICE = "/dev/video0"
SIZE = (320, 240)
COLOUR = (200, 60, 30)
ROUNDS = 3
LABEL = VisibleLabel()


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def numbered(index: int) -> LabelledFrame:
    image = np.full((SIZE[1], SIZE[0], 3), COLOUR, np.uint8)
    for bit in range(10):
        image[200:240, bit * 32 : bit * 32 + 32] = 255 * (index >> bit & 1)
    return LABEL.label(GeneratedFrame(image, index, index, Presence.TRACKED))


def number(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    return sum(1 << bit for bit in range(10) if image[220, bit * 32 + 16].mean() > 128)


def read() -> None:
    """Read eight frames as any program would, and print numbers and the colour error."""
    import cv2

    capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
    assert capture.isOpened(), "the reader cannot open the device"
    numbers, errors = [], []
    for _ in range(8):
        _, bgr = capture.read()
        assert bgr.shape == (SIZE[1], SIZE[0], 3), bgr.shape
        numbers.append(number(bgr))
        errors.append(np.abs(bgr[150, 100, ::-1].astype(int) - COLOUR).max())
    say(*numbers)
    say(max(errors))


def write_until_read(sink: VirtualSink) -> None:
    """Write rising numbers until the reader has what it wants, and judge what it saw."""
    index = 1
    sink.write(numbered(index))  # the device is a camera only once a frame is there
    command = [sys.executable, __file__, "read"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        while reader.poll() is None and index < 1023:
            index += 1
            sink.write(numbered(index))
            time.sleep(0.1)
        assert reader.stdout is not None
        said = reader.stdout.read().splitlines()
    assert reader.returncode == 0, f"the reader failed: {said}"
    numbers = [int(n) for n in said[0].split()]
    say("read", numbers, "colour error", said[1])
    assert numbers == sorted(numbers) and len(set(numbers)) >= 4, numbers
    assert int(said[1]) <= 8


def check_rounds() -> None:
    for turn in range(ROUNDS):
        with VirtualSink(SIZE, 30) as sink:
            assert sink.device == DEVICE, sink.device
            write_until_read(sink)
            (output,) = list_outputs()
            assert (output.device, output.name) == (DEVICE, "AvatarCam"), output
            assert output.state == "busy", output
        say("round", turn + 1, list_outputs())
        assert list_outputs()[0].state == "free"


def check_busy() -> None:
    with VirtualSink(SIZE, 30, DEVICE) as first:
        first.write(numbered(1))
        command = [sys.executable, __file__, "refused"]
        subprocess.run(command, check=True)
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


def check_after_a_crash() -> None:
    """A writer that never said STREAMON and was killed leaves the device usable all the same."""
    crash = (
        "import os, numpy, pyvirtualcam as p;"
        f"c = p.Camera({SIZE[0]}, {SIZE[1]}, 30, fmt=p.PixelFormat.I420, device={DEVICE!r});"
        f"c.send(numpy.zeros({SIZE[0] * SIZE[1] * 3 // 2}, numpy.uint8)); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", crash], check=False)
    say("after a crash:", list_outputs())
    assert list_outputs()[0].state == "free"
    with VirtualSink(SIZE, 30) as sink:
        write_until_read(sink)


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
    check_rounds()
    check_busy()
    check_after_a_crash()
    check_wrong_device()
    say("all rounds passed")


if __name__ == "__main__":
    {"read": read, "refused": refused}.get(sys.argv[1] if sys.argv[1:] else "", main)()
