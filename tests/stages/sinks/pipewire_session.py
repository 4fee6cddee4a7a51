"""A PipeWire for one test: daemon, message bus and session manager in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import pytest

PACKAGES = "pipewire wireplumber dbus gstreamer1.0-pipewire gstreamer1.0-tools"
PATIENCE_S = 20.0
# What a program calls its place for such things; none may lead to the user's own session.
_FOLDERS = ("XDG_RUNTIME_DIR", "PIPEWIRE_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
_ASIDE = ("PIPEWIRE_REMOTE", "DISPLAY", "WAYLAND_DISPLAY")


def wait_until(happened: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for something to happen; fail with ``what`` when it does not."""
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end, f"{what}: did not happen within {patience_s:g} s"
        time.sleep(0.02)


class PipeWireSession:
    """Runs PipeWire, and with ``managed`` what links programs and cameras, until it is left.

    Skips the test where a program is not installed. ``environment`` is for programs that are to
    live in the session.
    """

    def __init__(self, managed: bool = True) -> None:
        needed = ["pipewire", *(["wireplumber", "dbus-daemon"] if managed else [])]
        missing = [program for program in needed if not shutil.which(program)]
        if missing:
            pytest.skip(f"needs {', '.join(missing)}: apt-get install {PACKAGES}")
        self._managed = managed
        self._folder = Path(tempfile.mkdtemp(prefix="pw-"))
        self.environment = {key: value for key, value in os.environ.items() if key not in _ASIDE}
        self.environment |= dict.fromkeys(_FOLDERS, str(self._folder))
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={self._folder}/bus"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        if self._managed:
            address = self.environment["DBUS_SESSION_BUS_ADDRESS"]
            self.spawn("dbus-daemon", "--session", "--nofork", f"--address={address}")
            wait_until((self._folder / "bus").exists, "the message bus")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for program in list(self._running):
            self.kill(program)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start PipeWire and its session manager."""
        self.spawn("pipewire")
        wait_until((self._folder / "pipewire-0").exists, "PipeWire")
        if self._managed:
            self.spawn("wireplumber")
            wait_until(lambda: "WirePlumber" in self.ask("pw-cli", "ls", "Client"), "WirePlumber")

    def stop(self) -> None:
        """Kill PipeWire as a crash would; its session manager goes with it."""
        for program in ("pipewire", "wireplumber"):
            self.kill(program)
        for socket in self._folder.glob("pipewire-0*"):
            socket.unlink()

    def spawn(self, *command: str) -> None:
        """Start a program that lives until ``kill`` or the session's end."""
        with (self._folder / f"{Path(command[0]).name}.log").open("ab") as log:
            self._running[command[0]] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log
            )

    def kill(self, program: str) -> None:
        process = self._running.pop(program, None)
        if process is not None:
            process.kill()
            process.wait()

    def ask(self, *command: str) -> str:
        """Return what a program of the session prints; it may fail."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def cameras(self) -> int:
        """Return how many cameras the session has."""
        return self.ask("pw-cli", "ls", "Node").count('media.class = "Video/Source"')


class CameraReader:
    """Another program, GStreamer, that reads the session's camera.

    ``caps`` is what it asks for, such as ``format=YUY2,width=640,height=480``; ``frames`` how many
    it wants. A context manager that ends the program.
    """

    def __init__(
        self, session: PipeWireSession, caps: str, size_px: tuple[int, int], frames: int
    ) -> None:
        if not shutil.which("gst-launch-1.0"):
            pytest.skip(f"needs gst-launch-1.0: apt-get install {PACKAGES}")
        self._size_px = size_px
        # The copy is laid out without gaps whatever the camera's rows are; every frame is kept.
        convert = "videoconvert ! video/x-raw,format=RGBA ! fdsink"
        source = f"pipewiresrc num-buffers={frames} ! video/x-raw,{caps}".rstrip(",")
        self._process = subprocess.Popen(
            ["gst-launch-1.0", "-q", *f"{source} ! {convert}".split()],
            env=session.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
        """Return the next frame, uint8 (H, W, 3) RGB, None at the end."""
        width, height = self._size_px
        pipe: IO[bytes] | None = self._process.stdout
        assert pipe is not None
        data = pipe.read(width * height * 4)
        if len(data) < width * height * 4:
            return None
        return np.frombuffer(data, np.uint8).reshape(height, width, 4)[..., :3]

    def errors(self) -> str:
        """Wait for the end and return what the program complained of."""
        _, said = self._process.communicate()
        return said.decode("utf-8", "replace")
