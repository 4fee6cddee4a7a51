"""Runner: a model that is ready to run, whatever it runs on.

A backend is a class in a file of its own that says how one inference is done (``_infer``). The
public :meth:`Runner.infer` checks names, dtypes and shapes first, with messages that say what was
expected and what was found; the backend's own method does not check again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, ModelSpec


@runtime_checkable
class TwoFrames(Protocol):
    """A runner on a card: the upload of one frame runs beside the work on the one before."""

    def submit(self, feeds: Mapping[str, Any]) -> None:
        """Start a frame. At most two are under way: then ``result`` must be taken first."""

    def result(self) -> dict[str, Array]:
        """Wait for the oldest frame that was submitted: its outputs."""


class Runner(ABC):
    """A loaded model. Use as a context manager: leaving frees what it holds.

    Promises of every backend: outputs are arrays of the caller's own, in the order of the graph;
    inputs are read, never kept or changed; ``close`` may be called twice; after it ``infer``
    raises ``EngineError``. Several threads may call ``infer``: one is served after the other.
    """

    backend: str
    """The backend's name, as in ``engines.backends.BACKENDS``."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        self.spec = spec
        self.device = device
        self._closed = False
        self._busy = threading.Lock()

    def infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """All outputs by name, from all inputs by name.

        Inputs are numpy arrays with exactly the dtype and shape of ``spec.inputs``; they need not
        be contiguous. A backend may accept other arrays too and says so in its class. Raises
        ``EngineError`` for a wrong input, for a closed runner, and when the runtime fails.
        """
        with self._busy:
            if self._closed:
                raise EngineError(f"this {self.backend} runner is closed; open the model again")
            self.spec.check_inputs({name: self._described(value) for name, value in feeds.items()})
            return self._infer(feeds)

    def warm_up(self, times: int = 1) -> None:
        """Run on zeros, so that the first frame is not the slow one."""
        zeros = {
            value.name: np.zeros([n or 1 for n in value.shape], value.dtype)
            for value in self.spec.inputs
        }
        for _ in range(times):
            self.infer(zeros)

    def _described(self, value: Any) -> Array:
        """The array to check; for arrays on a device, something with their dtype and shape."""
        if not isinstance(value, np.ndarray):
            raise EngineError(
                f"the {self.backend} runner takes numpy arrays; found {type(value).__name__}"
            )
        return value

    @abstractmethod
    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """One inference on inputs that are known to fit."""

    @abstractmethod
    def _close(self) -> None:
        """Free the session, its memory and its device."""

    def close(self) -> None:
        """Free what the runner holds; a second call does nothing."""
        with self._busy:
            if not self._closed:
                self._closed = True
                self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
