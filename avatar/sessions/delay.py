"""How late pictures are: what prediction has to make up for."""

from __future__ import annotations

from collections.abc import Callable

from avatar.core.observe import Recorder

LONGEST_S = 0.05
"""Nothing is predicted further: beyond this, guesses about a head are wrong more than right."""

_EVERY_CALLS = 15
_SPANS = 31


class MeasuredDelay:
    """The time from a picture's capture to its delivery, measured while running.

    ``sink`` gives the name of the output that counts. A call costs nothing but for every
    fifteenth, which takes the median of the newest second again.
    """

    def __init__(self, recorder: Recorder, sink: Callable[[], str]) -> None:
        self._recorder, self._sink = recorder, sink
        self._delay_s = 0.0
        self._calls = 0

    def __call__(self) -> float:
        """Return the delay in seconds, at most ``LONGEST_S``; 0 before anything was delivered."""
        if self._calls % _EVERY_CALLS == 0:
            spans = self._recorder.latest(f"capture→{self._sink()}", _SPANS)
            if spans:
                middle_ms = sorted(span.ms for span in spans)[len(spans) // 2]
                self._delay_s = min(middle_ms / 1e3, LONGEST_S)
        self._calls += 1
        return self._delay_s
