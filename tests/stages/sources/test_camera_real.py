"""A real V4L2 camera: the kernel's own virtual webcam, ``vivid``, inside a virtual machine.

Outside, one test boots the machine and runs this file and the contract suite in it; inside, the
others run against /dev/video0.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from avatar.core.clock import MonotonicClock
from avatar.core.errors import SourceBusyError, SourceLostError, SourceNotFoundError
from avatar.core.frames import CameraFrame
from avatar.core.stages import FrameSource
from avatar.stages.sources import create_source
from avatar.stages.sources.camera import CameraSource
from avatar.stages.sources.devices import list_cameras
from avatar.stages.sources.reconnect import ReconnectingSource
from tests import ROOT

INSIDE = "AVATAR_TEST_VIVID"
CAMERA = "/dev/video0"
# As the programs of phones and cameras make theirs.
LOOPBACK = "devices=1 video_nr=20 exclusive_caps=0 card_label=DroidCam"
FED = "/dev/video20"
# Such a program: a picture that becomes brighter, until it is ended.
FEEDER = f"""
import itertools, numpy, pyvirtualcam
with pyvirtualcam.Camera(320, 240, 30, device={FED!r}) as camera:
    for k in itertools.count():
        camera.send(numpy.full((240, 320, 3), k % 256, numpy.uint8))
        if k == 3:
            print("fed", flush=True)
        camera.sleep_until_next_frame()
"""

pytestmark = pytest.mark.real
inside = pytest.mark.skipif(INSIDE not in os.environ, reason="runs inside the virtual machine")


@pytest.mark.slow
@pytest.mark.skipif(INSIDE in os.environ, reason="is the virtual machine")
def test_everything_below_and_the_contract_in_a_virtual_machine(shared: Path) -> None:
    script = shared / "tools" / "v4l2-vm.sh"
    if not script.is_file():
        pytest.skip(f"no {script}; AVATAR_SHARED names the folder that has tools/v4l2-vm.sh")
    missing = [p for p in ("qemu-system-x86_64", "busybox", "cpio") if shutil.which(p) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    work = Path(os.environ.get("AVATAR_TEST_VM") or Path(tempfile.gettempdir()) / "v4l2-vm-sources")
    report = work / "share" / "report.xml"
    report.unlink(missing_ok=True)
    tests = ["tests/stages/sources/test_camera_real.py", "tests/contracts/test_sources.py"]
    run = ["-m", "pytest", "--color=no", "-k", "camera", f"--junitxml={report}", *tests]
    done = subprocess.run(
        [str(script), "env", f"{INSIDE}={work}", sys.executable, *run],
        cwd=ROOT,
        env=os.environ
        | {"WORK": str(work), "MODULES": "vivid", "LIMIT": "500", "LOOPBACK_OPTS": LOOPBACK},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cases = ElementTree.parse(report).getroot().iter("testcase")
    passed = {case.get("name") for case in cases if len(case) == 0}
    assert "test_frames_rise_and_are_the_newest" in passed
    assert "test_a_camera_whose_driver_is_unloaded_comes_back_with_it" in passed
    assert "test_a_virtual_camera_is_one_while_somebody_feeds_it" in passed
    assert "test_indices_count_and_timestamps_rise[camera]" in passed


def read_until(
    source: FrameSource, ready: Callable[[CameraFrame | None], bool], reads: int = 200
) -> CameraFrame | None:
    for _ in range(reads):
        frame = source.read()
        if ready(frame):
            return frame
    raise AssertionError("it never happened")


def press_disconnect() -> None:
    """Press vivid's own button, which behaves as pulling the plug does."""
    vidioc_s_ctrl, disconnect = 0xC008561C, (0x00F00000 | 0xF000) + 65
    descriptor = os.open(CAMERA, os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, vidioc_s_ctrl, bytearray(struct.pack("Ii", disconnect, 1)))
    finally:
        os.close(descriptor)


@inside
def test_only_what_takes_pictures_is_listed() -> None:
    nodes = sorted(p.name for p in Path("/dev").glob("video*"))
    assert len(nodes) >= 5, nodes  # capture, output, two of metadata, v4l2loopback
    assert [(c.device, c.name, c.problem) for c in list_cameras()] == [(CAMERA, "vivid", None)]


@inside
def test_frames_rise_and_are_the_newest() -> None:
    clock = MonotonicClock()
    with create_source("VIVID", clock=clock) as source:
        first = read_until(source, lambda f: f is not None)
        assert first is not None
        assert first.image.shape == (480, 640, 3)
        assert first.image.std() > 10  # a test picture, not a black one
        pause_end_ns = clock.now_ns()
        while clock.now_ns() < pause_end_ns + 1_000_000_000:
            pass  # a slow consumer, while the driver's buffers fill
        newest = read_until(source, lambda f: f is not None)
        assert newest is not None
        assert newest.timestamp_ns > pause_end_ns + 700_000_000
        assert newest.index == 1


@inside
def test_a_camera_in_use_is_busy_and_listed_as_such() -> None:
    clock = MonotonicClock()
    with create_source("0", clock=clock) as source:
        read_until(source, lambda f: f is not None)
        assert "another program" in str(list_cameras()[0].problem)
        with (
            pytest.raises(SourceBusyError, match=r"another program.*Cameras found"),
            create_source(CAMERA, clock=clock),
        ):
            pass
    assert list_cameras()[0].problem is None


@inside
def test_a_virtual_camera_is_one_while_somebody_feeds_it() -> None:
    clock = MonotonicClock()
    with pytest.raises(SourceBusyError, match="no program writes"), create_source(FED, clock=clock):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", FEEDER], stdout=subprocess.PIPE, text=True
    ) as feeder:
        try:
            assert feeder.stdout is not None
            assert feeder.stdout.readline() == "fed\n"
            assert (FED, "DroidCam", None) in [
                (c.device, c.name, c.problem) for c in list_cameras()
            ]
            with create_source(FED, clock=clock) as source:
                frame = read_until(source, lambda f: f is not None)
            assert frame is not None
            assert frame.image.shape == (240, 320, 3)
        finally:
            feeder.kill()


@inside
@pytest.mark.parametrize("number", [1, 2, 4, 9])
def test_other_nodes_are_no_cameras(number: int) -> None:
    with (
        pytest.raises(SourceNotFoundError, match=r"Cameras found: /dev/video0 \(vivid\)"),
        create_source(str(number), clock=MonotonicClock()),
    ):
        pass


@inside
def test_without_permission_it_says_what_to_run() -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            CameraSource(0, (640, 480), 30.0, MonotonicClock()).__enter__()
        except BaseException as error:
            os.write(write_end, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(read_end, 4096).decode()
    os.close(read_end)
    os.close(write_end)
    assert said.startswith("SourceBusyError")
    assert "sudo usermod -aG video $USER" in said
    assert "Cameras found: /dev/video0 (vivid" in said


@inside
def test_a_camera_pulled_out_is_lost() -> None:
    with CameraSource(CAMERA, (640, 480), 30.0, MonotonicClock()) as source:
        read_until(source, lambda f: f is not None)
        press_disconnect()
        with pytest.raises(SourceLostError, match="unplugged"):
            read_until(source, lambda _: False)


def check_lost_and_back(
    before: CameraFrame | None, after: CameraFrame | None, events: list[str]
) -> None:
    assert before is not None
    assert after is not None
    assert after.index > before.index
    assert after.timestamp_ns > before.timestamp_ns
    assert [e.split()[0] for e in events] == ["lost", "back"]


@inside
def test_a_camera_plugged_in_again_comes_back() -> None:
    clock, events = MonotonicClock(), []
    camera = CameraSource(CAMERA, (640, 480), 30.0, clock)
    with ReconnectingSource(camera, clock, events.append) as source:
        before = read_until(source, lambda f: f is not None)
        press_disconnect()
        read_until(source, lambda _: bool(events))
        after = read_until(source, lambda f: f is not None)
    check_lost_and_back(before, after, events)


@inside
def test_a_camera_whose_driver_is_unloaded_comes_back_with_it() -> None:
    (module,) = Path(os.environ[INSIDE], "img/lib/modules", os.uname().release).rglob("vivid.ko")
    clock, events = MonotonicClock(), []
    camera = CameraSource(CAMERA, (640, 480), 30.0, clock)
    with ReconnectingSource(camera, clock, events.append) as source:
        before = read_until(source, lambda f: f is not None)
        Path("/sys/bus/platform/drivers/vivid/unbind").write_text("vivid.0")
        read_until(source, lambda _: bool(events))
        subprocess.run(["rmmod", "vivid"], check=True)
        assert not list_cameras()
        assert all(source.read() is None for _ in range(8))
        subprocess.run(["insmod", module], check=True)
        after = read_until(source, lambda f: f is not None)
    check_lost_and_back(before, after, events)
