"""A live session between two null sinks: how far sound and picture are apart at the end of it.

Runs inside a private PipeWire session with PulseAudio's protocol (see ``test_sound_real.py``) and
prints JSON. Clicks are played into the sink ``mic``, whose monitor is the session's microphone;
its speaker is the sink ``cable``. One recorder listens to both at once, so that the sound's delay
is exact. The picture's delay is taken by the test's own sink from the moment at which a frame left
the test's own camera. ``--unplug`` removes the cable in the middle and brings it back.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path
from typing import Any, Self

import numpy as np

from avatar.core.clock import MonotonicClock
from avatar.core.frames import CameraFrame, LabelledFrame
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.core.wrapped import Wrapped
from avatar.sessions.live import LiveHandle, LiveSession
from avatar.stages.sources import create_source
from avatar.stages.sources.video import VideoSource

RATE_HZ = 48_000
CLICK_EVERY_S = 0.5


class TimedCamera(Wrapped[Any]):
    """A source that notes when each of its frames was there."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.left_s: dict[int, float] = {}
        self.name = inner.name

    def read(self) -> CameraFrame | None:
        frame = self._inner.read()
        if frame is not None:
            self.left_s[frame.index] = time.monotonic()
        return frame


class TimedSink:
    """A sink that notes when each frame arrived."""

    name = "timed"

    def __init__(self) -> None:
        self.arrived_s: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, frame: LabelledFrame) -> None:
        self.arrived_s.setdefault(frame.index, time.monotonic())


def add_sink(name: str) -> str:
    done = subprocess.run(
        ["pactl", "load-module", "module-null-sink", f"sink_name={name}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def write_clicks(path: Path, seconds: float, every_s: float = CLICK_EVERY_S) -> None:
    samples = np.zeros(round(seconds * RATE_HZ), "<i2")
    step = round(every_s * RATE_HZ)
    samples[step::step], samples[step + 1 :: step] = 29_000, -29_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())


class Recorder:
    """Records the monitors of both sinks on the two channels of one stream."""

    def __init__(self, path: Path) -> None:
        self._path = path
        properties = "{ node.autoconnect=false node.name=both }"
        self._process = subprocess.Popen(
            ["pw-record", "-P", properties, "--rate", str(RATE_HZ), "--channels", "2",
             "--format", "f32", "--latency", "256", str(path)]
        )  # fmt: skip
        time.sleep(1)
        self.link()

    def link(self) -> None:
        for output, wanted in (("mic", "FL"), ("cable", "FR")):
            subprocess.run(
                ["pw-link", f"{output}:monitor_FL", f"both:input_{wanted}"], capture_output=True
            )

    def delays_ms(self) -> list[float]:
        """Return how much later each click came out of the cable, NaN where it did not."""
        self._process.terminate()
        self._process.wait()
        data = self._path.read_bytes()
        data = data[data.find(b"data") + 8 :]
        both = np.frombuffer(data[: len(data) // 8 * 8], np.float32).reshape(-1, 2)
        ins, outs = (onsets(both[:, channel]) for channel in (0, 1))
        reach = round(CLICK_EVERY_S * RATE_HZ) - 100
        delays = []
        for start in ins:
            later = outs[(outs >= start) & (outs < start + reach)]
            delays.append(float(later[0] - start) / RATE_HZ * 1e3 if len(later) else float("nan"))
        return delays


def onsets(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    return loud[np.diff(loud, prepend=-RATE_HZ) > RATE_HZ // 20]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--clip", type=Path)
    options.add_argument("--av-offset", type=float, default=0)
    options.add_argument("--unplug", action="store_true")
    asked = options.parse_args()
    add_sink("mic")
    module = add_sink("cable")
    said: list[str] = []
    clock = MonotonicClock()
    inner = (
        create_source("demo", size_px=(640, 480), fps=30, clock=clock)
        if asked.clip is None
        else VideoSource(str(asked.clip), clock, loop=True)
    )
    camera, sink = TimedCamera(inner), TimedSink()
    config = Options(out=("none",), mic="mic.monitor", speaker="cable", av_offset=asked.av_offset)
    session = LiveSession(
        config, said.append, home=Home.of_user(), clock=clock, source=camera, sinks=[sink]
    )
    folder = Path(tempfile.mkdtemp())
    write_clicks(folder / "clicks.wav", asked.seconds)
    with LiveHandle(session):
        time.sleep(6)  # the delay is measured, then reached slowly
        recorder = Recorder(folder / "both.wav")
        player = subprocess.Popen(["pw-play", "--target", "mic", str(folder / "clicks.wav")])
        if asked.unplug:
            time.sleep(asked.seconds / 3)
            subprocess.run(["pactl", "unload-module", module], check=True)
            time.sleep(4)
            add_sink("cable")
            time.sleep(1)
            recorder.link()
        player.wait()
        time.sleep(0.5)
        report = session.sound.report if session.sound is not None else None
    frames = len(sink.arrived_s)
    picture_ms = [1e3 * (t - camera.left_s[k]) for k, t in sink.arrived_s.items() if k >= 0]
    sound_ms = recorder.delays_ms()
    json.dump(
        {
            "picture_ms": float(np.median(picture_ms)),
            "sound_ms": sound_ms,
            "frames": frames,
            "report": report.__dict__ if report is not None else None,
            "said": said,
            "threads": [t.name for t in threading.enumerate()],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
