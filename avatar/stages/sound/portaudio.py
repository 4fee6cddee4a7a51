"""The one place that talks to PortAudio, through sounddevice."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np

from avatar.core.errors import SoundBusyError, SoundError
from avatar.core.frames import Float32
from avatar.core.libraries import missing_library_error
from avatar.core.machine import environment

BLOCK_S = 0.005
"""Length of a block; with two of them as latency, nothing is lost on a busy two-core machine."""

# Blocks after which the least difference of clocks is looked for anew; two rounds count.
_CLOCK_CALLS = 1000
_RATES_HZ = (48_000, 44_100)
_lock = threading.RLock()


def load() -> Any:
    """Return sounddevice. Raises ``MissingDependencyError`` with the line that installs it."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise missing_library_error(error) from error
    return sounddevice


def query() -> list[dict[str, Any]]:
    """Return what PortAudio knows of each device, in its order."""
    return [dict(device) for device in load().query_devices()]


def default_index(kind: Literal["mic", "speaker"]) -> int:
    """Return the number of the system's default device, −1 without one."""
    return int(load().default.device[0 if kind == "mic" else 1])


def look_again() -> None:
    """Let PortAudio see devices that came or went; no stream may be open."""
    sounddevice = load()
    with _lock:
        try:
            sounddevice._terminate()
        finally:
            sounddevice._initialize()


def _led_to(node: str | None) -> AbstractContextManager[None]:
    """Lead what is opened inside to the sound server's device ``node``, and keep it there.

    A stream whose device is unplugged would be moved to another one: a voice meant for a call
    would come out of the loudspeakers.
    """
    if node is None:
        return environment({})
    kept = "node.dont-reconnect=true"
    return environment({"PULSE_SOURCE": node, "PULSE_SINK": node, "PULSE_PROP": kept})


def best_rate(index: int, node: str | None, kind: Literal["mic", "speaker"], usual_hz: int) -> int:
    """Return the rate to open a device with: its usual one, or the first that it takes."""
    sounddevice = load()
    check = sounddevice.check_input_settings if kind == "mic" else sounddevice.check_output_settings
    if node is not None:
        return usual_hz
    for rate_hz in dict.fromkeys((usual_hz, *_RATES_HZ)):
        try:
            check(device=index, channels=1, samplerate=rate_hz)
        except (sounddevice.PortAudioError, ValueError):
            continue
        return rate_hz
    return usual_hz


class StreamClock:
    """Turns a stream's own time into ``time.monotonic()``.

    PortAudio notes its time before it calls; how much later Python runs is chance (a millisecond,
    or thirty on a busy machine). The least difference of the last seconds is the clocks' own.
    """

    def __init__(self) -> None:
        self._least = [math.inf, math.inf]
        self._calls = 0

    def monotonic_s(self, stream_s: float, called_stream_s: float, now_s: float) -> float:
        """Return the monotonic time of ``stream_s``.

        ``called_stream_s``: the stream's time of this call; ``now_s``: ``time.monotonic()`` in it.
        """
        if self._calls % _CLOCK_CALLS == 0:
            self._least = [self._least[1], math.inf]
        self._calls += 1
        self._least[1] = min(self._least[1], now_s - called_stream_s)
        return stream_s + min(self._least)


class _Stream:
    """An open stream with what its callback counts. ``close`` may be called twice."""

    def __init__(self) -> None:
        self.xruns = 0
        """Blocks that the device lost or had to do without."""
        self.calls = 0
        self.latency_s = 0.0
        self._stream: Any = None

    @property
    def active(self) -> bool:
        """Return whether the device still wants or brings sound."""
        return self._stream is not None and bool(self._stream.active)

    def close(self) -> None:
        """Let go of the device."""
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except Exception as error:
                sys.stderr.write(f"sound: closing a lost device: {error}\n")

    def _open(self, make: Callable[[], Any], node: str | None, what: str) -> None:
        sounddevice = load()
        with _lock, _led_to(node):
            try:
                self._stream = make()
                self._stream.start()
                self.latency_s = float(self._stream.latency)
            except (sounddevice.PortAudioError, ValueError) as error:
                self.close()
                raise open_error(what, str(error)) from error


class InputStream(_Stream):
    """A microphone: ``heard(samples, captured_s)`` is called with each block.

    ``samples``: float32 (N,), mono, the receiver's own; ``captured_s``: when the first of them was
    captured, ``time.monotonic()``. Called from a thread of PortAudio's.
    """

    def __init__(
        self, index: int, node: str | None, name: str, rate_hz: int,
        heard: Callable[[Float32, float], None],
    ) -> None:  # fmt: skip
        super().__init__()
        clock = StreamClock()

        def callback(data: Any, frames: int, when: Any, status: Any) -> None:
            self.calls += 1
            self.xruns += bool(status.input_overflow)
            # Some drivers leave the time of capture empty.
            early_s = max(0.0, when.currentTime - when.inputBufferAdcTime)
            early_s = early_s if early_s < 1 else frames / rate_hz
            called_s = when.currentTime
            heard(
                data[:, 0].copy(),
                clock.monotonic_s(called_s - early_s, called_s, time.monotonic()),
            )

        self._open(
            lambda: load().InputStream(
                rate_hz, round(rate_hz * BLOCK_S), index, 1, "float32", "low", callback=callback
            ),
            node,
            name,
        )


class OutputStream(_Stream):
    """A speaker: ``wanted(count, heard_s)`` is called for each block.

    It returns float32 (count,), mono; ``heard_s``: when the first of them will be heard,
    ``time.monotonic()``. ``latency_s``: what the device may keep waiting; less is earlier, more
    is safer. Called from a thread of PortAudio's.
    """

    def __init__(
        self, index: int, node: str | None, name: str, rate_hz: int, channels: int,
        wanted: Callable[[int, float], Float32], latency_s: float,
    ) -> None:  # fmt: skip
        super().__init__()
        clock = StreamClock()

        def callback(data: Any, frames: int, when: Any, status: Any) -> None:
            self.calls += 1
            self.xruns += bool(status.output_underflow)
            late_s = when.outputBufferDacTime - when.currentTime
            late_s = late_s if 0 <= late_s < 2 else latency_s
            called_s = when.currentTime
            heard_s = clock.monotonic_s(called_s + late_s, called_s, time.monotonic())
            data[:] = np.clip(wanted(frames, heard_s), -1, 1)[:, None]

        self._open(
            lambda: load().OutputStream(
                rate_hz,
                round(rate_hz * BLOCK_S),
                index,
                min(channels, 2),
                "float32",
                latency_s,
                callback=callback,
            ),
            node,
            name,
        )


def open_error(what: str, found: str) -> SoundError:
    """Return the error for a device that PortAudio could not open, with what to do."""
    lower = found.lower()
    if "sample rate" in lower:
        todo = "Set it to 48000 Hz in the system's sound settings."
    elif "unavailable" in lower or "busy" in lower or "illegal combination" in lower:
        todo = (
            "Another program holds it, or it was unplugged: close that program, or take the sound "
            "server's device (`avatar devices` shows it), which many programs can share."
        )
    else:
        todo = "`avatar devices` shows what there is; the system may have to allow it to programs."
    return SoundBusyError(f"{what}: cannot be opened ({found}). {todo}")
