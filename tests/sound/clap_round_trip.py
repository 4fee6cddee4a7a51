"""A camera of known delay that sees flashes, a microphone that hears their clicks: the measured
delay as JSON. Runs inside a private PipeWire session (see ``test_sound_real.py``).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import numpy as np

from avatar.clock import MonotonicClock
from avatar.commands.calibrate.sync import measure
from avatar.frames import CameraFrame, Float32
from avatar.sound.devices import choose, list_sound
from avatar.sound.portaudio import OutputStream

CAMERA_S, RATE_HZ, FRAME_S = 0.07, 48_000, 1 / 30
EVERY_S, FLASH_S, SECONDS = 1.03, 0.12, 13.0


class FlashCamera:
    """Stamps its pictures as late as a camera does; a picture shows what was then lit."""

    name = "flashes"

    def __init__(self, start_s: float) -> None:
        self._start_s, self._index = start_s, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def read(self) -> CameraFrame:
        self._index += 1
        due_s = self._start_s - 1 + self._index * FRAME_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        seen_s = due_s - CAMERA_S - self._start_s
        lit = seen_s > 0 and seen_s % EVERY_S < FLASH_S
        image = np.full((480, 640, 3), 200 if lit else 60, np.uint8)
        return CameraFrame(image, round(due_s * 1e9), self._index)


def main() -> None:
    subprocess.run(["pactl", "load-module", "module-null-sink", "sink_name=mic"], check=True)
    start_s = time.monotonic() + 1

    def clicks(count: int, heard_s: float) -> Float32:
        at_s = heard_s - start_s + np.arange(count) / RATE_HZ
        return np.where((at_s > 0) & (at_s % EVERY_S < 0.002), 0.8, 0).astype(np.float32)

    device = choose(list_sound(), "mic", "speaker")
    player = OutputStream(device.index, device.node, "mic", RATE_HZ, 1, clicks, 0.02)
    found = measure(
        FlashCamera(start_s), "mic.monitor", MonotonicClock(), SECONDS, lambda line: None
    )
    player.close()
    json.dump({"offset": found.__dict__, "camera_ms": 1e3 * CAMERA_S}, sys.stdout)


if __name__ == "__main__":
    main()
