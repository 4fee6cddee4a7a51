"""libpipewire-0.3 through ctypes: the functions and structures that a video stream needs.

Structures are those of ``pipewire/stream.h`` and ``spa/buffer/buffer.h``. They belong to the
library's stable interface: 0.3.34 and everything after it, 1.x included, answers to them.
"""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_uint32, c_void_p
from typing import Any, NamedTuple

from avatar.core.errors import MissingDependencyError
from avatar.core.libraries import missing_library_error

SONAME = "libpipewire-0.3.so.0"
ANY_ID = 0xFFFFFFFF
DIRECTION_OUTPUT = 1
FLAG_MAP_BUFFERS = 1 << 2
FLAG_DRIVER = 1 << 3
STATE_ERROR, STATE_UNCONNECTED, STATE_CONNECTING, STATE_PAUSED, STATE_STREAMING = range(-1, 4)
EVENTS_VERSION = 2

StateChanged = CFUNCTYPE(None, c_void_p, c_int, c_int, c_char_p)
ParamChanged = CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)


class StreamEvents(Structure):
    """``pw_stream_events``; what stays NULL is not called."""

    _fields_ = (
        ("version", c_uint32),
        ("destroy", c_void_p),
        ("state_changed", StateChanged),
        ("control_info", c_void_p),
        ("io_changed", c_void_p),
        ("param_changed", ParamChanged),
        *(
            (name, c_void_p)
            for name in (
                "add_buffer", "remove_buffer", "process", "drained", "command", "trigger_done",
            )
        ),
    )  # fmt: skip


class Chunk(Structure):
    """``spa_chunk``: which part of the memory is valid."""

    _fields_ = (
        ("offset", c_uint32),
        ("size", c_uint32),
        ("stride", ctypes.c_int32),
        ("flags", ctypes.c_int32),
    )


class Data(Structure):
    """``spa_data``: one block of memory."""

    _fields_ = (
        ("type", c_uint32),
        ("flags", c_uint32),
        ("fd", ctypes.c_int64),
        ("mapoffset", c_uint32),
        ("maxsize", c_uint32),
        ("data", c_void_p),
        ("chunk", POINTER(Chunk)),
    )


class Meta(Structure):
    """``spa_meta``."""

    _fields_ = (("type", c_uint32), ("size", c_uint32), ("data", c_void_p))


class MetaHeader(Structure):
    """``spa_meta_header``; ``pts`` in nanoseconds."""

    _fields_ = (
        ("flags", c_uint32),
        ("offset", c_uint32),
        ("pts", ctypes.c_int64),
        ("dts_offset", ctypes.c_int64),
        ("seq", ctypes.c_uint64),
    )


class SpaBuffer(Structure):
    """``spa_buffer``."""

    _fields_ = (
        ("n_metas", c_uint32),
        ("n_datas", c_uint32),
        ("metas", POINTER(Meta)),
        ("datas", POINTER(Data)),
    )


class StreamBuffer(Structure):
    """``pw_buffer``, as far as its first field."""

    _fields_ = (("buffer", POINTER(SpaBuffer)),)


class _Function(NamedTuple):
    result: Any
    arguments: tuple[Any, ...]


_FUNCTIONS = {
    "pw_init": _Function(None, (c_void_p, c_void_p)),
    "pw_log_set_level": _Function(None, (c_int,)),
    "pw_get_library_version": _Function(c_char_p, ()),
    "pw_thread_loop_new": _Function(c_void_p, (c_char_p, c_void_p)),
    "pw_thread_loop_get_loop": _Function(c_void_p, (c_void_p,)),
    "pw_thread_loop_start": _Function(c_int, (c_void_p,)),
    "pw_thread_loop_stop": _Function(None, (c_void_p,)),
    "pw_thread_loop_lock": _Function(None, (c_void_p,)),
    "pw_thread_loop_unlock": _Function(None, (c_void_p,)),
    "pw_thread_loop_destroy": _Function(None, (c_void_p,)),
    "pw_properties_new_string": _Function(c_void_p, (c_char_p,)),
    "pw_stream_new_simple": _Function(
        c_void_p, (c_void_p, c_char_p, c_void_p, POINTER(StreamEvents), c_void_p)
    ),
    "pw_stream_connect": _Function(
        c_int, (c_void_p, c_int, c_uint32, c_int, POINTER(c_void_p), c_uint32)
    ),
    "pw_stream_update_params": _Function(c_int, (c_void_p, POINTER(c_void_p), c_uint32)),
    "pw_stream_dequeue_buffer": _Function(POINTER(StreamBuffer), (c_void_p,)),
    "pw_stream_queue_buffer": _Function(c_int, (c_void_p, POINTER(StreamBuffer))),
    "pw_stream_trigger_process": _Function(c_int, (c_void_p,)),
    "pw_stream_destroy": _Function(None, (c_void_p,)),
}


@functools.cache
def load() -> Any:
    """Return the library, initialised once a process.

    Raises ``MissingDependencyError`` with the line that installs it.
    """
    try:
        library = ctypes.CDLL(SONAME)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except OSError as error:
        raise missing_library_error(error) from error
    except AttributeError as error:
        raise MissingDependencyError(
            f"expected PipeWire 0.3.40 or newer, found a {SONAME} without {error.name}. "
            "Update PipeWire, or use v4l2loopback: avatar doctor --camera"
        ) from error
    library.pw_init(None, None)
    if "PIPEWIRE_DEBUG" not in os.environ:
        # The errors that matter come back from the calls; its own log would litter the terminal.
        library.pw_log_set_level(0)
    return library


def pods(items: list[bytes]) -> tuple[Any, list[Any]]:
    """Return a C array of pointers to ``items``, and what must live as long as it is read."""
    kept = [ctypes.create_string_buffer(item, len(item)) for item in items]
    return (c_void_p * len(kept))(*map(ctypes.addressof, kept)), kept
