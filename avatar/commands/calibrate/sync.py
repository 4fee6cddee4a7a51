"""``avatar calibrate --av``: how late the camera is against the microphone, by claps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from avatar.clock import Clock, MonotonicClock
from avatar.commands.live import CAMERA_SIZE_PX
from avatar.commands.profiles import ProfileStore, default_profiles
from avatar.commands.run import ended_by_signals
from avatar.commands.terminal import say
from avatar.errors import SourceEndedError, UsageError
from avatar.frames import Float32, UInt8Image
from avatar.sound.passthrough import Passthrough
from avatar.sound.timeline import Timeline
from avatar.sources import create_source
from avatar.stages import FrameSource
from calibrate.av import AvOffset, fit_offset, onsets_s

SECONDS = 15.0
_SMALL = (64, 48)


class _Ears:
    """Keeps what the microphone heard, and when."""

    def __init__(self) -> None:
        self._blocks: list[Float32] = []
        self._timeline: Timeline | None = None
        self._count, self._rate_hz = 0, 0

    def __call__(self, samples: Float32, rate_hz: int, captured_s: float) -> None:
        if self._timeline is None or rate_hz != self._rate_hz:
            self._timeline, self._rate_hz = Timeline(rate_hz), rate_hz
            self._blocks, self._count = [], 0
        self._timeline.add(self._count, captured_s)
        self._blocks.append(samples)
        self._count += len(samples)

    def onsets_s(self) -> list[float]:
        """Return when sudden sounds began, monotonic seconds."""
        if self._timeline is None:
            return []
        samples = np.concatenate(self._blocks)
        return [
            self._timeline.time_s(at_s * self._rate_hz) for at_s in onsets_s(samples, self._rate_hz)
        ]


class Watched:
    """Keeps of each picture three numbers: when, how bright, and how different from the last."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.brightness: list[float] = []
        self.movement: list[float] = []
        self._last: np.ndarray[Any, np.dtype[np.float32]] | None = None

    def see(self, image: UInt8Image, timestamp_ns: int) -> None:
        """Take a picture in: uint8 (H, W, 3); nothing of it is kept but a thumbnail."""
        import cv2

        small = cv2.resize(image, _SMALL, interpolation=cv2.INTER_AREA)
        grey = np.asarray(small, np.float32).mean(axis=2)
        changed = 0.0 if self._last is None else float(np.abs(grey - self._last).mean())
        self._last = grey
        self.times_s.append(timestamp_ns / 1e9)
        self.brightness.append(float(grey.mean()))
        self.movement.append(changed)


def calibrate_av(
    camera: str, mic: str | None, name: str, *, store: ProfileStore | None = None
) -> int:
    """Measure the camera's delay, keep it in the profile ``name`` if there is one; return 0.

    Raises ``UsageError``, and the errors of camera and microphone.
    """
    if mic is None:
        raise UsageError("--av needs --mic, to hear you clap: `avatar devices` shows them")
    store = store or default_profiles()
    clock = MonotonicClock()
    source = create_source(camera, size_px=CAMERA_SIZE_PX, fps=30.0, clock=clock)
    say(
        f"clap once a second for {SECONDS:.0f} seconds, with both hands in the camera's picture, "
        "and hold them together for a moment each time; a phone that flashes and clicks will do"
    )
    offset = measure(source, mic, clock)
    say(
        f"the picture is {offset.ms:.0f} ms later than the sound (± {offset.spread_ms:.0f}, "
        f"{offset.events} {offset.kind})"
    )
    if name not in store.names():
        say(f"use it: avatar run --mic {mic} --speaker DEVICE --av-offset {offset.ms:.0f}")
        say(f"with a profile (avatar calibrate --name {name}) it would be kept there")
        return 0
    profile = store.load(name)
    delays = profile.delays_ms.model_copy(update={"sound": round(offset.ms, 1)})
    store.save(name, profile.model_copy(update={"delays_ms": delays}))
    say(f"kept in the profile {name}: avatar run --profile {name} --mic {mic} --speaker DEVICE")
    return 0


def measure(
    source: FrameSource, mic: str, clock: Clock, seconds: float = SECONDS,
    tell: Callable[[str], None] = say,
) -> AvOffset:  # fmt: skip
    """Return what ``seconds`` of claps show. Raises ``UsageError`` and devices' errors."""
    watched, ears = Watched(), _Ears()
    stop = threading.Event()
    with (
        source,
        Passthrough(mic, None, clock=clock, say=tell, listener=ears),
        ended_by_signals(stop.set),
    ):
        until_ns = clock.now_ns() + round(seconds * 1e9)
        while not stop.is_set() and clock.now_ns() < until_ns:
            try:
                frame = source.read()
            except SourceEndedError:
                break
            if frame is not None:
                watched.see(frame.image, frame.timestamp_ns)
    if stop.is_set():
        raise UsageError("stopped by you: nothing was measured")
    if not watched.times_s:
        raise UsageError("expected pictures of the camera, found none. Is it covered or in use?")
    return fit_offset(
        np.array(watched.times_s), np.array(watched.brightness), np.array(watched.movement),
        ears.onsets_s(),
    )  # fmt: skip
