"""A training in several processes, a device each; the first of them keeps and tells."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.errors import EngineError
from avatar.core.machine import call_at_interrupt, ended_by_signals
from avatar.learn.generator.devices import Devices
from avatar.learn.generator.record import TrainingRecord
from avatar.learn.generator.request import TrainRequest
from avatar.learn.generator.within import begin, train_within

if TYPE_CHECKING:
    from engines.training.group import ProcessGroup


def train_on(
    devices: Devices,
    request: TrainRequest,
    given: TrainingRecord,
    folder: Path,
    pairs: Path,
    again: str,
) -> bool:
    """Train on ``devices`` as ``command.run_session`` does on one; return whether it was paused.

    Raises ``EngineError`` with what a process said that failed, and ``MissingDependencyError``.
    """
    from engines.training.group import launch

    work = partial(_work, devices, request, given, folder, pairs, again)
    stop = threading.Event()

    def pause() -> None:
        stop.set()
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, signal.SIGINT)

    with ended_by_signals(pause):
        try:
            return launch(work, devices.device.kind, devices.count)
        except EngineError:
            if stop.is_set():  # it came while they were being started
                return True
            raise


def _work(
    devices: Devices,
    request: TrainRequest,
    given: TrainingRecord,
    folder: Path,
    pairs: Path,
    again: str,
    group: ProcessGroup,
) -> bool:
    """Train in one of the processes; see ``train_on``.

    SIGINT pauses all of them, and comes too when the process that started them is no more.
    SIGTERM ends: by it the others go when one has failed.
    """
    stop = threading.Event()
    call_at_interrupt(stop.set)
    own = replace(devices, device=replace(devices.device, name=group.device))
    _, session = begin(request, given, folder, pairs, own, group)
    train_within(session, request, stop, again)
    return group.any(stop.is_set())
