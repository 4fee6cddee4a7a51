"""A training as the user sees it: progress, contact sheets, checkpoints, and how it ends."""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.clock import Clock
from avatar.core.errors import UsageError
from avatar.learn.generator.sheet import SHEET, write_sheet

if TYPE_CHECKING:
    from engines.training.loop import Losses, Trainer

Say = Callable[[str], None]

_SHOWN_STEPS = 100


@dataclass(frozen=True)
class Budget:
    """When a training ends: after ``seconds`` of training, or at step ``steps``, if given."""

    seconds: float
    steps: int | None = None

    def done(self, first_step: int, step: int, spent_s: float) -> float:
        """Return how much of what there was to do at ``first_step`` is done, 1 for all."""
        if self.steps is None:
            return spent_s / max(self.seconds, 1e-9)
        to_do = self.steps - first_step
        return (step - first_step) / to_do if to_do > 0 else 1.0


class TrainingSession:
    """Trains until the budget is spent or ``stop`` is set.

    ``spent_s``: seconds spent before. Every ``every_s`` of training the held-out frames are
    measured, the contact sheet and the checkpoint are written.
    """

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        clock: Clock,
        say: Say,
        *,
        spent_s: float = 0.0,
        every_s: float = 60.0,
    ) -> None:
        self._trainer, self._folder, self._clock, self._say = trainer, folder, clock, say
        self._every_s = every_s
        self._before_s = spent_s
        self._start_ns = clock.now_ns()
        self._losses: deque[Losses] = deque(maxlen=_SHOWN_STEPS)
        self._first_step = trainer.step_count
        self.untrained_error = 0.0

    @property
    def spent_s(self) -> float:
        """Return the seconds of training so far, those before a resumption among them."""
        return self._before_s + (self._clock.now_ns() - self._start_ns) / 1e9

    def run(self, budget: Budget, stop: threading.Event) -> None:
        """Train. Raises ``DivergedError``, and ``UsageError`` when the disk is full."""
        next_s = self.spent_s + self._every_s
        while not self._over(budget, stop):
            self._losses.append(self._trainer.step())
            if self.spent_s >= next_s:
                self._look(budget)
                next_s = self.spent_s + self._every_s
        self._look(budget)

    def _over(self, budget: Budget, stop: threading.Event) -> bool:
        """Return whether any process is done: then all are."""
        return self._trainer.group.any(stop.is_set() or self._done(budget) >= 1)

    def _done(self, budget: Budget) -> float:
        spent_s = self.spent_s - self._before_s
        return budget.done(self._first_step, self._trainer.step_count, spent_s)

    def _look(self, budget: Budget) -> None:
        """Measure, show and keep: the first process does, for all have the same weights."""
        trainer = self._trainer
        if trainer.group.rank > 0:
            return
        error = trainer.held_out_error()
        with disk_errors_as_usage(self._folder):
            learnt = trainer.step_count > self._first_step
            kept = learnt and trainer.keep_good(self._folder, error)
            write_sheet(trainer, self._folder)
            self.save()
        self._say(self._line(budget, error, kept))

    def save(self) -> None:
        """Write the checkpoint. Raises ``OSError``."""
        facts = {"spent_s": self.spent_s, "untrained_error": self.untrained_error}
        self._trainer.save(self._folder, facts)

    def _line(self, budget: Budget, error: float, kept: bool) -> str:
        count = max(len(self._losses), 1)
        l1 = sum(losses.difference for losses in self._losses) / count
        critic = sum(losses.critic for losses in self._losses) / count
        done = max(self._done(budget), 1e-6)
        left_s = max(0.0, (self.spent_s - self._before_s) * (1 - done) / done)
        return (
            f"step {self._trainer.step_count}: L1 {l1:.4f}, critic {critic:.2f}, held out "
            f"{error:.4f}{' (kept)' if kept else ''} of {self.untrained_error:.4f} before, "
            f"{left_s / 60:.1f} min left, {SHEET}"
        )


class disk_errors_as_usage:  # noqa: N801  reads as a function of its own
    """Turn what the disk says into a message for the user; what was written before is whole."""

    def __init__(
        self, folder: Path, then: str = "continue with --resume: the last checkpoint is intact"
    ) -> None:
        self._folder, self._then = folder, then

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "Free some space" if full else "Check the folder's permissions"
        raise UsageError(
            f"{self._folder} cannot be written: {error.strerror or error}. {remedy}, then "
            f"{self._then}."
        ) from error
