"""A stage around another one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Generic, Self, TypeVar

Inner = TypeVar("Inner", bound=AbstractContextManager[Any, Any])


class Wrapped(Generic[Inner]):
    """Is entered and left with ``inner``; a subclass says what it does with it meanwhile."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner

    def __enter__(self) -> Self:
        """Enter the inner stage; its errors propagate."""
        self._inner.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        """Leave the inner stage."""
        self._inner.__exit__(*raised)
