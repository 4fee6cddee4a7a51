"""The preview on a real X server: real key presses, the close button, what is on the screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from avatar.core.frames import GeneratedFrame, Presence
from avatar.stages.label import VisibleLabel
from avatar.stages.sinks.preview import PreviewSink
from tests import ROOT

pytestmark = pytest.mark.real

SIZE = (1280, 720)
LABEL = VisibleLabel()
KEYS = {
    "1": "1", "9": "9", "n": "n", "P": "p", "x": "x", "m": "m", "plus": "+", "minus": "-",
    "equal": "+", "Left": "left", "Right": "right", "Up": "up", "Down": "down", "KP_Add": "+",
    "KP_Subtract": "-", "f": "f", "l": "l", "q": "q",
}  # fmt: skip


def test_everything_here_under_a_screen_of_its_own() -> None:
    """Run this file and the contract suite's preview row again, under Xvfb."""
    if os.environ.get("DISPLAY"):
        pytest.skip("there is a display: the tests run on it themselves")
    if not shutil.which("xvfb-run") or not shutil.which("xdotool"):
        pytest.skip("needs xvfb-run and xdotool: apt-get install xvfb xauth xdotool")
    contract = ROOT / "tests" / "contracts" / "test_sinks.py"
    here = [sys.executable, "-m", "pytest", "-q", "-m", "real", "-k", "preview", "-rA"]
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1024x768x24"]
    done = subprocess.run(
        [*screen, *here, __file__, str(contract)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED [1] tests/contracts" not in done.stdout
    assert "QFont" not in done.stdout + done.stderr


@pytest.fixture
def pressed() -> list[str]:
    if not os.environ.get("DISPLAY") or not shutil.which("xdotool"):
        pytest.skip("needs a display and xdotool")
    return []


def show(sink: PreviewSink, times: int = 6) -> None:
    for _ in range(times):
        image = np.full((SIZE[1], SIZE[0], 3), (200, 60, 20), np.uint8)
        sink.write(LABEL.label(GeneratedFrame(image, 0, 0, Presence.TRACKED)))


def xdotool(*arguments: str) -> str:
    done = subprocess.run(["xdotool", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def until(sink: PreviewSink, done: Callable[[], bool]) -> None:
    for _ in range(300):
        if done():
            return
        show(sink, 1)
    raise AssertionError("it did not come about within 300 frames")


def test_preview_reports_pressed_keys(pressed: list[str]) -> None:
    with PreviewSink(SIZE, pressed.append) as sink:
        show(sink)
        for key, name in KEYS.items():
            pressed.clear()
            xdotool("key", key)
            until(sink, lambda: bool(pressed))
            assert pressed == [name]


def test_preview_fits_the_screen_and_shows_right_colours(pressed: list[str]) -> None:
    with PreviewSink(SIZE, pressed.append, lambda: "30 fps\nÜber дева") as sink:
        show(sink, 10)
        window = xdotool("search", "--name", "^Avatar$").split()[-1]
        geometry = xdotool("getwindowgeometry", "--shell", window)
        shape = dict(line.split("=") for line in geometry.split())
        width, height = int(shape["WIDTH"]), int(shape["HEIGHT"])
        screen = [int(n) for n in xdotool("getdisplaygeometry").split()]
        assert width <= screen[0] and height <= screen[1]
        assert abs(width / height - SIZE[0] / SIZE[1]) < 0.02

        def painted() -> bool:
            middle = screenshot(window)[height // 2, width // 2]
            return np.allclose(middle, (200, 60, 20), atol=2)

        until(sink, painted)
        picture = screenshot(window)
        overlay = picture[height // 6 : height // 3, : width // 3]
        assert (overlay.min(-1) > 230).any()
        label = picture[: height // 6, width * 2 // 3 :]
        assert (label.min(-1) > 230).any()


def screenshot(window: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if not shutil.which("import"):
        pytest.skip("needs ImageMagick's import: apt-get install imagemagick")
    from io import BytesIO

    from PIL import Image

    done = subprocess.run(["import", "-window", window, "png:-"], capture_output=True, check=True)
    return np.asarray(Image.open(BytesIO(done.stdout)).convert("RGB"))


def test_preview_closed_by_its_button_says_quit_once_and_stays_closed(pressed: list[str]) -> None:
    sink = PreviewSink(SIZE, pressed.append)
    with sink:
        show(sink)
        press_close_button(int(xdotool("search", "--name", "^Avatar$").split()[-1]))
        until(sink, lambda: bool(pressed))
        show(sink)
        assert pressed == ["q"]
        assert not visible_windows()
    with sink:
        show(sink)
        assert visible_windows()


def visible_windows() -> list[str]:
    done = subprocess.run(
        ["xdotool", "search", "--onlyvisible", "--name", "^Avatar$"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.split()


def press_close_button(window: int) -> None:
    """Send what a window manager sends when the button is pressed (ICCCM 4.2.8.1)."""
    import ctypes

    class ClientMessage(ctypes.Structure):
        _fields_ = (
            ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("sent", ctypes.c_int),
            ("display", ctypes.c_void_p), ("window", ctypes.c_ulong),
            ("message", ctypes.c_ulong), ("format", ctypes.c_int), ("data", ctypes.c_long * 5),
            ("rest", ctypes.c_long * 12),
        )  # fmt: skip

    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    protocols, delete = (
        x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
    )
    data = (ctypes.c_long * 5)(delete, 0)
    event = ClientMessage(33, 0, 1, display, window, protocols, 32, data)
    x11.XSendEvent(display, ctypes.c_ulong(window), 0, 0, ctypes.byref(event))
    x11.XCloseDisplay(display)


def test_preview_shows_squares_where_nothing_is(pressed: list[str]) -> None:
    nothing = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    with PreviewSink(SIZE, pressed.append) as sink:

        def painted() -> bool:
            black = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
            frame = GeneratedFrame(black, 0, 0, Presence.TRACKED, nothing.copy())
            sink.write(LABEL.label(frame))
            window = visible_windows()
            middle = screenshot(window[-1])[200:400, 200:400] if window else nothing
            return bool(abs(int(middle.min()) - 102) < 20 and abs(int(middle.max()) - 153) < 20)

        until(sink, painted)
