"""Which devices a training runs on, and how many: ``--device`` and ``--devices``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from avatar.core.errors import UsageError

if TYPE_CHECKING:
    from engines.training.devices import Device

ALL = "all"
_MOST_PROCESSES = 64


@dataclass(frozen=True)
class Devices:
    """``count`` devices of one kind; on a processor, processes that share it."""

    device: Device
    count: int = 1

    def __str__(self) -> str:
        return f"{self.count} × {self.device}" if self.count > 1 else str(self.device)


def find_devices(wanted: str = "auto", count: str = "1") -> Devices:
    """Return the devices to train on.

    ``wanted``: ``auto``, ``cpu`` or ``cuda``. ``count``: a number, or ``all`` cards there are.
    Raises ``UsageError`` for what is not there.
    """
    import torch

    from engines.training.devices import find_device

    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cuda" and not cards:
        raise UsageError(
            "--device cuda: PyTorch finds no CUDA card here. Take --device cpu, or install the "
            "CUDA build of PyTorch"
        )
    kind = "cuda" if wanted == "cuda" or (wanted == "auto" and cards) else "cpu"
    number = _number(count, cards if kind == "cuda" else 1)
    if wanted == "auto" and number > 1 and not cards:
        raise UsageError(
            f"--devices {count}: PyTorch finds no CUDA card here. Leave it out, or give --device "
            "cpu too for so many processes on the processor"
        )
    if kind == "cuda" and number > cards:
        raise UsageError(f"--devices {count}: expected 1 to {cards}, which PyTorch finds here")
    return Devices(find_device(kind), number)


def _number(count: str, all_of_them: int) -> int:
    if count == ALL:
        return all_of_them
    if not count.isdecimal() or not 1 <= int(count) <= _MOST_PROCESSES:
        raise UsageError(f"--devices: expected a number from 1, or {ALL}, found {count!r}")
    return int(count)
