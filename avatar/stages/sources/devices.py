"""Which cameras this machine has, and what keeps them from being used.

Linux: the nodes of ``/sys/class/video4linux`` that say, through VIDIOC_QUERYCAP, that they
capture pictures (Linux media API, "Querying Capabilities"). Elsewhere: the indices that OpenCV
can open.
"""

from __future__ import annotations

import errno
import os
import platform
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.machine import set_environment

if TYPE_CHECKING:
    import cv2

from avatar.core.messages import Message

SYSFS = Path("/sys/class/video4linux")
DEV = Path("/dev")
PROBED_INDICES = 6

_VIDIOC_QUERYCAP = 0x80685600
_VIDIOC_REQBUFS = 0xC0145608
_VIDIOC_ENUM_FMT = 0xC0405602
_CAP_CAPTURE = 0x1 | 0x1000  # single- and multi-planar
_CAP_OUTPUT = 0x2 | 0x2000
_CAP_DEVICE_CAPS = 0x80000000
_BUF_TYPE_CAPTURE, _MEMORY_MMAP = 1, 1
_LOOPBACK_DRIVER = b"v4l2 loopback"
UNFED = Message(
    "said.cameraUnfed",
    "no program writes pictures into this virtual camera yet; start the one that does first, such "
    "as DroidCam, scrcpy, OBS or gphoto2",
)
"""The problem of a virtual camera that is none yet: it is not listed, and opened when named."""
_BUSY = Message("error.cameraBusy", "another program is using it; close that program")


@dataclass(frozen=True)
class CameraInfo:
    """A camera found: how to open it, what it is called, and why it cannot be used, if so.

    ``device``: a path such as ``/dev/video0`` on Linux, an index such as ``"0"`` elsewhere.
    """

    device: str
    name: str
    problem: str | None = None


def on_linux() -> bool:
    """Return whether cameras are V4L2 nodes here."""
    return platform.system() == "Linux"


def list_cameras() -> list[CameraInfo]:
    """Return the cameras of this machine in the order of their numbers."""
    if on_linux():
        return list_v4l2(SYSFS, DEV)
    return _list_opencv()


def describe_cameras(cameras: list[CameraInfo]) -> Message:
    """Return one sentence naming the cameras, for error messages."""
    if not cameras:
        return Message(
            "said.noCamera", "No camera was found on this machine; --camera demo needs none."
        )
    found = ", ".join(
        f"{c.device} ({c.name}{'' if c.problem is None else ': ' + c.problem})" for c in cameras
    )
    return Message("said.camerasFound", "Cameras found: {found}.", found=found)


def list_v4l2(
    sysfs: Path, dev: Path, inspect: Callable[[Path], CameraInfo | None] | None = None
) -> list[CameraInfo]:
    """Return the capture devices below ``sysfs``; outputs and metadata nodes are none.

    ``inspect`` returns what one node is, None when it is no camera; tests bring their own.
    """
    look = inspect or inspect_v4l2
    nodes = [p.name for p in sysfs.glob("video*") if p.name.removeprefix("video").isdigit()]
    nodes.sort(key=lambda name: int(name.removeprefix("video")))
    found = [(look(dev / name), sysfs / name / "name") for name in nodes]
    return [
        _named(camera, label)
        for camera, label in found
        if camera is not None and camera.problem != UNFED
    ]


def inspect_v4l2(node: Path) -> CameraInfo | None:
    """Return what the node is and whether it can be used; None when it is no camera."""
    if not node.exists():
        return None
    if not os.access(node, os.R_OK | os.W_OK):
        return CameraInfo(str(node), "", permission_problem(node))
    import fcntl

    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return CameraInfo(str(node), "", _reason(error))
    try:
        raw = bytearray(104)
        fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, raw)
        camera = parse_capability(str(node), bytes(raw))
        if camera is None and is_loopback(bytes(raw)):
            problem = None if _gives_pictures(descriptor) else UNFED
            return CameraInfo(str(node), _card(bytes(raw)), problem)
        return camera and CameraInfo(camera.device, camera.name, _probe_busy(descriptor))
    except OSError as error:
        return None if error.errno == errno.ENOTTY else CameraInfo(str(node), "", _reason(error))
    finally:
        os.close(descriptor)


def parse_capability(device: str, raw: bytes) -> CameraInfo | None:
    """Read a ``struct v4l2_capability``; None when the device does not capture pictures.

    A device that also takes pictures in, such as a v4l2loopback nobody writes to, is none.
    """
    capabilities = _capabilities(raw)
    if not capabilities & _CAP_CAPTURE or capabilities & _CAP_OUTPUT:
        return None
    return CameraInfo(device, _card(raw))


def is_loopback(raw: bytes) -> bool:
    """Return whether a capability is that of a v4l2loopback which says both of its sides.

    Without its option exclusive_caps it takes pictures in and gives them out at the same time.
    """
    both = bool(_capabilities(raw) & _CAP_CAPTURE and _capabilities(raw) & _CAP_OUTPUT)
    return both and raw.startswith(_LOOPBACK_DRIVER)


def _capabilities(raw: bytes) -> int:
    whole, of_node = struct.unpack_from("84xII", raw)
    return int(of_node if whole & _CAP_DEVICE_CAPS else whole)


def _card(raw: bytes) -> str:
    return raw[16:48].split(b"\0")[0].decode("utf-8", "replace")


def _gives_pictures(descriptor: int) -> bool:
    """Return whether a format can be captured: v4l2loopback has one while somebody writes."""
    import fcntl

    request = bytearray(struct.pack("II56x", 0, _BUF_TYPE_CAPTURE))
    try:
        fcntl.ioctl(descriptor, _VIDIOC_ENUM_FMT, request)
    except OSError:
        return False
    return True


def permission_problem(node: Path) -> str:
    """Return why the node may not be opened, with the line that mends it."""
    return Message(
        "error.cameraPermission",
        "no permission to open {device}; run: sudo usermod -aG video $USER, then log in again",
        device=str(node),
    )


def _probe_busy(descriptor: int) -> str | None:
    """Ask to free buffers this descriptor never had: harmless, and refused while others stream."""
    import fcntl

    request = bytearray(struct.pack("IIII4x", 0, _BUF_TYPE_CAPTURE, _MEMORY_MMAP, 0))
    try:
        fcntl.ioctl(descriptor, _VIDIOC_REQBUFS, request)
    except OSError as error:
        return _BUSY if error.errno == errno.EBUSY else None
    return None


def _reason(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return _BUSY
    return (error.strerror or str(error)).lower()


def _named(camera: CameraInfo, label: Path) -> CameraInfo:
    """Fill an unknown name from sysfs, which needs no permission."""
    if camera.name:
        return camera
    try:
        name = label.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = "unknown"
    return CameraInfo(camera.device, name, camera.problem)


def _list_opencv() -> list[CameraInfo]:
    """Return the indices that open; systems other than Linux give OpenCV no names."""
    found = []
    for index in range(PROBED_INDICES):
        capture = open_capture(index)
        if capture.isOpened():
            found.append(CameraInfo(str(index), f"camera {index}"))
        capture.release()
    return found


def open_capture(device: int | str) -> cv2.VideoCapture:
    """Open ``device`` with this system's camera interface; the caller checks and releases it.

    OpenCV's own remarks on standard error are switched off: errors here say more.
    """
    # OpenCV reads these once. A stalled camera must not hold a thread for ten seconds (Linux),
    # nor the search for a hardware converter delay opening by as much (Windows).
    set_environment("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")
    set_environment("OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS", "0")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    backend = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_MSMF, "darwin": cv2.CAP_AVFOUNDATION}
    return cv2.VideoCapture(device, backend.get(sys.platform, cv2.CAP_ANY))
