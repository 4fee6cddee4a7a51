from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.core.errors import SinkLostError, SinkUnavailableError, UsageError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Presence
from avatar.stages.label import VisibleLabel
from avatar.stages.sinks import devices, v4l2, virtual
from avatar.stages.sinks.any_camera import AnyCameraSink
from avatar.stages.sinks.conversion import I420Converter
from avatar.stages.sinks.devices import OutputDevice, install_hint, list_outputs
from avatar.stages.sinks.none import NullSink
from avatar.stages.sinks.virtual import VirtualSink

SIZE = (160, 120)
LABEL = VisibleLabel()
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


def labelled(colour: tuple[int, int, int] = (200, 60, 30)) -> LabelledFrame:
    image = np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)
    return LABEL.label(GeneratedFrame(image, 0, 0, Presence.TRACKED))


class Backend:
    """A pyvirtualcam backend without a driver; ``send_error`` is what the next frame meets."""

    open_error: Exception | None = None
    send_error: Exception | None = None
    close_fails = False

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: Any) -> None:
        if self.open_error:
            raise self.open_error
        self.opened_with = (width, height, fps, fourcc, device)
        self.sent: list[NDArray[np.uint8]] = []

    def send(self, frame: NDArray[np.uint8]) -> None:
        if self.send_error:
            raise self.send_error
        self.sent.append(frame.copy())

    def close(self) -> None:
        if self.close_fails:
            type(self).close_fails = False  # pyvirtualcam's destructor closes once more
            raise RuntimeError("the driver is gone")

    def device(self) -> str:
        return "test device"

    def native_fourcc(self) -> None:
        return None


@pytest.fixture
def backend() -> type[Backend]:
    import pyvirtualcam

    class Fresh(Backend):
        pass

    pyvirtualcam.register_backend("test", Fresh)
    return Fresh


def test_sends_i420_that_decodes_to_the_same_colours(backend: type[Backend]) -> None:
    import cv2

    with VirtualSink(SIZE, 30, backend="test") as sink:
        assert (sink.name, sink.device) == ("virtual", "test device")
        sink.write(labelled())
        (sent,) = sink._camera._backend.sent
    rgb = cv2.cvtColor(sent.reshape(SIZE[1] * 3 // 2, SIZE[0]), cv2.COLOR_YUV2RGB_I420)
    assert np.abs(rgb[60:, :80].astype(int) - (200, 60, 30)).max() <= 3


def test_a_lost_device_can_be_entered_again(backend: type[Backend]) -> None:
    sink = VirtualSink(SIZE, 30, backend="test")
    with sink:
        backend.send_error = RuntimeError("unplugged")
        with pytest.raises(SinkLostError, match=r"test device.*unplugged"):
            sink.write(labelled())
    backend.send_error = None
    with sink:
        sink.write(labelled())


def test_leaving_never_raises(backend: type[Backend]) -> None:
    backend.close_fails = True
    sink = VirtualSink(SIZE, 30, backend="test")
    with sink:
        sink.write(labelled())
    assert not backend.close_fails


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("virtual camera device /dev/video3 is already in use", "in use by another program"),
        ("could not open: Permission denied", "usermod -aG video"),
        ("No camera registered", "No virtual camera could be opened"),
    ],
)
def test_refusals_say_what_to_do(backend: type[Backend], reason: str, says: str) -> None:
    backend.open_error = RuntimeError(reason)
    with pytest.raises(SinkUnavailableError, match=f"{says}.*--out preview"):
        VirtualSink(SIZE, 30, backend="test").__enter__()


def test_an_unknown_backend_is_named_with_the_nearest(backend: type[Backend]) -> None:
    with pytest.raises(UsageError, match=r"'tset'.*Did you mean 'test'"):
        VirtualSink(SIZE, 30, backend="tset").__enter__()


@pytest.mark.parametrize("make", [lambda size: VirtualSink(size, 30), NullSink])
@pytest.mark.parametrize(
    ("size", "nearest"), [((641, 480), "642x480"), ((640, 479), "640x480"), ((0, 2), "2x2")]
)
def test_odd_sizes_get_the_nearest_even_one(
    make: Callable[[tuple[int, int]], Any], size: tuple[int, int], nearest: str
) -> None:
    with pytest.raises(UsageError, match=f"even.*{nearest}"):
        make(size).__enter__()


class Absent(Backend):
    open_error = RuntimeError("virtual camera output could not be started")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Backend]]:
    """What pyvirtualcam has on Windows, OBS first: none of it installed."""
    import pyvirtualcam

    found: dict[str, type[Backend]] = {
        "obs": type("Obs", (Absent,), {}), "unitycapture": type("Unity", (Absent,), {}),
    }  # fmt: skip
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", found)
    monkeypatch.setattr(sys, "platform", "win32")
    return found


def test_elsewhere_obs_comes_first_and_is_named(elsewhere: dict[str, type[Backend]]) -> None:
    elsewhere["obs"].open_error = elsewhere["unitycapture"].open_error = None
    said: list[str] = []
    with AnyCameraSink(SIZE, 30, said.append) as sink:
        sink.write(labelled())
    assert said == ['virtual camera: choose "test device" in the call (OBS)']


def test_elsewhere_one_that_was_chosen_stays(elsewhere: dict[str, type[Backend]]) -> None:
    elsewhere["unitycapture"].open_error = None
    said: list[str] = []
    sink = AnyCameraSink(SIZE, 30, said.append)
    with sink:
        pass
    assert said == ['virtual camera: choose "test device" in the call (Unity Capture)']
    elsewhere["obs"].open_error = None
    elsewhere["unitycapture"].open_error = RuntimeError("it is gone")
    with pytest.raises(SinkUnavailableError, match="it is gone"):
        sink.__enter__()


def test_elsewhere_without_a_camera_it_says_what_to_install(
    elsewhere: dict[str, type[Backend]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SinkUnavailableError, match=r"OBS Studio 26.*Unity Capture.*--out preview"):
        AnyCameraSink(SIZE, 30, print).__enter__()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SinkUnavailableError, match=r"OBS Studio 28.*allow its extension"):
        AnyCameraSink(SIZE, 30, print).__enter__()


@LINUX
def test_without_a_device_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_SYSFS", Path("/nonexistent"))
    assert list_outputs() == []
    with pytest.raises(SinkUnavailableError, match=r"v4l2loopback.*--out preview"):
        VirtualSink(SIZE, 30).__enter__()


@LINUX
@pytest.mark.parametrize(
    ("release", "line"),
    [
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "apt install v4l2loopback-dkms"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt install"),
        ({"ID": "fedora"}, "dnf install v4l2loopback"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman -S v4l2loopback-dkms"),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "zypper install"),
        ({"ID": "nixos"}, "mostly called v4l2loopback-dkms"),
    ],
)
def test_the_hint_is_for_this_distribution(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], line: str
) -> None:
    monkeypatch.setattr(devices, "module_installed", lambda: False)
    monkeypatch.setattr(devices.platform, "freedesktop_os_release", lambda: release)
    hint = install_hint()
    assert line in hint
    assert "modprobe v4l2loopback exclusive_caps=1 card_label=" in hint


@LINUX
def test_an_installed_module_only_needs_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "module_installed", lambda: True)
    assert "not loaded" in install_hint()
    assert "apt" not in install_hint()


@LINUX
def test_a_device_that_is_no_virtual_camera_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [OutputDevice("/dev/video9", "Avatar", "free")]
    monkeypatch.setattr(virtual, "list_outputs", lambda: there)
    with pytest.raises(SinkUnavailableError, match=r"/dev/video0 is not.*/dev/video9 \(Avatar\)"):
        VirtualSink(SIZE, 30, "/dev/video0").__enter__()


@LINUX
def test_a_file_that_is_no_device_has_no_capability(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as file:
        assert v4l2.own_descriptors(path) == {file.fileno()}
        with pytest.raises(OSError, match=r".+"):
            v4l2.query_capability(file.fileno())
        v4l2.stream_on(file.fileno())
    v4l2.heal(path)
    v4l2.heal(tmp_path / "absent")
    assert v4l2.own_descriptors(path) == set()


@LINUX
def test_a_device_that_went_away_is_noticed_though_writing_says_nothing(
    backend: type[Backend],
) -> None:
    sink = VirtualSink(SIZE, 30, backend="test")
    descriptor = os.open(os.devnull, os.O_RDWR)
    try:
        with sink:
            sink._descriptor = descriptor
            with pytest.raises(SinkLostError, match="gone"):
                sink.write(labelled())
    finally:
        os.close(descriptor)


def test_conversion_is_limited_range_bt601_and_reuses_its_buffer() -> None:
    converter = I420Converter((4, 2))
    white = converter.convert(np.full((2, 4, 3), 255, np.uint8))
    assert white.shape == (3, 4)
    assert white[:2].tolist() == [[235] * 4] * 2
    assert white[2].tolist() == [128] * 4
    red = converter.convert(np.full((2, 4, 3), (255, 0, 0), np.uint8))
    assert red is white
    # Rec. ITU-R BT.601-7: Y = 16 + 219·0.299, Cb = 128 − 224·0.299/1.772, Cr = 128 + 224/2.
    np.testing.assert_allclose(red[0, 0], 16 + 219 * 0.299, atol=1)
    np.testing.assert_allclose(red[2], [128 - 224 * 0.299 / 1.772] * 2 + [240] * 2, atol=1)
