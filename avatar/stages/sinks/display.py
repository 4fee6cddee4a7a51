"""Whether there is a screen to open a window on, asked before a window library ends the program.

OpenCV's Qt aborts the whole process when it cannot reach the X server, so that must be known first.
"""

from __future__ import annotations

import ctypes
import os
import sys

from avatar.core.errors import MissingDependencyError, SinkUnavailableError

_ELSEWHERE = "Use --out file:talk.mp4 or --out virtual instead."


def check_display() -> None:
    """Raise when no window can be opened here, saying why; returns where one can.

    ``SinkUnavailableError`` without a display, ``MissingDependencyError`` without X11's library.
    """
    if sys.platform.startswith("linux"):
        _check_x11()


def screen_size_px() -> tuple[int, int]:
    """Return the main screen's (width, height); needs a display (see ``check_display``)."""
    if sys.platform == "win32":
        metrics = ctypes.windll.user32.GetSystemMetrics
        return metrics(0), metrics(1)
    if sys.platform == "darwin":
        core = ctypes.CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
        main = core.CGMainDisplayID()
        core.CGDisplayPixelsWide.restype = core.CGDisplayPixelsHigh.restype = ctypes.c_size_t
        return core.CGDisplayPixelsWide(main), core.CGDisplayPixelsHigh(main)
    return _x11_screen_size_px()


def _check_x11() -> None:
    if not os.environ.get("DISPLAY"):
        found = (
            "a Wayland session without XWayland (WAYLAND_DISPLAY is set, DISPLAY is not)"
            if os.environ.get("WAYLAND_DISPLAY")
            else "neither DISPLAY nor WAYLAND_DISPLAY, so there is no screen"
        )
        raise SinkUnavailableError(
            f"The preview needs an X11 display (XWayland counts); found {found}. {_ELSEWHERE}"
        )
    xcb, connection = _connect()
    try:
        failure = xcb.xcb_connection_has_error(connection)
    finally:
        xcb.xcb_disconnect(connection)
    if failure:
        raise SinkUnavailableError(
            f"The preview cannot reach the X11 display DISPLAY={os.environ['DISPLAY']}: it does "
            f"not answer or does not let this user in. {_ELSEWHERE}"
        )


class _Screen(ctypes.Structure):
    """The head of ``xcb_screen_t``, as far as the size."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("root", "colormap", "white", "black", "masks")),
        ("width_px", ctypes.c_uint16),
        ("height_px", ctypes.c_uint16),
    )


class _ScreenIterator(ctypes.Structure):
    """``xcb_screen_iterator_t``."""

    _fields_ = (
        ("data", ctypes.POINTER(_Screen)),
        ("rem", ctypes.c_int),
        ("index", ctypes.c_int),
    )


def _x11_screen_size_px() -> tuple[int, int]:
    xcb, connection = _connect()
    try:
        xcb.xcb_get_setup.restype = ctypes.c_void_p
        xcb.xcb_setup_roots_iterator.restype = _ScreenIterator
        setup = ctypes.c_void_p(xcb.xcb_get_setup(connection))
        screen = xcb.xcb_setup_roots_iterator(setup).data.contents
        return screen.width_px, screen.height_px
    finally:
        xcb.xcb_disconnect(connection)


def _connect() -> tuple[ctypes.CDLL, ctypes.c_void_p]:
    """Return X11's library and a connection, which may have failed and must be closed."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError as error:
        raise MissingDependencyError(
            "The preview needs the library libxcb.so.1, which this system lacks. "
            f"Debian, Ubuntu: sudo apt install libxcb1. {_ELSEWHERE}"
        ) from error
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    xcb.xcb_get_setup.argtypes = [ctypes.c_void_p]
    return xcb, ctypes.c_void_p(xcb.xcb_connect(None, None))
