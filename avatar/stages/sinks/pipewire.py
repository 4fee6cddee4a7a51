"""A virtual camera through PipeWire: Linux, without a kernel module or an administrator."""

from __future__ import annotations

import sys
import time
from typing import Self

from avatar.core.errors import AvatarError, SinkLostError, SinkUnavailableError
from avatar.core.frames import LabelledFrame
from avatar.stages.sinks.camera_format import FormatConverter, describe, offered_formats
from avatar.stages.sinks.checks import ELSEWHERE, checked_image, expect_even
from avatar.stages.sinks.pipewire_stream import PipeWireStream

NAME = "Avatar"


class PipeWireSink:
    """Shows frames as a PipeWire camera to any number of readers; never waits for one.

    ``camera_name`` is what programs call it, ``Avatar`` by default. The first reader chooses the
    format and the size; where that is not the frames' own they are fitted into it, uncut.
    Entering raises ``UsageError`` for an odd size, ``MissingDependencyError`` without PipeWire's
    library and ``SinkUnavailableError`` without its service, both with what to install.
    """

    def __init__(
        self, size_px: tuple[int, int], fps: float, camera_name: str | None = None
    ) -> None:
        self._size_px = size_px
        self._fps = fps
        self._camera_name = camera_name
        self._stream: PipeWireStream | None = None
        self._converter: FormatConverter | None = None

    @property
    def name(self) -> str:
        """Return ``pipewire``, with the camera's name when one was given."""
        return "pipewire" if self._camera_name is None else f"pipewire:{self._camera_name}"

    @property
    def device(self) -> str | None:
        """Return what programs call the camera, None before entering."""
        return None if self._stream is None else self._camera_name or NAME

    @property
    def agreed(self) -> str | None:
        """Return what readers get, such as ``1280×720 I420``; None while there is no reader."""
        video = None if self._stream is None else self._stream.agreed
        return None if video is None else describe(video)

    def __enter__(self) -> Self:
        expect_even(self._size_px, "The PipeWire camera")
        if not sys.platform.startswith("linux"):
            raise SinkUnavailableError(
                f"PipeWire is Linux' own; here, --out virtual uses the virtual camera of OBS. "
                f"{ELSEWHERE}"
            )
        try:
            self._stream = PipeWireStream(
                self._camera_name or NAME, offered_formats(self._size_px, self._fps)
            )
        except AvatarError as error:
            raise type(error)(f"{error}. {ELSEWHERE}") from error
        return self

    def __exit__(self, *_: object) -> None:
        stream, self._stream = self._stream, None
        self._converter = None
        if stream is not None:
            stream.close()

    def write(self, frame: LabelledFrame) -> None:
        """Show ``frame`` to whoever reads the camera; without a reader it costs nothing."""
        stream = self._stream
        image = checked_image(frame, self._size_px, sink=self.name, entered=stream is not None)
        assert stream is not None
        if stream.lost is not None:
            raise SinkLostError(
                f"PipeWire went away: {stream.lost}. When it is back, the camera is too, "
                f"by itself. {ELSEWHERE}"
            )
        video = stream.agreed
        if video is None:
            return
        if self._converter is None or self._converter.video != video:
            self._converter = FormatConverter(self._size_px, video)
        stream.send(self._converter.convert(image), video, time.monotonic_ns())
