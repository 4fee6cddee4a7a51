"""A camera of known delay that sees claps or flashes, a microphone that hears them: the measured
delay as JSON. Runs inside a private PipeWire session (see ``test_sound_real.py``).

``pw-play`` plays the clicks into a null sink; the program under test hears its monitor. A second
listener (``monitor.py``) tells when they really came, and the drawn person claps then: the camera
is late enough to know.
``--quantum`` forces the server's period, in samples.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import numpy as np

from avatar.core.clock import MonotonicClock
from avatar.core.frames import CameraFrame
from avatar.learn.person.sync import measure
from tests.calibrate.claps import APPLAUSE, HOLDS, Clapper
from tests.stages.sound.av_round_trip import add_sink, write_clicks
from tests.stages.sound.monitor import Monitor

CAMERA_S, FRAME_S = 0.07, 1 / 30
EVERY_S, FIRST_CLICKS, SECONDS = 1.03, 3, 14.0
STYLES = {"claps": HOLDS, "applause": APPLAUSE, "flashes": None}


class SlowCamera:
    """Stamps its pictures as late as a camera does: ``CAMERA_S`` after what they show."""

    name = "clapper"

    def __init__(self, clapper: Clapper, monitor: Monitor) -> None:
        self._clapper, self._monitor = clapper, monitor
        self._start_s, self._index = time.monotonic(), 0
        self.heard_s: list[float] = [0.0] * monitor.count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self) -> CameraFrame:
        self._index = max(self._index + 1, int((time.monotonic() - self._start_s) / FRAME_S))
        due_s = self._start_s + self._index * FRAME_S
        if len(self.heard_s) < self._monitor.count:
            # A busy machine plays some of them late.
            self.heard_s.append(self._monitor.last_click_s())
            self._clapper.first_s = self.heard_s[-1]
        image = self._clapper.image(due_s - CAMERA_S)
        time.sleep(max(0.0, due_s - time.monotonic()))
        return CameraFrame(image, round(due_s * 1e9), self._index)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--what", choices=STYLES, default="flashes")
    options.add_argument("--quantum", type=int, default=0)
    asked = options.parse_args()
    force = ["pw-metadata", "-n", "settings", "0", "clock.force-quantum", str(asked.quantum)]
    subprocess.run(force, check=True, capture_output=True)
    add_sink("mic")
    clicks = Path(tempfile.mkdtemp()) / "clicks.wav"
    write_clicks(clicks, SECONDS + 10, EVERY_S)
    with Monitor("mic.monitor") as monitor:
        player = subprocess.Popen(["pw-play", "--target", "mic", str(clicks)])
        while monitor.count < FIRST_CLICKS:
            time.sleep(0.05)
        clapper = Clapper(monitor.last_click_s(), EVERY_S, style=STYLES[asked.what])
        camera = SlowCamera(clapper, monitor)
        found = measure(camera, "mic.monitor", MonotonicClock(), SECONDS, say=lambda line: None)
        player.terminate()
        player.wait()
    json.dump(
        {
            "offset": found.__dict__,
            "camera_ms": 1e3 * CAMERA_S,
            "between_s": np.diff(camera.heard_s[FIRST_CLICKS:]).round(4).tolist(),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
