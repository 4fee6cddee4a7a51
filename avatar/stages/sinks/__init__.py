"""Where marked frames go. Adding an output: one file, one line in ``_KINDS``, one test row."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from avatar.core.addresses import HIDDEN, is_address, shown_address
from avatar.core.clock import Clock
from avatar.core.errors import UsageError
from avatar.core.files import expanded, is_film
from avatar.core.stages import FrameSink, SoundTrack
from avatar.stages.sinks.sound_encoder import SilentTrack
from avatar.stages.sinks.streaming.address import numbered, parse_address
from avatar.stages.sinks.streaming.settings import StreamSettings

__all__ = ["create_sink", "file_of", "is_stream", "keeps_alpha", "sink_kinds", "takes_sound"]

_STREAMS = ("rtmp", "rtmps", "udp", "whip")


@dataclass(frozen=True)
class _Request:
    """Everything an output may need; ``argument`` is what stands after the colon."""

    kind: str
    argument: str
    size_px: tuple[int, int]
    fps: float
    on_key: Callable[[str], None] | None
    overlay_text: Callable[[], str] | None
    metadata: Mapping[str, str]
    force: bool
    say: Callable[[str], None]
    stream: StreamSettings
    open_track: Callable[[], SoundTrack] | None
    taken: Collection[str]


def _virtual(request: _Request) -> FrameSink:
    if not request.argument:
        from avatar.stages.sinks.any_camera import AnyCameraSink

        return AnyCameraSink(request.size_px, request.fps, request.say)
    from avatar.stages.sinks.virtual import VirtualSink

    return VirtualSink(request.size_px, request.fps, request.argument)


def _pipewire(request: _Request) -> FrameSink:
    from avatar.stages.sinks.pipewire import PipeWireSink

    return PipeWireSink(request.size_px, request.fps, request.argument or None)


def _preview(request: _Request) -> FrameSink:
    from avatar.stages.sinks.preview import PreviewSink

    return PreviewSink(request.size_px, request.on_key, request.overlay_text)


def _file(request: _Request) -> FrameSink:
    from avatar.stages.sinks.file import FileSink

    return FileSink(
        expanded(request.argument),
        size_px=request.size_px,
        fps=request.fps,
        metadata=request.metadata,
        force=request.force,
        open_track=request.open_track,
        say=request.say,
    )


def _stream(request: _Request) -> FrameSink:
    from avatar.stages.sinks.streaming.sink import StreamSink

    key = request.stream.key if request.kind != "udp" else None
    return StreamSink(
        numbered(parse_address(request.kind, request.argument, key), request.taken),
        request.stream,
        size_px=request.size_px,
        fps=request.fps,
        open_track=request.open_track or SilentTrack,
        say=request.say,
    )


def _page(request: _Request) -> FrameSink:
    from avatar.stages.sinks.page import DEFAULT_PORT, Audience, PageSink

    port = request.argument or str(DEFAULT_PORT)
    if not (port.isdecimal() and int(port) < 65_536):
        raise UsageError(f"The output page:PORT takes a port's number; found {port!r}.")
    return PageSink(request.size_px, request.fps, Audience(), int(port))


def _none(request: _Request) -> FrameSink:
    from avatar.stages.sinks.none import NullSink

    return NullSink(request.size_px)


def _memory(request: _Request) -> FrameSink:
    from avatar.stages.sinks.memory import MemorySink

    return MemorySink(request.size_px)


# Kind: (may have or must have an argument, or None; how it is made).
_KINDS: dict[str, tuple[str | None, Callable[[_Request], FrameSink]]] = {
    "virtual": ("may", _virtual),
    "pipewire": ("may", _pipewire),
    "preview": (None, _preview),
    "file": ("must", _file),
    **dict.fromkeys(_STREAMS, ("must", _stream)),
    "page": ("may", _page),
    "none": (None, _none),
    "memory": (None, _memory),
}
# Kinds whose receivers see what is transparent, or do not look at all.
_KEEP_ALPHA = frozenset({"page", "none", "memory", "preview"})
_SPELLINGS = (
    "virtual, virtual:DEVICE, pipewire, preview, page, file:PATH, rtmp://…, rtmps://…, udp://…, "
    "whip:https://…, none"
)


def is_stream(spec: str) -> bool:
    """Return whether ``spec`` names a stream."""
    return spec.partition(":")[0] in _STREAMS


def takes_sound(spec: str) -> bool:
    """Return whether the output that ``spec`` names has sound as well."""
    return is_stream(spec) or spec.startswith("file:")


def file_of(spec: str) -> Path | None:
    """Return the file that ``spec`` writes, None where it writes none."""
    kind, _, argument = spec.partition(":")
    return expanded(argument) if kind == "file" and argument else None


def sink_kinds() -> tuple[str, ...]:
    """Return the names that may stand before the colon."""
    return tuple(_KINDS)


def keeps_alpha(spec: str) -> bool:
    """Return whether the output that ``spec`` names keeps a picture's transparency."""
    return spec.partition(":")[0] in _KEEP_ALPHA


def create_sink(
    spec: str,
    *,
    size_px: tuple[int, int],
    fps: float,
    clock: Clock,
    on_key: Callable[[str], None] | None = None,
    overlay_text: Callable[[], str] | None = None,
    metadata: Mapping[str, str] | None = None,
    force: bool = False,
    say: Callable[[str], None] = lambda line: None,
    stream: StreamSettings | None = None,
    open_track: Callable[[], SoundTrack] | None = None,
    taken: Collection[str] = (),
) -> FrameSink:
    """Return the output that ``spec`` names, not yet entered.

    ``spec``: ``virtual``, ``virtual:DEVICE``, ``pipewire``, ``pipewire:NAME``, ``preview``,
    ``page``, ``page:PORT``, ``file:PATH``, ``none``, ``memory``, or the address of a stream:
    ``rtmp://…``, ``rtmps://…``, ``udp://…``, ``whip:https://…``.
    ``size_px``: (width, height) of all frames. ``metadata``: the tags of a file, the ``AIGC``
    label among them; a file without them is a programming error. ``force``: a file may be
    replaced. ``say`` is told what was chosen where there is a choice. ``stream``: how streams are
    to be. ``open_track``: gives the sound of files and streams, None without a microphone.
    ``taken``: the names of the other outputs; a further stream to one host gets a number.
    ``clock`` is for outputs that keep time; those of today follow the frames' own.
    Raises ``UsageError`` for anything else, naming the nearest.
    """
    del clock
    kind, colon, argument = spec.partition(":")
    if kind not in _KINDS:
        raise UsageError(_unknown(spec, kind))
    wants, make = _KINDS[kind]
    if wants == "must" and not argument:
        example = "file:talk.mp4" if kind == "file" else "rtmp://HOST/APP/KEY"
        raise UsageError(f"The output {spec!r} needs a path after the colon, as in {example}.")
    if wants is None and colon:
        raise UsageError(f"The output {kind!r} takes nothing after it; found {_shown(spec)!r}.")
    return make(
        _Request(
            kind, argument, size_px, fps, on_key, overlay_text, metadata or {}, force, say,
            stream or StreamSettings(), open_track, taken,
        )
    )  # fmt: skip


def _unknown(spec: str, kind: str) -> str:
    found = f"There is no output {_shown(spec)!r}; known: {_SPELLINGS}."
    if is_address(spec):
        nearest = difflib.get_close_matches(kind.strip().lower(), _STREAMS, 1, 0)[0]
        nearest = "whip:" if kind.lower().startswith("http") else nearest
        return f"{found} Did you mean {nearest!r}?"
    if spec.startswith("/dev/"):
        nearest = f"virtual:{spec}"
    elif _shown(spec) != spec:
        return f"{found} A file is file:PATH, a stream begins with rtmp:// or another of those."
    elif "." in spec or "/" in spec or "\\" in spec:
        nearest = f"file:{spec}"
    else:
        nearest = difflib.get_close_matches(kind.lower(), _KINDS, 1, 0)[0]
    return f"{found} Did you mean {nearest!r}?"


def _shown(spec: str) -> str:
    """Return what a message may repeat of an unknown output.

    An address may lack its scheme, and what looks like a path then ends in a key.
    """
    if is_address(spec):
        return shown_address(spec)
    is_word = not set(spec) & set("/:?#@=&")
    is_path = spec.startswith(("/", "./", "../", "~")) or is_film(Path(spec))
    return spec if is_word or (is_path and not set(spec) & set("?#@&")) else HIDDEN
