"""A training within one process: of prepared pairs, until its time is over."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.core.clock import MonotonicClock
from avatar.core.errors import AvatarError, UsageError
from avatar.core.files import expanded
from avatar.core.terminal import say
from avatar.learn.generator.devices import Devices
from avatar.learn.generator.record import TrainingRecord
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.session import Budget, TrainingSession
from engines.patches import patches_of

if TYPE_CHECKING:
    from engines.training.group import Group
    from engines.training.loop import Trainer


def begin(
    request: TrainRequest,
    given: TrainingRecord,
    folder: Path,
    pairs: Path,
    devices: Devices | None = None,
    group: Group | None = None,
) -> tuple[Trainer, TrainingSession]:
    """Return the trainer of prepared pairs and its session; with a resumption as they were left."""
    trainer, facts = _trainer(request, given, folder, pairs, devices, group)
    tell = say if trainer.group.rank == 0 else _silent
    session = TrainingSession(
        trainer, folder, MonotonicClock(), tell, spent_s=float(facts.get("spent_s", 0.0))
    )
    session.untrained_error = float(facts.get("untrained_error", 0.0)) or trainer.untrained_error()
    return trainer, session


def _silent(_line: str) -> None:
    """Stand in for ``say`` where another process says the same."""


def train_within(
    session: TrainingSession, request: TrainRequest, stop: threading.Event, again: str
) -> bool:
    """Train until the budget is spent or ``stop`` is set; return whether it was the latter.

    ``again``: the command that goes on. Raises ``UsageError`` when the training diverged or the
    disk is full, ``EngineError`` when a card fails.
    """
    from engines.training.devices import card_errors_as_engine_errors
    from engines.training.loop import DivergedError

    try:
        with card_errors_as_engine_errors():
            session.run(Budget(request.minutes * 60, request.steps), stop)
    except DivergedError as error:
        raise UsageError(
            f"{error}. The last checkpoint is intact: `{again}` continues from it, and with "
            "--minutes 0 finishes with it"
        ) from error
    return stop.is_set()


def _trainer(
    request: TrainRequest,
    given: TrainingRecord,
    folder: Path,
    pairs: Path,
    devices: Devices | None,
    group: Group | None,
) -> tuple[Trainer, dict[str, Any]]:
    """Return the trainer and what its checkpoint was saved with; empty where there is none."""
    from engines.training import checkpoint
    from engines.training.loop import CHECKPOINT, Plan, Trainer
    from engines.training.pairs import Pairs

    resumed = request.resume and (folder / CHECKPOINT).exists()
    base = None
    if request.base is not None and not resumed:
        base = checkpoint.read(expanded(request.base))[0]
    trainer = Trainer(
        Pairs(pairs, patches_of(given.size)),
        Plan(seed=given.seed),
        devices.device if devices is not None else "cpu",
        base,
        group=group,
    )
    if not resumed:
        return trainer, {}
    try:
        return trainer, trainer.resume(folder)
    except AvatarError as error:
        raise UsageError(str(error)) from error
