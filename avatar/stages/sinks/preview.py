"""A window that shows the avatar and takes keys."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from avatar.core.errors import SinkLostError, SinkUnavailableError
from avatar.core.frames import LabelledFrame, UInt8Image, UInt8Mask
from avatar.core.machine import set_environment
from avatar.stages.sinks.checks import checked_image
from avatar.stages.sinks.display import check_display, screen_size_px

if TYPE_CHECKING:
    from cv2 import FontFace

TITLE = "Avatar"

# Arrow keys as the window systems report them: X11 (Qt, GTK; keypad too), Windows, macOS.
_ARROWS = {
    0xFF51: "left", 0xFF52: "up", 0xFF53: "right", 0xFF54: "down",
    0xFF96: "left", 0xFF97: "up", 0xFF98: "right", 0xFF99: "down",
    0x250000: "left", 0x260000: "up", 0x270000: "right", 0x280000: "down",
    0xF702: "left", 0xF700: "up", 0xF703: "right", 0xF701: "down",
}  # fmt: skip
_KEYPAD = {0xFFAB: "+", 0xFFAD: "-", **{0xFFB0 + digit: str(digit) for digit in range(1, 10)}}
_CHECK_PX = 16
_SIGNS = {"=": "+", "_": "-"}  # the same keys with or without Shift
_KEYS = frozenset("123456789npxrmo+-flqsuwayegzhv")


def key_name(code: int) -> str | None:
    """Return the name of a key as ``on_key`` gets it, None for keys that mean nothing here.

    ``code`` is what OpenCV's ``waitKeyEx`` returns; X11 puts modifiers above the low 16 bits.
    """
    if code < 0:
        return None
    for candidate in (code, code & 0xFFFF):
        if candidate in _ARROWS:
            return _ARROWS[candidate]
    low = code & 0xFFFF
    if low in _KEYPAD:
        return _KEYPAD[low]
    sign = chr(low).lower() if 32 <= low < 127 else ""
    sign = _SIGNS.get(sign, sign)
    return sign if sign in _KEYS else None


class PreviewSink:
    """Shows frames in a window no larger than the screen; must live in the main thread.

    ``on_key`` hears the keys "1" to "9", "n", "p", "x", "r", "m", "o", "+", "-", "left", "right",
    "up", "down", "f", "l" and "q", and those of expressions (``EXPRESSION_KEYS``); closing the
    window counts as "q". ``overlay_text`` is asked before each frame; what it returns is written on
    the window only, below the label's corner. A frame with alpha is shown on a checkerboard.
    Entering raises ``SinkUnavailableError`` where there is no display.
    """

    def __init__(
        self,
        size_px: tuple[int, int],
        on_key: Callable[[str], None] | None = None,
        overlay_text: Callable[[], str] | None = None,
    ) -> None:
        self._size_px = size_px
        self._on_key = on_key
        self._overlay_text = overlay_text
        self._window: _Window | None = None

    @property
    def name(self) -> str:
        """Return ``preview``."""
        return "preview"

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("PreviewSink: window systems want it in the main thread")
        check_display()
        self._window = _Window(self._size_px)
        return self

    def __exit__(self, *_: object) -> None:
        window, self._window = self._window, None
        if window is not None:
            window.destroy()

    def write(self, frame: LabelledFrame) -> None:
        """Show ``frame`` and report the keys pressed since the last one."""
        window = self._window
        image = checked_image(frame, self._size_px, sink=self.name, entered=window is not None)
        assert window is not None
        text = self._overlay_text() if self._overlay_text is not None else ""
        window.show(image, frame.alpha, text)
        self.poll()

    def poll(self) -> None:
        """Keep the window alive and report keys when no frame comes; takes about 1 ms."""
        if self._window is None:
            return
        key = self._window.poll()
        if key is not None and self._on_key is not None:
            self._on_key(key)


class _Window:
    """One OpenCV window."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        import cv2

        _give_qt_fonts()
        self._cv2: Any = cv2
        self._bgr: UInt8Image | None = None
        self._checks: UInt8Mask | None = None
        self._font: FontFace | None = None
        self._closed = False
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        try:
            cv2.namedWindow(TITLE, flags)
            cv2.resizeWindow(TITLE, *_fitting(size_px, screen_size_px()))
        except cv2.error as error:
            raise SinkUnavailableError(
                f"The preview window cannot be opened: {error}. "
                "Use --out file:talk.mp4 or --out virtual."
            ) from error

    def show(self, image: UInt8Image, alpha: UInt8Mask | None, text: str) -> None:
        """Draw ``image`` (RGB) and ``text``; a window that was closed stays closed."""
        if self._closed:
            return
        self._bgr = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2BGR, dst=self._bgr)
        if alpha is not None:
            self._checks = checkerboard(alpha.shape) if self._checks is None else self._checks
            through = self._cv2.bitwise_not(alpha)
            shown = self._cv2.multiply(self._checks, through, scale=1 / 255)
            self._bgr += self._cv2.cvtColor(shown, self._cv2.COLOR_GRAY2BGR)
        if text:
            self._write_text(text)
        try:
            self._cv2.imshow(TITLE, self._bgr)
        except self._cv2.error as error:
            raise SinkLostError(f"The preview window went away: {error}.") from error

    def poll(self) -> str | None:
        """Serve the window and return the key pressed, "q" once when it was closed."""
        if self._closed:
            return None
        try:
            key = key_name(self._cv2.waitKeyEx(1))
            open_still = self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE) >= 1
        except self._cv2.error:
            open_still = False
        if open_still:
            return key
        self._closed = True
        return "q"

    def destroy(self) -> None:
        """Close the window and let the window system hear of it."""
        self._closed = True
        try:
            self._cv2.destroyWindow(TITLE)
            self._cv2.waitKeyEx(1)
        except self._cv2.error:
            return

    def _write_text(self, text: str) -> None:
        """Write light text with a dark edge at the left, clear of the label's corners."""
        cv2, canvas = self._cv2, self._bgr
        assert canvas is not None
        if self._font is None:
            self._font = cv2.FontFace("sans")
        height = canvas.shape[0]
        size = max(12, height // 30)
        for row, line in enumerate(text.splitlines()):
            at = (size, round(height * 0.2) + row * round(size * 1.4))
            for offset, colour in (((1, 1), (0, 0, 0)), ((0, 0), (255, 255, 255))):
                place = (at[0] + offset[0], at[1] + offset[1])
                cv2.putText(canvas, line, place, colour, self._font, size, 500)


def checkerboard(shape: tuple[int, ...]) -> UInt8Mask:
    """Return grey squares, uint8 (H, W), as picture editors show them where nothing is."""
    rows, columns = (np.arange(side) // _CHECK_PX % 2 for side in shape)
    return np.where(rows[:, None] ^ columns, 153, 102).astype(np.uint8)


def _fitting(size_px: tuple[int, int], screen_px: tuple[int, int]) -> tuple[int, int]:
    """Return ``size_px`` reduced, never enlarged, to nine tenths of the screen."""
    scale = min(1.0, *(0.9 * room / need for room, need in zip(screen_px, size_px, strict=True)))
    return max(1, int(size_px[0] * scale)), max(1, int(size_px[1] * scale))


def _give_qt_fonts() -> None:
    """Point OpenCV's own Qt to fonts: its wheel names a folder it lacks, and Qt complains."""
    if not sys.platform.startswith("linux"):
        return
    folder = os.environ.get("QT_QPA_FONTDIR")
    if folder is not None and Path(folder).is_dir():
        return
    from importlib.util import find_spec

    spec = find_spec("matplotlib")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        fonts = Path(location) / "mpl-data" / "fonts" / "ttf"
        if fonts.is_dir():
            set_environment("QT_QPA_FONTDIR", str(fonts), over=True)
