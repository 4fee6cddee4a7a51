"""Recording into an MP4 file whose pace is that of the captured frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from avatar.core.frames import LabelledFrame
from avatar.core.stages import SoundTrack
from avatar.stages.sinks.checks import checked_image
from avatar.stages.sinks.mp4 import Mp4Writer


class FileSink:
    """Writes frames at a constant rate: slot k of the file is shown at k/fps.

    Time counts from the first frame's capture timestamp. A frame goes to the nearest slot; slots
    that no frame reached show the picture before them, and a frame whose slot is taken is left
    out. So the file lasts as long as the capture did, to within a frame.

    ``open_track``: gives the sound to be recorded; without it the file has none.

    The path is not overwritten unless ``force``; entered again after a loss, the sink goes on in
    a new file beside the first (``talk-2.mp4``), so nothing recorded is lost. ``say``: as of
    ``Mp4Writer``.
    """

    def __init__(
        self,
        path: Path,
        *,
        size_px: tuple[int, int],
        fps: float,
        metadata: Mapping[str, str],
        force: bool = False,
        open_track: Callable[[], SoundTrack] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._first = self._path = path
        self._size_px = size_px
        self._fps = fps
        self._metadata = metadata
        self._force = force
        self._open_track, self._say = open_track, say
        self._parts = 0
        self._writer: Mp4Writer | None = None
        self._start_ns = 0

    @property
    def name(self) -> str:
        """Return ``file:`` and the path asked for; ``path`` is that of the file being written."""
        return f"file:{self._first}"

    @property
    def path(self) -> Path:
        """Return the file being written, or written last."""
        return self._path if self._writer is None else self._writer.path

    def __enter__(self) -> Self:
        if self._parts:
            self._path = self._next_part()
        overwrite = self._force and not self._parts
        writer = Mp4Writer(
            self._path, self._size_px, self._fps, self._metadata, overwrite=overwrite,
            say=self._say,
        )  # fmt: skip
        if self._open_track is not None:
            writer.record_sound(self._open_track())
        self._writer = writer.__enter__()
        self._parts += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.__exit__(kind, error, trace)
        finally:
            self._path = writer.path

    def write(self, frame: LabelledFrame) -> None:
        """Put ``frame`` at its time, repeating the picture before it where slots were missed."""
        writer = self._writer
        image = checked_image(frame, self._size_px, sink=self.name, entered=writer is not None)
        assert writer is not None
        if writer.frame_count == 0:
            self._start_ns = frame.timestamp_ns
            writer.begin_sound(self._start_ns)
        slot = round((frame.timestamp_ns - self._start_ns) * self._fps / 1e9)
        if slot < writer.frame_count:
            return
        while writer.frame_count < slot:
            writer.repeat_last()
        writer.write_rgb(image)

    def _next_part(self) -> Path:
        """Return the first free name beside the first file."""
        number = self._parts + 1
        while (path := self._first.with_stem(f"{self._first.stem}-{number}")).exists():
            number += 1
        return path
