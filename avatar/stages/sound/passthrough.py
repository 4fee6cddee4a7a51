"""From the microphone to the speaker, late enough to be in step with the picture."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Self

from avatar.core.clock import Clock
from avatar.core.errors import SoundError
from avatar.core.frames import Float32
from avatar.stages.sound import portaudio
from avatar.stages.sound.delay import DelayLine
from avatar.stages.sound.devices import SoundDevice, choose, list_sound
from avatar.stages.sound.resample import Resampler
from avatar.stages.sound.timeline import Timeline

# Without a block for so long a device counts as lost.
LOST_S = 1.0
_RETRY_FIRST_S, _RETRY_LAST_S = 0.5, 5.0
_TURN_S = 0.02
_DELAY_EVERY, _RECENT = 25, 60
# What the speaker may keep waiting: at first, and what it grows to when sound is lost.
_OUT_LATENCY_S, _OUT_LATENCY_LIMIT_S = 0.015, 0.08
_XRUNS_TOO_MANY = 3
_XRUN_WINDOW_TURNS = 500

Listener = Callable[[Float32, int, float], None]
"""Hears samples, their rate and the first one's time of capture (monotonic seconds)."""


@dataclass(frozen=True)
class SoundReport:
    """How a session's sound went.

    ``delay_ms``: from the microphone to the speaker, and ``wanted_ms``: what it should have been,
    each the median of the last half minute. ``xruns``: blocks that a device lost; ``gaps``: moments
    without sound to play; ``outages``: how often a device was lost.
    """

    delay_ms: float
    wanted_ms: float
    xruns: int
    gaps: int
    outages: int


class DelayedPath:
    """What stands between the two streams: pure, with times as arguments.

    ``in_hz``, ``out_hz``: rates of microphone and speaker.
    """

    def __init__(self, in_hz: int, out_hz: int) -> None:
        self._in_hz, self._out_hz = in_hz, out_hz
        self._line = DelayLine(out_hz)
        self._resample = Resampler(in_hz, out_hz)
        self._heard, self._played = Timeline(in_hz), Timeline(out_hz)
        self._in_count = self._out_count = 0
        self.delay_s = 0.0
        """What is wanted from capture to hearing; may be changed at any time."""
        self.actual_s = 0.0

    @property
    def gaps(self) -> int:
        """Return how often there was nothing to play."""
        return self._line.gaps

    def heard(self, samples: Float32, captured_s: float) -> None:
        """Take a block of the microphone's in."""
        self._heard.add(self._in_count, captured_s)
        self._in_count += len(samples)
        self._line.write(self._resample(samples))

    def wanted(self, count: int, heard_s: float) -> Float32:
        """Return the speaker's next block, which will be heard from ``heard_s`` on."""
        self._played.add(self._out_count, heard_s)
        now_s = self._played.time_s(self._out_count)
        self._out_count += count
        share = self._out_hz / self._in_hz
        index = self._heard.index(now_s - self.delay_s) * share if self._heard.known else -1.0
        block = self._line.read(count, index)
        if self._line.position is not None:
            first = self._line.position - count
            self.actual_s = now_s - self._heard.time_s(first / share)
        return block


class Passthrough:
    """Microphone to speaker, for as long as it is entered; a context manager.

    ``mic``, ``speaker``: what ``choose`` takes; without a speaker the microphone is only listened
    to. ``delay_s``: asked twice a second what the delay should be. ``listener``: hears every block,
    on a thread of PortAudio's. ``say``: hears of losses, in the user's words. Entering raises
    ``SoundError`` for what is wrong at the start; afterwards a device that goes away is looked for
    again with growing pauses.
    """

    def __init__(
        self,
        mic: str,
        speaker: str | None,
        *,
        clock: Clock,
        say: Callable[[str], None],
        delay_s: Callable[[], float] = lambda: 0.0,
        listener: Listener | None = None,
    ) -> None:
        self._specs = mic, speaker
        self._clock, self._say = clock, say
        self._delay_s, self._listener = delay_s, listener
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._mic: portaudio.InputStream | None = None
        self._speaker: portaudio.OutputStream | None = None
        self._path: DelayedPath | None = None
        self._out_latency_s = _OUT_LATENCY_S
        self._past = SoundReport(0.0, 0.0, 0, 0, 0)
        self._recent: deque[tuple[float, float]] = deque(maxlen=_RECENT)

    def __enter__(self) -> Self:
        self._stop.clear()
        self._open()
        self._thread = threading.Thread(target=self._serve, name="sound", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of both devices."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None
        self._close()

    @property
    def report(self) -> SoundReport:
        """Return how it went until now."""
        path, streams, recent = self._path, (self._mic, self._speaker), list(self._recent)
        xruns = sum(stream.xruns for stream in streams if stream is not None)
        return replace(
            self._past,
            delay_ms=1e3 * median(actual for actual, _ in recent) if recent else 0.0,
            wanted_ms=1e3 * median(wanted for _, wanted in recent) if recent else 0.0,
            xruns=self._past.xruns + xruns,
            gaps=self._past.gaps + (path.gaps if path is not None else 0),
        )

    def _open(self) -> None:
        devices = list_sound()
        mic = choose(devices, self._specs[0], "mic")
        speaker = None
        if self._specs[1] is not None:
            speaker = choose(devices, self._specs[1], "speaker")
        rate_hz = portaudio.best_rate(mic.index, mic.node, "mic", mic.rate_hz)
        path = None
        if speaker is not None:
            out_hz = portaudio.best_rate(speaker.index, speaker.node, "speaker", speaker.rate_hz)
            path = DelayedPath(rate_hz, out_hz)
            path.delay_s = self._delay_s()
        try:
            self._mic = self._listen(mic, rate_hz, path)
            if speaker is not None and path is not None:
                self._speaker = portaudio.OutputStream(
                    speaker.index, speaker.node, f"--speaker {speaker.name}", out_hz,
                    speaker.outputs, path.wanted, self._out_latency_s,
                )  # fmt: skip
        except BaseException:
            self._close()
            raise
        self._path = path

    def _listen(
        self, mic: SoundDevice, rate_hz: int, path: DelayedPath | None
    ) -> portaudio.InputStream:
        listener = self._listener

        def heard(samples: Float32, captured_s: float) -> None:
            if path is not None:
                path.heard(samples, captured_s)
            if listener is not None:
                listener(samples, rate_hz, captured_s)

        return portaudio.InputStream(mic.index, mic.node, f"--mic {mic.name}", rate_hz, heard)

    def _close(self) -> None:
        self._past = self.report
        self._path = None
        mic, speaker, self._mic, self._speaker = self._mic, self._speaker, None, None
        for stream in (mic, speaker):
            if stream is not None:
                stream.close()

    def _serve(self) -> None:
        """Keep the delay right and the devices open, until the end."""
        watch = _Watch(self._clock)
        turn = 0
        while not self._stop.wait(_TURN_S):
            turn += 1
            if turn % _DELAY_EVERY == 0 and self._path is not None:
                self._path.delay_s = self._delay_s()
                self._recent.append((self._path.actual_s, self._path.delay_s))
            streams = [s for s in (self._mic, self._speaker) if s is not None]
            if watch.lost(streams):
                self._come_back()
                watch = _Watch(self._clock)
            elif self._speaker is not None and watch.starving(self._speaker.xruns):
                self._widen()
                watch = _Watch(self._clock)

    def _widen(self) -> None:
        """Let the speaker keep more waiting: later, but whole."""
        if self._out_latency_s >= _OUT_LATENCY_LIMIT_S:
            return
        self._out_latency_s = min(1.5 * self._out_latency_s, _OUT_LATENCY_LIMIT_S)
        self._say(
            f"sound: too late for the speaker; it now keeps {self._out_latency_s * 1e3:.0f} ms"
        )
        self._close()
        try:
            self._open()
        except SoundError as error:
            self._come_back(str(error))

    def _come_back(self, why: str = "no more sound from it") -> None:
        """Open both devices again, with growing pauses, until it works or all ends."""
        names = " or ".join(
            f"--{k} {s}" for k, s in zip(("mic", "speaker"), self._specs, strict=True) if s
        )
        self._say(f"sound: lost {names} ({why}); trying again, the picture goes on")
        self._close()
        self._past = replace(self._past, outages=self._past.outages + 1)
        since_ns = self._clock.now_ns()
        pause_s = _RETRY_FIRST_S
        while not self._stop.wait(pause_s):
            try:
                portaudio.look_again()
                self._open()
            except SoundError:
                pause_s = min(2 * pause_s, _RETRY_LAST_S)
                continue
            self._say(f"sound: back after {(self._clock.now_ns() - since_ns) / 1e9:.1f} s")
            return


class _Watch:
    """Notices a device that stopped, and one that is served too late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: list[int] = []
        self._heard_ns = clock.now_ns()
        self._xruns: deque[int] = deque(maxlen=_XRUN_WINDOW_TURNS)

    def lost(self, streams: list[portaudio.InputStream | portaudio.OutputStream]) -> bool:
        """Return whether one of the streams ended, or has been still for a second."""
        calls = [stream.calls for stream in streams]
        now_ns = self._clock.now_ns()
        if len(self._calls) != len(calls) or all(
            a != b for a, b in zip(calls, self._calls, strict=True)
        ):
            self._calls, self._heard_ns = calls, now_ns
        return not all(s.active for s in streams) or now_ns - self._heard_ns > LOST_S * 1e9

    def starving(self, xruns: int) -> bool:
        """Return whether the speaker was served too late more than now and then."""
        self._xruns.append(xruns)
        return self._xruns[-1] - self._xruns[0] >= _XRUNS_TOO_MANY
