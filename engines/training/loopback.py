"""How processes of one machine find each other and talk, for Lightning Fabric."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import torch
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy


class LoopbackStrategy(DDPStrategy):
    """Processes that meet in the file ``meeting``, which is not there yet, and talk by loopback.

    PyTorch's own way is a server that listens on every network of the machine.
    """

    def __init__(self, meeting: Path) -> None:
        super().__init__(start_method="spawn", cluster_environment=LightningEnvironment())
        self._meeting = meeting

    def setup_environment(self) -> None:
        """See Fabric's; called in each process before anything is computed."""
        _stay_here()
        rank = int(os.environ["LOCAL_RANK"])
        backend = "nccl" if self.root_device.type == "cuda" else "gloo"
        torch.distributed.init_process_group(
            backend, init_method=self._meeting.as_uri(), rank=rank, world_size=self.num_processes
        )
        super().setup_environment()


def _stay_here() -> None:
    """Keep what the processes send on this machine, and Fabric's notes to itself."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
