"""The process that plays: started by ``SoundProcess``, it lives until its input ends.

Lines of JSON: ``{"mic", "speaker", "delay_s", "voice"}`` first, then ``{"delay_s"}`` come in;
``{"ready"}`` or ``{"error", "message"}`` first, then ``{"say"}``, ``{"report"}`` and ``{"mouth"}``
go out. Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import threading
from typing import Any

from avatar.clock import MonotonicClock
from avatar.errors import AvatarError
from avatar.sound.passthrough import Passthrough
from avatar.sound.voice import VoiceListener
from avatar.speech import Articulation

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


def main() -> int:
    """Play until the input ends; the exit status is 1 when the devices cannot be opened."""
    # Ctrl-C reaches every program of a terminal; the one that started this one says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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

    path = Passthrough(
        asked["mic"],
        asked["speaker"],
        clock=MonotonicClock(),
        say=lambda line: out.send(say=line),
        delay_s=lambda: delay_s,
        listener=VoiceListener(heard) if asked["voice"] else None,
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
                if turn % _REPORT_EVERY == 0:
                    out.send(report=dataclasses.asdict(path.report))
    except AvatarError as error:
        out.send(error=type(error).__name__, message=str(error))
        return 1
    except BrokenPipeError:  # nobody is there any more
        return 1
    return 0


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
