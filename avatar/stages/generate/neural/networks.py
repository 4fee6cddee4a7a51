"""Open runners by name, shared by all generators that draw with the same networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from avatar.core.errors import EngineError

if TYPE_CHECKING:
    from engines.runner import Runner

OpenModel = Callable[[str], "AbstractContextManager[Runner]"]
"""Gives a runner of a model, as ``engines.export.MODELS`` calls it; may take minutes."""


@runtime_checkable
class _Uploads(Protocol):
    """A runner with a memory of its own, such as a card's."""

    def upload(self, name: str, value: Any) -> Any:
        """Put a value of the input ``name`` there, to pass to ``infer`` many times."""
        ...


class Networks:
    """Runners, opened when they are first wanted and closed when the last user leaves.

    ``open_model`` makes a runner; what it raises passes through. ``identity``: a text that is the
    same for the same weights on the same backend, and for nothing else.
    """

    def __init__(self, open_model: OpenModel, identity: str) -> None:
        self._open_model, self.identity = open_model, identity
        self._runners: dict[str, Runner] = {}
        # The array is kept beside what was uploaded of it, so that its identity stays its own.
        self._uploaded: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._open = ExitStack()
        self._users = 0

    def __enter__(self) -> Self:
        self._users += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._users = max(self._users - 1, 0)
        if not self._users:
            self._uploaded.clear()
            self._runners.clear()
            self._open.close()

    def prepare(self, names: Iterable[str]) -> None:
        """Open what will be needed in every frame."""
        for name in names:
            self._runner(name)

    def infer(
        self, name: str, feeds: Mapping[str, Any], still: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return all outputs of the model ``name``; raises ``EngineError``.

        ``still``: further inputs that stay the same array from frame to frame, as a photograph's
        features do: a card gets them once.
        """
        runner = self._runner(name)
        if still is not None:
            feeds = {**feeds, **{key: self._kept(name, key, still[key]) for key in still}}
        return runner.infer(feeds)

    def _kept(self, name: str, key: str, value: Any) -> Any:
        """Return ``value`` where the model's runner wants it: on its card, or as it is."""
        runner = self._runners[name]
        if not isinstance(runner, _Uploads):
            return value
        held = self._uploaded.get((name, key))
        if held is None or held[0] is not value:
            held = self._uploaded[name, key] = (value, runner.upload(key, value))
        return held[1]

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
