"""Avatars that were removed on the page, and can be had back for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from avatar.app.avatars import AvatarAside
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.messages import Message, words_of

UNDO_S = 10.0
Later = Callable[[float, Callable[[], None]], None]


def later(seconds: float, what: Callable[[], None]) -> None:
    """Call ``what`` in so many seconds, in a thread that holds no end of the program."""
    timer = threading.Timer(seconds, what)
    timer.daemon = True
    timer.start()


class RemovedAvatars:
    """Takes avatars out of the store, and deletes them ``UNDO_S`` later. Safe from any thread.

    ``changed`` is called when one is gone for good, ``say`` told where that fails. ``later``: calls
    something in so many seconds.
    """

    def __init__(
        self, home: Home, say: Callable[[str], None], changed: Callable[[], None],
        later: Later = later,
    ) -> None:  # fmt: skip
        self._home, self._say, self._changed, self._later = home, say, changed, later
        self._lock = threading.Lock()
        self._aside: dict[str, AvatarAside] = {}

    @property
    def names(self) -> list[str]:
        """Return those that can be had back, in the order of their removal."""
        return list(self._aside)

    def remove(self, name: str) -> None:
        """Take an avatar out of the store. Raises ``UsageError``."""
        self.forget(name)  # one of the same name, removed before
        aside = AvatarAside(name, self._home)
        with self._lock:
            self._aside[aside.name] = aside
        self._later(UNDO_S, lambda: self._end(aside))

    def restore(self, name: str) -> str:
        """Put one back; return its name. Raises ``UsageError`` where it is too late."""
        with self._lock:
            aside = self._aside.pop(name, None)
        if aside is None:
            raise UsageError(
                Message("error.removedForGood", "{name} is removed for good", name=name)
            )
        try:
            return aside.put_back()
        except UsageError:
            with self._lock:
                self._aside[name] = aside
            raise

    def forget(self, *names: str) -> None:
        """Delete those of the names that were removed, now."""
        for name in names:
            with self._lock:
                aside = self._aside.pop(name, None)
            if aside is not None:
                self._delete(aside)

    def close(self) -> None:
        """Delete all of them, at the program's end."""
        self.forget(*self.names)

    def _end(self, aside: AvatarAside) -> None:
        with self._lock:
            if self._aside.get(aside.name) is not aside:  # it was put back, or is deleted
                return
            del self._aside[aside.name]
        self._delete(aside)
        self._changed()

    def _delete(self, aside: AvatarAside) -> None:
        try:
            aside.delete()
        except UsageError as error:
            self._say(words_of(error))
