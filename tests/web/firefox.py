"""Debian's Firefox before a page, asked by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/).

Firefox speaks it over a WebSocket by itself, so that no driver has to be installed beside it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PATIENCE_S = 40.0
# A browser that speaks to nobody of its own accord, with a pretended webcam that may be used.
_PREFERENCES: dict[str, bool | int | str] = {
    "app.normandy.enabled": False, "app.update.auto": False,
    "browser.aboutwelcome.enabled": False, "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.shell.checkDefaultBrowser": False, "media.gmp-manager.updateEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "media.navigator.permission.disabled": True, "media.navigator.streams.fake": True,
    "services.settings.server": "data:,none",
}  # fmt: skip


def need_firefox() -> None:
    """Skip the test where there is no Firefox."""
    pytest.importorskip("websockets", reason="needs websockets: scripts/setup studio")
    if FIREFOX is None:
        pytest.skip("needs Firefox: apt-get install firefox-esr")


class Window:
    """A page in Firefox."""

    def __init__(self, socket: Any, context: str) -> None:
        self._socket, self._context, self._number = socket, context, 0

    def command(self, method: str, **values: Any) -> Any:
        """Have something done and return its result. Fails with Firefox's words."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def goto(self, address: str) -> None:
        """Open an address, and wait until it is loaded."""
        self.command(
            "browsingContext.navigate", context=self._context, url=address, wait="complete"
        )

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        size = {"width": width, "height": height}
        self.command("browsingContext.setViewport", context=self._context, viewport=size)

    def run(self, function: str) -> Any:
        """Return what a function without arguments, in JavaScript, returns: JSON."""
        result = self.command(
            "script.callFunction", target={"context": self._context}, awaitPromise=True,
            functionDeclaration=f"async () => JSON.stringify((await ({function})()) ?? null)",
        )  # fmt: skip
        assert result["type"] == "success", result["exceptionDetails"]["text"]
        return json.loads(result["result"]["value"])

    def wait_for(self, condition: str, what: str = "") -> None:
        """Wait until an expression of JavaScript is true; fail with what the page shows."""
        end = time.monotonic() + PATIENCE_S
        while not self.run(f"() => Boolean({condition})"):
            if time.monotonic() > end:
                shown = self.run("() => document.body.innerText")
                raise AssertionError(f"{what or condition} did not happen; the page says: {shown}")
            time.sleep(0.1)

    def screenshot(self) -> bytes:
        """Return a picture of the page as PNG."""
        import base64

        shot = self.command("browsingContext.captureScreenshot", context=self._context)
        return base64.b64decode(shot["data"])


@contextmanager
def firefox(**preferences: bool | int | str) -> Iterator[Window]:
    """Start Firefox with a profile of its own; yield its page."""
    from websockets.sync.client import connect

    wanted = _PREFERENCES | {name.replace("__", "."): to for name, to in preferences.items()}
    with tempfile.TemporaryDirectory(prefix="firefox-") as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(to)});" for name, to in wanted.items()]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        assert FIREFOX is not None
        process = subprocess.Popen(
            [FIREFOX, "--headless", "--no-remote", "--profile", profile,
             "--remote-debugging-port", "0", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "HOME": profile, "MOZ_CRASHREPORTER_DISABLE": "1"},
        )  # fmt: skip
        try:
            with connect(f"{_listening(process)}/session", max_size=None) as socket:
                window = Window(socket, "")
                window.command("session.new", capabilities={})
                tree = window.command("browsingContext.getTree")
                window._context = tree["contexts"][0]["context"]
                yield window
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def _listening(process: subprocess.Popen[str]) -> str:
    """Return the address that Firefox says it listens on."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
            return found[1]
    raise AssertionError("Firefox ended before it listened")
