"""The studio as a process of its own, and Debian's Chromium before it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avatar.core.frames import UInt8Image
from tests import ROOT

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 30_000
# A browser that speaks to nobody of its own accord, and takes every question for granted.
_QUIET = (
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-domain-reliability", "--disable-default-apps", "--no-first-run", "--no-pings",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--enable-unsafe-swiftshader",
)  # fmt: skip


class Program:
    """A running ``avatar``: what it printed, and the addresses among that."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._announced = threading.Event()
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if "/view?" in line:
                self._announced.set()
        self._announced.set()

    def wait_for_addresses(self) -> None:
        """Wait until the pages are served; fail with what was printed when they are not."""
        assert self._announced.wait(PATIENCE_MS / 1000)
        assert self.view, self.lines

    def _address(self, kind: str) -> str:
        found = re.findall(r"https?://\S+", "\n".join(self.lines))
        return next((one for one in found if ("/view?" in one) == (kind == "view")), "")

    @property
    def address(self) -> str:
        """Return the studio's address."""
        return self._address("studio")

    @property
    def view(self) -> str:
        """Return the view's address."""
        return self._address("view")

    @property
    def origin(self) -> str:
        """Return the address without path and token."""
        return "/".join(self.view.split("/")[:3])

    def end(self) -> list[str]:
        """Press Ctrl-C; return all that was printed. Fails unless it ends well."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout=30)
        self._reading.join()
        assert status == 0, self.lines
        return self.lines

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reading.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def program(home: Path, *arguments: str) -> Iterator[Program]:
    """Start ``avatar ARGUMENTS`` with a home of its own; wait for its addresses."""
    environment = {
        **os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"),
        "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    running = Program(
        subprocess.Popen(
            [sys.executable, "-m", "avatar", *arguments], cwd=home, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
    )  # fmt: skip
    try:
        running.wait_for_addresses()
        yield running
    finally:
        running.close()


@contextmanager
def demo_studio(home: Path) -> Iterator[Program]:
    """A studio of 640×360 in an empty home, stopped, its camera the demo; it ends without fault."""
    need_chromium()
    with program(home, "studio", "--camera", "demo", "--size", "640x360", "--port", "0") as running:
        yield running
        running.end()


def open_studio(context: Any, studio: Program) -> Any:
    """Return the studio's page, opened by the address that was printed.

    What goes wrong in its scripts is kept in its ``problems``.
    """
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(studio.address)
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    return page


@contextmanager
def chromium(film: Path | None = None, **context: Any) -> Iterator[Any]:
    """Start a browser whose webcam shows ``film``; yield a Playwright browser context."""
    from playwright.sync_api import sync_playwright

    arguments = [*_QUIET, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    if film is not None:
        arguments.append(f"--use-file-for-fake-video-capture={film}")
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser.new_context(**context)
        finally:
            browser.close()


def need_chromium() -> None:
    """Skip the test where there is no browser."""
    pytest.importorskip("playwright", reason="needs playwright: scripts/setup dev")
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install chromium")


def film_of(clip: Path, path: Path, seconds: float, size_px: tuple[int, int] = (640, 480)) -> Path:
    """Write the beginning of ``clip`` as Motion JPEG, as Chromium's pretended webcam reads it."""
    with av.open(str(clip)) as container, path.open("wb") as file:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time > seconds:
                break
            file.write(jpeg(fitted(frame.to_ndarray(format="rgb24"), size_px)))
    return path


def fitted(image: UInt8Image, size_px: tuple[int, int]) -> UInt8Image:
    """Return the middle of ``image`` in another size."""
    height, width = image.shape[:2]
    scale = max(size_px[0] / width, size_px[1] / height)
    cut_w, cut_h = round(size_px[0] / scale), round(size_px[1] / scale)
    left, top = (width - cut_w) // 2, (height - cut_h) // 2
    cut = image[top : top + cut_h, left : left + cut_w]
    return np.asarray(cv2.resize(cut, size_px, interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(image: UInt8Image, quality: int = 90) -> bytes:
    made, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert made
    return bytes(data)


def shown(page: Any, selector: str = "#avatar") -> UInt8Image:
    """Return what a page's video shows at this moment, uint8 (H, W, 3) RGB."""
    import base64

    url = page.eval_on_selector(
        selector,
        """video => {
          const canvas = document.createElement("canvas");
          canvas.width = video.videoWidth ?? video.width;
          canvas.height = video.videoHeight ?? video.height;
          canvas.getContext("2d").drawImage(video, 0, 0);
          return canvas.toDataURL("image/png");
        }""",
    )
    data = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def start(page: Any) -> None:
    """Have it run, by Start if it does not yet, and wait until the page shows the moving avatar."""
    if page.get_attribute("body", "data-phase") != "running":
        page.click("#start")
    wait_for_avatar(page)


def stop(page: Any) -> None:
    """Have it stand still, by Stop if it runs."""
    if page.get_attribute("body", "data-phase") != "stopped":
        page.click("#start")
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)


def wait_for_avatar(page: Any) -> None:
    """Wait until a page, which may just be loading, shows the moving avatar."""
    page.wait_for_selector("body[data-phase=running]", timeout=PATIENCE_MS)
    page.wait_for_selector("#cover", state="hidden", timeout=PATIENCE_MS)
