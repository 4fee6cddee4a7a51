"""When a click left a sound server: heard by another program than the one under test.

``parec`` hands on what a sink's monitor gives, a few milliseconds at a time. A block cannot be
there before its last sample was; the least that blocks are late, over half a second, is the clock
of the samples, without what the scheduler adds. (Within 0.1 ms of the server's own clock.)
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from typing import Self

import numpy as np

RATE_HZ = 48_000
_BLOCK = 240
_KEPT_S = 1.5


class Monitor:
    """Listens to ``source`` while it is entered; its clicks by the monotonic clock."""

    def __init__(self, source: str) -> None:
        self._command = [
            "parec", f"--device={source}", "--raw", "--format=float32le", f"--rate={RATE_HZ}",
            "--channels=1", "--latency-msec=5",
        ]  # fmt: skip
        self._blocks: deque[tuple[int, float]] = deque(maxlen=round(_KEPT_S * RATE_HZ / _BLOCK))
        self._clicks: list[int] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join(timeout=5)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        count = 0
        while data := self._process.stdout.read(4 * _BLOCK):
            now_s = time.monotonic()
            samples = np.frombuffer(data, np.float32)
            loud = np.flatnonzero(np.abs(samples) > 0.2)
            with self._lock:
                if len(loud) and (
                    not self._clicks or count + loud[0] - self._clicks[-1] > RATE_HZ // 4
                ):
                    self._clicks.append(count + int(loud[0]))
                count += len(samples)
                self._blocks.append((count, now_s))

    @property
    def count(self) -> int:
        """Return how many clicks were heard."""
        return len(self._clicks)

    def last_click_s(self) -> float:
        """Return when the last click was there."""
        with self._lock:
            click = self._clicks[-1]
            index, time_s = np.array(self._blocks, np.float64).T
        least_s = time_s - index / RATE_HZ
        return click / RATE_HZ + float(least_s[np.abs(index - click) < RATE_HZ / 2].min())
