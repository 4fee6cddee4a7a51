"""Where pictures of the driver come from: cameras, films, addresses, and a drawn driver.

``create_source`` turns what the user wrote after ``--camera`` into a source. It never guesses:
what is neither a camera nor a file nor an address is an error that says what was near.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from avatar.core.addresses import is_address, shown_spec
from avatar.core.clock import Clock
from avatar.core.errors import SourceNotFoundError
from avatar.core.files import expanded, kind_of
from avatar.core.messages import Message
from avatar.core.stages import FrameSource

__all__ = ["SCHEMES", "create_source", "is_film_source", "local_film"]

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "tcp", "file")
"""Addresses that are opened as videos."""
USUAL_SIZE_PX = (640, 480)


@dataclass(frozen=True)
class _Request:
    """What was asked for, with everything that any source may need."""

    spec: str
    size_px: tuple[int, int] | None
    fps: float
    clock: Clock
    loop: bool


def create_source(
    spec: str,
    *,
    size_px: tuple[int, int] | None = USUAL_SIZE_PX,
    fps: float = 30.0,
    clock: Clock,
    loop: bool = True,
) -> FrameSource:
    """Return the source that ``spec`` names; nothing is opened yet.

    ``spec``: ``demo``; a camera as a number, a device path or its listed name; the path of a
    video; or an address with one of ``SCHEMES``. ``size_px`` (width, height) and ``fps`` are
    what cameras are asked for and what the demo draws; videos keep their own. A size of None asks
    cameras for their largest. ``loop``: a video
    begins again at its end.

    Raises ``SourceNotFoundError`` when ``spec`` is none of these.
    """
    request = _Request(spec.strip(), size_px, fps, clock, loop)
    return SOURCES[_kind(request.spec)](request)


def is_film_source(spec: str) -> bool:
    """Return whether ``spec`` names a film in a file; raises as ``create_source`` does."""
    spec = spec.strip()
    is_local = "://" not in spec or spec.lower().startswith("file://")
    return is_local and _kind(spec) == "video"


def _kind(spec: str) -> str:
    """Return the registry key of what ``spec`` names."""
    if spec == "demo":
        return "demo"
    if spec.isascii() and spec.isdigit():
        return "camera"
    if "://" in spec:
        _check_scheme(spec)
        return "video"
    path = expanded(spec)
    if spec and kind_of(path) == "file":
        return "video"
    if path.is_char_device() or _is_camera_name(spec):
        return "camera"
    raise _unknown(spec, path)


def local_film(spec: str) -> Path | None:
    """Return the path of the film on this machine that ``spec`` names, None for another source."""
    spec = spec.strip()
    if spec == "demo" or spec.isdigit():
        return None
    path = Path(_locate(spec))
    return (
        path
        if (spec.lower().startswith("file://") or "://" not in spec) and path.is_file()
        else None
    )


def _check_scheme(spec: str) -> None:
    scheme = spec.partition("://")[0].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise SourceNotFoundError(
            f"Expected an address that begins with one of {known}; found {shown_spec(spec)}. "
            "Check the address."
        )


def _is_camera_name(spec: str) -> bool:
    from avatar.stages.sources.devices import list_cameras

    return any(camera.name.casefold() == spec.casefold() for camera in list_cameras())


def _unknown(spec: str, path: Path) -> SourceNotFoundError:
    """Return the error for a mistyped source, with what lies near."""
    from avatar.stages.sources.devices import describe_cameras, list_cameras

    what = (
        Message("error.isFolder", "a folder")
        if path.is_dir()
        else Message("error.isNoCamera", "no such file, camera or address")
    )
    near = "" if is_address(spec) else _near_files(path)
    return SourceNotFoundError(
        Message(
            "error.cameraUnknown",
            "Expected 'demo', a camera's number, path or name, a video file or an address; found "
            "{what}: {camera}. {near}{cameras}",
            what=what, camera=repr(shown_spec(spec)), near=near,
            cameras=describe_cameras(list_cameras()),
        )
    )  # fmt: skip


def _near_files(path: Path) -> str:
    """Return a sentence with similar file names in the same folder, empty when there are none."""
    if path.is_dir() or not path.parent.is_dir():
        return ""
    try:
        names = {entry.name.casefold(): entry for entry in path.parent.iterdir()}
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name.casefold(), names, n=3, cutoff=0.6)
    if not close:
        return ""
    return f"Near it: {', '.join(str(names[name]) for name in close)}. "


def _demo(request: _Request) -> FrameSource:
    from avatar.stages.sources.demo import DemoSource

    return DemoSource(request.size_px or USUAL_SIZE_PX, request.fps, request.clock)


def _camera(request: _Request) -> FrameSource:
    from avatar.stages.sources.camera import CameraSource

    return CameraSource(request.spec, request.size_px, request.fps, request.clock)


def _video(request: _Request) -> FrameSource:
    from avatar.stages.sources.video import VideoSource

    return VideoSource(_locate(request.spec), None, request.clock, request.loop)


def _locate(spec: str) -> str:
    """Return what FFmpeg opens: a plain path for files, the address otherwise."""
    if spec.lower().startswith("file://"):
        return url2pathname(urlsplit(spec).path)
    return spec if "://" in spec else str(expanded(spec))


SOURCES: dict[str, Callable[[_Request], FrameSource]] = {
    "demo": _demo,
    "camera": _camera,
    "video": _video,
}
"""The registry: a new kind of source is a new file and one line here."""
