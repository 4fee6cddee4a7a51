from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from avatar.stages.sources.devices import (
    UNFED,
    CameraInfo,
    describe_cameras,
    inspect_v4l2,
    is_loopback,
    list_v4l2,
    parse_capability,
    permission_problem,
)

CAPTURE, OUTPUT, M2M, META, STREAMING, DEVICE_CAPS = (
    0x1, 0x2, 0x8000, 0x00800000, 0x04000000, 0x80000000,
)  # fmt: skip


def capability(of_node: int, whole: int | None = None, card: str = "HD Webcam") -> bytes:
    whole = DEVICE_CAPS | of_node if whole is None else whole
    return struct.pack("16s32s32sIII12x", b"uvcvideo", card.encode(), b"usb", 0, whole, of_node)


@pytest.mark.parametrize(
    ("raw", "is_camera"),
    [
        (capability(CAPTURE | STREAMING), True),
        (capability(0x1000 | STREAMING), True),
        (capability(META | STREAMING, DEVICE_CAPS | CAPTURE | META), False),
        (capability(OUTPUT | STREAMING), False),
        (capability(CAPTURE | OUTPUT | STREAMING), False),
        (capability(M2M | STREAMING), False),
        (capability(0, CAPTURE | STREAMING), True),
    ],
    ids=["webcam", "multi-planar", "metadata", "output", "loopback", "codec", "old driver"],
)
def test_what_is_a_camera(raw: bytes, is_camera: bool) -> None:
    found = parse_capability("/dev/video7", raw)
    assert found == (CameraInfo("/dev/video7", "HD Webcam") if is_camera else None)


def test_a_full_or_foreign_name_is_read() -> None:
    found = parse_capability("/dev/video0", capability(CAPTURE, card="Kamera é"))
    assert found is not None
    assert found.name == "Kamera é"


def test_nodes_are_listed_by_number_and_named_by_sysfs(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video0", "vbi0", "radio0", "videofoo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(f"name of {name}\n")
    asked: list[Path] = []

    def inspect(node: Path) -> CameraInfo | None:
        asked.append(node)
        if node.name == "video2":
            return None
        return CameraInfo(str(node), "", permission_problem(node))

    found = list_v4l2(tmp_path, Path("/dev"), inspect)
    assert asked == [Path("/dev/video0"), Path("/dev/video2"), Path("/dev/video10")]
    assert [c.device for c in found] == ["/dev/video0", "/dev/video10"]
    assert found[1].name == "name of video10"
    assert "sudo usermod -aG video $USER" in str(found[0].problem)


def test_no_sysfs_is_no_camera(tmp_path: Path) -> None:
    assert list_v4l2(tmp_path / "absent", Path("/dev")) == []


def test_a_node_that_is_gone_or_is_no_video_device_is_no_camera() -> None:
    assert inspect_v4l2(Path("/dev/video99")) is None
    assert inspect_v4l2(Path(os.devnull)) is None


def test_the_sentence_names_each_camera_and_its_problem() -> None:
    said = describe_cameras(
        [CameraInfo("/dev/video0", "A"), CameraInfo("/dev/video2", "B", "busy")]
    )
    assert said == "Cameras found: /dev/video0 (A), /dev/video2 (B: busy)."
    assert "demo" in describe_cameras([])


def loopback(of_node: int = CAPTURE | OUTPUT | STREAMING) -> bytes:
    whole = DEVICE_CAPS | of_node
    return struct.pack("16s32s32sIII12x", b"v4l2 loopback", b"DroidCam", b"x", 0, whole, of_node)


def test_a_virtual_camera_that_says_both_of_its_sides() -> None:
    assert is_loopback(loopback())
    assert not is_loopback(loopback(OUTPUT | STREAMING))
    assert not is_loopback(loopback(CAPTURE | STREAMING))
    assert not is_loopback(capability(CAPTURE | OUTPUT | STREAMING))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
@pytest.mark.parametrize("is_fed", [True, False])
def test_a_virtual_camera_is_listed_while_somebody_feeds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_fed: bool
) -> None:
    import fcntl

    def ioctl(descriptor: int, request: int, data: bytearray) -> int:
        if request == 0x80685600:
            data[:] = loopback()
        elif not is_fed:
            raise OSError(22, "Invalid argument")
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    node = tmp_path / "dev" / "video9"
    node.parent.mkdir()
    node.touch()
    (tmp_path / "sys" / "video9").mkdir(parents=True)
    assert inspect_v4l2(node) == CameraInfo(str(node), "DroidCam", None if is_fed else UNFED)
    listed = list_v4l2(tmp_path / "sys", tmp_path / "dev")
    assert listed == ([CameraInfo(str(node), "DroidCam")] if is_fed else [])
    assert "DroidCam, scrcpy" in UNFED
