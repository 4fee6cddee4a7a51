"""The PipeWire camera in Chromium: what a page sees that asks for a webcam."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from avatar.sinks.pipewire import PipeWireSink
from tests.sinks.numbers import BITS, COLOUR, numbered
from tests.sinks.pipewire_session import PipeWireSession

pytestmark = [pytest.mark.real, pytest.mark.slow]

SIZE = (1280, 720)
FPS = 30
SECONDS = 12
PORTAL = "/usr/libexec/xdg-desktop-portal"

# Every frame that the page is given: its number, its time, the colour of its middle.
PAGE = """<!doctype html><meta charset="utf-8"><title>camera</title><video autoplay muted></video>
<script type="module">
const tell = (what) => fetch("/told", {method: "POST", body: JSON.stringify(what)});
try {
  const stream = await navigator.mediaDevices.getUserMedia({video: {width: WIDTH, height: HEIGHT}});
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const seen = [];
  const pixel = (x, y) => [...pen.getImageData(Math.floor(x), Math.floor(y), 1, 1).data];
  const look = (now, frame) => {
    const [w, h] = [frame.width, frame.height];
    pen.drawImage(video, 0, 0);
    let number = 0;
    const row = pen.getImageData(0, Math.floor(h * 0.9), w, 1).data;
    for (let bit = 0; bit < BITS; bit++)
      if (row[4 * Math.floor((2 * bit + 1) * w / (2 * BITS))] > 128) number += 2 ** bit;
    seen.push([number, now]);
    if (now - seen[0][1] < SECONDS * 1000) video.requestVideoFrameCallback(look);
    else tell({seen, size: [w, h], colour: pixel(w / 3, h / 2), label: label});
  };
  const label = stream.getVideoTracks()[0].label;
  video.srcObject = stream;
  video.requestVideoFrameCallback(look);
} catch (error) { tell({error: String(error)}); }
</script>"""


@contextmanager
def served(page: str) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Serve ``page`` on loopback; yield its address and what it tells."""
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", told
        finally:
            server.shutdown()


@contextmanager
def chromium(session: PipeWireSession, address: str) -> Iterator[None]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None or not Path(PORTAL).exists():
        pytest.skip("needs a browser: apt-get install chromium xdg-desktop-portal")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command = [
            program, "--headless=new", "--enable-features=WebRtcPipeWireCamera",
            "--use-fake-ui-for-media-stream", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={folder}", address,
        ]  # fmt: skip
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        with (Path(folder) / "log").open("wb") as log:
            browser = subprocess.Popen(
                command, env=session.environment | {"HOME": folder}, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            browser.terminate()
            browser.wait()


def test_a_page_gets_the_frames_in_order_at_their_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"WIDTH": SIZE[0], "HEIGHT": SIZE[1], "BITS": BITS, "SECONDS": SECONDS}
    page = PAGE
    for name, value in values.items():
        page = page.replace(name, str(value))
    with PipeWireSession() as session, served(page) as (address, told):
        for key, value in session.environment.items():
            monkeypatch.setenv(key, value)
        with PipeWireSink(SIZE, FPS) as sink, chromium(session, address):
            answer = write_until_told(sink, told)
    assert "error" not in answer, answer
    numbers = [number for number, _ in answer["seen"]]
    turned = [(b - a) % 2**BITS for a, b in zip(numbers, numbers[1:], strict=False)]
    seconds = (answer["seen"][-1][1] - answer["seen"][0][1]) / 1000
    print(f"{answer['size']}, {(len(numbers) - 1) / seconds:.1f} fps, label {answer['label']}, "
          f"colour {answer['colour']}, left out {sum(turned) - len(turned)}")  # fmt: skip
    assert answer["label"] == "Avatar"
    assert answer["size"] == list(SIZE)
    assert all(0 < step <= 10 for step in turned), numbers
    assert len(turned) >= 0.9 * sum(turned), numbers
    assert max(abs(a - b) for a, b in zip(answer["colour"], COLOUR, strict=False)) <= 6


def write_until_told(sink: PipeWireSink, told: queue.Queue[dict[str, Any]]) -> dict[str, Any]:
    """Write rising numbers at ``FPS`` until the page has seen enough."""
    start = time.monotonic()
    for count in range(FPS * 90):
        sink.write(numbered(count % 2**BITS, SIZE))
        try:
            return told.get(timeout=max(1e-4, start + (count + 1) / FPS - time.monotonic()))
        except queue.Empty:
            continue
    raise AssertionError("the page told nothing in 90 s")
