"""The guided minute as a state machine: it sees samples, and says what to do next.

It has no camera, no window and no clock: a frame or its absence goes in with its time, and what
is to be shown can be read. ::

    REST ──resting face held──► STEP ──done, or given up after asking again──► … ──► DONE

``closing`` steps come last, in any case; what was given up before them is asked for once more then.
The driver may ``skip`` a step and ``repeat`` one.

A frame that cannot be used (no face, too dark, too far, blurred) is no sample; after a second of
them the state says so. A step that is not seen is asked for again in other words, then left out:
nobody has to be able to wink.

Recordings, whose people hear nothing, are watched in any order (``any_order``): samples are
gathered, and ``finish`` takes the most neutral still moment of all as the resting face and looks
for every step everywhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from avatar.core.messages import Message
from calibrate.rest import middle_of, stillest, unrest
from calibrate.samples import Sample
from calibrate.state import Problem, State
from calibrate.steps import REST, STEPS, Change, Step, Watch

_REST_S = 1.2
# A longer gap between two frames is none of the driver's.
_GAP_S = 1.0
# After so long a face that is never quite still is taken as it is at its stillest.
_REST_PATIENCE_S = 10.0
_PROBLEM_S = 1.0
# A step that was done is watched so much longer: people are not at their fullest at once.
_LINGER_S = 0.7
# A resting face smiles, speaks and blinks no more than this (scores), plus its turn in radians.
_REST_EXPRESSION = 0.9
# Of a score that is high at rest what is left above it counts as no less than this.
_LEAST_ROOM = 0.3
# In any order, what belongs to an act begins and ends so much before and after it.
_AROUND_S = 0.4

_LOOK_STRAIGHT = Message("ask.rest", "Look straight into the camera, face relaxed, mouth closed.")
_HOLD_STILL = Message("ask.still", "Hold still for a moment, face relaxed, mouth closed.")
_WATCHING = Message("ask.nothing", "Watching.")
_DONE = Message("ask.done", "Done, thank you.")


class Session:
    """One calibration.

    ``steps``: what is asked for after the resting face. ``patience_s``: how long a step is waited
    for before it is asked again; ``asks``: how often it is asked at all. ``any_order``: watch all
    at once and ask for nothing. ``closing``: what is asked for at the end, after what was given up
    was asked for once more. ``count_in_s``: how long it counts down once somebody is seen.
    """

    def __init__(
        self,
        steps: Sequence[Step] = STEPS,
        *,
        patience_s: float = 9.0,
        asks: int = 2,
        any_order: bool = False,
        closing: Sequence[Step] = (),
        count_in_s: float = 0.0,
    ) -> None:
        self._patience_ns = round(patience_s * 1e9)
        self._asks, self._any_order = asks, any_order
        self._watches = [Watch(step) for step in (*steps, *closing)]
        # Each step as it is asked for, what is asked for once more a second time.
        self._turns = list(self._watches)
        self._closing = len(closing)
        self._count_in_ns = round(count_in_s * 1e9)
        self._begins_ns: int | None = None
        self._wishes: deque[Callable[[int], None]] = deque()
        self._at = 0
        self._asked = 1
        self._step_since_ns: int | None = None
        self._rest: deque[Sample] = deque()
        self._rest_since_ns: int | None = None
        self._resting: Sample | None = None
        self._problem: Problem | None = None
        self._problem_since_ns: int | None = None
        self._last_ns: int | None = None
        self._done_since_ns: int | None = None
        self._samples: list[Sample] = []
        self._marks: list[set[str]] = []
        self.skipped: list[str] = []

    @property
    def done(self) -> bool:
        """Return whether there is nothing left to ask for."""
        if self._any_order:
            return False
        return self._at >= len(self._turns)

    @property
    def begun(self) -> bool:
        """Return whether somebody was seen and the counting in is over."""
        last_ns = self._last_ns or 0
        return self._begins_ns is not None and last_ns >= self._begins_ns

    @property
    def seen(self) -> list[str]:
        """Return the steps that were seen whole, without the resting face."""
        return [w.step.name for w in self._watches if w.done]

    @property
    def partly(self) -> list[str]:
        """Return the steps of which something was seen, but not all."""
        return [w.step.name for w in self._watches if not w.done and w.progress > 0]

    @property
    def missing(self) -> list[str]:
        """Return the steps of which nothing was seen, the resting face among them."""
        rest = [REST] if self._resting is None else []
        return rest + [w.step.name for w in self._watches if w.progress == 0]

    @property
    def samples(self) -> tuple[list[Sample], list[frozenset[str]]]:
        """Return what was seen, and the steps that each sample belongs to."""
        return self._samples, [frozenset(marks) for marks in self._marks]

    def see(self, sample: Sample | None, problem: Problem | None, now_ns: int) -> State:
        """Take one frame in and return what to show; ``sample`` is None where nobody is seen."""
        if sample is None and problem is None:
            problem = Problem.NO_FACE
        self._forgive_jump(now_ns)
        self._note(problem, now_ns)
        while self._wishes:
            self._wishes.popleft()(now_ns)
        if self._counts_in(sample, now_ns):
            pass
        elif sample is not None and problem is None and self._any_order:
            self._samples.append(sample)
            self._marks.append(set())
        elif sample is not None and problem is None and not self.done:
            if self._resting is None:
                self._see_rest(sample, now_ns)
            else:
                self._see_step(sample, now_ns)
        elif self._step_since_ns is not None and self._last_ns is not None:
            # Time without a usable picture is not the driver's hesitation.
            self._step_since_ns += max(now_ns - self._last_ns, 0)
        self._last_ns = now_ns
        return self.state(now_ns)

    def skip(self) -> None:
        """Leave out what is asked for, with the next frame; from any thread."""
        self._wishes.append(self._skip)

    def repeat(self) -> None:
        """Ask for the step again, or for the one before if nothing of it was seen; as ``skip``."""
        self._wishes.append(self._repeat)

    def _skip(self, now_ns: int) -> None:
        if self._resting is None or self.done:
            return
        watch = self._turns[self._at]
        if not watch.done:
            self.skipped.append(watch.step.name)
        self._next(now_ns)

    def _repeat(self, now_ns: int) -> None:
        if self._resting is None or self.done:
            return
        if self._at > 0 and self._turns[self._at].progress == 0:
            self._at -= 1
        watch = self._turns[self._at]
        watch.restart()
        if watch.step.name in self.skipped:
            self.skipped.remove(watch.step.name)
        self._begin_turn(now_ns)

    def _counts_in(self, sample: Sample | None, now_ns: int) -> bool:
        """Return whether it has not begun yet; the count begins with the first face."""
        if self._begins_ns is None and sample is not None:
            self._begins_ns = now_ns + self._count_in_ns
        return self._count_in_ns > 0 and (self._begins_ns is None or now_ns < self._begins_ns)

    def _forgive_jump(self, now_ns: int) -> None:
        """Let a clock that jumps, or frames that were lost, count as no time at all."""
        gap_ns = 0 if self._last_ns is None else now_ns - self._last_ns
        if 0 <= gap_ns <= _GAP_S * 1e9:
            return
        if self._step_since_ns is not None:
            self._step_since_ns += gap_ns
        if self._done_since_ns is not None:
            self._done_since_ns += gap_ns
        if self._problem_since_ns is not None:
            self._problem_since_ns += gap_ns
        if self._rest_since_ns is not None:
            self._rest_since_ns += gap_ns
        if self._begins_ns is not None:
            self._begins_ns += gap_ns
        # What was seen before and after is not one stretch of stillness.
        self._rest.clear()
        self._last_ns = now_ns

    def _note(self, problem: Problem | None, now_ns: int) -> None:
        if problem is not self._problem:
            self._problem, self._problem_since_ns = problem, now_ns

    def _see_rest(self, sample: Sample, now_ns: int) -> None:
        """Wait until the newest samples are still; after a while take the stillest."""
        if self._rest_since_ns is None:
            self._rest_since_ns = now_ns
        self._rest.append(sample)
        while self._rest[-1].timestamp_ns - self._rest[0].timestamp_ns > _REST_S * 1e9:
            self._rest.popleft()
        long_enough = (
            self._rest[-1].timestamp_ns - self._rest[0].timestamp_ns > 0.85 * _REST_S * 1e9
            and len(self._rest) >= 5
        )
        waited_s = (now_ns - self._rest_since_ns) / 1e9
        slack = 1.0 + 3.0 * max(0.0, waited_s / _REST_PATIENCE_S)
        restless, expression = unrest(self._rest)
        if not long_enough or restless > slack or expression > slack * _REST_EXPRESSION:
            return
        for kept in self._rest:
            self._samples.append(kept)
            self._marks.append({REST})
        self._resting = middle_of(self._rest)
        self._step_since_ns = now_ns

    def finish(self) -> None:
        """Look through all that was gathered in any order; to be called at the end of it."""
        if not self._any_order or self._resting is not None:
            return
        window = stillest(self._samples)
        if window is None:
            return
        self._resting = middle_of(self._samples[window])
        for marks in self._marks[window]:
            marks.add(REST)
        active: dict[str, list[int]] = {watch.step.name: [] for watch in self._watches}
        for sample in self._samples:
            change = self._change(sample)
            for watch in self._watches:
                if watch.see(change):
                    active[watch.step.name].append(sample.timestamp_ns)
        times = np.array([sample.timestamp_ns for sample in self._samples])
        for name in active.keys() - set(self.missing):
            for k in np.flatnonzero(_near(times, np.sort(active[name]), _AROUND_S * 1e9)):
                self._marks[k].add(name)

    def _see_step(self, sample: Sample, now_ns: int) -> None:
        change = self._change(sample)
        self._samples.append(sample)
        marks: set[str] = set()
        self._marks.append(marks)
        watch = self._turns[self._at]
        marks.add(watch.step.name)
        watch.see(change)
        if watch.done:
            self._done_since_ns = self._done_since_ns or now_ns
            if now_ns - self._done_since_ns >= _LINGER_S * 1e9:
                self._next(now_ns)
        elif now_ns - (self._step_since_ns or now_ns) > self._patience_ns:
            self._ask_again(now_ns)

    def _change(self, sample: Sample) -> Change:
        rest = self._resting
        assert rest is not None
        # A score ends at 1: of a face that purses its lips at rest less is left to be seen.
        room = np.maximum(1 - np.maximum(rest.scores, 0), _LEAST_ROOM).astype(np.float32)
        return Change(
            sample.timestamp_ns,
            (sample.scores - rest.scores) / room,
            sample.turn - rest.turn,
            (sample.opening / np.maximum(rest.opening, 0.05)).astype(np.float32),
            sample.lip_gap - rest.lip_gap,
            sample.lip_gap,
        )

    def _next(self, now_ns: int) -> None:
        self._at += 1
        while not self.done and self._turns[self._at].done:
            self._at += 1  # asked for once more, and done meanwhile by going back
        self._begin_turn(now_ns)

    def _begin_turn(self, now_ns: int) -> None:
        self._asked = 1
        self._done_since_ns = None
        self._step_since_ns = now_ns

    def _ask_again(self, now_ns: int) -> None:
        if self._asked < self._asks:
            self._asked += 1
            self._step_since_ns = now_ns
            return
        self._give_up()
        self._next(now_ns)

    def _give_up(self) -> None:
        """Leave a step out; the first time it is put before the closing steps instead."""
        watch = self._turns[self._at]
        last = len(self._turns) - self._closing
        if self._closing and self._at < last and self._turns.count(watch) == 1:
            self._turns.insert(last, watch)
        else:
            self.skipped.append(watch.step.name)

    def state(self, now_ns: int) -> State:
        """Return what to show."""
        count = len(self._turns) + 1
        if self.done:
            return State(_DONE, count, count, 1.0, True)
        since_ns = self._problem_since_ns
        if self._problem and since_ns is not None and now_ns - since_ns >= _PROBLEM_S * 1e9:
            return State(self._problem.value, self._number, count, 0.0, False)
        if self._count_in_ns and self._begins_ns is not None and now_ns < self._begins_ns:
            left_s = -(-(self._begins_ns - now_ns) // 1_000_000_000)
            return State(f"Get ready: it begins in {left_s} …", 1, count, 0.0, False)
        if self._any_order:
            return State(_WATCHING, 1, count, 0.0, False)
        if self._resting is None:
            text: str = _LOOK_STRAIGHT
            if self._rest_since_ns is not None and now_ns - self._rest_since_ns > 5e9:
                text = _HOLD_STILL
            return State(text, 1, count, 0.0, False)
        watch = self._turns[self._at]
        text = watch.step.ask if self._asked == 1 else watch.step.again
        if watch in self._turns[: self._at]:
            text = f"Still missing, so once more. {watch.step.again}"
        return State(text, self._number, count, watch.progress, False)

    @property
    def _number(self) -> int:
        return 1 if self._resting is None else self._at + 2


def _near(times: NDArray[np.int64], moments: NDArray[np.int64], within: float) -> NDArray[np.bool_]:
    """Return which of ``times`` lie within so much of one of ``moments``, which rise."""
    after = np.searchsorted(moments, times).clip(0, len(moments) - 1)
    before = (after - 1).clip(0)
    apart = np.minimum(np.abs(moments[after] - times), np.abs(moments[before] - times))
    return np.asarray(apart <= within)
