"""The whole program streams for minutes to an RTMP server that is killed and comes back.

``python -m tests.stages.sinks.streaming.broadcast --seconds 300`` prints JSON; with ``--sound`` a
microphone in which clicks are played goes along (inside a private sound server, see
``test_broadcast_real.py``). Every picture carries a number; when it was captured is kept, so that
what comes out can be compared with what went in.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.frames import Float32, GeneratedFrame, Motion
from avatar.core.home import Home
from avatar.core.observe import delivery, distribution
from avatar.core.options import Options
from avatar.core.stages import Generator
from avatar.core.wrapped import Wrapped
from avatar.sessions.live import LiveHandle, LiveSession
from avatar.stages.sound.process import SoundProcess
from tests.stages.sinks.numbers import BITS, LAST
from tests.stages.sinks.streaming.servers import Played, Player, RtmpServer
from tests.stages.sound.av_round_trip import add_sink, write_clicks

KEY = "s3cr3t-k3y"
AWAY_S = 6.0


class Numbered(Wrapped[Generator]):
    """A generator that writes a number into every picture of another one."""

    def __init__(self, inner: Generator, stamps: list[int]) -> None:
        super().__init__(inner)
        self._stamps = stamps

    @property
    def size_px(self) -> tuple[int, int]:
        return self._inner.size_px

    def generate(self, motion: Motion) -> GeneratedFrame:
        frame = self._inner.generate(motion)
        image = frame.image.copy()
        height, width = image.shape[:2]
        number = len(self._stamps) % (LAST + 1)
        for bit in range(BITS):
            left, right = bit * width // BITS, (bit + 1) * width // BITS
            image[height * 4 // 5 :, left:right] = 255 * (number >> bit & 1)
        self._stamps.append(frame.timestamp_ns)
        return replace(frame, image=image)


class Clicks:
    """When each click was captured, by another process that listens to the same microphone."""

    def __init__(self) -> None:
        self.heard_s: list[float] = []

    def __call__(self, samples: Float32, rate_hz: int, captured_s: float) -> None:
        loud = np.flatnonzero(np.abs(samples) > 0.25)
        at_s = captured_s + (loud[0] / rate_hz if len(loud) else 0)
        if len(loud) and (not self.heard_s or at_s - self.heard_s[-1] > 0.2):
            self.heard_s.append(at_s)


@dataclass
class Session:
    """What came out between two outages. ``apart_ms``: sound later than the picture."""

    pictures: int
    first: int
    last: int
    missing: int
    in_order: bool
    fps: float
    apart_ms: list[float]


@contextmanager
def played_clicks(seconds: float) -> Iterator[None]:
    """Play clicks into a sink whose monitor is a microphone."""
    add_sink("mic")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clicks.wav"
        write_clicks(path, seconds + 60)
        player = subprocess.Popen(["pw-play", "--target", "mic", str(path)])
        try:
            yield
        finally:
            player.kill()
            player.wait()


def unwrapped(numbers: list[int], after: int) -> list[int]:
    """Return the numbers that ``numbers`` stand for, the first of them later than ``after``."""
    found = []
    for number in numbers:
        after += (number - after) % (LAST + 1)
        found.append(after)
    return found


def compare(played: Played, stamps: list[int], heard_s: list[float], after: int) -> Session:
    """Return how what was played differs from what was captured."""
    numbers = unwrapped([number for number, _, _ in played.frames], after)
    times = np.array([time_s for _, time_s, _ in played.frames])
    steps = np.diff(numbers)
    captured = np.array([stamps[number] / 1e9 for number in numbers])
    apart = []
    for click_s in played.clicks:
        nearest = int(np.abs(times - click_s).argmin())
        shown_s = captured[nearest] + click_s - times[nearest]
        away = np.array(heard_s) - shown_s
        if len(away) and np.abs(away).min() < 0.2:
            apart.append(float(-1e3 * away[np.abs(away).argmin()]))
    return Session(
        len(numbers), numbers[0], numbers[-1], int(steps.sum() - len(steps)),
        bool((steps > 0).all()), float((len(times) - 1) / (times[-1] - times[0])), apart,
    )  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--sound", action="store_true")
    options.add_argument("--size", default="1280x720")
    options.add_argument("--picture", type=Path, help="write a picture that came out")
    asked = options.parse_args()
    said: list[str] = []
    stamps: list[int] = []
    clicks = Clicks()
    mic = "mic.monitor" if asked.sound else None
    with ExitStack() as parts:
        if mic is not None:
            parts.enter_context(played_clicks(asked.seconds))
        server = parts.enter_context(RtmpServer())
        config = Options(
            camera="demo", out=(f"{server.address}/{KEY}", "none"), mic=mic, size=asked.size
        )
        session = LiveSession(
            config,
            said.append,
            home=Home.of_user(),
            wrap_generator=lambda inner: Numbered(inner, stamps),
        )
        if mic is not None:
            parts.enter_context(SoundProcess(mic, None, say=said.append, listener=clicks))
        player = parts.enter_context(server.player(KEY, patience_s=5))
        load = [os.getloadavg()[0]]
        with LiveHandle(session):
            time.sleep(asked.seconds * 0.4)
            load.append(os.getloadavg()[0])
            server.kill()
            time.sleep(AWAY_S)
            server.start()
            time.sleep(asked.seconds * 0.6 - AWAY_S)
            load.append(os.getloadavg()[0])
    report(asked.picture, session, player, stamps, clicks, said, load)


def report(
    picture: Path | None, session: LiveSession, player: Player, stamps: list[int], clicks: Clicks,
    said: list[str], load: list[float],
) -> None:  # fmt: skip
    if picture is not None:
        from PIL import Image

        Image.fromarray(player.played.picture).save(picture)  # type: ignore[arg-type]
    sessions: list[dict[str, Any]] = []
    after = -1
    for played in player.sessions:
        if len(played.frames) > 1:
            found = compare(played, stamps, clicks.heard_s, after + 1)
            after = found.last
            sessions.append(asdict(found))
    recorder = session.recorder
    stream = session.first_sink
    json.dump(
        {
            "drawn": len(stamps),
            "sessions": sessions,
            "clicks": len(clicks.heard_s),
            "write_ms": asdict(distribution([s.ms for s in recorder.spans(f"sink {stream}")])),
            "other_output": asdict(delivery(recorder.spans("capture→none"))),
            "counts": recorder.counts(),
            "said": said,
            "load": load,
        },
        sys.stdout,
        ensure_ascii=False,
    )


if __name__ == "__main__":
    main()
