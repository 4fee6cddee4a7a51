"""Which virtual cameras this system has, and what to install where it has none."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avatar.stages.sinks import v4l2

State = Literal["free", "busy", "stuck", "no permission", "unknown"]

_SYSFS = Path("/sys/class/video4linux")
_OBS_CLSID = "{A3FCE0F5-3493-419F-958A-ABA1250EC20B}"
_UNITY_CLSID = "{5C2CD55C-92AD-4999-8666-912BD3E70010}"
_MODPROBE = 'sudo modprobe v4l2loopback exclusive_caps=1 card_label="Avatar"'


@dataclass(frozen=True)
class OutputDevice:
    """A virtual camera that frames can be sent to.

    ``device`` is what ``--out virtual:DEVICE`` takes, ``name`` what meeting programs show.
    ``holders`` are the programs seen to have it open; they may be readers. "stuck": an earlier
    writer left it so that none can open it (v4l2loopback before 0.13). ``always_reads``: it calls
    itself a camera also without a writer, which some programs take for broken, and Chrome for
    none (v4l2loopback without ``exclusive_caps=1``).
    """

    device: str
    name: str
    state: State
    holders: tuple[str, ...] = ()
    always_reads: bool = False


def list_outputs() -> list[OutputDevice]:
    """Return this system's virtual cameras, sorted by number or name."""
    if sys.platform == "win32":
        return _windows_outputs()
    if sys.platform == "darwin":
        return _macos_outputs()
    return _linux_outputs()


def install_hint() -> str:
    """Return how to get a virtual camera on this very system."""
    if sys.platform == "win32":
        return (
            "Install OBS Studio 26 or newer, start it once and press 'Start Virtual Camera' once "
            "(then close OBS), or install Unity Capture."
        )
    if sys.platform == "darwin":
        return (
            "Install OBS Studio 28 or newer (30 or newer from macOS 13 on), start it once, press "
            "'Start Virtual Camera' once and allow its extension; then close OBS."
        )
    if module_installed():
        return f"v4l2loopback is installed but not loaded. Run: {_MODPROBE}"
    return f"Install v4l2loopback: {_linux_package_line()}; then run: {_MODPROBE}"


def _linux_outputs() -> list[OutputDevice]:
    found = []
    for entry in sorted(_SYSFS.glob("video*"), key=_number):
        output = _linux_output(entry)
        if output is not None:
            found.append(output)
    return found


def _linux_output(entry: Path) -> OutputDevice | None:
    """Return the output of one /sys/class/video4linux entry, None when it is a real camera."""
    device = Path("/dev") / entry.name
    name = _read(entry / "name") or entry.name
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except PermissionError:
        # Loopback devices hang on no bus: that much is known without opening them.
        virtual = "/devices/virtual/" in str(entry.resolve())
        return OutputDevice(str(device), name, "no permission") if virtual else None
    except OSError:
        return None
    try:
        capability = v4l2.query_capability(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if capability.driver != v4l2.LOOPBACK_DRIVER:
        return None
    return OutputDevice(
        str(device),
        capability.card,
        _loopback_state(entry, capability),
        tuple(v4l2.holders(device)),
        capability.is_capture and capability.is_output,
    )


def _loopback_state(entry: Path, capability: v4l2.Capability) -> State:
    if _is_fed(entry):
        return "busy"
    return "free" if capability.is_output else "stuck"


def _is_fed(entry: Path) -> bool:
    """Tell whether a writer feeds the device; the driver says it in one file or the other."""
    state = _read(entry / "state")
    return state == "capture" if state else bool(_read(entry / "format"))


def _number(entry: Path) -> tuple[int, str]:
    digits = entry.name.removeprefix("video")
    return (int(digits) if digits.isdecimal() else sys.maxsize, entry.name)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def module_installed() -> bool:
    """Tell whether v4l2loopback lies ready for the running kernel."""
    modules = Path("/lib/modules") / platform.release()
    return any(modules.rglob("v4l2loopback.ko*"))


def _linux_package_line() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    family = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()
    if "debian" in family or "ubuntu" in family:
        return "sudo apt install v4l2loopback-dkms"
    if "fedora" in family or "rhel" in family:
        return "sudo dnf install v4l2loopback (from RPM Fusion)"
    if "arch" in family:
        return "sudo pacman -S v4l2loopback-dkms linux-headers"
    if any("suse" in name for name in family):
        return "sudo zypper install v4l2loopback-kmp-default"
    return "the package is mostly called v4l2loopback-dkms"


def _windows_outputs() -> list[OutputDevice]:
    outputs = []
    for name, clsid in (("OBS Virtual Camera", _OBS_CLSID), ("Unity Video Capture", _UNITY_CLSID)):
        if _windows_class_registered(clsid):
            outputs.append(OutputDevice(name, name, "unknown"))
    return outputs


def _windows_class_registered(clsid: str) -> bool:
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_CLASSES_ROOT, rf"CLSID\{clsid}"):
                return True
        except OSError:
            return False
    return False


def _macos_outputs() -> list[OutputDevice]:
    apps = (Path("/Applications/OBS.app"), Path.home() / "Applications" / "OBS.app")
    if any(app.exists() for app in apps):
        return [OutputDevice("OBS Virtual Camera", "OBS Virtual Camera", "unknown")]
    return []
