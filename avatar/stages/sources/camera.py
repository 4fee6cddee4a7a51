"""A webcam through OpenCV."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from avatar.core.clock import Clock
from avatar.core.errors import SourceBusyError, SourceError, SourceLostError, SourceNotFoundError
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.core.messages import Message
from avatar.stages.sources.devices import (
    DEV,
    CameraInfo,
    describe_cameras,
    inspect_v4l2,
    list_cameras,
    on_linux,
    open_capture,
)
from avatar.stages.sources.pacing import READ_LIMIT_NS, FrameCounter, not_open

if TYPE_CHECKING:
    import cv2

STALL_S = 3.0
"""A camera that gives no frame for this long is lost."""

_FAILED_READS = 10
_RELEASE_S = 0.5
# Beyond any camera, whose driver takes the nearest it has; left alone, OpenCV asks for 640×480.
_LARGEST_PX = (16_384, 16_384)


class CameraSource:
    """The newest frame of a camera, as a thread that drains the driver's buffers finds it.

    ``device``: an index, a path such as ``/dev/video0``, or a name as ``list_cameras`` gives it.
    ``size_px`` (width, height; None: the largest) and ``fps`` are asked for; the camera decides,
    and frames come in the size it chose. A frame's timestamp is the moment its reading from the
    driver ended.
    """

    def __init__(
        self, device: int | str, size_px: tuple[int, int] | None, fps: float, clock: Clock
    ) -> None:
        self._device = device
        self._size_px = size_px
        self._fps = fps
        self._clock = clock
        self._counter = FrameCounter()
        self._grabber: _Grabber | None = None

    @property
    def name(self) -> str:
        """Return what the user is told is being watched."""
        return f"camera {self._device}"

    def __enter__(self) -> Self:
        """Open the camera.

        Raises ``SourceNotFoundError`` with the cameras found when it is absent, and
        ``SourceBusyError`` when another program or a missing permission keeps it.
        """
        target = resolve_device(self._device)
        _check_usable(target)
        capture = open_capture(target)
        if not capture.isOpened():
            capture.release()
            raise _refused(target)
        _configure(capture, self._size_px, self._fps)
        self._grabber = _Grabber(capture, self._clock, _node(target))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop reading and release the camera."""
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.close()

    def read(self) -> CameraFrame | None:
        """Return the newest frame not yet seen; see ``FrameSource.read``."""
        if self._grabber is None:
            raise not_open(self.name)
        taken = self._grabber.take()
        if taken is None:
            return None
        import cv2

        bgr, timestamp_ns = taken
        return self._counter.frame(_as_rgb(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)), timestamp_ns)


class _Grabber:
    """Reads the camera on a thread, so that no driver buffer can grow old; owns the capture."""

    def __init__(self, capture: cv2.VideoCapture, clock: Clock, node: Path | None) -> None:
        self._capture = capture
        self._clock = clock
        self._node = node
        self._changed = threading.Condition()
        self._newest: tuple[UInt8Image, int] | None = None
        self._failed = False
        self._closed = False
        self._silent_s = 0.0
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def take(self) -> tuple[UInt8Image, int] | None:
        """Return the newest BGR picture and its time, None after a quarter of a second."""
        limit_s = READ_LIMIT_NS / 1e9
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._failed, limit_s)
            taken, self._newest = self._newest, None
            failed = self._failed
        if taken is not None:
            self._silent_s = 0.0
            return taken
        self._silent_s += limit_s
        if failed or self._silent_s >= STALL_S or (self._node and not self._node.exists()):
            raise SourceLostError(
                Message(
                    "error.cameraSilent",
                    "The camera {camera} gives no more frames; it was unplugged or stopped. Plug "
                    "it in again.",
                    camera=str(self._node or ""),
                )
            )
        return None

    def close(self) -> None:
        """End the thread, which releases the camera; a driver may hold it for a moment."""
        with self._changed:
            self._closed = True
        self._thread.join(_RELEASE_S)

    def _run(self) -> None:
        failures = 0
        while not self._closed and failures < _FAILED_READS:
            if not self._capture.grab():
                failures += 1
                continue
            timestamp_ns = self._clock.now_ns()
            ok, bgr = self._capture.retrieve()
            failures = 0 if ok else failures + 1
            if ok:
                with self._changed:
                    self._newest = (_as_rgb(bgr), timestamp_ns)
                    self._changed.notify_all()
        self._capture.release()
        with self._changed:
            self._failed = True
            self._changed.notify_all()


def _as_rgb(image: object) -> UInt8Image:
    """Narrow OpenCV's array type; the capture delivers 8-bit colour."""
    import numpy as np

    return np.ascontiguousarray(image, np.uint8)


def _configure(capture: cv2.VideoCapture, size_px: tuple[int, int] | None, fps: float) -> None:
    """Ask for MJPG first, since USB 2 carries 720p at 30 fps only compressed, then the rest.

    Two driver buffers: with one, the Linux USB driver finds none to fill while OpenCV decodes,
    and drops every other frame. The grabber's thread keeps both from growing old.
    """
    import cv2

    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    width, height = size_px or _LARGEST_PX
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_FPS, fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)


def resolve_device(device: int | str) -> int | str:
    """Return what OpenCV opens: a path on Linux, an index elsewhere.

    ``device`` is an index, a path, or a listed camera's name in any case. Raises
    ``SourceNotFoundError`` with the cameras found.
    """
    if isinstance(device, int) or device.isdigit():
        return str(DEV / f"video{device}") if on_linux() else int(device)
    if on_linux() and device.startswith("/"):
        return device
    cameras = list_cameras()
    for camera in cameras:
        if camera.name.casefold() == device.casefold():
            return resolve_device(camera.device)
    raise _absent(str(device), cameras)


def _node(target: int | str) -> Path | None:
    return Path(target) if isinstance(target, str) else None


def _check_usable(target: int | str) -> None:
    """Raise before OpenCV is asked where Linux can already say what is wrong."""
    node = _node(target)
    if node is None:
        return
    if not node.exists():
        raise _absent(str(node), list_cameras())
    found = inspect_v4l2(node)
    if found is None:
        raise SourceNotFoundError(
            Message(
                "error.notACamera",
                "Expected a camera at {node}, found a device that takes no pictures. {cameras}",
                node=str(node), cameras=describe_cameras(list_cameras()),
            )
        )  # fmt: skip
    if found.problem is not None:
        raise SourceBusyError(
            Message(
                "error.cameraProblem",
                "Expected to open the camera {node}, but found a problem: {problem}. {cameras}",
                node=str(node), problem=found.problem, cameras=describe_cameras(list_cameras()),
            )
        )  # fmt: skip


def _absent(device: str, cameras: list[CameraInfo]) -> SourceNotFoundError:
    return SourceNotFoundError(
        Message(
            "error.cameraAbsent",
            "Expected a camera {device}, found no such device. {cameras}",
            device=device, cameras=describe_cameras(cameras),
        )
    )  # fmt: skip


def _refused(target: int | str) -> SourceError:
    """Return why OpenCV could not open a camera that seemed usable."""
    cameras = list_cameras()
    if isinstance(target, int) and not any(c.device == str(target) for c in cameras):
        return SourceNotFoundError(
            Message(
                "error.cameraRefused",
                "Expected a camera {target} that can be opened, found none: it is absent, another "
                "program uses it, or the system's privacy settings forbid it. {cameras}",
                target=target, cameras=describe_cameras(cameras),
            )
        )  # fmt: skip
    return SourceBusyError(
        Message(
            "error.cameraTaken",
            "The camera {target} is there but could not be opened; another program is probably "
            "using it. Close that program. {cameras}",
            target=target, cameras=describe_cameras(cameras),
        )
    )  # fmt: skip
