"""Spans and counters of each hop: the only place where time is measured."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from avatar.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Span:
    """One stage's work on one frame; times are monotonic nanoseconds."""

    stage: str
    index: int
    start_ns: int
    end_ns: int

    @property
    def ms(self) -> float:
        """Duration in milliseconds."""
        return (self.end_ns - self.start_ns) / 1e6


class Observer(Protocol):
    """Is called at every hop; must be cheap and thread-safe."""

    def span(self, span: Span) -> None:
        """Take note that a stage finished work on a frame."""
        ...

    def count(self, event: str, amount: int = 1) -> None:
        """Take note that something countable happened, such as ``dropped.track``."""
        ...


class _Ring:
    """The newest spans of one stage, 24 bytes each: a session of hours must not grow."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers = array("q")
        self._next = 0

    def add(self, span: Span) -> None:
        numbers = (span.index, span.start_ns, span.end_ns)
        if len(self._numbers) < 3 * self._limit:
            self._numbers.extend(numbers)
        else:
            at = 3 * self._next
            self._numbers[at : at + 3] = array("q", numbers)
        self._next = (self._next + 1) % self._limit

    def spans(self, stage: str, newest: int | None = None) -> list[Span]:
        """Return the newest spans, oldest first; all that are kept by default."""
        kept = len(self._numbers) // 3
        amount = kept if newest is None else min(newest, kept)
        places = ((self._next - amount + k) % kept for k in range(amount))
        return [Span(stage, *self._numbers[3 * p : 3 * p + 3]) for p in places]


class Recorder:
    """Keeps the newest ``limit`` spans of each stage and all counters; safe from any thread."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._spans: dict[str, _Ring] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def span(self, span: Span) -> None:
        """Keep it, dropping the stage's oldest beyond the limit."""
        with self._lock:
            kept = self._spans.get(span.stage)
            if kept is None:
                kept = self._spans[span.stage] = _Ring(self._limit)
            kept.add(span)

    def count(self, event: str, amount: int = 1) -> None:
        """Add ``amount`` to the counter named ``event``."""
        with self._lock:
            self._counts[event] += amount

    def spans(self, stage: str) -> list[Span]:
        """Return a copy of a stage's spans, oldest first."""
        with self._lock:
            return self._spans[stage].spans(stage) if stage in self._spans else []

    def latest(self, stage: str, amount: int) -> list[Span]:
        """Return a copy of a stage's newest ``amount`` spans, oldest first."""
        with self._lock:
            return self._spans[stage].spans(stage, amount) if stage in self._spans else []

    def stages(self) -> list[str]:
        """Return the stages seen, in the order they first reported."""
        with self._lock:
            return list(self._spans)

    def counts(self) -> dict[str, int]:
        """Return a copy of the counters."""
        with self._lock:
            return dict(self._counts)


@contextmanager
def timed(observer: Observer, clock: Clock, stage: str, index: int) -> Iterator[None]:
    """Report the body's duration as one span; nothing is reported when it raises."""
    start_ns = clock.now_ns()
    yield
    observer.span(Span(stage, index, start_ns, clock.now_ns()))


@dataclass(frozen=True)
class Distribution:
    """A stage's durations in milliseconds; ``count`` of them."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def distribution(values_ms: list[float]) -> Distribution:
    """Summarise durations; all zero when there are none."""
    if not values_ms:
        return Distribution(0, 0.0, 0.0, 0.0, 0.0)
    p50, p95, p99, top = np.percentile(values_ms, [50, 95, 99, 100]).tolist()
    return Distribution(len(values_ms), p50, p95, p99, top)


@dataclass(frozen=True)
class Delivery:
    """How regularly a sink was served. ``jitter_ms``: standard deviation of the interval."""

    frames: int
    fps: float
    interval_p95_ms: float
    jitter_ms: float


def delivery(spans: list[Span]) -> Delivery:
    """Summarise the ends of a sink's spans."""
    if len(spans) < 2:
        return Delivery(len(spans), 0.0, 0.0, 0.0)
    gaps_ms = np.diff([span.end_ns for span in spans]) / 1e6
    return Delivery(
        len(spans),
        float(1e3 / gaps_ms.mean()),
        float(np.percentile(gaps_ms, 95)),
        float(gaps_ms.std()),
    )


def delivered(recorder: Recorder, sink: str, newest: int | None = None) -> list[Span]:
    """Return the spans of the pictures that reached ``sink``, by their ends; the newest, or all.

    Those of predicted motion begin with the last camera frame, too.
    """
    spans = [
        span for kind in ("capture", "predicted")
        for span in (
            recorder.spans(f"{kind}→{sink}") if newest is None
            else recorder.latest(f"{kind}→{sink}", newest)
        )
    ]  # fmt: skip
    return sorted(spans, key=lambda span: span.end_ns)[-newest if newest is not None else None :]


def dropped_share(counts: dict[str, int]) -> float:
    """Return how many pictures, captured or drawn between, a busy stage dropped, 0 to 1."""
    lost = sum(n for event, n in counts.items() if event.startswith("dropped."))
    return lost / max(counts.get("captured", 0) + counts.get("presence.predicted", 0), 1)


def predicted_summary(counts: dict[str, int]) -> str:
    """Return the words that say how many pictures were predicted; empty when none was."""
    predicted, tracked = (counts.get(f"presence.{kind}", 0) for kind in ("predicted", "tracked"))
    if not predicted:
        return ""
    return f"drawn: {tracked} from a tracked face, {predicted} predicted between two"


def _predicted_latency(recorder: Recorder, sink: str) -> dict[str, Any]:
    spans = recorder.spans(f"predicted→{sink}")
    times = asdict(distribution([span.ms for span in spans]))
    return {"predicted_latency": times} if spans else {}


def summarise(recorder: Recorder) -> dict[str, Any]:
    """Return everything a session recorded, ready for JSON.

    Latencies are from the capture timestamp to the end of the sink's write. Where pictures were
    drawn between two camera frames, ``predicted_latency`` is theirs, from the frame before: none
    of them shortens or lengthens ``latency``. ``delivery`` is of both.
    """
    stages, sinks = {}, {}
    for stage in recorder.stages():
        spans = recorder.spans(stage)
        times = asdict(distribution([span.ms for span in spans]))
        if stage.startswith("capture→"):
            name = stage.removeprefix("capture→")
            sinks[name] = {
                "latency": times,
                **_predicted_latency(recorder, name),
                "delivery": asdict(delivery(delivered(recorder, name))),
            }
        elif stage.startswith("predicted→"):
            continue
        else:
            stages[stage] = times
    counts = recorder.counts()
    return {
        "stages": stages,
        "sinks": sinks,
        "counts": counts,
        "dropped_share": dropped_share(counts),
    }
