"""Sound in a process of its own: no picture that is being drawn makes it stutter."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Self

from avatar.core import errors
from avatar.core.errors import AvatarError, SoundError
from avatar.core.speech import Articulation
from avatar.stages.sound.passthrough import Listener, SoundReport
from avatar.stages.sound.samples import unpacked
from avatar.stages.sound.voice import SpokenMouth

_DELAY_EVERY_S = 0.5
_RETRY_FIRST_S, _RETRY_LAST_S = 0.5, 5.0


class SoundProcess:
    """A ``Passthrough`` in a child process (``avatar.stages.sound.child``); a context manager.

    ``mic``, ``speaker``, ``delay_s``, ``say``: as for ``Passthrough``. ``mouth``: is told what the
    voice says, ``listener`` hears the samples, each where it is given. Entering raises what opening
    the devices raises. A child that dies is started again with growing pauses; the picture goes on.
    """

    def __init__(
        self,
        mic: str,
        speaker: str | None,
        *,
        say: Callable[[str], None],
        delay_s: Callable[[], float] = lambda: 0.0,
        mouth: SpokenMouth | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._mic, self._speaker = mic, speaker
        self._say, self._delay_s, self._mouth = say, delay_s, mouth
        self._listener = listener
        self._stop = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._threads: list[threading.Thread] = []
        self._report = SoundReport(0.0, 0.0, 0, 0, 0)

    @property
    def report(self) -> SoundReport:
        """Return how it went until now, at most half a second ago."""
        return self._report

    def __enter__(self) -> Self:
        self._stop.clear()
        self._child = self._started()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._listen, "sound"), (self._order, "sound delay"))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the child and wait for it."""
        self._stop.set()
        self._end(self._child)
        for thread in self._threads:
            thread.join(timeout=5.0)
        self._threads = []
        # The one that was being started meanwhile, too; and what the threads read from.
        self._end(self._child)

    def _started(self) -> subprocess.Popen[str]:
        """Return a child that plays. Raises what it could not open."""
        child = subprocess.Popen(
            [sys.executable, "-m", "avatar.stages.sound.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # PortAudio and ALSA report there what is told in the user's words already.
            stderr=subprocess.DEVNULL,
            text=True,
        )
        order = {
            "mic": self._mic,
            "speaker": self._speaker,
            "delay_s": self._delay_s(),
            "voice": self._mouth is not None,
            "heard": self._listener is not None,
        }
        try:
            self._send(child, order)
            answer = json.loads(_line(child) or "{}")
        except (OSError, ValueError):
            answer = {}
        if "ready" in answer:
            return child
        self._end(child)
        kind = getattr(errors, str(answer.get("error")), SoundError)
        raise kind(
            answer.get("message")
            or "sound: its process ended at once. `avatar doctor` checks what it needs"
        )

    def _send(self, child: subprocess.Popen[str], values: dict[str, Any]) -> None:
        assert child.stdin is not None
        child.stdin.write(json.dumps(values) + "\n")
        child.stdin.flush()

    def _order(self) -> None:
        """Tell the child the delay, twice a second."""
        while not self._stop.wait(_DELAY_EVERY_S):
            child = self._child
            if child is not None:
                try:
                    self._send(child, {"delay_s": self._delay_s()})
                except (OSError, ValueError):
                    continue  # it died; the listening thread sees to that

    def _listen(self) -> None:
        """Take in what the child says, and start it again when it dies."""
        while not self._stop.is_set():
            child = self._child
            line = _line(child) if child is not None else ""
            if line:
                self._take(json.loads(line))
            elif not self._stop.is_set():
                self._start_again()

    def _take(self, said: dict[str, Any]) -> None:
        if "mouth" in said and self._mouth is not None:
            self._mouth.add([Articulation(*values) for values in said["mouth"]])
        elif "heard" in said and self._listener is not None:
            block = unpacked(said["heard"])
            self._listener(block.samples, block.rate_hz, block.captured_s)
        elif "report" in said:
            self._report = SoundReport(**said["report"])
        elif "say" in said:
            self._say(said["say"])

    def _start_again(self) -> None:
        self._say("sound: its process ended; starting it again, the picture goes on")
        self._end(self._child)
        self._child = None
        pause_s = _RETRY_FIRST_S
        while not self._stop.wait(pause_s):
            try:
                self._child = self._started()
            except AvatarError:
                pause_s = min(2 * pause_s, _RETRY_LAST_S)
                continue
            self._say("sound: back")
            return

    def _end(self, child: subprocess.Popen[str] | None) -> None:
        if child is None:
            return
        assert child.stdin is not None and child.stdout is not None
        with contextlib.suppress(OSError):  # it may be gone already
            child.stdin.close()
        try:
            child.wait(timeout=3.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if threading.current_thread() in self._threads or not self._threads:
            child.stdout.close()


def _line(child: subprocess.Popen[str]) -> str:
    """Return the child's next line, empty once there is none."""
    assert child.stdout is not None
    try:
        return child.stdout.readline()
    except ValueError:  # closed meanwhile
        return ""
