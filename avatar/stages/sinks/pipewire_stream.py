"""A camera in PipeWire's graph: one ``pw_stream`` that feeds whoever connects to it.

PipeWire calls back from a thread of its own, which holds the loop's lock; everything here that
touches the stream from another thread takes that lock.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from avatar.core.errors import MissingDependencyError, SinkUnavailableError
from avatar.core.frames import UInt8Image
from avatar.core.libraries import SYSTEM_LIBRARIES, install_line, system_family
from avatar.core.messages import Message
from avatar.stages.sinks import libpipewire as pw
from avatar.stages.sinks import spa
from avatar.stages.sinks.camera_format import Layout, is_offered, layout_of
from avatar.stages.sinks.spa import VideoFormat

_CONNECT_TIMEOUT_S = 5.0


class PipeWireStream:
    """An open camera that other programs see as ``name``.

    ``formats`` are offered in this order. Whoever connects first chooses; PipeWire gives the same
    pictures to everybody who connects later, as every camera does.
    Opening raises ``MissingDependencyError`` and ``SinkUnavailableError``.
    """

    def __init__(self, name: str, formats: Sequence[VideoFormat]) -> None:
        self._library = pw.load()
        self._changed = threading.Condition()
        self._state = pw.STATE_UNCONNECTED
        self._error = ""
        self._agreed: VideoFormat | None = None
        self._sequence = 0
        # The library keeps pointers to these: they live as long as the stream.
        self._events = pw.StreamEvents(version=pw.EVENTS_VERSION)
        self._events.state_changed = pw.StateChanged(self._on_state)
        self._events.param_changed = pw.ParamChanged(self._on_param)
        self._loop: Any = None
        self._stream: Any = None
        try:
            self._open(name, formats)
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> str | None:
        """Return why the connection to PipeWire is gone, None while it stands."""
        if self._state in (pw.STATE_ERROR, pw.STATE_UNCONNECTED):
            return self._error or "connection closed"
        return None

    @property
    def agreed(self) -> VideoFormat | None:
        """Return the format that readers want now, None while there is no reader."""
        return self._agreed if self._state == pw.STATE_STREAMING else None

    def send(self, picture: UInt8Image, video: VideoFormat, timestamp_ns: int) -> None:
        """Give ``picture`` to all readers; it is dropped where they no longer want ``video``.

        ``timestamp_ns``: CLOCK_MONOTONIC, as PipeWire's own. Never waits for a reader: while all
        buffers are with readers a picture is dropped.
        """
        with self._locked():
            if self.agreed != video:
                return
            buffer = self._library.pw_stream_dequeue_buffer(self._stream)
            if buffer:
                self._fill(buffer.contents.buffer.contents, picture, layout_of(video), timestamp_ns)
                self._library.pw_stream_queue_buffer(self._stream, buffer)
            # Also without a buffer: it is this cycle that takes back what readers have finished.
            self._library.pw_stream_trigger_process(self._stream)

    def close(self) -> None:
        """Remove the camera from PipeWire; a second call does nothing."""
        loop, self._loop = self._loop, None
        stream, self._stream = self._stream, None
        if loop is None:
            return
        self._library.pw_thread_loop_stop(loop)
        if stream is not None:
            self._library.pw_stream_destroy(stream)
        self._library.pw_thread_loop_destroy(loop)

    def _open(self, name: str, formats: Sequence[VideoFormat]) -> None:
        library = self._library
        self._loop = library.pw_thread_loop_new(b"avatar-camera", None) or None
        if self._loop is None:
            raise MissingDependencyError(_incomplete("no loop"))
        self._stream = (
            library.pw_stream_new_simple(
                library.pw_thread_loop_get_loop(self._loop),
                name.encode(),
                library.pw_properties_new_string(_properties(name)),
                ctypes.byref(self._events),
                None,
            )
            or None
        )
        if self._stream is None:
            raise MissingDependencyError(_incomplete("no stream"))
        array, _kept = pw.pods([spa.format_pod(video) for video in formats])
        result = library.pw_stream_connect(
            self._stream,
            pw.DIRECTION_OUTPUT,
            pw.ANY_ID,
            pw.FLAG_DRIVER | pw.FLAG_MAP_BUFFERS,
            array,
            len(formats),
        )
        if result < 0:
            raise SinkUnavailableError(_not_running(os.strerror(-result)))
        library.pw_thread_loop_start(self._loop)
        self._wait_until_there()

    def _wait_until_there(self) -> None:
        """Wait until PipeWire shows the camera to others."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._state >= pw.STATE_PAUSED or self._state == pw.STATE_ERROR,
                _CONNECT_TIMEOUT_S,
            )
            if self._state >= pw.STATE_PAUSED:
                return
        raise SinkUnavailableError(_not_usable(self._error or "it does not answer"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._library.pw_thread_loop_lock(self._loop)
        try:
            yield
        finally:
            self._library.pw_thread_loop_unlock(self._loop)

    def _fill(
        self, buffer: pw.SpaBuffer, picture: UInt8Image, layout: Layout, timestamp_ns: int
    ) -> None:
        data = buffer.datas[0]
        if not data.data or data.maxsize < layout.size:
            return
        ctypes.memmove(data.data, picture.ctypes.data, layout.size)
        chunk = data.chunk.contents
        chunk.offset, chunk.size, chunk.stride, chunk.flags = 0, layout.size, layout.stride, 0
        self._sequence += 1
        for index in range(buffer.n_metas):
            meta = buffer.metas[index]
            if meta.type == spa.META_HEADER and meta.size >= spa.META_HEADER_SIZE:
                header = pw.MetaHeader.from_address(meta.data)
                header.flags = header.offset = header.dts_offset = 0
                header.pts, header.seq = timestamp_ns, self._sequence

    # --- called by PipeWire

    def _on_state(self, data: int | None, old: int, new: int, error: bytes | None) -> None:
        with self._changed:
            self._state = new
            self._error = error.decode("utf-8", "replace") if error else ""
            self._changed.notify_all()

    def _on_param(self, data: int | None, param: int, pod: int | None) -> None:
        if param != spa.PARAM_FORMAT:
            return
        agreed = None
        if pod:
            size = spa.pod_size(ctypes.string_at(pod, 8))
            agreed = spa.parse_format(ctypes.string_at(pod, size))
        self._agreed = agreed if agreed is not None and is_offered(agreed) else None
        if self._agreed is None:
            return
        layout = layout_of(self._agreed)
        array, _kept = pw.pods([spa.buffers_pod(layout.size, layout.stride), spa.header_meta_pod()])
        self._library.pw_stream_update_params(self._stream, array, len(array))


def _properties(name: str) -> bytes:
    """Return what others are told of the camera, in PipeWire's own spelling of properties."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return (
        "{ media.class = Video/Source, media.role = Camera, node.virtual = true, "
        f'node.name = "avatar-camera", node.description = "{quoted}", node.nick = "{quoted}" }}'
    ).encode()


def _incomplete(what: str) -> str:
    packages = [library for library in SYSTEM_LIBRARIES if library.part == "pipewire"]
    return (
        f"PipeWire's library is installed without its plug-ins or settings: it makes {what}. "
        f"To install the rest: {install_line(packages, system_family())}"
    )


def _not_running(reason: str) -> str:
    where = os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    return Message(
        "error.pipewireNotRunning",
        "PipeWire does not run for this user ({reason}; looked in {where}). Start it: systemctl "
        "--user start pipewire wireplumber; where that is unknown, install the packages pipewire "
        "and wireplumber",
        reason=reason, where=where or "/run/pipewire, as XDG_RUNTIME_DIR is not set",
    )  # fmt: skip


def _not_usable(reason: str) -> str:
    return (
        f"PipeWire takes no camera of this program: {reason}. "
        "Start it again: systemctl --user restart pipewire wireplumber; "
        "avatar doctor --camera says what is missing"
    )
