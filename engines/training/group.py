"""Several processes that train one network, a card each: Lightning Fabric starts and joins them.

Each learns from a batch of its own and holds all weights; the gradients' mean makes their steps
the same. The mean is taken once a step, over all gradients together: PyTorch's
``DistributedDataParallel`` wants one pass forward and one back through all weights, where a step
against a discriminator has three of its passes and one back for each patch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from avatar.core.errors import AvatarError, EngineError, MissingDependencyError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
_MEETING, _FAILED = "meeting", "failed"


class Group:
    """One process by itself; ``ProcessGroup`` is one of several.

    All processes of a group call its methods in the same order. ``rank``: the process's number,
    ``size``: how many there are.
    """

    rank = 0
    size = 1

    def seed(self, *numbers: int) -> tuple[int, ...]:
        """Return the seed of this process's random choices; the first's is ``numbers``."""
        return numbers if self.rank == 0 else (*numbers, self.rank)

    def any(self, value: bool) -> bool:
        """Return whether ``value`` is true in any process."""
        return value

    def mean(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the mean over all processes; what is no number in one is none in all."""
        return values

    def average(self, parameters: Iterable[Tensor]) -> None:
        """Replace gradients by their mean over all processes."""


class ProcessGroup(Group):
    """One of several processes, which ``fabric`` started."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.rank, self.size = fabric.global_rank, fabric.world_size

    @property
    def device(self) -> str:
        """Return the device of this process, as PyTorch names it."""
        return str(self._fabric.device)

    def any(self, value: bool) -> bool:
        """See ``Group.any``."""
        count = torch.tensor(float(value), device=self._fabric.device)
        return bool(self._reduced(count, "sum") > 0)

    def mean(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """See ``Group.mean``."""
        sent = torch.from_numpy(values).float().to(self._fabric.device)
        found: npt.NDArray[np.float64] = self._reduced(sent, "mean").cpu().double().numpy()
        return found

    def average(self, parameters: Iterable[Tensor]) -> None:
        """See ``Group.average``."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self._reduced(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        found = self._fabric.all_reduce(values, reduce_op=how)
        assert isinstance(found, Tensor)
        return found


def launch(work: Callable[[ProcessGroup], T], kind: str, count: int) -> T:
    """Run ``work`` in ``count`` processes on devices of ``kind``; return what the first returns.

    ``work`` can be pickled, as what it returns. Raises ``MissingDependencyError`` without Fabric,
    and ``EngineError`` with the message of the first that failed; the others are ended then.
    """
    try:
        from lightning_fabric import Fabric

        from engines.training.loopback import LoopbackStrategy
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "training on several devices needs lightning-fabric, not installed here: pip install "
            "'webcam-avatar[train-cuda]'. It is not needed for one device: --devices 1"
        ) from error
    from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fabric = Fabric(
            accelerator=kind, devices=count, strategy=LoopbackStrategy(folder / _MEETING)
        )
        try:
            found: T = fabric.launch(_run, work, folder)
        except (ProcessRaisedException, ProcessExitedException) as error:
            raise EngineError(_reason(folder, error)) from error
    return found


def _run(fabric: Fabric, work: Callable[[ProcessGroup], T], folder: Path) -> T:
    """Run ``work`` in a process of its own; what it raises for the user goes back as a message."""
    group = ProcessGroup(fabric)
    try:
        found = work(group)
        fabric.barrier()  # until the first has written all
    except AvatarError as error:
        (folder / f"{_FAILED}-{group.rank}").write_text(str(error), "utf-8")
        raise SystemExit(1) from error
    torch.distributed.destroy_process_group()
    return found


def _reason(folder: Path, error: Exception) -> str:
    for path in sorted(folder.glob(f"{_FAILED}-*")):
        with suppress(OSError):
            return path.read_text("utf-8")
    return (
        f"a process of the training failed: {str(error).strip().splitlines()[-1]}. The last "
        "checkpoint is intact: --resume continues from it, and --devices 1 trains in one process"
    )
