"""What of PipeWire runs for this user: the service, its session manager, the desktop's portal."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from avatar.core.libraries import missing_libraries

_MANAGERS = ("wireplumber", "pipewire-media-session")
_PORTAL_SERVICE = "dbus-1/services/org.freedesktop.portal.Desktop.service"


@dataclass(frozen=True, slots=True)
class PipeWireService:
    """What a camera in PipeWire needs.

    ``library``: programs can speak to it. ``answers``: the service runs. ``manager``: the program
    that connects readers with cameras, None where none runs. ``portal``: browsers can ask for
    cameras (xdg-desktop-portal is installed).
    """

    library: bool
    answers: bool
    manager: str | None
    portal: bool

    @property
    def is_usable(self) -> bool:
        """Tell whether a camera can be shown and read."""
        return self.library and self.answers and self.manager is not None


def look_for_pipewire() -> PipeWireService:
    """Look at this machine without connecting a camera; all is absent on other systems."""
    if not sys.platform.startswith("linux"):
        return PipeWireService(False, False, None, False)
    return PipeWireService(
        not missing_libraries("pipewire"),
        _answers(socket_path()),
        _session_manager(),
        _has_portal(),
    )


def socket_path() -> Path:
    """Return where the service listens, as its own library looks for it."""
    remote = os.environ.get("PIPEWIRE_REMOTE") or "pipewire-0"
    folder = os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    return Path(folder or "/run/pipewire") / remote  # an absolute remote replaces the folder


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def _session_manager() -> str | None:
    import psutil

    for process in psutil.process_iter(["name", "uids"]):
        name, uids = process.info["name"], process.info["uids"]
        # Linux cuts names to 15 characters.
        manager = next((m for m in _MANAGERS if name and m[:15] == name[:15]), None)
        if manager and uids and uids.real == os.getuid():
            return manager
    return None


def _has_portal() -> bool:
    folders = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return any((Path(folder) / _PORTAL_SERVICE).exists() for folder in folders.split(":"))


def portal_misses_camera() -> bool:
    """Tell whether the desktop's portal denies that there is a camera, while PipeWire has one.

    It looks once, when it starts. False where that cannot be told; nothing is started to find out.
    """
    portal = "org.freedesktop.portal"
    answer = _said(
        "busctl", "--user", "--auto-start=no", "--timeout=2", "get-property", f"{portal}.Desktop",
        f"/{portal.replace('.', '/')}/desktop", f"{portal}.Camera", "IsCameraPresent",
    )  # fmt: skip
    return answer.strip() == "b false" and "Video/Source" in _said("pw-cli", "ls", "Node")


def _said(*command: str) -> str:
    """Return what a program of the system prints; nothing where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5,
            check=False, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
