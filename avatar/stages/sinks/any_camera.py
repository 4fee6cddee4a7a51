"""``--out virtual``: the virtual camera that this machine has, and which one that is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Self

from avatar.core.errors import AvatarError, SinkUnavailableError
from avatar.core.frames import LabelledFrame
from avatar.core.messages import Message, words_of
from avatar.stages.sinks.checks import ELSEWHERE, expect_even
from avatar.stages.sinks.devices import install_hint, list_outputs
from avatar.stages.sinks.pipewire import PipeWireSink
from avatar.stages.sinks.virtual import VirtualSink

_Camera = VirtualSink | PipeWireSink


class AnyCameraSink:
    """A virtual camera of whichever kind works: v4l2loopback before PipeWire, which fewer read.

    On Windows and macOS it is OBS's or Unity Capture's. ``say`` is told which one it became and
    what calls see. Entered again, after the receiver was lost, it is the same kind: a call is
    watching that camera. Entering raises ``UsageError`` for an odd size and
    ``SinkUnavailableError`` with what to install where there is no camera.
    """

    def __init__(self, size_px: tuple[int, int], fps: float, say: Callable[[str], None]) -> None:
        self._size_px = size_px
        self._fps = fps
        self._say = say
        self._camera: _Camera | None = None

    @property
    def name(self) -> str:
        """Return ``virtual``."""
        return "virtual"

    @property
    def camera(self) -> VirtualSink | PipeWireSink | None:
        """Return what was chosen, None before that."""
        return self._camera

    def __enter__(self) -> Self:
        if self._camera is None:
            self._camera = self._choose()
        else:
            self._camera.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        if self._camera is not None:
            self._camera.__exit__(*raised)

    def write(self, frame: LabelledFrame) -> None:
        """Show ``frame`` to whoever reads the camera."""
        if self._camera is None:
            raise RuntimeError("virtual: write() needs an entered sink; use it in a with statement")
        self._camera.write(frame)

    def _choose(self) -> _Camera:
        """Return the first camera that can be entered, entered."""
        expect_even(self._size_px, "The virtual camera")
        if not sys.platform.startswith("linux"):
            camera = VirtualSink(self._size_px, self._fps).__enter__()
            self._say(f'virtual camera: choose "{camera.device}" in the call ({camera.kind})')
            return camera
        try:
            return self._loopback()
        except AvatarError as error:
            loopback = _reason(error)
        try:
            return self._pipewire(loopback)
        except AvatarError as error:
            pipewire = _reason(error)
        raise SinkUnavailableError(
            Message(
                "error.noVirtualCamera",
                "There is no virtual camera on this system. {loopback} Or without a kernel "
                "module: {pipewire} `avatar doctor --camera` explains both. To go on without a "
                "virtual camera: --out preview.",
                loopback=loopback, pipewire=pipewire,
            )
        )  # fmt: skip

    def _loopback(self) -> VirtualSink:
        if not list_outputs():
            raise SinkUnavailableError(f"{install_hint()}.")
        camera = VirtualSink(self._size_px, self._fps).__enter__()
        names = {output.device: output.name for output in list_outputs()}
        name = names.get(camera.device or "", camera.device)
        self._say(f'virtual camera: choose "{name}" in the call (v4l2loopback, {camera.device})')
        return camera

    def _pipewire(self, reason: str) -> PipeWireSink:
        camera = PipeWireSink(self._size_px, self._fps).__enter__()
        self._say(
            f'virtual camera: choose "{camera.device}" in the call (PipeWire). OBS and GNOME '
            "programs see it, Firefox and Chrome once they are set so; programs that read "
            f"/dev/video* alone need v4l2loopback, which is not in use here: {reason} "
            "`avatar doctor --camera` explains both"
        )
        return camera


def _reason(error: AvatarError) -> str:
    words = words_of(error)
    return words if isinstance(words, Message) else words.removesuffix(ELSEWHERE).strip()
