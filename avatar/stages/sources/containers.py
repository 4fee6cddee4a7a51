"""Opening films with FFmpeg: which stream holds the pictures, and what a container knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def local_address(path: Path | str) -> str:
    """Return what FFmpeg opens as a file, whatever its name: `12:30.mp4` is no protocol."""
    return f"file:{path}"


def pictures_of(container: InputContainer) -> VideoStream | None:
    """Return the film's moving pictures: those that can be decoded if any can.

    The cover of a piece of music is none.
    """
    from av.stream import Disposition

    films = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    return next((stream for stream in films if can_decode(stream)), next(iter(films), None))


def can_decode(stream: VideoStream) -> bool:
    """Return whether this FFmpeg has a decoder for the stream."""
    context: object = stream.codec_context
    return context is not None


def stores_no_times(container: InputContainer) -> bool:
    """Return whether the container knows the order of its pictures but not when each is shown.

    AVI: of pictures that refer to later ones (B-frames) FFmpeg guesses the times wrongly. They come
    out of the decoder in the right order, so that the order alone tells.
    """
    return "avi" in container.format.name.split(",")
