"""The guided minute as a state machine: it sees samples, and says what to do next.

It has no camera, no window and no clock: a frame or its absence goes in with its time, and what
is to be shown can be read. ::

    REST ──resting face held──► STEP ──done, or given up after asking again──► … ──► DONE

A frame that cannot be used (no face, too dark, too far, blurred) is no sample; after a second of
them the state says so. A step that is not seen is asked for again in other words, then left out:
nobody has to be able to wink.

Recordings, whose people hear nothing, are watched in any order (``any_order``): samples are
gathered, and ``finish`` takes the most neutral still moment of all as the resting face and looks
for every step everywhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from avatar.core.frames import BLENDSHAPE_INDEX
from avatar.core.messages import Message
from calibrate.samples import Sample
from calibrate.steps import REST, STEPS, Change, Step, Watch

_REST_S = 1.2
# A longer gap between two frames is none of the driver's.
_GAP_S = 1.0
# What a resting face may do meanwhile: spread of the rotation (radians) and of the scores.
_REST_TURN, _REST_SCORE = 0.035, 0.06
# After so long a face that is never quite still is taken as it is at its stillest.
_REST_PATIENCE_S = 10.0
_PROBLEM_S = 1.0
# A step that was done is watched so much longer: people are not at their fullest at once.
_LINGER_S = 0.7
# A resting face smiles, speaks and blinks no more than this (scores), plus its turn in radians.
_REST_EXPRESSION = 0.9
# Of a score that is high at rest what is left above it counts as no less than this.
_LEAST_ROOM = 0.3
# Recorded people rest more briefly.
_RECORDED_REST_S, _LEAST_WINDOW = 0.7, 6
# In any order, what belongs to an act begins and ends so much before and after it.
_AROUND_S = 0.4

_LOOK_STRAIGHT = Message("ask.rest", "Look straight into the camera, face relaxed, mouth closed.")
_HOLD_STILL = Message("ask.still", "Hold still for a moment, face relaxed, mouth closed.")
_WATCHING = Message("ask.nothing", "Watching.")
_DONE = Message("ask.done", "Done, thank you.")

# The scores of a face that rests are small; those of looking and squinting say nothing of it.
_TELLING = [
    BLENDSHAPE_INDEX[name]
    for name in (
        "jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthPucker", "mouthFunnel",
        "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp",
    )
]  # fmt: skip


class Problem(Enum):
    """Why a frame cannot be used, in the words that help."""

    NO_FACE = Message("ask.face", "I cannot see your face: please look into the camera.")
    DARK = Message("ask.light", "It is too dark: please turn a light towards your face.")
    FAR = Message("ask.closer", "You are a little far away: please come closer.")
    BLURRED = Message(
        "ask.slower", "The picture is blurred: please move more slowly, or turn on a light."
    )


@dataclass(frozen=True)
class State:
    """What to show. ``step`` of ``steps``, from 1; ``progress`` of this step, 0 to 1."""

    text: str
    step: int
    steps: int
    progress: float
    done: bool

    @property
    def line(self) -> str:
        """Return it as it stands in a window."""
        if self.done:
            return self.text
        bar = "●" * round(5 * self.progress) + "○" * (5 - round(5 * self.progress))
        return f"{self.step}/{self.steps}  {self.text}\n{bar}"


class Session:
    """One calibration.

    ``steps``: what is asked for after the resting face. ``patience_s``: how long a step is waited
    for before it is asked again; ``asks``: how often it is asked at all. ``any_order``: watch all
    at once and ask for nothing.
    """

    def __init__(
        self,
        steps: Sequence[Step] = STEPS,
        *,
        patience_s: float = 9.0,
        asks: int = 2,
        any_order: bool = False,
    ) -> None:
        self._steps = list(steps)
        self._patience_ns = round(patience_s * 1e9)
        self._asks, self._any_order = asks, any_order
        self._watches = [Watch(step) for step in steps]
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
        return self._at >= len(self._steps)

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
        if sample is not None and problem is None and self._any_order:
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
        restless, expression = _unrest(self._rest)
        if not long_enough or restless > slack or expression > slack * _REST_EXPRESSION:
            return
        for kept in self._rest:
            self._samples.append(kept)
            self._marks.append({REST})
        self._take_rest(list(self._rest))
        self._step_since_ns = now_ns

    def _take_rest(self, window: Sequence[Sample]) -> None:
        middle = {
            name: np.median([getattr(kept, name) for kept in window], axis=0)
            for name in ("turn", "scores", "opening", "lip_gap")
        }
        last = window[-1]
        self._resting = Sample(
            last.timestamp_ns, last.shape, last.rotation, middle["turn"].astype(np.float32),
            last.centre_px, last.scale_px, middle["scores"].astype(np.float32),
            middle["opening"].astype(np.float32), float(middle["lip_gap"]),
        )  # fmt: skip

    def finish(self) -> None:
        """Look through all that was gathered in any order; to be called at the end of it."""
        if not self._any_order or self._resting is not None:
            return
        window = self._best_rest()
        if window is None:
            return
        self._take_rest(self._samples[window])
        for marks in self._marks[window]:
            marks.add(REST)
        active: dict[str, list[int]] = {watch.step.name: [] for watch in self._watches}
        for sample in self._samples:
            change = self._change(sample)
            for watch in self._watches:
                if watch.see(change):
                    active[watch.step.name].append(sample.timestamp_ns)
        times = np.array([sample.timestamp_ns for sample in self._samples])
        for name, moments in active.items():
            for moment in moments if name not in self.missing else []:
                near = np.abs(times - moment) <= _AROUND_S * 1e9
                for k in np.flatnonzero(near):
                    self._marks[k].add(name)

    def _best_rest(self) -> slice | None:
        """Return the still window with the least expression, eyes open; None without any face."""
        times = np.array([sample.timestamp_ns for sample in self._samples], np.int64)
        if not len(times):
            return None
        openings = np.array([sample.opening for sample in self._samples])
        usual = np.percentile(openings, 70, axis=0)
        best, least = None, np.inf
        for first in range(0, len(times), 3):
            last = int(np.searchsorted(times, times[first] + _RECORDED_REST_S * 1e9, "right"))
            if last - first < _LEAST_WINDOW:
                break
            restless, expression = _unrest(self._samples[first:last])
            narrow = float(np.maximum(usual - openings[first:last].mean(axis=0), 0).sum())
            cost = restless + expression + 10 * narrow
            if cost < least:
                best, least = slice(first, last), cost
        return best if best is not None else slice(0, len(times))

    def _see_step(self, sample: Sample, now_ns: int) -> None:
        change = self._change(sample)
        self._samples.append(sample)
        marks: set[str] = set()
        self._marks.append(marks)
        watch = self._watches[self._at]
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
        )

    def _next(self, now_ns: int) -> None:
        self._at += 1
        self._asked = 1
        self._done_since_ns = None
        self._step_since_ns = now_ns

    def _ask_again(self, now_ns: int) -> None:
        if self._asked < self._asks:
            self._asked += 1
            self._step_since_ns = now_ns
            return
        self.skipped.append(self._steps[self._at].name)
        self._next(now_ns)

    def state(self, now_ns: int) -> State:
        """Return what to show."""
        count = len(self._steps) + 1
        if self.done:
            return State(_DONE, count, count, 1.0, True)
        since_ns = self._problem_since_ns
        if self._problem and since_ns is not None and now_ns - since_ns >= _PROBLEM_S * 1e9:
            return State(self._problem.value, self._number, count, 0.0, False)
        if self._any_order:
            return State(_WATCHING, 1, count, 0.0, False)
        if self._resting is None:
            text: str = _LOOK_STRAIGHT
            if self._rest_since_ns is not None and now_ns - self._rest_since_ns > 5e9:
                text = _HOLD_STILL
            return State(text, 1, count, 0.0, False)
        watch = self._watches[self._at]
        text = watch.step.ask if self._asked == 1 else watch.step.again
        return State(text, self._number, count, watch.progress, False)

    @property
    def _number(self) -> int:
        return 1 if self._resting is None else self._at + 2


def _unrest(window: Sequence[Sample]) -> tuple[float, float]:
    """Return how much a face moves, 1 as much as a resting one may, and how much it expresses."""
    turns = np.array([kept.turn for kept in window])
    scores = np.array([kept.scores for kept in window])
    # A blink is nothing unrestful: the scores' spread is that of their middle.
    low, high = np.percentile(scores, [15, 85], axis=0)
    moves = max(turns.std(axis=0).max() / _REST_TURN, float((high - low).max()) / _REST_SCORE)
    middle = np.median(scores, axis=0)[_TELLING]
    return float(moves), float(middle.sum() + np.linalg.norm(turns.mean(axis=0)))
