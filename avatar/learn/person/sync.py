"""``avatar calibrate --av``: how late the camera is against the microphone, by claps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from avatar.core import terminal
from avatar.core.clock import Clock, MonotonicClock
from avatar.core.errors import SourceEndedError, UsageError
from avatar.core.frames import Float32, UInt8Image
from avatar.core.machine import ended_by_signals
from avatar.core.stages import FrameSource
from avatar.library.profiles import ProfileStore
from avatar.sessions.live import CAMERA_SIZE_PX
from avatar.stages.sound.passthrough import Passthrough
from avatar.stages.sources import create_source
from calibrate.av import AvOffset, fit_offset, onsets_s

SECONDS = 15.0
_SMALL = (64, 48)
_NEAR_S = 0.5


class _Ears:
    """Keeps what the microphone heard, and when."""

    def __init__(self) -> None:
        self._blocks: list[Float32] = []
        self._heard: list[tuple[int, float]] = []
        self._count, self._rate_hz = 0, 0

    def __call__(self, samples: Float32, rate_hz: int, captured_s: float) -> None:
        if rate_hz != self._rate_hz:
            self._blocks, self._heard, self._count = [], [], 0
            self._rate_hz = rate_hz
        self._heard.append((self._count, captured_s))
        self._blocks.append(samples)
        self._count += len(samples)

    def onsets_s(self) -> list[float]:
        """Return when sudden sounds began, monotonic seconds."""
        if not self._blocks:
            return []
        samples = np.concatenate(self._blocks)
        return block_times_s(onsets_s(samples, self._rate_hz), self._heard, self._rate_hz)


def block_times_s(
    at_s: Sequence[float], blocks: Sequence[tuple[int, float]], rate_hz: int
) -> list[float]:
    """Return the clock's time of moments that are known in seconds of samples.

    ``blocks``: (index of a block's first sample, its time). A block's own time trembles, and after
    sound was lost all samples are later than their number says: so the mean counts of the blocks
    within half a second.
    """
    index, time_s = np.array(blocks, np.float64).T
    origin_s = time_s - index / rate_hz
    times = []
    for moment_s in at_s:
        near = np.abs(index / rate_hz - moment_s) <= _NEAR_S
        times.append(moment_s + float(origin_s[near].mean()))
    return times


class Thumbnails:
    """Keeps of each picture a thumbnail in grey, and when it was: until the measurement ends."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self._pictures: list[Float32] = []

    @property
    def pictures(self) -> Float32:
        """Return the thumbnails, float32 (N, H, W), 0 to 255."""
        return np.array(self._pictures, np.float32)

    def see(self, image: UInt8Image, timestamp_ns: int) -> None:
        """Take a picture in: uint8 (H, W, 3)."""
        import cv2

        small = cv2.resize(image, _SMALL, interpolation=cv2.INTER_AREA)
        self.times_s.append(timestamp_ns / 1e9)
        self._pictures.append(np.asarray(small, np.float32).mean(axis=2))


def calibrate_av(camera: str, mic: str | None, name: str, *, store: ProfileStore) -> int:
    """Measure the camera's delay, keep it in the profile ``name`` if there is one; return 0.

    Raises ``UsageError``, and the errors of camera and microphone.
    """
    if mic is None:
        raise UsageError("--av needs --mic, to hear you clap: `avatar devices` shows them")
    clock = MonotonicClock()
    source = create_source(camera, size_px=CAMERA_SIZE_PX, fps=30.0, clock=clock)
    terminal.say(
        f"clap once a second for {SECONDS:.0f} seconds, with both hands in the camera's picture, "
        "near the microphone; a phone that flashes and clicks will do"
    )
    offset = measure(source, mic, clock)
    terminal.say(
        f"the picture is {offset.ms:.0f} ms later than the sound (± {offset.spread_ms:.0f}, "
        f"{offset.events} {offset.kind})"
    )
    if name not in store.names():
        terminal.say(f"use it: avatar run --mic {mic} --speaker DEVICE --av-offset {offset.ms:.0f}")
        terminal.say(f"with a profile (avatar calibrate --name {name}) it would be kept there")
        return 0
    store.save(name, store.load(name).with_sound_delay(offset.ms))
    terminal.say(
        f"kept in the profile {name}: avatar run --profile {name} --mic {mic} --speaker DEVICE"
    )
    return 0


def measure(
    source: FrameSource,
    mic: str,
    clock: Clock,
    seconds: float = SECONDS,
    *,
    say: Callable[[str], None] = terminal.say,
    on_progress: Callable[[float], None] = lambda share: None,
    cancel: threading.Event | None = None,
) -> AvOffset:
    """Return what ``seconds`` of claps show.

    ``on_progress``: hears with each picture the share of the time that is over. ``cancel``: ends it
    when set, from any thread. Raises ``UsageError`` and devices' errors.
    """
    watched, ears = Thumbnails(), _Ears()
    cancel = cancel or threading.Event()
    with (
        source,
        Passthrough(mic, None, clock=clock, say=say, listener=ears),
        ended_by_signals(cancel.set),
    ):
        _watch(source, clock, seconds, watched, on_progress, cancel)
    if cancel.is_set():
        raise UsageError("stopped by you: nothing was measured")
    if not watched.times_s:
        raise UsageError("expected pictures of the camera, found none. Is it covered or in use?")
    return fit_offset(np.array(watched.times_s), watched.pictures, ears.onsets_s())


def _watch(
    source: FrameSource, clock: Clock, seconds: float, watched: Thumbnails,
    on_progress: Callable[[float], None], cancel: threading.Event,
) -> None:  # fmt: skip
    began_ns = clock.now_ns()
    while not cancel.is_set() and (share := (clock.now_ns() - began_ns) / (seconds * 1e9)) < 1:
        try:
            frame = source.read()
        except SourceEndedError:
            return
        if frame is not None:
            watched.see(frame.image, frame.timestamp_ns)
            on_progress(share)
