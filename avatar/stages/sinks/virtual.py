"""A virtual camera, through pyvirtualcam: other programs see the avatar as a webcam."""

from __future__ import annotations

import difflib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from avatar.core.errors import (
    MissingDependencyError,
    SinkLostError,
    SinkUnavailableError,
    UsageError,
)
from avatar.core.frames import LabelledFrame
from avatar.core.messages import Message
from avatar.stages.sinks import v4l2
from avatar.stages.sinks.checks import ELSEWHERE, checked_image, expect_even
from avatar.stages.sinks.conversion import I420Converter
from avatar.stages.sinks.devices import OutputDevice, install_hint, list_outputs

# What pyvirtualcam says of a device that an earlier writer left unusable (v4l2loopback < 0.13).
_STUCK = "is not a video output device"
_KINDS = {"obs": "OBS", "unitycapture": "Unity Capture"}
_BUSY = "already in use"


class VirtualSink:
    """Sends I420 frames to a virtual camera, as fast as they come: it never waits for a beat.

    ``device``: such as ``/dev/video9`` or ``OBS Virtual Camera``; None takes the first free one.
    ``backend``: a name registered with pyvirtualcam; None lets it choose by system. Entered again
    it stays with what was chosen: a call is watching that camera.
    Entering raises ``UsageError`` for an odd size or an unknown backend, and
    ``SinkUnavailableError`` when no device can be had, saying how to get one.
    """

    def __init__(
        self,
        size_px: tuple[int, int],
        fps: float,
        device: str | None = None,
        backend: str | None = None,
    ) -> None:
        self._size_px = size_px
        self._fps = fps
        self._device = device
        self._backend = backend
        self._camera: Any = None
        self._converter: I420Converter | None = None
        self._descriptor: int | None = None

    @property
    def name(self) -> str:
        """Return ``virtual``, with the device when one was asked for."""
        return "virtual" if self._device is None else f"virtual:{self._device}"

    @property
    def device(self) -> str | None:
        """Return the device in use, None before entering."""
        return None if self._camera is None else str(self._camera.device)

    @property
    def kind(self) -> str:
        """Return whose camera is in use, in the words of its makers; empty before entering."""
        backend = "" if self._camera is None else str(self._camera.backend)
        return _KINDS.get(backend, backend)

    def __enter__(self) -> Self:
        expect_even(self._size_px, "The virtual camera")
        self._camera = self._open(_import_pyvirtualcam())
        self._converter = I420Converter(self._size_px)
        return self

    def __exit__(self, *_: object) -> None:
        camera, self._camera, self._descriptor = self._camera, None, None
        self._converter = None
        if camera is not None:
            with suppress(Exception):  # a backend may raise anything; the device is gone anyway
                camera.close()

    def write(self, frame: LabelledFrame) -> None:
        """Show ``frame`` to whoever reads the camera."""
        converter = self._converter
        image = checked_image(frame, self._size_px, sink=self.name, entered=converter is not None)
        assert converter is not None
        try:
            if self._descriptor is not None:
                # pyvirtualcam reports no failed write: ask the device whether it is still there.
                v4l2.query_capability(self._descriptor)
            self._camera.send(converter.convert(image))
        except (OSError, RuntimeError) as error:
            raise SinkLostError(
                Message(
                    "error.virtualGone",
                    "The virtual camera {device} is gone: {why}. Connect or start it again; it is "
                    "tried again by itself. To go on without a virtual camera: --out preview.",
                    device=str(self._camera.device), why=str(error),
                )
            ) from error  # fmt: skip

    def _open(self, pyvirtualcam: Any) -> Any:
        """Return an open pyvirtualcam camera, on the named device or the first that opens."""
        _check_backend(self._backend, list(pyvirtualcam.camera.BACKENDS))
        if self._backend is not None or not sys.platform.startswith("linux"):
            camera = self._open_device(pyvirtualcam, self._device)
            self._backend = camera.backend
            return camera
        candidates = self._candidates()
        for candidate in candidates:
            try:
                return self._open_loopback(pyvirtualcam, candidate)
            except SinkUnavailableError:
                if candidate is candidates[-1]:
                    raise
        raise AssertionError("candidates are never empty")

    def _candidates(self) -> list[OutputDevice]:
        """Return the loopback devices to try, or raise with the reason why there are none."""
        outputs = list_outputs()
        if not outputs:
            wanted = f" {self._device}" if self._device else ""
            raise SinkUnavailableError(
                f"There is no virtual camera{wanted} on this system. {install_hint()}. {ELSEWHERE}"
            )
        if self._device is None:
            return sorted(outputs, key=lambda output: output.state != "free")
        path = str(Path(self._device).resolve())
        named = [output for output in outputs if output.device == path]
        if not named:
            listed = ", ".join(f"{output.device} ({output.name})" for output in outputs)
            raise SinkUnavailableError(
                f"{self._device} is not a virtual camera. Found: {listed}. "
                f"Use --out virtual:{outputs[0].device}. {ELSEWHERE}"
            )
        return named

    def _open_loopback(self, pyvirtualcam: Any, output: OutputDevice) -> Any:
        """Open a v4l2loopback device so that the next writer can open it again."""
        path = Path(output.device)
        before = v4l2.own_descriptors(path)
        try:
            camera = self._open_device(pyvirtualcam, output.device)
        except SinkUnavailableError as error:
            if _STUCK not in str(error):
                raise
            # A fed device says the same; healing that one would take it from its writer.
            if output.state == "busy":
                raise SinkUnavailableError(_in_use(output.device)) from error
            v4l2.heal(path)
            camera = self._open_device(pyvirtualcam, output.device)
        for descriptor in v4l2.own_descriptors(path) - before:
            size_px = v4l2.picture_size(descriptor)
            if size_px is not None and size_px != self._size_px:
                # A reader keeps the size it began with; other pictures would reach it as noise.
                camera.close()
                raise SinkUnavailableError(_other_size(output.device, size_px))
            v4l2.stream_on(descriptor)
            self._descriptor = descriptor
        return camera

    def _open_device(self, pyvirtualcam: Any, device: str | None) -> Any:
        width, height = self._size_px
        try:
            return pyvirtualcam.Camera(
                width,
                height,
                self._fps,
                fmt=pyvirtualcam.PixelFormat.I420,
                device=device,
                backend=self._backend,
            )
        except (RuntimeError, OSError) as error:
            raise SinkUnavailableError(_refused(device, str(error))) from error


def _import_pyvirtualcam() -> Any:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise MissingDependencyError(
            f"The virtual camera needs the package pyvirtualcam, which does not load: {error}. "
            f"Run: pip install --force-reinstall pyvirtualcam. {ELSEWHERE}"
        ) from error
    return pyvirtualcam


def _check_backend(backend: str | None, known: list[str]) -> None:
    if backend is None or backend in known:
        return
    near = difflib.get_close_matches(backend, known, 1, 0)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"There is no virtual camera backend {backend!r} here; known: {', '.join(known)}.{hint}"
    )


def _refused(device: str | None, reason: str) -> str:
    """Say why a device could not be opened and what to do."""
    wanted = device or "the virtual camera"
    if _BUSY in reason:
        return _in_use(wanted)
    if "permission" in reason.lower():
        return (
            f"You may not open {wanted}. Run: sudo usermod -aG video $USER, then log in again. "
            f"{ELSEWHERE}"
        )
    if device is None:
        return f"No virtual camera could be opened: {reason}. {install_hint()}. {ELSEWHERE}"
    return f"The virtual camera {device} could not be opened: {reason}. {ELSEWHERE}"


def _other_size(device: str, size_px: tuple[int, int]) -> str:
    """Say that readers hold ``device`` to ``size_px``, and which programs those are."""
    found = ", ".join(v4l2.holders(Path(device))) or "another program"
    width, height = size_px
    return (
        f"{device} is still being watched at {width}×{height} pixels by {found}, so it takes no "
        f"other size. Close that program, or use --size {width}x{height}. {ELSEWHERE}"
    )


def _in_use(device: str) -> str:
    """Say that another program writes to ``device``, and which have it open."""
    found = v4l2.holders(Path(device)) if sys.platform.startswith("linux") else []
    who = f" Programs that have it open: {', '.join(found)}." if found else ""
    return (
        f"{device} is in use by another program that writes to it.{who} "
        f"Close that program, or name another device (avatar devices lists them). {ELSEWHERE}"
    )
