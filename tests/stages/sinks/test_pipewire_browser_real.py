"""The PipeWire camera in Chromium: what a page sees that asks for a webcam."""

from __future__ import annotations

import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from avatar.stages.sinks.pipewire import PipeWireSink
from avatar.stages.sinks.pipewire_service import portal_misses_camera
from tests.stages.sinks.numbers import BITS, COLOUR, numbered
from tests.stages.sinks.pipewire_session import PipeWireSession, wait_until

pytestmark = [pytest.mark.real, pytest.mark.slow]

SIZE = (1280, 720)
FPS = 30
SECONDS = 12
PORTAL = "/usr/libexec/xdg-desktop-portal"

# Every frame that the page is given: its number and time; of the last one also what is shown.
PAGE = """<!doctype html><meta charset="utf-8"><title>camera</title><video autoplay muted></video>
<script type="module">
const tell = (what) => fetch("/told", {method: "POST", body: JSON.stringify(what)});
const numberOf = (row, width) => {
  let number = 0;
  for (let bit = 0; bit < BITS; bit++)
    if (row[Math.floor((2 * bit + 1) * width / (2 * BITS))] > 128) number += 2 ** bit;
  return number;
};
try {
  const stream = await navigator.mediaDevices.getUserMedia({video: {width: WIDTH, height: HEIGHT}});
  const [track] = stream.getVideoTracks();
  const video = document.querySelector("video");
  video.srcObject = stream;
  const reader = new MediaStreamTrackProcessor({track}).readable.getReader();
  const seen = [];
  let size, luma, now;
  do {
    const {value: frame} = await reader.read();
    now = performance.now();
    size = [frame.displayWidth, frame.displayHeight];
    // The number's rows; the first plane of I420 and NV12 is the brightness.
    const rect = {x: 0, y: 2 * Math.floor(size[1] * 0.45), width: size[0], height: 2};
    luma ??= new Uint8Array(frame.allocationSize({rect}));
    await frame.copyTo(luma, {rect});
    frame.close();
    seen.push([numberOf(luma, size[0]), now]);
  } while (now < seen[0][1] + SECONDS * 1000);
  const pen = new OffscreenCanvas(WIDTH, HEIGHT).getContext("2d");
  pen.drawImage(video, 0, 0);
  const colour = [...pen.getImageData(WIDTH / 3, HEIGHT / 2, 1, 1).data];
  tell({seen, size, colour, label: track.label});
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


def allow_cameras(session: PipeWireSession) -> None:
    """Answer the desktop's question in advance: programs outside a sandbox may use cameras.

    The portal offers cameras only where a desktop could show that question, so one is named.
    """
    folder = Path(session.environment["XDG_RUNTIME_DIR"]) / "portals"
    folder.mkdir()
    (folder / "test.portal").write_text(
        "[portal]\nDBusName=org.freedesktop.impl.portal.desktop.test\n"
        "Interfaces=org.freedesktop.impl.portal.Access\nUseIn=test\n"
    )
    session.environment |= {
        "XDG_DESKTOP_PORTAL_DIR": str(folder),
        "XDG_CURRENT_DESKTOP": "test",
    }
    store = "org.freedesktop.impl.portal.PermissionStore"
    said = session.ask(
        "dbus-send", "--session", "--print-reply", f"--dest={store}",
        "/org/freedesktop/impl/portal/PermissionStore", f"{store}.SetPermission",
        "string:devices", "boolean:true", "string:camera", "string:", "array:string:yes",
    )  # fmt: skip
    assert "Error" not in said, said
    session.spawn(PORTAL)


@contextmanager
def chromium(session: PipeWireSession, address: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command = [
            "chromium", "--headless=new", "--enable-features=WebRtcPipeWireCamera",
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
    if not shutil.which("chromium") or not Path(PORTAL).exists():
        pytest.skip("needs a browser: apt-get install chromium xdg-desktop-portal")
    values = {"WIDTH": SIZE[0], "HEIGHT": SIZE[1], "BITS": BITS, "SECONDS": SECONDS}
    page = PAGE
    for name, value in values.items():
        page = page.replace(name, str(value))
    with PipeWireSession() as session, served(page) as (address, told):
        allow_cameras(session)
        for key, value in session.environment.items():
            monkeypatch.setenv(key, value)
        with PipeWireSink(SIZE, FPS) as sink, chromium(session, address):
            answer = write_until_told(sink, told)
    assert "error" not in answer, answer
    numbers = [number for number, _ in answer["seen"]]
    turned = [(b - a) % 2**BITS for a, b in itertools.pairwise(numbers)]
    seconds = (answer["seen"][-1][1] - answer["seen"][0][1]) / 1000
    sys.stdout.write(
        f"{answer['size']}: {(len(numbers) - 1) / seconds:.1f} fps, {len(numbers)} frames, "
        f"{sum(turned) - len(turned)} left out, colour {answer['colour']}\n"
    )
    assert answer["label"] == "Avatar"
    assert answer["size"] == list(SIZE)
    assert all(0 < step <= 10 for step in turned), numbers
    assert len(turned) >= 0.97 * sum(turned), numbers
    assert max(abs(a - b) for a, b in zip(answer["colour"], COLOUR, strict=False)) <= 6


def test_a_portal_that_was_there_before_the_camera_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says whether there is a camera as it was when it started; Firefox believes it."""
    if not Path(PORTAL).exists() or not shutil.which("busctl"):
        pytest.skip("needs the desktop's portal: apt-get install xdg-desktop-portal systemd")
    with PipeWireSession() as session:
        allow_cameras(session)
        for key, value in session.environment.items():
            monkeypatch.setenv(key, value)
        bus = ("busctl", "--user", "--auto-start=no", "status", "org.freedesktop.portal.Desktop")
        wait_until(lambda: "PID" in session.ask(*bus), "the portal")
        assert not portal_misses_camera(), "there is none"
        with PipeWireSink(SIZE, FPS):
            wait_until(lambda: session.cameras() == 1, "the camera")
            assert portal_misses_camera()
            session.kill(PORTAL)
            session.spawn(PORTAL)
            wait_until(lambda: "PID" in session.ask(*bus), "the portal")
            wait_until(lambda: not portal_misses_camera(), "it looked again")


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
