"""A finished film of one that was written in pieces: the same packets, with an index in front."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

# Copying more would keep a program from ending for longer than people wait.
_MAX_BYTES = 8 << 30
_SPARE_BYTES = 16 << 20
# ISO/IEC 14496-12: of a sample the index keeps at most its size, its two times, whether it is a key
# frame, and a chunk of its own: stsz 4, stts 8, ctts 8, stss 4, stsc 12 and co64 8 bytes.
_INDEX_BYTES_PER_SAMPLE = 48
_INDEX_BYTES = 65_536
INDEX_SIZE = "moov_size"
"""FFmpeg's option for how much room the index gets in front; its value here is set when known."""


def remuxed(
    part: Path, file: IO[bytes], options: Mapping[str, str], tags: Mapping[str, str]
) -> bool:
    """Copy the film at ``part`` into ``file``, in the same container; return whether it is there.

    ``options``: the muxer's; ``tags``: the film's metadata. False where disk or time do not
    suffice: then ``part``, which plays, is all there is.
    """
    import av
    from av.error import FFmpegError

    size = part.stat().st_size
    if size > min(_MAX_BYTES, shutil.disk_usage(part.parent).free - _SPARE_BYTES):
        return False
    options = dict(options)
    try:
        if INDEX_SIZE in options:
            options[INDEX_SIZE] = str(_index_bytes(part))
        with (
            av.open(f"file:{part}", metadata_errors="replace") as source,
            av.open(file, "w", format=_container(part), container_options=options) as out,
        ):
            _copy(source, out, tags)
        file.flush()
        os.fsync(file.fileno())
    except (OSError, FFmpegError):
        return False
    return True


def _container(part: Path) -> str:
    return part.suffix.lower()[1:]


def _index_bytes(part: Path) -> int:
    """Return enough for the index of all that is in ``part``: reading is quicker than moving."""
    import av

    with av.open(f"file:{part}", metadata_errors="replace") as source:
        samples = sum(1 for _ in source.demux())
    return _INDEX_BYTES + _INDEX_BYTES_PER_SAMPLE * samples


def _copy(source: InputContainer, out: OutputContainer, tags: Mapping[str, str]) -> None:
    out.metadata.update(tags)
    copies = {}
    for stream in source.streams:
        copies[stream.index] = copy = out.add_stream_from_template(stream)
        # WebM's alpha is switched on by a tag, ProRes 4444 told from 422 by its code.
        copy.metadata.update(stream.metadata)
        copy.codec_context.codec_tag = stream.codec_context.codec_tag
    for packet in source.demux():
        if packet.dts is None:  # the end of a stream
            continue
        packet.stream = copies[packet.stream.index]
        out.mux(packet)
