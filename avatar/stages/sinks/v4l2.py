"""The few calls to Linux' Video4Linux2 that pyvirtualcam does not make.

Numbers are those of the kernel's ``videodev2.h``. Linux only.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

LOOPBACK_DRIVER = "v4l2 loopback"

_VIDIOC_QUERYCAP = 0x80685600
_VIDIOC_G_FMT = 0xC0D05604
_VIDIOC_STREAMON = 0x40045612
_BUF_TYPE_VIDEO_OUTPUT = 2
_CAPABILITY = struct.Struct("16s32s32sIII12x")
# v4l2_format of 64-bit systems: type, a gap, then v4l2_pix_format's width and height.
_FORMAT = struct.Struct("I4xII192x")
_CAP_CAPTURE, _CAP_OUTPUT, _CAP_DEVICE_CAPS = 0x1, 0x2, 0x80000000


@dataclass(frozen=True)
class Capability:
    """What a device says of itself; ``card`` is the name that programs show.

    ``is_capture``: programs may read pictures from it now; ``is_output``: one may write them.
    """

    driver: str
    card: str
    is_capture: bool
    is_output: bool


def query_capability(descriptor: int) -> Capability:
    """Return the capability of an open device; raises ``OSError`` when it is none or is gone."""
    import fcntl

    reply = bytearray(_CAPABILITY.size)
    fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, reply)
    driver, card, _, _, whole, of_node = _CAPABILITY.unpack(reply)
    capabilities = of_node if whole & _CAP_DEVICE_CAPS else whole
    return Capability(
        _text(driver),
        _text(card),
        bool(capabilities & _CAP_CAPTURE),
        bool(capabilities & _CAP_OUTPUT),
    )


def picture_size(descriptor: int) -> tuple[int, int] | None:
    """Return the (width, height) of what is written to an open device, None where it says none."""
    import fcntl

    request = bytearray(_FORMAT.size)
    struct.pack_into("I", request, 0, _BUF_TYPE_VIDEO_OUTPUT)
    try:
        fcntl.ioctl(descriptor, _VIDIOC_G_FMT, request)
    except OSError:
        return None
    _, width, height = _FORMAT.unpack(request)
    return width, height


def stream_on(descriptor: int) -> None:
    """Tell the driver that pictures follow, as far as it wants to know.

    v4l2loopback before 0.13 leaves a device unusable for the next writer unless this was said;
    later versions may answer EINVAL, which is fine.
    """
    import fcntl

    try:
        fcntl.ioctl(descriptor, _VIDIOC_STREAMON, struct.pack("i", _BUF_TYPE_VIDEO_OUTPUT))
    except OSError:
        return


def heal(device: Path) -> None:
    """Free a device that an earlier writer left unusable; does nothing where that fails."""
    try:
        descriptor = os.open(device, os.O_RDWR)
    except OSError:
        return
    try:
        stream_on(descriptor)
    finally:
        os.close(descriptor)


def own_descriptors(device: Path) -> set[int]:
    """Return this process's open descriptors of ``device``."""
    target = device.resolve()
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if entry.readlink() == target:
                found.add(int(entry.name))
        except OSError:
            continue  # closed in the meantime, such as the descriptor of this listing
    return found


def holders(device: Path) -> list[str]:
    """Return the other programs that have ``device`` open, as 'name (process 123)'.

    Programs of other users stay unseen without their permission.
    """
    target, own = device.resolve(), str(os.getpid())
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or process.name == own:
            continue
        try:
            links = {link.readlink() for link in (process / "fd").iterdir()}
            if target in links:
                name = (process / "comm").read_text().strip()
                found.append(f"{name} (process {process.name})")
        except OSError:
            continue  # it ended, or belongs to someone else
    return found


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")
