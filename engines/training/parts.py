"""A step in parts, each computed by a thread of its own.

PyTorch's own threads share out one operation at a time; a step's are so small that two threads are
hardly faster than one. Parts of a batch have nothing to wait for until their gradients are added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

T = TypeVar("T")

_ON_PROCESSOR = 2


class Parts:
    """As many parts as are worth while on ``kind``, ``cpu`` or ``cuda``.

    Their number does not depend on the machine's threads, which PyTorch was told: a training draws
    the same random numbers on every machine.
    """

    def __init__(self, kind: str) -> None:
        self._most = _ON_PROCESSOR if kind == "cpu" else 1
        self._workers: ThreadPoolExecutor | None = None

    def sizes(self, batch: int) -> list[int]:
        """Return how many of a ``batch`` each part learns from, as even as can be."""
        parts = min(self._most, batch)
        return [batch // parts + (part < batch % parts) for part in range(parts)]

    def run(self, work: Callable[[int, int], T], sizes: Sequence[int]) -> list[T]:
        """Return what ``work`` gives for each part's number and size, in their order.

        Raises what the first that fails raises, when all have ended.
        """
        if len(sizes) == 1:
            return [work(0, sizes[0])]
        if self._workers is None:
            threads = torch.get_num_threads()
            count = min(threads, self._most)
            # Between the parts, too: a thread that waits for its next share of a small operation
            # takes a core from them, or is late.
            torch.set_num_threads(threads // count)
            self._workers = ThreadPoolExecutor(
                count, "part", initializer=torch.set_num_threads, initargs=(threads // count,)
            )
        futures = [self._workers.submit(work, part, size) for part, size in enumerate(sizes)]
        wait(futures)
        return [future.result() for future in futures]
