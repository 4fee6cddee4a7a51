"""Libraries of the operating system: which are missing, and the line that installs them.

Wheels bring most of what they need; what is listed here they expect to find on the system.
Debian's package names were tried on a minimal Debian 12, and newer releases answer to them too
(their own names end in ``t64``). Those of Fedora and Arch were not tried on a system.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from avatar.core.errors import MissingDependencyError
from avatar.core.messages import Message


@dataclass(frozen=True, slots=True)
class SystemLibrary:
    """A shared library and the package that brings it.

    ``part`` is what needs it: nothing runs without "core"; "preview" opens windows, "sound"
    plays and records, "pipewire" is a virtual camera. A field may name several packages.
    """

    soname: str
    part: str
    debian: str
    fedora: str
    arch: str


SYSTEM_LIBRARIES: tuple[SystemLibrary, ...] = (
    # OpenCV's wheel, which MediaPipe imports too
    SystemLibrary("libxcb.so.1", "core", "libxcb1", "libxcb", "libxcb"),
    SystemLibrary("libGL.so.1", "core", "libgl1", "libglvnd-glx", "libglvnd"),
    SystemLibrary("libgthread-2.0.so.0", "core", "libglib2.0-0", "glib2", "glib2"),
    # MediaPipe's wheel, when the face landmarker is made
    SystemLibrary("libEGL.so.1", "core", "libegl1", "libglvnd-egl", "libglvnd"),
    SystemLibrary("libGLESv2.so.2", "core", "libgles2", "libglvnd-gles", "libglvnd"),
    # Qt's X11 plug-in inside OpenCV's wheel
    SystemLibrary("libX11.so.6", "preview", "libx11-6", "libX11", "libx11"),
    SystemLibrary("libXext.so.6", "preview", "libxext6", "libXext", "libxext"),
    SystemLibrary("libSM.so.6", "preview", "libsm6", "libSM", "libsm"),
    SystemLibrary("libICE.so.6", "preview", "libice6", "libICE", "libice"),
    SystemLibrary("libportaudio.so.2", "sound", "libportaudio2", "portaudio", "portaudio"),
    # The PipeWire camera; with the services, without which the library is of no use
    SystemLibrary("libpipewire-0.3.so.0", "pipewire", *3 * ("pipewire wireplumber",)),
)

_INSTALL = {
    "debian": "apt-get install -y {}",
    "fedora": "dnf install -y {}",
    "arch": "pacman -S --needed {}",
}
_FAMILIES = {
    "debian": {"debian", "ubuntu"},
    "fedora": {"fedora", "rhel", "centos"},
    "arch": {"arch"},
}
# glibc's loader: "libGL.so.1: cannot open shared object file: No such file or directory"
_SHARED_OBJECT = re.compile(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object file")


def system_family(os_release: dict[str, str] | None = None) -> str | None:
    """Return "debian", "fedora" or "arch" by os-release's ID and ID_LIKE, None for others.

    ``os_release`` replaces this machine's own file (freedesktop.org os-release(5)).
    """
    if os_release is None:
        try:
            os_release = platform.freedesktop_os_release()
        except OSError:
            return None
    names = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    return next((family for family, known in _FAMILIES.items() if names & known), None)


def install_line(libraries: Iterable[SystemLibrary], family: str | None) -> str:
    """Return the command that installs ``libraries`` on a system of ``family``.

    Where the family is unknown, a sentence with Debian's package names instead.
    """
    wanted = list(libraries)
    if family is None:
        names = ", ".join(sorted({library.debian for library in wanted}))
        return f"install the packages that Debian calls {names} with this system's package manager"
    packages = sorted({str(getattr(library, family)) for library in wanted})
    return _as_root(_INSTALL[family].format(" ".join(packages)))


def _as_root(command: str) -> str:
    """Put sudo before ``command`` unless this is root, who often has no sudo in a container."""
    is_root = sys.platform != "win32" and os.geteuid() == 0
    return command if is_root else f"sudo {command}"


def missing_libraries(*parts: str) -> list[SystemLibrary]:
    """Return the known libraries of ``parts`` that the dynamic loader does not find.

    Only Linux has such a list; elsewhere the wheels bring everything.
    """
    if sys.platform != "linux":
        return []
    return [
        library
        for library in SYSTEM_LIBRARIES
        if library.part in parts and not _loads(library.soname)
    ]


def _loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def missing_library_error(error: ImportError | OSError) -> MissingDependencyError:
    """Turn what an import of a heavy library raised into a message that says how to fix it.

    When one system library is missing the others usually are too: all of them are named, so
    that one installation is enough.
    """
    soname = _missing_soname(error)
    if soname is not None:
        return MissingDependencyError(_system_library_message(soname))
    if isinstance(error, ModuleNotFoundError):
        return MissingDependencyError(
            f"expected the Python package {error.name!r}, which {sys.executable} does not have. "
            "Run scripts/setup again, or `pip install webcam-avatar` in this environment"
        )
    if sys.platform == "win32" and "DLL load failed" in str(error):
        return MissingDependencyError(
            f"a system library is missing ({error}). Install Microsoft's Visual C++ "
            "Redistributable for Visual Studio 2015 or later, then try again"
        )
    return MissingDependencyError(
        f"a library could not be loaded ({type(error).__name__}: {error}). "
        "Run `avatar doctor`, which checks each of them"
    )


def _missing_soname(error: ImportError | OSError) -> str | None:
    found = _SHARED_OBJECT.search(str(error))
    if found:
        return found.group(1)
    return "libportaudio.so.2" if "PortAudio library not found" in str(error) else None


def _system_library_message(soname: str) -> str:
    named = next((library for library in SYSTEM_LIBRARIES if library.soname == soname), None)
    if named is None:
        return (
            f"expected the system library {soname}, which is not installed. Install the package "
            "of this system that contains it (on Debian and Ubuntu `apt-file search "
            f"{soname}` names it), then try again"
        )
    missing = missing_libraries(named.part)
    if named not in missing:
        missing.append(named)
    names = ", ".join(library.soname for library in missing)
    return Message(
        "error.systemLibraries",
        "expected these system libraries, which are not installed: {names}. To install: {line}",
        names=names, line=install_line(missing, system_family()),
    )  # fmt: skip


def main() -> int:
    """Print the line that installs what the parts named as arguments lack; 1 when they lack any.

    For scripts/setup, which asks before anything but Python's own library is installed.
    """
    missing = missing_libraries(*sys.argv[1:])
    if missing:
        sys.stdout.write(install_line(missing, system_family()) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
