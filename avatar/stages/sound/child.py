"""The process that plays: started by ``SoundProcess``, it lives until its input ends.

Lines of JSON: ``{"mic", "speaker", "delay_s", "voice", "heard"}`` first, then ``{"delay_s"}`` come
in; ``{"ready"}`` or ``{"error", "message"}`` first, then ``{"say"}``, ``{"report"}``, and where
they were asked for ``{"mouth"}`` and ``{"heard"}`` go out. Times are of the monotonic clock, which
all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from avatar.core.clock import MonotonicClock
from avatar.core.errors import AvatarError
from avatar.core.frames import Float32
from avatar.core.machine import ignore_interrupts
from avatar.core.speech import Articulation
from avatar.stages.sound.passthrough import Listener, Passthrough
from avatar.stages.sound.samples import SampleBlock, packed
from avatar.stages.sound.timeline import Timeline
from avatar.stages.sound.voice import VoiceListener

_TURN_S = 0.02
_SWITCH_S = 0.001
_REPORT_EVERY = 25
_NICE = -10


class _Outgoing:
    """Writes lines from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def send(self, **values: Any) -> None:
        with self._lock:
            sys.stdout.write(json.dumps(values) + "\n")
            sys.stdout.flush()


class _Heard:
    """Keeps what was heard until it is sent."""

    def __init__(self) -> None:
        self._kept: list[Articulation] = []
        self._lock = threading.Lock()

    def add(self, heard: list[Articulation]) -> None:
        with self._lock:
            self._kept += heard

    def take(self) -> list[Articulation]:
        with self._lock:
            kept, self._kept = self._kept, []
        return kept


class _Samples:
    """Keeps the microphone's samples until they are sent; see ``Passthrough``'s ``listener``."""

    def __init__(self) -> None:
        self._blocks: list[Float32] = []
        self._rate_hz = self._count = self._sent = 0
        self._timeline = Timeline(1)
        self._lock = threading.Lock()

    def __call__(self, samples: Float32, rate_hz: int, captured_s: float) -> None:
        with self._lock:
            if rate_hz != self._rate_hz:
                self._blocks, self._rate_hz, self._count, self._sent = [], rate_hz, 0, 0
                self._timeline = Timeline(rate_hz)
            self._timeline.add(self._count, captured_s)
            self._count += len(samples)
            self._blocks.append(samples)

    def take(self) -> SampleBlock | None:
        with self._lock:
            if not self._blocks:
                return None
            samples, self._blocks = np.concatenate(self._blocks), []
            first_s = self._timeline.time_s(self._sent)
            self._sent = self._count
            return SampleBlock(samples, self._rate_hz, first_s)


def main() -> int:
    """Play until the input ends; the exit status is 1 when the devices cannot be opened."""
    ignore_interrupts()
    # A callback has few milliseconds; Python would let it wait for five.
    sys.setswitchinterval(_SWITCH_S)
    _go_first()
    out, heard, ended = _Outgoing(), _Heard(), threading.Event()
    asked = json.loads(sys.stdin.readline())
    delay_s = float(asked["delay_s"])

    def listen() -> None:
        nonlocal delay_s
        for line in sys.stdin:
            delay_s = float(json.loads(line)["delay_s"])
        ended.set()

    samples = _Samples() if asked.get("heard") else None
    voice = VoiceListener(heard) if asked["voice"] else None
    path = Passthrough(
        asked["mic"],
        asked["speaker"],
        clock=MonotonicClock(),
        say=lambda line: out.send(say=line),
        delay_s=lambda: delay_s,
        listener=_all_of([each for each in (voice, samples) if each is not None]),
    )
    threading.Thread(target=listen, name="orders", daemon=True).start()
    try:
        with path:
            out.send(ready=True)
            turn = 0
            while not ended.wait(_TURN_S):
                turn += 1
                mouth = [dataclasses.astuple(articulation) for articulation in heard.take()]
                if mouth:
                    out.send(mouth=mouth)
                block = samples.take() if samples is not None else None
                if block is not None:
                    out.send(heard=packed(block))
                if turn % _REPORT_EVERY == 0:
                    out.send(report=dataclasses.asdict(path.report))
    except AvatarError as error:
        out.send(error=type(error).__name__, message=str(error))
        return 1
    except BrokenPipeError:  # nobody is there any more
        return 1
    return 0


def _all_of(listeners: Sequence[Listener]) -> Listener | None:
    def listen(samples: Float32, rate_hz: int, captured_s: float) -> None:
        for listener in listeners:
            listener(samples, rate_hz, captured_s)

    return listen if listeners else None


def _go_first() -> None:
    """Ask to run before programs that have time, where the system allows it to this user.

    Most systems do not without a setting (Linux: ``nice`` in limits.conf); sound then only has
    what the speaker keeps waiting.
    """
    with contextlib.suppress(AttributeError, OSError):
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, min(own, _NICE))


if __name__ == "__main__":
    sys.exit(main())
