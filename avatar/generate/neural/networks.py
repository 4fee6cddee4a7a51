"""Open runners by name, shared by all generators that draw with the same networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from avatar.errors import EngineError

if TYPE_CHECKING:
    from engines.runner import Runner

OpenModel = Callable[[str], "Runner"]
"""Gives a runner of a model, as ``engines.export.MODELS`` calls it; may take minutes."""


class Networks:
    """Runners, opened when they are first wanted and closed when the last user leaves.

    ``open_model`` makes a runner; what it raises passes through. ``identity``: a text that is the
    same for the same weights on the same backend, and for nothing else.
    """

    def __init__(self, open_model: OpenModel, identity: str) -> None:
        self._open_model, self.identity = open_model, identity
        self._runners: dict[str, Runner] = {}
        self._open = ExitStack()
        self._users = 0

    def __enter__(self) -> Self:
        self._users += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._users = max(self._users - 1, 0)
        if not self._users:
            self._runners.clear()
            self._open.close()

    def prepare(self, names: Iterable[str]) -> None:
        """Open what will be needed in every frame."""
        for name in names:
            self._runner(name)

    def infer(self, name: str, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Return all outputs of the model ``name``; raises ``EngineError``."""
        return self._runner(name).infer(feeds)

    def infer_once(self, name: str, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """As ``infer``, for what is rarely needed: its memory is given back at once."""
        if name in self._runners:
            return self.infer(name, feeds)
        with self._open_model(name) as runner:
            return runner.infer(feeds)

    def _runner(self, name: str) -> Runner:
        if not self._users:
            raise EngineError("the networks are closed: use the generator inside a `with` block")
        if name not in self._runners:
            self._runners[name] = self._open.enter_context(self._open_model(name))
        return self._runners[name]
